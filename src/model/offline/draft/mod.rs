//! Reads a question word by word into slots: filters, orders, groups, numbers and names, in any order.
//!
//! Owns the constructs of a query phrase. A construct takes whole items or none; what no construct takes is kept as not
//! understood. What the slots add up to is decided in `finish`.

mod bounds;
mod names;

use crate::sql::catalog::vocabulary::Vocabulary;

use super::{
    lexicon::{Function as F, Item, Meaning},
    plan::{Aggregate, Bound, Key, Range, Selection, Values},
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
    /// "top" or "bottom" without a measure.
    pub(super) top: Option<bool>,
    pub(super) count: bool,
    pub(super) aggregates: Vec<Aggregate>,
    pub(super) group: Option<Key>,
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
        let constructs: [fn(&mut Self, usize) -> usize; 19] = [
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

    fn push_range(&mut self, measure: usize, low: Option<Bound>, high: Option<Bound>) {
        let same = self.draft.selection.ranges.iter_mut().find(|range| range.measure == measure);
        match same {
            Some(range) if range.low.is_none() && high.is_none() => range.low = low,
            Some(range) if range.high.is_none() && low.is_none() => range.high = high,
            _ => self.draft.selection.ranges.push(Range { measure, low, high }),
        }
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
        let Some(key) = self.key_at(next) else { return 0 };
        self.draft.group = Some(key);
        next + 1 - at
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
            return next + 2 - at;
        }
        if self.is(next, F::HowMany) {
            // "by number of films".
            let noun = self.skip_in(next + 1);
            if self.find(noun, kind).or_else(|| self.find(noun, value).map(|(_, index)| index)).is_some() {
                self.draft.most = high.or(self.draft.top).or(Some(true));
                self.draft.count = true;
                return noun - at;
            }
        }
        let Some(measure) = self.measure_at(next).or_else(|| Some(self.unit_at(next)?.0)) else { return 0 };
        next += 1;
        if self.is(next, F::Ascending) || self.is(next, F::Descending) {
            high = Some(self.is(next, F::Descending));
            next += 1;
        }
        self.draft.orders.push((measure, high.or(self.draft.top).unwrap_or(true)));
        next - at
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
        self.draft.top = Some(high);
        match self.number_at(at + 1).and_then(small) {
            Some(limit) => {
                self.draft.limit = Some(limit);
                2
            }
            None => 1,
        }
    }

    /// `best`, `longest`, `10 newest`.
    fn superlative(&mut self, at: usize) -> usize {
        let Some(order) = self.find(at, superlative) else { return 0 };
        // "highest average rating", "best average": the measure follows.
        if self.find(at, most_or_least).is_some() && self.is(at + 1, F::Average) {
            return 0;
        }
        self.draft.orders.push(order);
        1
    }

    /// `most votes`, `lowest rating`, `most films`, `most common genre`, `highest average rating`.
    fn most(&mut self, at: usize) -> usize {
        let Some(high) = self.find(at, most_or_least) else { return 0 };
        let next = self.skip_filler(at + 1);
        if self.is(next, F::Common) {
            self.draft.most = Some(high);
            self.draft.count = true;
            return next + 1 - at;
        }
        if let Some(measure) = self.measure_at(next).or_else(|| Some(self.unit_at(next)?.0)) {
            self.draft.orders.push((measure, high));
            return next + 1 - at;
        }
        self.draft.most = Some(high);
        1
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
        self.draft.selection.values.push(Values { dim, any, not: false });
        self.noun(plural);
        // "the horror genre": the noun repeats what the value is of.
        if self.find(end, |meaning| (*meaning == Meaning::Dim(dim)).then_some(())).is_some() {
            end += 1;
        }
        end - at
    }

    fn noun(&mut self, plural: bool) {
        self.draft.noun = true;
        self.draft.plural |= plural;
    }

    fn kind(&mut self, at: usize) -> usize {
        let Some(index) = self.find(at, kind) else { return 0 };
        let plural = self.item(at).is_some_and(|item| item.plural);
        // "film title": the second noun only says what the first one is called.
        if !self.draft.selection.kinds.contains(&index) {
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
            self.draft.mentions.push(key);
            self.draft.plural_mention |= item.plural;
            return 1;
        }
        for meaning in &item.meanings {
            match meaning {
                Meaning::Measure(index) | Meaning::Bound(index) => self.draft.measures.push(*index),
                Meaning::Unit(index, _) => self.draft.measures.push(*index),
                Meaning::Ask(index) => self.draft.asks.push(*index),
                Meaning::Verb(index) => self.draft.verbs.push(*index),
                Meaning::People => self.draft.people = true,
                // "which maker made …": a verb that is also a word for the beginning of an entity.
                Meaning::Event if self.draft.mentions.iter().any(|key| matches!(key, Key::Role(_))) => {
                    self.draft.verbs.extend(item.find(verb))
                }
                Meaning::Event | Meaning::NameNoun => {}
                _ => continue,
            }
            return 1;
        }
        0
    }

    /// `10 films`, `the 5 best`.
    fn number(&mut self, at: usize) -> usize {
        let Some(limit) = self.number_at(at).and_then(small) else { return 0 };
        let next = self.skip_filler(at + 1);
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
        self.draft.limit = Some(limit);
        1
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
            F::HowMany => self.draft.count = true,
            F::Average => self.draft.aggregates.push(Aggregate::Average),
            F::Sum => self.draft.aggregates.push(Aggregate::Sum),
            F::Max => self.draft.aggregates.push(Aggregate::Max),
            F::Min => self.draft.aggregates.push(Aggregate::Min),
            F::Filler | F::Which | F::And | F::Descending => {}
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
