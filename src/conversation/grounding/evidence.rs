//! What an answer may rest on, indexed once: values, counts and texts of rows, and what was said.

use std::collections::HashSet;

use icu_normalizer::DecomposingNormalizerBorrowed;
use serde_json::Value;

use super::{
    Evidence,
    number::{Number, Reading, numbers, plain_digits},
};

/// In lower case, without accents, punctuation and spaces.
pub(super) fn folded(text: &str) -> String {
    let lower = text.to_lowercase();
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&lower).into_owned();
    decomposed.chars().filter(|letter| letter.is_alphanumeric()).collect()
}

/// The evidence, ready to be asked.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Numbers of cells and counts of rows, ascending.
    rows: Vec<f64>,
    /// Numbers of what was said, ascending.
    said: Vec<f64>,
    /// Numbers with the word before them, in cells that are texts.
    in_texts: HashSet<(String, u64)>,
    /// The same of what was said.
    in_said: HashSet<(String, u64)>,
    /// Numbers that a text begins with, with the word after them.
    first: HashSet<(u64, String)>,
    /// Results of right calculations of the answer itself.
    derived: Vec<f64>,
    /// Rows that were cut off: no total.
    truncated: HashSet<u64>,
    whole_texts: HashSet<String>,
    texts: Haystack,
    words: HashSet<String>,
    most_rows: u64,
    /// Whether numbers that were said may be repeated: there are rows that they may be about, or nothing is claimed.
    may_repeat: bool,
}

/// Folded texts in one, in which names are searched.
#[derive(Debug, Default)]
struct Haystack {
    text: String,
    /// Places in `text` where a word begins; the one after the last.
    begins: HashSet<usize>,
    ends: HashSet<usize>,
}

impl Haystack {
    fn add(&mut self, text: &str) {
        for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = folded(word);
            self.begins.insert(self.text.len());
            self.text.push_str(&word);
            self.ends.insert(self.text.len());
        }
        self.text.push('\n');
    }

    /// Whether `name`, folded, is in a text from the beginning of a word to the end of one.
    fn has(&self, name: &str) -> bool {
        let unspaced = name.chars().any(|letter| letter >= '\u{2e80}');
        self.text.match_indices(name).any(|(at, _)| unspaced || self.begins.contains(&at) && self.ends.contains(&(at + name.len())))
    }
}

impl Index {
    pub(super) fn new(evidence: &Evidence<'_>) -> Self {
        let mut index = Self { may_repeat: !evidence.results.is_empty() || evidence.is_refusal, ..Self::default() };
        for result in evidence.results {
            index.most_rows = index.most_rows.max(result.row_count);
            if result.truncated {
                index.truncated.insert(result.row_count);
            } else if result.row_count != 1 || result.rows.iter().flatten().any(serde_json::Value::is_string) {
                // The only row of a count or a sum is no "1 film": the figure in it is what can be said.
                #[expect(clippy::cast_precision_loss, reason = "there are never that many rows")]
                index.rows.push(result.row_count as f64);
            }
            for column in &result.columns {
                index.add_words(&column.name);
            }
            for cell in result.rows.iter().flatten() {
                index.add_cell(cell);
            }
        }
        for said in evidence.said {
            index.add_said(said);
        }
        for words in evidence.words {
            index.add_words(words);
        }
        for values in [&mut index.rows, &mut index.said] {
            values.retain(|value| value.is_finite());
            values.sort_by(f64::total_cmp);
            values.dedup();
        }
        index
    }

    fn add_words(&mut self, text: &str) {
        self.texts.add(text);
        self.words.extend(words_of(text));
    }

