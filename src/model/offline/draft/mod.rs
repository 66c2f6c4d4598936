//! Reads a question word by word into slots: filters, orders, groups, numbers and names, in any order.
//!
//! Owns the constructs of a query phrase. A construct takes whole items or none; what no construct takes is kept as not
//! understood. What the slots add up to is decided in `finish`.

mod bounds;
mod names;

use crate::sql::catalog::vocabulary::Vocabulary;

use super::{
    lexicon::{Function as F, Item, Meaning},
    plan::{Aggregate, Key, Selection, Values},
    words::Token,
};

/// The slots of a question.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) selection: Selection,
    pub(super) orders: Vec<(usize, bool)>,
    /// "the most …", not yet bound to a measure: whether high values come first.
    pub(super) most: Option<bool>,
    pub(super) limit: Option<u64>,
    /// Whether the limit is one of entities: "the 5 best" of them, not of the directors.
    pub(super) limits_entities: bool,
    /// "top" or "bottom" without a measure.
    pub(super) top: Option<bool>,
    pub(super) count: bool,
    /// What is counted, where that is no entity.
    pub(super) counted: Option<Key>,
    /// Whether what is counted is a measure: "how many votes", "how many minutes".
    pub(super) counts_measure: bool,
    pub(super) aggregates: Vec<Aggregate>,
    pub(super) groups: Vec<Key>,
    /// Nouns that may become the group: "which genre has …".
    pub(super) mentions: Vec<Key>,
    /// Measures named without a bound or an order.
    pub(super) measures: Vec<usize>,
    /// Measures a question opens with: "how long is …".
    pub(super) asks: Vec<usize>,
    pub(super) who: bool,
    /// Whether it asks which or what.
    pub(super) which: bool,
    pub(super) when: bool,
    pub(super) people: bool,
    pub(super) verbs: Vec<usize>,
    /// Whether a noun for entities occurred.
    pub(super) noun: bool,
    /// Whether such a noun was a plural.
    pub(super) plural: bool,
    /// Whether the nouns that may become the group were plurals.
    pub(super) plural_mention: bool,
    /// Spans of words (token indexes) that nothing took.
    pub(super) unknown: Vec<(usize, usize)>,
    /// What the question asks for and the lake does not hold.
    pub(super) absent: Vec<usize>,
    /// Names that only their place before a noun made names.
    pub(super) guessed_names: bool,
    /// Whether the last order is one to sort by, of which a direction may follow.
    pub(super) sorted: bool,
    /// Whether the last order is by a measure of which something has the most: by its sum where there are several.
    pub(super) summed: bool,
    /// Whether the last order is one of which a single entity is the first: "the longest film".
    pub(super) picks_one: bool,
    /// "only", where it leaves out more than the rest of the question says.
    pub(super) only: bool,
    /// Whether two conditions cannot be put together: nothing meets both, or they may be meant in two ways.
    pub(super) contradicted: bool,
}

/// Reads `tokens`, cut into `items`.
pub(super) fn read(question: &str, words: &Vocabulary, tokens: &[Token], items: &[Item]) -> Draft {
    let mixed_case = tokens
        .iter()
        .skip(1)
        .any(|token| !token.capital && !token.quoted && token.norm.len() > 3 && token.norm.chars().all(char::is_alphabetic));
    let mut reader = Reader { question, words, tokens, items, mixed_case, draft: Draft::default() };
    let mut at = 0;
    while at < items.len() {
        let taken = reader.construct(at);
        if taken == 0 {
            reader.give_up(at);
            at += 1;
        } else {
            at += taken;
        }
    }
    reader.draft.which = tokens.iter().any(|token| matches!(token.norm.as_str(), "which" | "what" | "who" | "whose"));
    reader.draft
}

struct Reader<'a> {
    question: &'a str,
    words: &'a Vocabulary,
    tokens: &'a [Token],
    items: &'a [Item],
    mixed_case: bool,
    draft: Draft,
}

