//! Bounds on measures: `between 7 and 8`, `at least 1,000 votes`, `since 2000`, `longer than two hours`.
//!
//! Owns the constructs that end in a range. A number whose measure cannot be told makes none.

use super::{
    super::{
        lexicon::{Function as F, Meaning},
        plan::Bound,
    },
    Reader, comparative,
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
        if self.is(next, F::Between) || self.is(next, F::In) || self.is(next, F::Since) {
            next = self.skip_filler(next + 1);
        } else if next > at && self.number_at(next).is_none() {
            return 0;
        }
        let joined = self.is(next + 1, F::And) || self.is(next + 1, F::To) || self.is(next + 1, F::Until);
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
        self.push_range(measure, bound(low.min(high)), bound(low.max(high)));
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
        } else if self.is(next, F::With) {
            next = self.skip_filler(next + 1);
            if let Some(measure) = self.bound_measure(next) {
                let inner = self.skip_in(next + 1);
                return self.bounded(at, inner, Some(measure));
            }
        }
        self.bounded(at, next, named)
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
        let (mut measure, mut factor, mut explicit) = (named, 1.0, sign);
        for _ in 0..2 {
            if let (None, Some(after)) = (explicit, self.comparison_after(next)) {
                explicit = Some(after);
                next += 1;
            }
            if let Some((unit, by)) = self.unit_at(next).filter(|(unit, _)| named.is_none_or(|named| named == *unit)) {
                (measure, factor) = (Some(unit), by);
                next += 1;
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
        let (low, high) = self.sides(explicit.unwrap_or(F::Exactly), number * factor);
        self.push_range(measure, low, high);
        next - at
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
            self.push_range(measure, low, high);
            return next + 1 - at;
        }
        let Some(year) = self.year_at(next) else { return 0 };
        if !introduced && self.unit_at(next + 1).is_some() {
            return 0;
        }
        let after = self.comparison_after(next + 1);
        let sign = sign.or(after).unwrap_or(F::Exactly);
        let (low, high) = self.sides(sign, year);
        self.push_range(measure, low, high);
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
        let (low, high) = self.sides(if more { F::Above } else { F::Below }, number * unit.map_or(1.0, |(_, factor)| factor));
        self.push_range(measure, low, high);
        next + 1 + usize::from(unit.is_some()) - at
    }
}
