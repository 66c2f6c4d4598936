//! Grounding: which numbers and names of an answer are neither in the rows nor said by the user or a statement.
//!
//! Owns what counts as found: a cell, as it is or rounded as shown; a count of rows; what the user asked or a statement filters by,
//! once a query succeeded; and calculations that the answer writes out, from found numbers and with the right result. An aggregate
//! that is not written out is not looked for: among many rows some sum fits any number. Refuses to judge words: spelled-out numbers,
//! superlatives and what a number is said of are not checked. `docs/trust.md` tells users so.
//!
//! Without any result nothing supports a number, not even one that the user wrote, unless it is repeated with the word that stood before
//! it: to "how many films are in the top 10?" the answer "I cannot list the top 10" repeats, "there are 10" claims. A refusal may repeat
//! them all.

mod arithmetic;
mod evidence;
mod markdown;
mod number;

use std::collections::HashSet;

use self::{
    evidence::{Index, folded},
    markdown::{Mark, Name},
    number::Number,
};
use super::result::ResultSet;

/// What an answer may rest on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Results of queries that succeeded, of this turn and of earlier ones.
    pub results: &'a [&'a ResultSet],
    /// What need not be in rows: questions of the user, statements that ran, assumptions.
    pub said: &'a [&'a str],
    /// What the lake's own things are called, which names no row: words of the catalog.
    pub words: &'a [&'a str],
    /// Whether the answer claims nothing, so that it may repeat every number that was said: it says that there is no answer.
    pub is_refusal: bool,
}

/// Most objections that are listed.
const MOST: usize = 50;

/// Words that make a round number out of a number; folded.
const ABOUT: &[&str] = &[
    "about",
    "around",
    "roughly",
    "approximately",
    "approx",
    "circa",
    "ca",
    "nearly",
    "almost",
    "over",
    "than",
    "some",
    "etwa",
    "rund",
    "ungefahr",
    "knapp",
    "fast",
    "uber",
    "als",
    "environ",
    "pres",
    "presque",
    "de",
    "casi",
    "unos",
    "unas",
    "mas",
    "quasi",
    "oltre",
    "cerca",
    "quase",
    "около",
    "более",
    "почти",
    "約",
    "约",
    "حوالي",
    "نحو",
    "最",
    "ほ",
];

/// Words beside the number of rows that are shown where there are more; folded.
const FIRST: &[&str] = &[
    "first",
    "top",
    "shown",
    "showing",
    "shows",
    "listed",
    "erste",
    "ersten",
    "gezeigt",
    "premiers",
    "premieres",
    "primeros",
    "primeras",
    "primi",
    "prime",
    "первые",
    "先",
    "最",
    "اول",
];

/// What stands between a value and the end of its scale.
const SCALES: &[&str] = &["/", "out of", "von", "sur", "su", "de", "sobre", "из", "من"];

/// Words that are emphasised and name nothing; folded.
const GENERIC: &[&str] = &[
    "a",
    "all",
    "also",
    "an",
    "and",
    "answer",
    "antwort",
    "assumed",
    "assumption",
    "assumptions",
    "at",
    "average",
    "best",
    "but",
    "by",
    "count",
    "data",
    "durchschnitt",
    "ergebnis",
    "errors",
    "fazit",
    "first",
    "for",
    "from",
    "gesamt",
    "highest",
    "hinweis",
    "i",
    "important",
    "in",
    "insgesamt",
    "is",
    "it",
    "least",
    "list",
    "lowest",
    "maximum",
    "mean",
    "median",
    "minimum",
    "moyenne",
    "most",
    "n",
    "name",
    "names",
    "no",
    "none",
    "not",
    "note",
    "number",
    "of",
    "on",
    "only",
    "or",
    "overall",
    "query",
    "rank",
    "reponse",
    "respuesta",
    "result",
    "results",
    "source",
    "sum",
    "summary",
    "the",
    "there",
    "this",
    "to",
    "top",
    "total",
    "value",
    "warning",
    "with",
    "worst",
    "year",
    "years",
    "yes",
    "you",
    "ja",
    "nein",
    "oui",
    "non",
    "si",
    "und",
    "der",
    "die",
    "das",
    "et",
    "le",
    "la",
    "les",
];

