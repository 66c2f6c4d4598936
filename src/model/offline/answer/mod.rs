//! Words answers from rows.
//!
//! Owns every sentence of an answer and the escaping of what comes from the lake or from the user. All names of things come from
//! the catalog. Decides nothing about what is queried.

mod many;
mod named;

use serde_json::Value;

use crate::{conversation::ResultSet, sql::catalog::vocabulary::Vocabulary};

use super::{
    plan::{Key, List, Range, Selection},
    sql::Writer,
    turn::cell_text,
};

pub(super) use many::{aggregate, count, count_people, group, list, values};
pub(super) use named::{
    compare, compare_people, credited, credits, exists, facts, has_value, other_role, person, unknown_entity, unknown_person, which_entity,
    which_person,
};

/// A row with its columns.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    result: &'a ResultSet,
    cells: &'a [Value],
}

impl<'a> Row<'a> {
    pub(super) fn value(&self, column: &str) -> &'a Value {
        let at = self.result.columns.iter().position(|known| known.name.eq_ignore_ascii_case(column));
        at.and_then(|at| self.cells.get(at)).unwrap_or(&Value::Null)
    }

    fn at(&self, index: usize) -> &'a Value {
        self.cells.get(index).unwrap_or(&Value::Null)
    }

    /// The cell as text; empty when NULL.
    pub(super) fn text(&self, column: &str) -> String {
        cell_text(self.value(column))
    }

    /// The cell as a number, also where a warehouse gives numbers as text.
    pub(super) fn number(&self, column: &str) -> Option<f64> {
        number(self.value(column))
    }
}

/// The rows of a result.
pub(super) fn rows(result: &ResultSet) -> Vec<Row<'_>> {
    result.rows.iter().map(|cells| Row { result, cells }).collect()
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// The number in a column of the first row; 0 when there is none.
pub(super) fn first_number(result: &ResultSet, column: &str) -> f64 {
    rows(result).first().and_then(|row| row.number(column)).unwrap_or(0.0)
}

/// Text from elsewhere, so that Markdown shows it as it is.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\`*_[]<>#|~".contains(letter) {
            out.push('\\');
        }
        out.push(if letter.is_control() { ' ' } else { letter });
    }
    out
}

/// A number with thousands separators and at most `decimals` digits after the point.
fn grouped(value: f64, decimals: u32) -> String {
    let text = format!("{value:.*}", usize::try_from(decimals).unwrap_or(2));
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction.trim_end_matches('0')));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if fraction.is_empty() { format!("{sign}{out}") } else { format!("{sign}{out}.{fraction}") }
}

fn whole(value: f64) -> String {
    grouped(value, 0)
}

/// The value of a measure with its unit.
fn measured(write: &Writer<'_>, index: usize, value: f64) -> String {
    let Some(measure) = write.words.measures.get(index) else { return whole(value) };
    if measure.year {
        return format!("{value:.0}");
    }
    // Beyond a thousand nobody reads decimals.
    let decimals = if value.fract() == 0.0 || value.abs() >= 1000.0 { 0 } else { measure.decimals.max(2) };
    let number = grouped(value, decimals);
    match &measure.suffix {
        Some(suffix) => format!("{number} {suffix}"),
        None => number,
    }
}

pub(super) fn measure_label(write: &Writer<'_>, index: usize) -> String {
    write.words.measures.get(index).map_or(String::new(), |measure| measure.label.clone())
}

/// `rating 8.7`, but `124 minutes`.
fn labelled(write: &Writer<'_>, index: usize, value: &Value) -> String {
    let suffix = write.words.measures.get(index).and_then(|measure| measure.suffix.as_ref());
    match (number(value), suffix) {
        (None, _) => format!("no {}", measure_label(write, index)),
        (Some(value), Some(_)) => measured(write, index, value),
        (Some(value), None) => format!("{} {}", measure_label(write, index), measured(write, index, value)),
    }
}

fn key_plural(write: &Writer<'_>, key: Key) -> String {
    match key {
        Key::Dim(index) => write.words.dimensions.get(index).map_or(String::new(), |dimension| dimension.plural.clone()),
        Key::Role(index) => {
            write.words.people.as_ref().and_then(|people| people.roles.get(index)).map_or(String::new(), |role| role.plural.clone())
        }
        Key::Year => "years".into(),
        Key::Decade => "decades".into(),
    }
}

/// The plural of the kinds of a selection.
pub(super) fn plural_kind(write: &Writer<'_>, of: &Selection) -> String {
    kind_word(write, of, 2.0)
}

/// The kinds of a selection, in the singular for one.
fn kind_word(write: &Writer<'_>, of: &Selection, count: f64) -> String {
    let kinds = &write.words.entity.kinds;
    let used: Vec<usize> = if of.kinds.is_empty() { vec![0] } else { of.kinds.clone() };
    let one = (count - 1.0).abs() < f64::EPSILON;
    let words: Vec<&str> = used
        .iter()
        .filter_map(|index| kinds.get(*index))
        .map(|kind| if one { kind.nouns.first().map_or("", String::as_str) } else { &kind.plural })
        .collect();
    words.join(" or ")
}

/// A selection in words: `Sci-Fi films from 1990 to 1999 directed by X`.
pub(super) fn selection(write: &Writer<'_>, of: &Selection) -> String {
    described(write, of, 2.0)
}

