//! Bounds on measures: `between 7 and 8`, `at least 1,000 votes`, `since 2000`, `longer than two hours`.
//!
//! Owns the constructs that end in a range. A number whose measure cannot be told makes none.

use super::{
    super::{
        lexicon::{Function as F, Meaning},
        plan::{Bound, Range},
    },
    Reader, comparative, kind, most_or_least, superlative, value,
};

impl Reader<'_> {
    /// `between 1990 and 1999`, `from 90 to 120 minutes`, `1990-1999`, `rating between 7 and 8`.
    pub(super) fn between(&mut self, at: usize) -> usize {
        let mut next = at;
        let mut measure = None;
        if let Some(named) = self.bound_measure(next) {
            measure = Some(named);
            next += 1;
        }
        let between = self.says(next, &["between"]);
        if self.is(next, F::Between) || self.is(next, F::In) || self.is(next, F::Since) {
            next = self.skip_filler(next + 1);
        } else if next > at && self.number_at(next).is_none() {
            return 0;
        }
        // "from 1994 and 1996" are two years, and not those between them.
        let joined = (between && self.is(next + 1, F::And)) || self.is(next + 1, F::To) || self.is(next + 1, F::Until);
        let (Some(low), Some(high)) = (self.number_at(next), self.number_at(next + 2)) else { return 0 };
        if !joined {
            return 0;
        }
        let mut taken = next + 3 - at;
        let mut factor = 1.0;
        if let Some((unit, by)) = self.unit_at(next + 3) {
            (measure, factor, taken) = (Some(unit), by, taken + 1);
        } else if let (None, Some(named)) = (measure, self.measure_at(next + 3)) {
            (measure, taken) = (Some(named), taken + 1);
        } else if self.year_at(next).is_some() && measure.is_none() {
            measure = self.year_measure();
        }
        let Some(measure) = measure else { return 0 };
        let bound = |value: f64| Some(Bound { value: value * factor, inclusive: true });
        self.push_range(at, measure, bound(low.min(high)), bound(low.max(high)));
        taken
    }

    /// The measure that a word before a bound names.
    pub(super) fn bound_measure(&self, at: usize) -> Option<usize> {
        self.find(at, |meaning| match meaning {
            Meaning::Bound(index) | Meaning::Measure(index) => Some(*index),
            _ => None,
        })
    }

    /// `rated above 8`, `with at least 1,000 votes`, `over 3 hours`, `8 stars or more`, `more than 150 minutes long`.
    pub(super) fn bound(&mut self, at: usize) -> usize {
        let mut next = at;
        let named = self.bound_measure(next);
        if named.is_some() {
            next = self.skip_in(next + 1);
            // "the rating of the 5 longest": that number says how many, and bounds nothing.
            if next > at + 1 && self.number_at(next).is_some() && self.may_be_counted(next + 1) {
                return 0;
            }
        } else if self.is(next, F::With) {
            next = self.skip_filler(next + 1);
            if let Some(measure) = self.bound_measure(next) {
                let inner = self.skip_in(next + 1);
                return self.bounded(at, inner, Some(measure));
            }
        }
        self.bounded(at, next, named)
    }

    /// Whether what follows is what a number before it may count.
    fn may_be_counted(&self, at: usize) -> bool {
        let next = self.skip_filler(at);
        self.find(next, kind).is_some()
            || self.find(next, value).is_some()
            || self.find(next, superlative).is_some()
            || self.find(next, most_or_least).is_some()
    }

    pub(super) fn skip_in(&self, mut at: usize) -> usize {
        while self.item(at).is_some_and(|item| item.is(F::Filler) || item.is(F::In)) {
            at += 1;
        }
        at
    }

    pub(super) fn bounded(&mut self, at: usize, from: usize, named: Option<usize>) -> usize {
        let sign = self.comparison(from);
        let mut next = if sign.is_some() { self.skip_filler(from + 1) } else { from };
        let Some(number) = self.number_at(next) else { return 0 };
        next += 1;
        let (mut measure, mut factor, mut explicit, mut more) = (named, 1.0, sign, 0.0);
        for _ in 0..2 {
            if let (None, Some(after)) = (explicit, self.comparison_after(next)) {
                explicit = Some(after);
                next += 1;
            }
            if let Some((unit, by)) = self.unit_at(next).filter(|(unit, _)| named.is_none_or(|named| named == *unit)) {
                let (value, taken) = self.smaller_unit(next + 1, unit, by);
                (measure, factor, more) = (Some(unit), by, value);
                next += 1 + taken;
            } else if let (None, Some(after)) = (measure, self.measure_at(next).filter(|_| sign.is_some())) {
                measure = Some(after);
                next += 1;
            }
        }
        if let Some(measure) = measure {
            next += usize::from(
                self.find(next, |meaning| (*meaning == Meaning::High(measure) || *meaning == Meaning::Bound(measure)).then_some(()))
                    .is_some(),
            );
        }
        let (Some(measure), true) = (measure, explicit.is_some() || named.is_some() || factor > 0.0 && measure.is_some()) else { return 0 };
        let (low, high) = self.sides(explicit.unwrap_or(F::Exactly), number * factor + more);
        self.push_range(at, measure, low, high);
        next - at
    }

    /// `30 minutes` behind `1 hour`: what it adds, and how many items it takes.
    fn smaller_unit(&self, at: usize, measure: usize, factor: f64) -> (f64, usize) {
        let next = at + usize::from(self.is(at, F::And));
        match (self.number_at(next), self.unit_at(next + 1)) {
            (Some(number), Some((unit, by))) if unit == measure && by < factor => (number * by, next + 2 - at),
            _ => (0.0, 0),
        }
    }

    /// Adds a condition that was read at item `at`.
    fn push_range(&mut self, at: usize, measure: usize, low: Option<Bound>, high: Option<Bound>) {
        let joined = (0..at).rev().find(|before| !self.is(*before, F::Filler) && !self.is(*before, F::In));
        let joined = joined.is_some_and(|before| self.is(before, F::And));
        let new = Range { measure, low, high };
        let years = self.year_measure() == Some(measure);
        let Some(known) = self.draft.selection.ranges.iter_mut().find(|range| range.measure == measure) else {
            return self.draft.selection.ranges.push(new);
        };
        match united(known, &new).filter(|_| joined && years) {
            // "the 80s and the 90s".
            Some(both) => *known = both,
            None if excludes(known, &new) => self.draft.contradicted = true,
            None if known.low.is_none() && high.is_none() => known.low = low,
            None if known.high.is_none() && low.is_none() => known.high = high,
            None => self.draft.selection.ranges.push(new),
        }
    }

    pub(super) fn sides(&self, sign: F, value: f64) -> (Option<Bound>, Option<Bound>) {
        let bound = |inclusive| Some(Bound { value, inclusive });
        match sign {
            F::Above | F::After => (bound(false), None),
            F::AtLeast | F::OrMore | F::Since => (bound(true), None),
            F::Below | F::Before => (None, bound(false)),
            F::AtMost | F::OrLess | F::Until => (None, bound(true)),
            _ => (bound(true), bound(true)),
        }
    }

    pub(super) fn comparison(&self, at: usize) -> Option<F> {
        [F::Above, F::AtLeast, F::Below, F::AtMost, F::Exactly].into_iter().find(|sign| self.is(at, *sign))
    }

    pub(super) fn comparison_after(&self, at: usize) -> Option<F> {
        [F::OrMore, F::OrLess].into_iter().find(|sign| self.is(at, *sign))
    }

    /// `in 1994`, `since 2000`, `before the 90s`, `the 1990s`, `1994`.
    pub(super) fn time(&mut self, at: usize) -> usize {
        let Some(measure) = self.year_measure() else { return 0 };
        let sign = [F::Since, F::Before, F::After, F::Until].into_iter().find(|sign| self.is(at, *sign));
        let introduced = sign.is_some() || self.is(at, F::In);
        let mut next = if introduced { self.skip_filler(at + 1) } else { at };
        if introduced && (self.measure_at(next) == Some(measure) || self.is(next, F::DecadeNoun)) {
            next = self.skip_in(next + 1);
        }
        if introduced && self.find(next, |meaning| (*meaning == Meaning::Event).then_some(())).is_some() {
            next = self.skip_in(next + 1);
        }
        let decade = self.find(next, |meaning| if let Meaning::Decade(from) = meaning { Some(*from) } else { None });
        let bound = |value: f64, inclusive| Some(Bound { value, inclusive });
        if let Some(first) = decade {
            #[expect(clippy::cast_precision_loss, reason = "years are small")]
            let (first, last) = (first as f64, (first + 9) as f64);
            let (low, high) = match sign {
                Some(F::Since) => (bound(first, true), None),
                Some(F::After) => (bound(last, false), None),
                Some(F::Before) => (None, bound(first, false)),
                Some(F::Until) => (None, bound(last, true)),
                _ => (bound(first, true), bound(last, true)),
            };
            self.push_range(at, measure, low, high);
            return next + 1 - at;
        }
        let Some(year) = self.year_at(next) else { return 0 };
        if !introduced && self.unit_at(next + 1).is_some() {
            return 0;
        }
        let after = self.comparison_after(next + 1);
        let sign = sign.or(after).unwrap_or(F::Exactly);
        let (low, high) = self.sides(sign, year);
        self.push_range(at, measure, low, high);
        next + 1 + usize::from(after.is_some()) - at
    }

    /// `longer than 150 minutes`, `newer than 2000`, `better than 8`.
    pub(super) fn comparative_bound(&mut self, at: usize) -> usize {
        let Some((measure, more)) = self.find(at, comparative) else { return 0 };
        if !self.is(at + 1, F::Than) {
            return 0;
        }
        let next = self.skip_filler(at + 2);
        let Some(number) = self.number_at(next) else { return 0 };
        let unit = self.unit_at(next + 1).filter(|(unit, _)| *unit == measure);
        let factor = unit.map_or(1.0, |(_, factor)| factor);
        let end = next + 1 + usize::from(unit.is_some());
        let (smaller, taken) = self.smaller_unit(end, measure, factor);
        let (low, high) = self.sides(if more { F::Above } else { F::Below }, number * factor + smaller);
        self.push_range(at, measure, low, high);
        end + taken - at
    }
}

/// Whether nothing is in both ranges.
fn excludes(one: &Range, other: &Range) -> bool {
    let apart = |low: Option<Bound>, high: Option<Bound>| {
        low.zip(high).is_some_and(|(low, high)| low.value > high.value || (low.value == high.value && !(low.inclusive && high.inclusive)))
    };
    apart(one.low, other.high) || apart(other.low, one.high)
}

/// One range of whole numbers for two that lie side by side.
fn united(one: &Range, other: &Range) -> Option<Range> {
    let ends = |range: &Range| Some((range.low.filter(|low| low.inclusive)?, range.high.filter(|high| high.inclusive)?));
    let (first, second) = (ends(one)?, ends(other)?);
    let (first, second) = if first.0.value <= second.0.value { (first, second) } else { (second, first) };
    (first.1.value + 1.0 == second.0.value).then_some(Range { measure: one.measure, low: Some(first.0), high: Some(second.1) })
}