/// Words between two names.
const BETWEEN: &[&str] =
    &[" and ", " or ", " & ", " und ", " oder ", " et ", " ou ", " y ", " o ", " e ", " – ", " — ", " - ", " vs. ", " vs "];

/// The numbers and names of `answer`, a text in Markdown, that no evidence supports: as they are written, each once, in order, at most
/// 50. Linear in the answer and in the evidence, but for names that are no whole cell: each of them is one search of the texts.
#[must_use]
pub fn unverified(answer: &str, evidence: &Evidence<'_>) -> Vec<String> {
    let mut index = Index::new(evidence);
    let text = number::plain_digits(&markdown::prose(answer).into_iter().collect::<String>());
    let numbers = number::numbers(&text);
    let names = markdown::names(&text);
    let mut objections = Objections::default();
    // A number of a name that is found whole is found with it.
    let whole: Vec<&Name> = names.iter().filter(|name| name.text.chars().any(char::is_alphabetic) && index.has_name(&name.text)).collect();
    let supported = Answer { text: &text, numbers: &numbers }.check(&mut index);
    let mut within = whole.iter().peekable();
    for (number, is_supported) in numbers.iter().zip(supported) {
        while within.next_if(|name| name.end <= number.start).is_some() {}
        let is_named = within.peek().is_some_and(|name| name.start <= number.start);
        if !is_supported && !is_named {
            objections.add(number.start, text[number.start..number.end].iter().collect());
        }
    }
    for (start, end) in number::identities(&text) {
        let identity: String = text[start..end].iter().collect();
        if !index.has_name(&identity) {
            objections.add(start, identity);
        }
    }
    for name in names {
        if is_name(name.mark, &name.text, &index) && !is_found(&name.text, &index) {
            objections.add(name.start, name.text);
        }
    }
    objections.list()
}

/// Objections without duplicates.
#[derive(Default)]
struct Objections {
    seen: HashSet<String>,
    found: Vec<(usize, String)>,
}

impl Objections {
    fn add(&mut self, place: usize, text: String) {
        if self.found.len() < MOST && self.seen.insert(text.to_lowercase()) {
            self.found.push((place, text));
        }
    }

    fn list(mut self) -> Vec<String> {
        self.found.sort_by_key(|(place, _)| *place);
        self.found.into_iter().map(|(_, text)| text).collect()
    }
}

/// An answer's prose and the numbers in it.
struct Answer<'a> {
    text: &'a [char],
    numbers: &'a [Number],
}