fn described(write: &Writer<'_>, of: &Selection, count: f64) -> String {
    let mut parts = Vec::new();
    for condition in &of.values {
        let names: Vec<&str> = condition
            .any
            .iter()
            .filter_map(|at| write.words.dimensions.get(condition.dim)?.values.get(*at))
            .map(|value| value.value.as_str())
            .collect();
        parts.push(format!("{}{}", if condition.not { "non-" } else { "" }, escape(&names.join(" or "))));
    }
    parts.push(kind_word(write, of, count));
    parts.extend(of.ranges.iter().map(|range| range_words(write, range)));
    for person in &of.people {
        let role = person.role.and_then(|index| write.words.people.as_ref()?.roles.get(index));
        let by = role
            .and_then(|role| role.passive.clone().or_else(|| role.before_name.first().cloned()))
            .unwrap_or_else(|| "credited to".into());
        parts.push(format!("{}{by} {}", if person.not { "not " } else { "" }, escape(&person.name.text)));
    }
    let noun = write.words.entity.name_nouns.first().map_or("name", String::as_str);
    parts.extend(of.name_words.iter().map(|word| format!("with “{}” in the {noun}", escape(word))));
    parts.join(" ")
}

fn range_words(write: &Writer<'_>, range: &Range) -> String {
    let year = write.words.measures.get(range.measure).is_some_and(|measure| measure.year);
    let value = |value: f64| measured(write, range.measure, value);
    let label = measure_label(write, range.measure);
    let text = match (range.low, range.high) {
        (Some(low), Some(high)) if low == high => {
            return if year { format!("from {}", value(low.value)) } else { format!("with a {label} of {}", value(low.value)) };
        }
        (Some(low), Some(high)) if year => return format!("from {} to {}", value(low.value), value(high.value)),
        (Some(low), None) if year => return format!("{} {}", if low.inclusive { "since" } else { "after" }, value(low.value)),
        (None, Some(high)) if year => return format!("{} {}", if high.inclusive { "until" } else { "before" }, value(high.value)),
        (Some(low), Some(high)) => format!("{} to {}", value(low.value), value(high.value)),
        (Some(low), None) => format!("{} {}", if low.inclusive { "at least" } else { "more than" }, value(low.value)),
        (None, Some(high)) => format!("{} {}", if high.inclusive { "at most" } else { "less than" }, value(high.value)),
        (None, None) => String::new(),
    };
    if write.words.measures.get(range.measure).is_some_and(|measure| measure.suffix.is_some()) {
        format!("with {text}")
    } else {
        format!("with a {label} of {text}")
    }
}

/// An entity in bold with its year: `**Jaws** (1975)`.
pub(super) fn title(write: &Writer<'_>, row: &Row<'_>) -> String {
    let year = write.words.measures.iter().position(|measure| measure.year).and_then(|index| row.number(&format!("fact_{index}")));
    bold(&row.text("name"), year)
}

fn bold(name: &str, year: Option<f64>) -> String {
    let name = escape(name);
    year.map_or_else(|| format!("**{name}**"), |year| format!("**{name}** ({year:.0})"))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn joined(parts: &[String], last: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [many @ .., end] => format!("{} {last} {end}", many.join(", ")),
    }
}

/// What a list is ordered by, as its heading says.
fn heading(write: &Writer<'_>, list: &List) -> String {
    let (by, high) = list.order.parts();
    format!("{}, {} first:", capitalised(&selection(write, &list.of)), superlative(write, by, high))
}

/// The superlative of a measure: the catalog's first word for it, else `highest runtime`.
fn superlative(write: &Writer<'_>, index: usize, high: bool) -> String {
    let word = write.words.measures.get(index).and_then(|measure| if high { measure.high.first() } else { measure.low.first() });
    word.cloned().unwrap_or_else(|| format!("{} {}", if high { "highest" } else { "lowest" }, measure_label(write, index)))
}

/// The comparative of a measure, likewise.
fn comparative(write: &Writer<'_>, index: usize, high: bool) -> String {
    let word = write.words.measures.get(index).and_then(|measure| if high { measure.more.first() } else { measure.less.first() });
    word.cloned().unwrap_or_else(|| format!("{} in {}", if high { "higher" } else { "lower" }, measure_label(write, index)))
}

/// What the planner can be asked, in words of the catalog.
pub(super) fn help(words: &Vocabulary) -> String {
    let kind = words.entity.kinds.first().map_or("rows", |kind| kind.plural.as_str());
    let measures: Vec<String> = words.measures.iter().map(|measure| measure.label.clone()).collect();
    let mut filters: Vec<String> = words.dimensions.iter().map(|dimension| dimension.name.clone()).collect();
    filters.extend(words.people.iter().flat_map(|people| people.roles.iter().map(|role| role.name.clone())));
    format!(
        "I answer questions about the lake's {kind}: rankings by {}, filters by {} and by range, counts, averages and groups, facts of one by its name, and comparisons of two.",
        joined(&measures, "or"),
        joined(&filters, "or")
    )
}

/// The word for entities of any kind: that of the kind without a condition, else of the first.
fn any_kind(write: &Writer<'_>, count: f64) -> String {
    let kinds = &write.words.entity.kinds;
    let index = kinds.iter().position(|kind| kind.column.is_none()).unwrap_or(0);
    kind_word(write, &Selection { kinds: vec![index], ..Selection::default() }, count)
}

/// A rule with its parameters as people write numbers.
pub(super) fn filled(write: &Writer<'_>, rule: &str) -> String {
    #[expect(clippy::cast_precision_loss, reason = "parameters are small")]
    let number = |value: i64| whole(value as f64);
    write.catalog.parameters.iter().fold(rule.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &number(*value)))
}
