//! Decides what the slots of a question add up to.
//!
//! Owns the step from a draft to a plan. A draft with anything left over, or that adds up to nothing, gives none: `account` holds
//! the plan against the draft.

use crate::sql::catalog::vocabulary::Vocabulary;

use super::{
    account,
    draft::Draft,
    plan::{Aggregate, Group, Key, Limit, List, Number, Order, Plan, Selection},
};

/// The plan of a complete draft.
pub(super) fn plan(draft: &Draft, words: &Vocabulary) -> Option<Plan> {
    chosen(draft, words).filter(|plan| account::uses_everything(plan, draft))
}

fn chosen(draft: &Draft, words: &Vocabulary) -> Option<Plan> {
    // "what is good": words that order, but nothing they could order.
    let anything = draft.noun
        || !draft.orders.is_empty()
        || draft.top.is_some()
        || draft.most.is_some()
        || !draft.mentions.is_empty()
        || !draft.groups.is_empty()
        || !draft.aggregates.is_empty()
        || draft.people;
    if !anything && draft.selection == Selection::default() {
        return None;
    }
    if counts_those_with_one(draft) {
        return None;
    }
    if let Some(plan) = people_counted(draft).or_else(|| values(draft)) {
        return Some(plan);
    }
    if let Some(group) = group(draft, words) {
        return Some(Plan::Group(group));
    }
    if let Some(values) = aggregates(draft, words) {
        return Some(Plan::Aggregate { of: draft.selection.clone(), values });
    }
    if draft.count && draft.asks.is_empty() && draft.measures.is_empty() && draft.orders.is_empty() && draft.mentions.is_empty() {
        return Some(Plan::Count(draft.selection.clone()));
    }
    list(draft, words).map(Plan::List)
}

/// `how many films have a genre`: that there is one is no condition that a plan has, and how many there are of each is another question.
fn counts_those_with_one(draft: &Draft) -> bool {
    draft.count && draft.counted.is_none() && draft.noun && draft.groups.is_empty() && !draft.plural_mention && !draft.mentions.is_empty()
}

/// `how many directors are there`, `how many people directed comedies`.
fn people_counted(draft: &Draft) -> Option<Plan> {
    let plain = draft.count && draft.most.is_none() && draft.groups.is_empty();
    let of = draft.selection.clone();
    match (draft.mentions.as_slice(), draft.verbs.as_slice()) {
        ([Key::Role(role)], _) if plain && draft.counted == Some(Key::Role(*role)) => Some(Plan::CountPeople { role: Some(*role), of }),
        ([], [verb]) if plain && draft.people => Some(Plan::CountPeople { role: Some(*verb), of }),
        ([], []) if plain && draft.people && of == Selection::default() => Some(Plan::CountPeople { role: None, of }),
        _ => None,
    }
}

/// `which genres are there`, `how many genres are there`.
fn values(draft: &Draft) -> Option<Plan> {
    let [Key::Dim(dim)] = draft.mentions.as_slice() else { return None };
    let plain =
        draft.orders.is_empty() && draft.most.is_none() && draft.aggregates.is_empty() && draft.groups.is_empty() && draft.top.is_none();
    let only = draft.measures.is_empty() && draft.asks.is_empty() && draft.verbs.is_empty() && !draft.who;
    let everything = draft.selection.ranges.is_empty() && draft.selection.values.is_empty() && draft.selection.people.is_empty();
    (plain && only && everything && !draft.when).then_some(Plan::Values { dim: *dim, count: draft.count })
}

