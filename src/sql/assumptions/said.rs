//! What a question says: its words, numbers and decades, with the catalog's words for values. Owns what counts as said.

use std::collections::HashSet;

use super::conditions::{Literal, Relation};
use crate::sql::{
    catalog::{Catalog, vocabulary::Vocabulary},
    words::{folded, stem, words},
};

/// English numbers that people write as words.
const SPELLED: [&str; 13] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// What a question says.
#[derive(Debug)]
pub(super) struct Said {
    /// Stems of its words.
    stems: HashSet<String>,
    /// Its words, folded and parted by single spaces.
    text: String,
    numbers: Vec<f64>,
    /// First years of decades.
    decades: Vec<f64>,
}

impl Said {
    pub(super) fn new(question: &str, catalog: &Catalog) -> Self {
        let all: Vec<String> = words(question).into_iter().map(|word| word.folded).collect();
        let mut said = Self {
            stems: all.iter().map(|word| stem(word)).collect(),
            text: format!(" {} ", all.join(" ")),
            numbers: Vec::new(),
            decades: Vec::new(),
        };
        for word in &all {
            said.add_number(word);
        }
        if let Some(vocabulary) = &catalog.planner {
            let decades = vocabulary.decades.iter().filter(|decade| decade.words.iter().any(|word| said.phrase(word)));
            let decades: Vec<i64> = decades.map(|decade| decade.from).collect();
            #[expect(clippy::cast_precision_loss, reason = "years are small")]
            said.decades.extend(decades.into_iter().map(|year| year as f64));
            // Two hours are 120 minutes.
            let factors =
                vocabulary.measures.iter().flat_map(|measure| &measure.units).map(|unit| unit.factor).filter(|factor| *factor > 1.0);
            let converted: Vec<f64> = factors.flat_map(|factor| said.numbers.iter().map(move |number| number * factor)).collect();
            said.numbers.extend(converted);
        }
        said
    }

    fn add_number(&mut self, word: &str) {
        let end = word.find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, ',' | '.'))).unwrap_or(word.len());
        let (digits, suffix) = word.split_at(end);
        if let Ok(number) = digits.replace(',', "").parse::<f64>() {
            self.numbers.push(number * if suffix == "k" { 1e3 } else { 1.0 });
            if matches!(suffix, "s" | "er" | "ern") {
                self.decades.extend(if number < 100.0 { vec![1900.0 + number, 2000.0 + number] } else { vec![number] });
            }
            if let (true, Ok(number)) = (digits.contains(','), digits.replace(',', ".").parse()) {
                self.numbers.push(number);
            }
        } else if let Some(number) = SPELLED.iter().position(|spelled| *spelled == word) {
            #[expect(clippy::cast_precision_loss, reason = "twelve at most")]
            self.numbers.push(number as f64);
        }
    }

    pub(super) fn has_number(&self, number: f64) -> bool {
        self.numbers.iter().any(|said| (said - number).abs() <= number.abs() * 1e-12)
    }

    /// A phrase of the catalog, in the singular or with an ending.
    fn phrase(&self, phrase: &str) -> bool {
        let parts: Vec<String> = words(phrase).into_iter().map(|word| word.folded).collect();
        match parts.as_slice() {
            [] => false,
            [one] => self.stems.contains(&stem(one)),
            many => self.text.contains(&format!(" {} ", many.join(" "))) || many.iter().all(|word| self.stems.contains(&stem(word))),
        }
    }

    pub(super) fn has(&self, value: &Literal, column: &str, relation: Relation, catalog: &Catalog) -> bool {
        match value {
            Literal::Number(digits) => digits.parse().is_ok_and(|number: f64| self.has_bound(number, relation)),
            Literal::Text(text) => {
                let text = text.trim_matches('%');
                let is_within = !folded(text).trim().is_empty() && self.text.contains(folded(text).trim());
                text.is_empty()
                    || self.phrase(text)
                    || is_within
                    || catalog.planner.as_ref().is_some_and(|words| self.synonym(text, column, words))
            }
        }
    }

    /// A number that was said, or the next one where a bound leaves that out: after 1990 is at least 1991. Also the bounds of a decade.
    fn has_bound(&self, number: f64, relation: Relation) -> bool {
        let beside = match relation {
            Relation::AtLeast => [1.0, 0.0],
            Relation::AtMost => [-1.0, 0.0],
            Relation::Less => [1.0, 0.0],
            Relation::More => [-1.0, 0.0],
            Relation::Between => [1.0, -1.0],
            _ => [0.0, 0.0],
        };
        beside.iter().any(|beside| self.has_number(number - beside))
            || self.has_number(number)
            || self.decades.iter().any(|from| number >= from - 1.0 && number <= from + 10.0)
    }

    /// Whether the question has one of the catalog's words for a stored value.
    fn synonym(&self, value: &str, column: &str, words: &Vocabulary) -> bool {
        let same = |other: &String| other.eq_ignore_ascii_case(value);
        let any = |words: &[String]| words.iter().any(|word| self.phrase(word));
        let dimensions = words.dimensions.iter().filter(|dimension| dimension.column.eq_ignore_ascii_case(column));
        let by_value = dimensions.clone().flat_map(|dimension| &dimension.values).any(|known| same(&known.value) && any(&known.words));
        let by_several =
            dimensions.flat_map(|dimension| &dimension.combinations).any(|known| known.all.iter().any(same) && any(&known.words));
        let kinds = words.entity.kinds.iter().filter(|kind| kind.column.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(column)));
        let by_kind = kinds.into_iter().any(|kind| kind.values.iter().any(same) && any(&kind.nouns));
        let people = words.people.iter().filter(|people| people.credits.role.eq_ignore_ascii_case(column));
        let mut roles = people.flat_map(|people| &people.roles).filter(|role| role.values.iter().any(same));
        let by_role = roles.any(|role| {
            any(&role.nouns) || any(&role.verbs) || any(&role.before_name) || role.passive.iter().any(|word| self.phrase(word))
        });
        by_value || by_several || by_kind || by_role
    }
}