impl Answer<'_> {
    /// Whether each number may stand there.
    fn check(&self, index: &mut Index) -> Vec<bool> {
        let markers = markdown::markers(self.text, |value| index.is_rank(value));
        let mut supported: Vec<bool> =
            (0..self.numbers.len()).map(|at| markers.contains(&self.numbers[at].start) || self.is_found(at, index)).collect();
        for equation in arithmetic::equations(self.text, self.numbers) {
            let result = &self.numbers[equation.result];
            let constants: Vec<usize> = equation
                .operands()
                .filter(|at| self.numbers[*at].readings.iter().any(|reading| equation.is_constant(*at, reading.value)))
                .collect();
            let is_known = |at: usize| supported[at] || constants.contains(&at) || self.is_found(at, index);
            // Of constants alone one can make any number.
            let is_evident = |at: usize| supported[at] || self.is_found(at, index);
            let rests = equation.operands().all(is_known) && equation.operands().any(is_evident);
            let holds = equation.holds(result, |at, percent_as_parts| self.value(at, index, percent_as_parts));
            supported[equation.result] = rests && holds;
            if rests && holds {
                constants.iter().for_each(|at| supported[*at] = true);
                result.readings.iter().for_each(|reading| index.derive(reading.value));
            }
        }
        // A result may be told before it is calculated.
        let wrong: HashSet<usize> = arithmetic::equations(self.text, self.numbers).iter().map(|equation| equation.result).collect();
        for (at, supported) in supported.iter_mut().enumerate() {
            *supported = *supported || !wrong.contains(&at) && self.is_found(at, index);
        }
        supported
    }

    fn is_found(&self, at: usize, index: &Index) -> bool {
        let number = &self.numbers[at];
        let is_about = ABOUT.contains(&number.before.as_str())
            || self.text[..number.start].ends_with(&['~'])
            || self.text[..number.start].ends_with(&['≈']);
        let is_first = FIRST.contains(&number.before.as_str()) || FIRST.contains(&number.after.as_str());
        index.has_number(number, is_about, is_first) || self.is_short_end(at, index) || self.is_scale(at)
    }

    /// The end of a scale, in `8.1/10` and `8.1 out of 10`.
    fn is_scale(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1).map(|at| &self.numbers[at]) else { return false };
        let ([end], [value, ..]) = (self.numbers[at].groups.as_slice(), before.readings.as_slice()) else { return false };
        let gap: String = self.text[before.end..self.numbers[at].start].iter().filter(|letter| **letter != '*').collect();
        [5.0, 10.0, 100.0].contains(end) && value.value <= *end && SCALES.contains(&gap.trim())
    }

    /// `89` in `1980–89`.
    fn is_short_end(&self, at: usize, index: &Index) -> bool {
        let Some(before) = at.checked_sub(1).map(|at| &self.numbers[at]) else { return false };
        let number = &self.numbers[at];
        let dashed = matches!(&self.text[before.end..number.start], ['-' | '–' | '/']);
        let ([first], [last]) = (before.groups.as_slice(), number.groups.as_slice()) else { return false };
        let value = (first / 100.0).floor() * 100.0 + last;
        dashed && *first >= 1000.0 && number.end - number.start == 2 && index.has_reading(&number::Reading { value, unit: 0.0 }, false)
    }

    /// What an operand is worth: the reading that is found, else the first.
    fn value(&self, at: usize, index: &Index, percent_as_parts: bool) -> f64 {
        let number = &self.numbers[at];
        let found = number.readings.iter().find(|reading| index.has_reading(reading, false)).or(number.readings.first());
        let value = found.map_or(f64::NAN, |reading| reading.value);
        if percent_as_parts && number.is_percent { value / 100.0 } else { value }
    }
}

/// Whether marked text looks like the name of something.
fn is_name(mark: Mark, text: &str, index: &Index) -> bool {
    let words: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || matches!(letter, '/' | '(' | ')'))
        .filter(|word| word.chars().any(char::is_alphabetic))
        .collect();
    let is_capital = |word: &&&str| word.chars().find(|letter| letter.is_alphanumeric()).is_some_and(|first| !first.is_lowercase());
    let capitals = words.iter().filter(is_capital).count();
    if words.is_empty() || capitals == 0 || text.ends_with([':', '：']) {
        return false;
    }
    if mark == Mark::Quoted {
        return true;
    }
    let is_quantity = words.len() == 1 && text.starts_with(|first: char| first.is_ascii_digit());
    let is_general = words.iter().all(|word| {
        let mut parts = word.split(|letter: char| !letter.is_alphanumeric()).filter(|part| !part.is_empty());
        parts.all(|part| part.chars().all(char::is_numeric) || GENERIC.contains(&folded(part).as_str()) || index.has_word(part))
    });
    capitals * 2 >= words.len() && !is_quantity && !is_general
}

/// Whether a name, or each name of several, is in the evidence.
fn is_found(name: &str, index: &Index) -> bool {
    if index.has_name(name) {
        return true;
    }
    let mut parts = vec![name];
    for between in BETWEEN {
        parts = parts.into_iter().flat_map(|part| part.split(between)).collect();
    }
    let parts: Vec<&str> = parts
        .into_iter()
        .flat_map(|part| part.split(['(', ')', '[', ']', ',', ';', ':', '/', '|', '、']))
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    // Numbers are checked as numbers.
    parts.iter().all(|part| !part.chars().any(char::is_alphabetic) || index.has_name(part) || !is_name(Mark::Emphasised, part, index))
        && parts.iter().any(|part| index.has_name(part) || parts.len() > 1 && !part.chars().any(char::is_alphabetic))
}

#[cfg(test)]
mod tests;