fn group(draft: &Draft, words: &Vocabulary) -> Option<Group> {
    let ranked = draft.most.is_some() || !draft.orders.is_empty() || draft.top.is_some();
    let mention = draft
        .mentions
        .first()
        .copied()
        .filter(|_| ranked || draft.count || !draft.aggregates.is_empty() || !draft.plural_mention || !draft.noun);
    let who =
        draft.verbs.first().filter(|_| draft.who && draft.most.is_some() && draft.selection.people.is_empty()).map(|role| Key::Role(*role));
    let implicit = draft.groups.is_empty();
    let key = draft.groups.first().copied().or(who).or(mention)?;
    // "the best film of the director": a role beside a single entity asks who that was; "the best director of comedies" does not.
    let of_entities = draft.orders.is_empty() || draft.picks_one || draft.limits_entities;
    let role_of_one = matches!(key, Key::Role(_))
        && implicit
        && draft.most.is_none()
        && draft.noun
        && of_entities
        && !draft.plural_mention
        && draft.aggregates.is_empty()
        && !draft.count;
    if role_of_one {
        return None;
    }
    // "which year was the longest film": a fact of the entity.
    if implicit && key == Key::Year && draft.noun && !draft.plural && draft.most.is_none() && draft.aggregates.is_empty() {
        return None;
    }
    // "the best film of each year" asks for an entity of each group, which is another question than a number of each.
    let picks = !draft.orders.is_empty() || draft.top.is_some() || draft.limits_entities;
    let entity_of_each = !implicit && picks && draft.noun && draft.aggregates.is_empty() && !draft.count;
    // "the oldest director": the year is that of what they made, and not theirs.
    let is_year = |(index, _): &(usize, bool)| words.measures.get(*index).is_some_and(|measure| measure.year);
    let age_of_group = draft.orders.iter().any(is_year) && !draft.noun;
    if entity_of_each || age_of_group {
        return None;
    }
    let value = number(draft, words, key)?;
    let high = match (draft.most, draft.top, draft.orders.first()) {
        (Some(high), _, _) | (_, Some(high), _) => Some(high),
        (_, _, Some((_, high))) => Some(*high),
        _ if matches!(key, Key::Year | Key::Decade) => None,
        _ => Some(true),
    };
    let singular = implicit && !draft.plural_mention && ranked && draft.limit.is_none();
    let limit = draft.limit.map_or(if singular { Limit::One } else { Limit::Default }, Limit::Asked);
    Some(Group { of: draft.selection.clone(), by: key, value, high, limit })
}

/// What is told of each group: a count, or an aggregate of the measure named.
fn number(draft: &Draft, words: &Vocabulary, key: Key) -> Option<Number> {
    let is_year = |index: &usize| words.measures.get(*index).is_some_and(|measure| measure.year);
    let named = draft
        .measures
        .iter()
        .chain(&draft.asks)
        .chain(draft.orders.iter().map(|(index, _)| index))
        .copied()
        .find(|index| !(is_year(index) && key == Key::Year));
    let default = words.measures.iter().position(|measure| measure.default);
    let implicit = draft.groups.is_empty();
    let extreme = |measure: usize, high: bool| Number::Of(if high { Aggregate::Max } else { Aggregate::Min }, measure);
    if let ([(measure, high), ..], true) = (draft.orders.as_slice(), draft.aggregates.is_empty() && draft.top.is_none()) {
        // "the longest runtime per …": the extreme of each group.
        if !implicit && !draft.noun {
            return Some(extreme(*measure, *high));
        }
        // "which category has the longest film": that of one entity, which a threshold may keep from being the first.
        if implicit && draft.picks_one {
            let bare = words.measures.get(*measure).is_some_and(|measure| measure.threshold.is_none());
            return bare.then(|| extreme(*measure, *high));
        }
    }
    match (draft.aggregates.first(), named) {
        (Some(aggregate), Some(measure)) => Some(Number::Of(*aggregate, measure)),
        (Some(_), None) => default.map(|measure| Number::Of(Aggregate::Average, measure)),
        // "the most votes", "how many votes has each": how many there are in all.
        (None, Some(measure))
            if words.measures.get(measure).is_some_and(|measure| measure.additive)
                && (draft.most.is_some() || draft.summed || (draft.count && !draft.measures.is_empty())) =>
        {
            Some(Number::Of(Aggregate::Sum, measure))
        }
        (None, _) if draft.count => Some(Number::Count),
        (None, Some(measure)) => Some(Number::Of(Aggregate::Average, measure)),
        (None, None) => Some(Number::Count),
    }
}

