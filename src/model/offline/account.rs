//! Holds a plan against the slots of the question it came of.
//!
//! Owns the rule that a plan uses everything the question said: a slot that the plan does not show is a part of the question that
//! would be answered as if it were not there. Every slot is named here, so that one added to the draft does not compile before
//! it is decided which plan uses it.

use super::{
    draft::Draft,
    plan::{Aggregate, Group, Key, Limit, List, Number, Order, Plan, Selection},
};

/// What a plan says, in the terms of the slots.
#[derive(Default)]
struct Told {
    selection: Selection,
    /// The measure it ranks by, and whether high values come first.
    ranked: Option<(usize, bool)>,
    /// Whether high numbers come first, whatever they are of.
    high: Option<bool>,
    limit: Option<u64>,
    /// Whether its answer is a number of something.
    counts: bool,
    /// What it counts other than entities.
    counted: Option<Key>,
    aggregates: Vec<(Aggregate, usize)>,
    key: Option<Key>,
    /// The role whose people it tells of.
    role: Option<usize>,
    shows_people: bool,
    shows_year: bool,
    shown: Vec<usize>,
}

/// Whether `plan` uses every slot of `draft`.
pub(super) fn uses_everything(plan: &Plan, draft: &Draft) -> bool {
    let Some(told) = Told::of(plan, draft) else { return false };
    let Draft {
        selection,
        orders,
        most,
        limit,
        limits_entities,
        top,
        count,
        counted,
        aggregates,
        groups,
        mentions,
        measures,
        asks,
        who,
        when,
        people,
        verbs,
        only,
        contradicted,
        unknown,
        absent,
        // How the question is put, which decides between plans and asks for nothing.
        which: _,
        noun: _,
        plural: _,
        plural_mention: _,
        sorted: _,
        summed: _,
        picks_one: _,
        counts_measure: _,
        guessed_names: _,
    } = draft;
    let extreme = |high: bool| if high { Aggregate::Max } else { Aggregate::Min };
    // The values of a dimension are those of all entities: of the first kind, which needs no naming.
    let first_kind = Selection { kinds: vec![0], ..Selection::default() };
    let selected = told.selection == *selection || (matches!(plan, Plan::Values { .. }) && *selection == first_kind);
    let ordered = orders
        .iter()
        .all(|(measure, high)| told.ranked == Some((*measure, *high)) || told.aggregates.contains(&(extreme(*high), *measure)));
    let sided = most.is_none_or(|high| told.high == Some(high) || told.aggregates.iter().any(|(aggregate, _)| *aggregate == extreme(high)));
    let limited = limit.is_none_or(|limit| told.limit == Some(limit)) && !(*limits_entities && told.key.is_some());
    let counting = (!count || told.counts) && (counted.is_none() || told.counted == *counted);
    let aggregated = aggregates.iter().all(|wanted| told.aggregates.iter().any(|(aggregate, _)| aggregate == wanted));
    let is_told = |key: &Key| match key {
        Key::Role(role) => told.key == Some(*key) || told.role == Some(*role),
        Key::Year => told.key == Some(*key) || told.shows_year,
        Key::Dim(_) | Key::Decade => told.key == Some(*key) || told.counted == Some(*key),
    };
    let grouped = groups.iter().all(|key| told.key == Some(*key)) && mentions.iter().all(is_told);
    let measured = measures.iter().chain(asks).all(|index| told.shown.contains(index));
    let peopled = (!who || told.role.is_some()) && (!people || told.shows_people);
    let dated = !when || told.shows_year;
    let done = verbs.iter().all(|verb| told.does(*verb));
    let understood = unknown.is_empty() && absent.is_empty() && !only && !contradicted;
    selected
        && ordered
        && sided
        && limited
        && (top.is_none() || told.high.is_some())
        && counting
        && aggregated
        && grouped
        && measured
        && peopled
        && dated
        && done
        && understood
}

impl Told {
    /// `None` for a plan that no draft makes.
    fn of(plan: &Plan, draft: &Draft) -> Option<Self> {
        match plan {
            Plan::List(list) => Some(Self::list(list, draft)),
            Plan::Count(of) => Some(Self { selection: of.clone(), counts: true, ..Self::default() }),
            Plan::Aggregate { of, values } => Some(Self {
                selection: of.clone(),
                // "how many votes do they have": a number that the measure is.
                counts: draft.counts_measure,
                aggregates: values.clone(),
                shown: values.iter().map(|(_, measure)| *measure).collect(),
                ..Self::default()
            }),
            Plan::Group(group) => Some(Self::group(group, draft)),
            Plan::Values { dim, count } => Some(Self { counts: *count, counted: Some(Key::Dim(*dim)), ..Self::default() }),
            Plan::CountPeople { role, of } => Some(Self {
                selection: of.clone(),
                counts: true,
                counted: role.map(Key::Role),
                role: *role,
                shows_people: true,
                ..Self::default()
            }),
            _ => None,
        }
    }

    fn list(list: &List, draft: &Draft) -> Self {
        let (by, high) = list.order.parts();
        let ranked = matches!(list.order, Order::By { .. }).then_some((by, high));
        Self {
            selection: list.of.clone(),
            ranked,
            high: ranked.map(|(_, high)| high),
            limit: asked(list.limit),
            // "how many minutes is the longest": the measure of one entity.
            counts: list.limit == Limit::One && draft.counts_measure,
            role: list.credits,
            shows_people: list.credits.is_some(),
            shows_year: true,
            shown: list.show.iter().copied().chain([by]).collect(),
            ..Self::default()
        }
    }

    fn group(group: &Group, draft: &Draft) -> Self {
        let (aggregate, measure) = match group.value {
            Number::Count => (None, None),
            Number::Of(aggregate, measure) => (Some(aggregate), Some(measure)),
        };
        let role = if let Key::Role(role) = group.by { Some(role) } else { None };
        Self {
            selection: group.of.clone(),
            ranked: measure.zip(group.high),
            high: group.high,
            limit: asked(group.limit),
            // Beside any number, how many entities each group has.
            counts: aggregate.is_none() || !draft.measures.is_empty(),
            aggregates: aggregate.zip(measure).into_iter().collect(),
            key: Some(group.by),
            role,
            shows_people: role.is_some(),
            shows_year: matches!(group.by, Key::Year | Key::Decade),
            shown: measure.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether a verb says no more than the plan does: it is that of the people asked for or named, or nobody is.
    fn does(&self, verb: usize) -> bool {
        match self.role {
            Some(role) => role == verb,
            None => self.selection.people.is_empty() || self.selection.people.iter().any(|person| person.role == Some(verb)),
        }
    }
}

fn asked(limit: Limit) -> Option<u64> {
    if let Limit::Asked(rows) = limit { Some(rows) } else { None }
}