impl Reader<'_> {
    /// Tries every construct at item `at`; the number of items the first fitting one takes.
    fn construct(&mut self, at: usize) -> usize {
        let constructs: [fn(&mut Self, usize) -> usize; 20] = [
            Reader::name_words,
            Reader::between,
            Reader::bound,
            Reader::time,
            Reader::people_named,
            Reader::owner,
            Reader::grouping,
            Reader::sorting,
            Reader::comparative_bound,
            Reader::top,
            Reader::first,
            Reader::superlative,
            Reader::most,
            Reader::negated,
            Reader::values,
            Reader::kind,
            Reader::nouns,
            Reader::number,
            Reader::function,
            Reader::name_before_noun,
        ];
        constructs.iter().map(|construct| construct(self, at)).find(|taken| *taken > 0).unwrap_or(0)
    }

    fn item(&self, at: usize) -> Option<&Item> {
        self.items.get(at)
    }

    fn is(&self, at: usize, function: F) -> bool {
        self.item(at).is_some_and(|item| item.is(function))
    }

    fn find<T>(&self, at: usize, pick: impl FnMut(&Meaning) -> Option<T>) -> Option<T> {
        self.item(at)?.find(pick)
    }

    /// The first index from `at` on that is no filler.
    fn skip_filler(&self, mut at: usize) -> usize {
        while self.item(at).is_some_and(|item| item.is(F::Filler)) {
            at += 1;
        }
        at
    }

    fn give_up(&mut self, at: usize) {
        let Some(item) = self.items.get(at) else { return };
        if let Some(absent) = item.find(absent) {
            return self.draft.absent.push(absent);
        }
        match self.draft.unknown.last_mut() {
            Some((_, end)) if *end == item.from => *end = item.to,
            _ => self.draft.unknown.push((item.from, item.to)),
        }
    }

    fn number_at(&self, at: usize) -> Option<f64> {
        self.item(at)?.number
    }

    /// A number that reads as a year.
    fn year_at(&self, at: usize) -> Option<f64> {
        self.number_at(at).filter(|number| number.fract() == 0.0 && (1850.0..=2100.0).contains(number) && self.year_measure().is_some())
    }

    fn year_measure(&self) -> Option<usize> {
        self.words.measures.iter().position(|measure| measure.year)
    }

    fn measure_at(&self, at: usize) -> Option<usize> {
        self.find(at, |meaning| if let Meaning::Measure(index) = meaning { Some(*index) } else { None })
    }

    fn unit_at(&self, at: usize) -> Option<(usize, f64)> {
        self.find(at, |meaning| if let Meaning::Unit(index, factor) = meaning { Some((*index, *factor)) } else { None })
    }

    /// The text of tokens `from..to` as the user wrote it.
    fn text(&self, from: usize, to: usize) -> String {
        let start = self.tokens.get(from).map_or(0, |token| token.start);
        let end = to.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(start, |token| token.end);
        self.question.get(start..end).unwrap_or_default().trim().to_owned()
    }

    /// `by genre`, `per decade`, `for each director`.
    fn grouping(&mut self, at: usize) -> usize {
        if !self.is(at, F::Per) && !self.is(at, F::By) {
            return 0;
        }
        let next = self.skip_in(at + 1);
        let next = if self.is(next, F::Per) { self.skip_filler(next + 1) } else { next };
        // "by name of director".
        let Some(key) = self.key_at(next).filter(|_| !self.goes_on(next + 1)) else { return 0 };
        self.draft.groups.push(key);
        next + 1 - at
    }

    /// Whether a second thing to group or sort by follows, which no plan does.
    fn goes_on(&self, at: usize) -> bool {
        let next = self.skip_filler(at + 1);
        self.is(at, F::And) && (self.measure_at(next).is_some() || self.key_at(next).is_some())
    }

    /// What a noun groups by.
    fn key_at(&self, at: usize) -> Option<Key> {
        let item = self.item(at)?;
        if item.is(F::DecadeNoun) {
            return Some(Key::Decade);
        }
        item.find(|meaning| match meaning {
            Meaning::Dim(index) => Some(Key::Dim(*index)),
            Meaning::Role(index) => Some(Key::Role(*index)),
            Meaning::Measure(index) if self.year_measure() == Some(*index) => Some(Key::Year),
            _ => None,
        })
    }

    /// `by votes`, `sorted by runtime descending`.
    fn sorting(&mut self, at: usize) -> usize {
        if !self.is(at, F::Sort) && !self.is(at, F::By) {
            return 0;
        }
        let mut next = self.skip_filler(at + 1);
        let mut high = None;
        if let Some(direction) = self.find(next, most_or_least) {
            high = Some(direction);
            next += 1;
        }
        if let Some(measure) = self.measure_at(next + 1).filter(|_| self.is(next, F::Average)) {
            // "by average rating".
            self.draft.aggregates.push(Aggregate::Average);
            self.draft.measures.push(measure);
            self.draft.most = high.or(self.draft.top).or(Some(true));
            self.draft.sorted = high.is_none();
            return next + 2 - at;
        }
        if self.is(next, F::HowMany) {
            // "by number of films".
            let noun = self.skip_in(next + 1);
            if self.find(noun, kind).or_else(|| self.find(noun, value).map(|(_, index)| index)).is_some() {
                self.draft.most = high.or(self.draft.top).or(Some(true));
                self.draft.count = true;
                self.draft.sorted = high.is_none();
                return noun - at;
            }
        }
        let Some(measure) = self.measure_at(next).or_else(|| Some(self.unit_at(next)?.0)) else { return 0 };
        next += 1;
        if self.goes_on(next) {
            return 0;
        }
        if self.is(next, F::Ascending) || self.is(next, F::Descending) {
            high = Some(self.is(next, F::Descending));
            next += 1;
        }
        self.draft.orders.push((measure, high.or(self.draft.top).unwrap_or(true)));
        self.draft.sorted = high.is_none();
        next - at
    }

    /// `shortest first`, `lowest first`: the end at which an order begins.
    fn first(&mut self, at: usize) -> usize {
        let followed = self.find(at + 2, |meaning| matches!(meaning, Meaning::Kind(_) | Meaning::Value(..)).then_some(())).is_some();
        if !self.is(at + 1, F::First) || self.number_at(at + 2).is_some() || followed {
            return 0;
        }
        let (named, direction) = (self.find(at, superlative), self.find(at, most_or_least));
        let Some(high) = named.map(|(_, high)| high).or(direction) else { return 0 };
        // What is sorted by: an order, or the number of each group.
        let measure = self.draft.orders.last().map(|(measure, _)| *measure).or(self.draft.measures.last().copied());
        let fits = self.draft.sorted && named.is_none_or(|(named, _)| measure == Some(named));
        match (self.draft.orders.last_mut(), self.draft.most.as_mut(), named) {
            (Some(order), None, _) if fits => order.1 = high,
            (None, Some(most), _) if fits => *most = high,
            (_, None, Some(named)) => self.draft.orders.push(named),
            _ => return 0,
        }
        self.draft.sorted = false;
        2
    }

    /// `top 10`, `bottom five`, `first 3`, `top`.
    fn top(&mut self, at: usize) -> usize {
        let high = if self.is(at, F::Top) {
            true
        } else if self.is(at, F::Bottom) {
            false
        } else {
            return 0;
        };
        if self.draft.top.is_some() || self.draft.limit.is_some() {
            return 0;
        }
        self.draft.top = Some(high);
        let mut next = at + 1;
        if let Some(limit) = self.number_at(next).and_then(small) {
            self.limit(next, limit);
            next += 1;
        }
        // "top 10 price products": the measure right behind is what they are the top by.
        if let Some(measure) = self.bound_measure(next).filter(|measure| self.year_measure() != Some(*measure)) {
            self.draft.orders.push((measure, high));
            next += 1;
        }
        next - at
    }

    /// Takes the number at `at` for how many are asked for: of whatever plural comes next.
    fn limit(&mut self, at: usize, limit: u64) {
        self.draft.limit = Some(limit);
        let plurals = (at + 1..self.items.len()).filter(|next| self.item(*next).is_some_and(|item| item.plural));
        let entities = |next: usize| self.find(next, kind).is_some() || self.find(next, value).is_some();
        let noun = plurals.into_iter().find(|next| entities(*next) || self.key_at(*next).is_some());
        self.draft.limits_entities = noun.is_some_and(entities);
    }

    /// `best`, `longest`, `10 newest`.
    fn superlative(&mut self, at: usize) -> usize {
        let Some(order) = self.find(at, superlative) else { return 0 };
        // "highest average rating", "best average": the measure follows.
        if self.find(at, most_or_least).is_some() && self.is(at + 1, F::Average) {
            return 0;
        }
        // "the longest title": an order of names, which no measure is.
        if (at + 1..=self.skip_filler(at + 1)).any(|next| self.names_entities(next)) {
            return 0;
        }
        // "newest films first": the order has been named.
        if self.is(at, F::First) && at + 1 == self.items.len() && !self.draft.orders.is_empty() {
            return 1;
        }
        self.draft.orders.push(order);
        self.draft.picks_one = self.is_one_entity(at + 1);
        1
    }

    /// Whether one entity is spoken of from item `at` on: a noun in the singular, with or without values before it.
    fn is_one_entity(&self, at: usize) -> bool {
        let mut next = self.skip_filler(at);
        let valued = |next: usize| self.item(next).is_some_and(|item| !item.plural) && self.find(next, value).is_some();
        let first = next;
        while valued(next) {
            next += 1;
        }
        match self.find(next, kind) {
            Some(_) => self.item(next).is_some_and(|item| !item.plural),
            None => next > first && self.key_at(next).is_none(),
        }
    }

    /// `most votes`, `lowest rating`, `most films`, `most common genre`, `highest average rating`.
    fn most(&mut self, at: usize) -> usize {
        let Some(high) = self.find(at, most_or_least) else { return 0 };
        let next = self.skip_filler(at + 1);
        // "the one with the most directors" counts something of each entity; "the largest category" does not.
        let more_of_each = self.item(next).is_some_and(|item| item.plural)
            && self.find(next, |meaning| matches!(meaning, Meaning::Role(_) | Meaning::Dim(_)).then_some(())).is_some();
        if (self.says_number(at) && more_of_each) || self.names_entities(next) {
            return 0;
        }
        if self.is(next, F::Common) {
            self.draft.most = Some(high);
            self.draft.count = true;
            return next + 1 - at;
        }
        if let Some(measure) = self.measure_at(next).or_else(|| Some(self.unit_at(next)?.0)) {
            self.draft.orders.push((measure, high));
            self.draft.summed = self.says_number(at) || self.says(next, &["number"]);
            return next + 1 - at;
        }
        self.draft.most = Some(high);
        1
    }

    /// Whether item `at` begins with one of these words.
    fn says(&self, at: usize, words: &[&str]) -> bool {
        let token = self.item(at).and_then(|item| self.tokens.get(item.from));
        token.is_some_and(|token| !token.quoted && words.contains(&token.norm.as_str()))
    }

    /// "most", "fewest": superlatives of a number of things, where "highest" is one of a value.
    fn says_number(&self, at: usize) -> bool {
        self.says(at, &["most", "fewest", "least"])
    }

    /// Whether an order before the noun at `at` would be one of names, which no measure is.
    fn orders_names(&self, at: usize) -> bool {
        self.names_entities(at) && !self.draft.orders.is_empty()
    }

    /// Whether the noun at `at` is one for the names of entities that have been spoken of.
    fn names_entities(&self, at: usize) -> bool {
        self.find(at, name_noun).is_some() && !self.draft.selection.kinds.is_empty()
    }

    /// `not horror`, `without comedies`, `non-musical`.
    fn negated(&mut self, at: usize) -> usize {
        if !self.is(at, F::Not) {
            return 0;
        }
        let next = self.skip_filler(at + 1);
        let Some((dim, index)) = self.find(next, value) else { return 0 };
        self.draft.selection.values.push(Values { dim, any: vec![index], not: true });
        let mut end = next + 1;
        while self.is(end, F::Or) {
            let Some((other, index)) = self.find(self.skip_filler(end + 1), value) else { break };
            self.draft.selection.values.push(Values { dim: other, any: vec![index], not: true });
            end = self.skip_filler(end + 1) + 1;
        }
        end - at
    }

    /// `horror`, `romantic comedies`, `horror or thriller`.
    fn values(&mut self, at: usize) -> usize {
        let item_plural = self.item(at).is_some_and(|item| item.plural);
        let combination = self.find(at, |meaning| if let Meaning::Combination(dim, index) = meaning { Some((*dim, *index)) } else { None });
        if let Some((dim, index)) = combination {
            let Some(dimension) = self.words.dimensions.get(dim) else { return 0 };
            let all = dimension.combinations.get(index).map(|combination| combination.all.as_slice()).unwrap_or_default();
            let indexes: Vec<usize> =
                all.iter().filter_map(|name| dimension.values.iter().position(|value| value.value == *name)).collect();
            self.draft.selection.values.extend(indexes.into_iter().map(|value| Values { dim, any: vec![value], not: false }));
            self.noun(item_plural);
            return 1;
        }
        let Some((dim, first)) = self.find(at, value) else { return 0 };
        let mut any = vec![first];
        let mut end = at + 1;
        let nouns = |reader: &Self, end: usize| {
            let plural = |at: usize| reader.item(at).is_some_and(|item| item.plural);
            // "dramas and comedies" are both lists; a "horror comedy" is both at once.
            reader.is(end, F::And) && plural(end - 1) && plural(end + 1)
        };
        while self.is(end, F::Or) || nouns(self, end) {
            let next = self.skip_filler(end + 1);
            let Some((_, other)) = self.find(next, value).filter(|(other, _)| *other == dim) else { break };
            any.push(other);
            end = next + 1;
        }
        let plural = (at..end).any(|index| self.item(index).is_some_and(|item| item.plural));
        self.noun(plural);
        self.value(at, Values { dim, any, not: false }, plural);
        // "the horror genre": the noun repeats what the value is of.
        if self.find(end, |meaning| (*meaning == Meaning::Dim(dim)).then_some(())).is_some() {
            end += 1;
        }
        end - at
    }

    /// Adds a condition that was read at item `at`: "horror films and comedies" are those of either.
    fn value(&mut self, at: usize, new: Values, plural: bool) {
        let joined = plural && (0..at).rev().find(|before| !self.is(*before, F::Filler)).is_some_and(|before| self.is(before, F::And));
        let mut same: Vec<&mut Values> =
            self.draft.selection.values.iter_mut().filter(|known| joined && known.dim == new.dim && !known.not).collect();
        match same.as_mut_slice() {
            [] => self.draft.selection.values.push(new),
            [known] => known.any.extend(new.any),
            // "romantic comedies and dramas": the first may hold for both or not.
            _ => self.draft.contradicted = true,
        }
    }

    fn noun(&mut self, plural: bool) {
        self.draft.noun = true;
        self.draft.plural |= plural;
    }

    fn kind(&mut self, at: usize) -> usize {
        let Some(index) = self.find(at, kind) else { return 0 };
        // "the title of the longest film": the noun only says what is wanted of the one that follows.
        let of = self.find(at, name_noun).is_some() && self.is(at + 1, F::In);
        let entities = |next: usize| self.find(next, kind).is_some() || self.find(next, value).is_some();
        if of && (at + 1..self.items.len()).any(entities) {
            return 1;
        }
        if self.orders_names(at) {
            return 0;
        }
        let plural = self.item(at).is_some_and(|item| item.plural);
        // "film title": the second noun only says what the first one is called.
        if !self.draft.selection.kinds.contains(&index) && !self.names_entities(at) {
            self.draft.selection.kinds.push(index);
        }
        self.noun(plural);
        1
    }

    /// Nouns for measures, dimensions and roles; openings; verbs.
    fn nouns(&mut self, at: usize) -> usize {
        let Some(item) = self.items.get(at) else { return 0 };
        if let Some(key) = self.key_at(at) {
            // "this year", "the last 5 years": the planner has no clock.
            let before = item.from.checked_sub(1).and_then(|before| self.tokens.get(before));
            let relative = before.is_some_and(|token| matches!(token.norm.as_str(), "this" | "last" | "next" | "past" | "current"));
            if matches!(key, Key::Year | Key::Decade)
                && (relative || at.checked_sub(1).is_some_and(|before| self.number_at(before).is_some()))
            {
                return 0;
            }
            // "of the category X": the noun says what the value is of.
            let valued = self.find(self.skip_filler(at + 1), value);
            if valued.is_some_and(|(dim, _)| key == Key::Dim(dim)) {
                return 1;
            }
            self.draft.mentions.push(key);
            self.draft.plural_mention |= item.plural;
            return 1;
        }
        for meaning in &item.meanings {
            match meaning {
                Meaning::Measure(index) | Meaning::Bound(index) => self.draft.measures.push(*index),
                Meaning::Unit(index, _) => self.draft.measures.push(*index),
                Meaning::Ask(index) => self.draft.asks.push(*index),
                Meaning::Verb(index) => self.verb(at, *index),
                Meaning::People => self.draft.people = true,
                // "which maker made …": a verb that is also a word for the beginning of an entity.
                Meaning::Event if self.draft.verbs.is_empty() && (self.draft.who || self.draft.people || self.role_asked().is_some()) => {
                    if let Some(index) = item.find(verb) {
                        self.verb(at, index);
                    }
                }
                Meaning::NameNoun if self.orders_names(at) => return 0,
                Meaning::Event | Meaning::NameNoun => {}
                _ => continue,
            }
            return 1;
        }
        0
    }

    /// The role that a noun asks for.
    fn role_asked(&self) -> Option<usize> {
        self.draft.mentions.iter().find_map(|key| if let Key::Role(role) = key { Some(*role) } else { None })
    }

    /// What people do: "made" is what those of any role do.
    fn verb(&mut self, at: usize, verb: usize) {
        let any = self.says(at, &["made", "make", "makes", "making"]);
        let role = self.role_asked().filter(|_| any).unwrap_or(verb);
        self.draft.verbs.push(role);
    }

    /// `10 films`, `the 5 best`.
    fn number(&mut self, at: usize) -> usize {
        let Some(limit) = self.number_at(at).and_then(small) else { return 0 };
        let next = self.skip_filler(at + 1);
        // "which directors made two": a condition on their number.
        let told = self.draft.who || self.draft.people || !self.draft.verbs.is_empty() || !self.draft.mentions.is_empty();
        let plain = self.find(next, superlative).is_none() && self.find(next, most_or_least).is_none();
        if told && plain {
            return 0;
        }
        let noun = self.find(next, |meaning| match meaning {
            Meaning::Kind(_)
            | Meaning::High(_)
            | Meaning::Low(_)
            | Meaning::Value(..)
            | Meaning::Combination(..)
            | Meaning::Role(_)
            | Meaning::Dim(_) => Some(()),
            Meaning::Function(F::Most | F::Least | F::Top | F::Bottom) => Some(()),
            _ => None,
        });
        if noun.is_none() || self.draft.limit.is_some() {
            return 0;
        }
        self.limit(at, limit);
        1
    }

    /// What "how many" before item `at` counts, if that is no entity.
    fn counted(&self, mut at: usize) -> Option<Key> {
        let describes = |item: &Item| item.is(F::Filler) || (!item.plural && (item.find(value).is_some() || item.find(kind).is_some()));
        while self.item(at).is_some_and(describes) {
            at += 1;
        }
        self.key_at(at)
    }

    /// Whether "only" at `at` says no more than the rest: before everything, or before a time or the end where nobody is spoken of.
    fn is_plainly_only(&self, at: usize) -> bool {
        let opens = self.items.iter().take(at).all(|item| item.is(F::Filler));
        let nobody = self.draft.mentions.is_empty() && self.draft.verbs.is_empty() && self.draft.selection.people.is_empty();
        let narrows = at + 1 == self.items.len() || [F::In, F::Since, F::Before, F::After].iter().any(|sign| self.is(at + 1, *sign));
        (opens && !self.is_one_entity(at + 1)) || (narrows && nobody)
    }

    /// Function words on their own.
    fn function(&mut self, at: usize) -> usize {
        let Some(item) = self.items.get(at) else { return 0 };
        let Some(function) = item.find(|meaning| if let Meaning::Function(function) = meaning { Some(*function) } else { None }) else {
            return 0;
        };
        match function {
            F::Who => self.draft.who = true,
            F::When => self.draft.when = true,
            // A second "how many" is a second question.
            F::HowMany if self.draft.count => return 0,
            F::HowMany => {
                self.draft.count = true;
                self.draft.counted = self.counted(at + 1);
                let next = self.skip_filler(at + 1);
                self.draft.counts_measure = self.measure_at(next).or_else(|| Some(self.unit_at(next)?.0)).is_some();
            }
            F::Average => self.draft.aggregates.push(Aggregate::Average),
            F::Sum => self.draft.aggregates.push(Aggregate::Sum),
            F::Max => self.draft.aggregates.push(Aggregate::Max),
            F::Min => self.draft.aggregates.push(Aggregate::Min),
            F::Only => self.draft.only |= !self.is_plainly_only(at),
            F::Descending if self.draft.most != Some(false) && self.draft.orders.iter().all(|(_, high)| *high) => {}
            F::Ascending if self.draft.sorted => {
                self.draft.orders.iter_mut().for_each(|(_, high)| *high = false);
                self.draft.most = self.draft.most.map(|_| false);
            }
            F::Filler | F::Which | F::And => {}
            F::In if at + 1 < self.items.len() => {}
            F::With if self.followed_by_known(at) => {}
            _ => return 0,
        }
        1
    }

    /// Whether a noun or order follows, so that a preposition before it says nothing of its own.
    fn followed_by_known(&self, at: usize) -> bool {
        let next = self.skip_filler(at + 1);
        self.find(next, |meaning| match meaning {
            Meaning::High(_) | Meaning::Low(_) | Meaning::Measure(_) | Meaning::Kind(_) | Meaning::Value(..) | Meaning::Unit(..) => {
                Some(())
            }
            Meaning::Function(F::Most | F::Least | F::Average) => Some(()),
            _ => None,
        })
        .is_some()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a small whole number")]
fn small(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (1.0..=1000.0).contains(&number)).then_some(number as u64)
}