fn aggregates(draft: &Draft, words: &Vocabulary) -> Option<Vec<(Aggregate, usize)>> {
    let first = draft.measures.first().or(draft.asks.first()).or(draft.orders.first().map(|(index, _)| index)).copied();
    let default = words.measures.iter().position(|measure| measure.default);
    // "the highest and lowest rating".
    if let (Some(high), [(measure, other)]) = (draft.most, draft.orders.as_slice()) {
        return (high != *other).then(|| vec![(Aggregate::Max, *measure), (Aggregate::Min, *measure)]);
    }
    if draft.aggregates.is_empty() {
        // "how many votes do comedies have": the sum of a measure that may be summed up.
        let plain = draft.count && draft.noun && draft.plural && draft.orders.is_empty() && draft.top.is_none();
        let [measure] = draft.measures.as_slice() else { return None };
        let additive = words.measures.get(*measure).is_some_and(|measure| measure.additive);
        return (plain && additive).then(|| vec![(Aggregate::Sum, *measure)]);
    }
    let measures: Vec<usize> = if draft.measures.len() > 1 { draft.measures.clone() } else { vec![first.or(default)?] };
    let mut values = Vec::new();
    for value in draft.aggregates.iter().flat_map(|aggregate| measures.iter().map(move |measure| (*aggregate, *measure))) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Some(values)
}

fn list(draft: &Draft, words: &Vocabulary) -> Option<List> {
    let default = words.measures.iter().position(|measure| measure.default).unwrap_or(0);
    let named = draft.orders.first().copied();
    let asked = (draft.who && draft.noun) || draft.picks_one || !draft.verbs.is_empty();
    let of_role = draft.mentions.iter().filter(|_| asked).find_map(|key| if let Key::Role(role) = key { Some(*role) } else { None });
    let who = draft.verbs.first().copied().filter(|_| draft.who);
    let shown_year = draft.mentions.contains(&Key::Year) || draft.when;
    if draft.mentions.contains(&Key::Decade)
        || draft.most.is_some()
        || !draft.groups.is_empty()
        || !draft.aggregates.is_empty()
        || (!draft.mentions.is_empty()
            && (!draft.which || draft.mentions.iter().any(|key| matches!(key, Key::Role(_))) && of_role.is_none()))
    {
        return None;
    }
    let order = match (named, draft.top) {
        (Some((measure, high)), _) => Order::By { measure, high },
        (None, Some(high)) => Order::By { measure: default, high },
        (None, None) => chosen_order(draft, words, default),
    };
    let year = words.measures.iter().position(|measure| measure.year).filter(|_| shown_year);
    let mut show: Vec<usize> =
        draft.measures.iter().chain(&draft.asks).copied().chain(year).chain(draft.orders.iter().skip(1).map(|(index, _)| *index)).collect();
    show.retain(|index| *index != order.parts().0);
    show.dedup();
    let ranked = matches!(order, Order::By { .. });
    let asks_one = ranked && draft.noun && !draft.plural && draft.limit.is_none() && draft.top.is_none();
    let limit = draft.limit.map_or(if asks_one { Limit::One } else { Limit::Default }, Limit::Asked);
    Some(List { of: draft.selection.clone(), order, limit, show, credits: of_role.or(who) })
}

/// The order of a list whose question names none: by the measure that was bounded, else people's work by year, else the best
/// known first.
fn chosen_order(draft: &Draft, words: &Vocabulary, default: usize) -> Order {
    let bounded = draft
        .selection
        .ranges
        .iter()
        .find(|range| words.measures.get(range.measure).is_some_and(|measure| !measure.year && measure.threshold.is_none()));
    let year = words.measures.iter().position(|measure| measure.year);
    let known = words
        .measures
        .get(default)
        .and_then(|measure| measure.tie_break.as_deref())
        .and_then(|name| words.measures.iter().position(|other| other.name == name));
    match (bounded, year) {
        (Some(range), _) => Order::Chosen { measure: range.measure, high: range.low.is_some() },
        (None, Some(year)) if !draft.selection.people.is_empty() => Order::Chosen { measure: year, high: false },
        _ => Order::Chosen { measure: known.unwrap_or(default), high: true },
    }
}