    fn add_cell(&mut self, cell: &Value) {
        match cell {
            Value::Number(number) => self.rows.extend(number.as_f64().map(f64::abs)),
            Value::String(text) => self.add_text(text),
            Value::Array(cells) => {
                // How many there are of something that a row lists.
                #[expect(clippy::cast_precision_loss, reason = "no list is that long")]
                self.rows.push(cells.len() as f64);
                cells.iter().for_each(|cell| self.add_cell(cell));
            }
            Value::Object(fields) => fields.values().for_each(|cell| self.add_cell(cell)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        if let Ok(value) = text.trim().parse::<f64>() {
            self.rows.push(value.abs());
            return;
        }
        if self.whole_texts.insert(folded(text)) {
            self.texts.add(text);
            let letters = plain_digits(text);
            let numbers = numbers(&letters);
            // `1994-05-12`, `8.5/10` and `120 min` are values; `2001: A Space Odyssey` is a name.
            let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.chars().any(char::is_alphabetic)).count();
            for (at, number) in numbers.iter().enumerate() {
                if words == 0 || words == 1 && at == 0 && number.before.is_empty() {
                    self.rows.extend(values(number));
                }
                for value in values(number) {
                    self.in_texts.insert((number.before.clone(), value.to_bits()));
                    if number.before.is_empty() {
                        self.first.insert((value.to_bits(), number.after.clone()));
                    }
                }
            }
        }
    }

    fn add_said(&mut self, said: &str) {
        self.add_words(said);
        let letters = plain_digits(said);
        for number in numbers(&letters) {
            for value in values(&number) {
                self.said.push(value);
                self.in_said.insert((number.before.clone(), value.to_bits()));
                if number.before.is_empty() {
                    self.first.insert((value.to_bits(), number.after.clone()));
                }
                // `year < 1990` is until 1989.
                match &letters[..number.start] {
                    [.., '<'] | [.., '<', ' '] => self.said.push(value - 1.0),
                    [.., '>'] | [.., '>', ' '] => self.said.push(value + 1.0),
                    _ if number.is_decade => {
                        self.said.extend([value + 9.0, value + 1900.0, value + 1909.0, value + 2000.0, value + 2009.0])
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whether one may write this number.
    pub(super) fn has_number(&self, number: &Number, is_about: bool, is_first_of: bool) -> bool {
        if self.found(number, is_about) || self.names(number) {
            return true;
        }
        // Values beside each other: `1994,1995`, `12.05.1994`. Two short ones are one number with decimals.
        let is_several = number.groups.len() > 2 || number.groups.len() == 2 && number.groups.iter().all(|value| *value >= 1000.0);
        let is_part = is_several && number.groups.iter().all(|value| self.near(*value, 0.0));
        let is_rank = number.is_ordinal && number.groups.len() == 1 && self.is_rank(number.groups[0]);
        let is_shown =
            is_first_of && number.readings.iter().any(|reading| self.truncated.iter().any(|rows| near(*rows as f64, reading.value)));
        is_part || is_rank || is_shown || number.is_decade && self.has_decade(number)
    }

    /// Whether a place of this number is one of the rows'.
    pub(super) fn is_rank(&self, value: f64) -> bool {
        value >= 1.0 && value <= self.most_rows as f64
    }

    fn found(&self, number: &Number, is_about: bool) -> bool {
        number.readings.iter().any(|reading| self.has_reading(reading, is_about))
            || number.is_percent
                && number
                    .readings
                    .iter()
                    .any(|reading| self.has_reading(&Reading { value: reading.value / 100.0, unit: reading.unit / 100.0 }, is_about))
    }

    /// Whether the value, rounded as shown, is in the rows or was said.
    pub(super) fn has_reading(&self, reading: &Reading, is_about: bool) -> bool {
        let about = if is_about { round_unit(reading.value) } else { 0.0 };
        self.near(reading.value, (reading.unit / 2.0).max(about))
    }

    fn near(&self, value: f64, half: f64) -> bool {
        let within = |values: &[f64], half: f64| {
            let slack = half * 1e-9 + value.abs() * 1e-12;
            let at = values.partition_point(|known| *known < value - half - slack);
            values.get(at).is_some_and(|known| *known <= value + half + slack)
        };
        within(&self.rows, half)
            || self.may_repeat && within(&self.said, 0.0)
            || self.derived.iter().any(|known| (known - value).abs() <= half)
    }

    /// Whether the number is part of a text that is mentioned, or repeated as the user wrote it: with the word before it.
    fn names(&self, number: &Number) -> bool {
        let said = |value: f64| {
            let key = (number.before.clone(), value.to_bits());
            !number.before.is_empty() && (self.in_texts.contains(&key) || self.in_said.contains(&key))
                || self.first.contains(&(value.to_bits(), number.after.clone())) && !number.after.is_empty()
        };
        values(number).any(said)
    }

    fn has_decade(&self, number: &Number) -> bool {
        let Some(first) = number.groups.first() else { return false };
        let any_within = |low: f64| {
            let within = |values: &[f64]| {
                let at = values.partition_point(|known| *known < low);
                values.get(at).is_some_and(|known| *known < low + 10.0)
            };
            within(&self.rows) || within(&self.said)
        };
        if *first >= 100.0 { any_within(*first) } else { [1800.0, 1900.0, 2000.0].iter().any(|century| any_within(century + first)) }
    }

    /// A result of the answer's own arithmetic may be repeated.
    pub(super) fn derive(&mut self, value: f64) {
        self.derived.push(value);
    }

    /// Whether a name is in the rows or was said.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let name = folded(name);
        name.is_empty() || self.whole_texts.contains(&name) || self.texts.has(&name)
    }

    /// Whether a word is one of a column's name or of what was said.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.words.contains(&folded(word))
    }
}

/// What a number of a text may be, other than in its parts.
fn values(number: &Number) -> impl Iterator<Item = f64> + '_ {
    let parts: &[f64] = if number.readings.is_empty() || number.groups.len() > 2 { &number.groups } else { &[] };
    number.readings.iter().map(|reading| reading.value).chain(parts.iter().copied())
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() <= right.abs() * 1e-12
}

/// By how much "about 25,000" may be off: what its zeros leave open, and a tenth at most.
fn round_unit(value: f64) -> f64 {
    let mut unit = 1.0;
    while value >= unit * 10.0 && (value / (unit * 10.0)).fract() == 0.0 {
        unit *= 10.0;
    }
    if unit > 1.0 { unit.min(value / 10.0) } else { 0.0 }
}

/// The words of a text, those in camel case apart.
fn words_of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in text.split(|letter: char| !letter.is_alphanumeric()).filter(|run| !run.is_empty()) {
        words.push(folded(run));
        let mut part = String::new();
        for letter in run.chars() {
            if letter.is_uppercase() && part.ends_with(char::is_lowercase) {
                words.push(folded(&std::mem::take(&mut part)));
            }
            part.push(letter);
        }
        words.push(folded(&part));
    }
    words
}