fn kind(meaning: &Meaning) -> Option<usize> {
    if let Meaning::Kind(index) = meaning { Some(*index) } else { None }
}

fn role(meaning: &Meaning) -> Option<usize> {
    if let Meaning::Role(index) = meaning { Some(*index) } else { None }
}

fn before(meaning: &Meaning) -> Option<usize> {
    if let Meaning::Before(index) = meaning { Some(*index) } else { None }
}

fn verb(meaning: &Meaning) -> Option<usize> {
    if let Meaning::Verb(index) = meaning { Some(*index) } else { None }
}

fn value(meaning: &Meaning) -> Option<(usize, usize)> {
    if let Meaning::Value(dim, index) = meaning { Some((*dim, *index)) } else { None }
}

fn absent(meaning: &Meaning) -> Option<usize> {
    if let Meaning::Absent(index) = meaning { Some(*index) } else { None }
}

fn name_noun(meaning: &Meaning) -> Option<()> {
    (*meaning == Meaning::NameNoun).then_some(())
}

fn superlative(meaning: &Meaning) -> Option<(usize, bool)> {
    match meaning {
        Meaning::High(index) => Some((*index, true)),
        Meaning::Low(index) => Some((*index, false)),
        _ => None,
    }
}

fn comparative(meaning: &Meaning) -> Option<(usize, bool)> {
    match meaning {
        Meaning::More(index) => Some((*index, true)),
        Meaning::Less(index) => Some((*index, false)),
        _ => None,
    }
}

fn most_or_least(meaning: &Meaning) -> Option<bool> {
    match meaning {
        Meaning::Function(F::Most) => Some(true),
        Meaning::Function(F::Least) => Some(false),
        _ => None,
    }
}
