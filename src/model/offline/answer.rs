//! Words answers from rows.
//!
//! Owns every sentence of an answer and the escaping of what comes from the lake or from the user. All names of things come from
//! the catalog. Decides nothing about what is queried.

use serde_json::Value;

use crate::{conversation::ResultSet, sql::catalog::vocabulary::Vocabulary};

use super::{
    plan::{Aggregate, Fact, Group, Key, Limit, List, Name, Number, Order, Range, Selection},
    sql::Writer,
    turn::{Someone, all_facts, cell_text},
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
    let number = grouped(value, measure.decimals.max(if value.fract() == 0.0 { 0 } else { 2 }));
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

pub(super) fn key_label(write: &Writer<'_>, key: Key) -> String {
    match key {
        Key::Dim(index) => write.words.dimensions.get(index).map_or(String::new(), |dimension| dimension.name.clone()),
        Key::Role(index) => {
            write.words.people.as_ref().and_then(|people| people.roles.get(index)).map_or(String::new(), |role| role.name.clone())
        }
        Key::Year => "year".into(),
        Key::Decade => "decade".into(),
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

pub(super) fn list(write: &Writer<'_>, list: &List, result: &ResultSet) -> String {
    let all = rows(result);
    if all.is_empty() {
        return nothing(write, list);
    }
    let total = all.first().and_then(|row| row.number("total")).unwrap_or(0.0);
    let measures = write.shown(list);
    let has_year = write.words.measures.iter().any(|measure| measure.year);
    let line = |row: &Row<'_>| {
        let year = if has_year { number(row.at(1)) } else { None };
        let first = 1 + usize::from(has_year);
        let values: Vec<String> =
            measures.iter().enumerate().map(|(index, measure)| labelled(write, *measure, row.at(first + index))).collect();
        let names = list.credits.map(|_| row.text("names")).filter(|names| !names.is_empty());
        let role = list.credits.and_then(|role| write.words.people.as_ref()?.roles.get(role));
        let credit = names
            .map(|names| format!("{} {}", role.and_then(|role| role.passive.clone()).unwrap_or_else(|| "with".into()), escape(&names)));
        let facts: Vec<String> = values.into_iter().chain(credit).collect();
        let name = bold(&cell_text(row.at(0)), year);
        if facts.is_empty() { name } else { format!("{name}: {}", facts.join(", ")) }
    };
    if list.limit == Limit::One {
        return top_one(write, list, &all, &line);
    }
    if let ([only], true) = (all.as_slice(), total <= 1.0) {
        return format!("There is one such: {}.", line(only));
    }
    let lines: Vec<String> = all.iter().enumerate().map(|(index, row)| format!("{}. {}", index + 1, line(row))).collect();
    let mut text = format!("{}\n\n{}", heading(write, list), lines.join("\n"));
    let shown = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX));
    if total > shown {
        text.push_str(&format!("\n\nThere are {} in all; these are the first {}.", whole(total), all.len()));
    }
    text
}

/// The answer to a question for the one at the top, with those that tie and those that follow.
fn top_one(write: &Writer<'_>, list: &List, all: &[Row<'_>], line: &dyn Fn(&Row<'_>) -> String) -> String {
    let (by, high) = list.order.parts();
    let has_year = write.words.measures.iter().any(|measure| measure.year);
    let year = write.words.measures.get(by).is_some_and(|measure| measure.year);
    let column = if year { 1 } else { 1 + usize::from(has_year) };
    let best = all.first().map(|row| row.at(column));
    let ties = all.iter().filter(|row| Some(row.at(column)) == best).count();
    let Some(first) = all.first() else { return String::new() };
    let mut one = list.of.clone();
    if one.kinds.is_empty() {
        one.kinds = vec![0];
    }
    let phrase = described(write, &one, 1.0);
    let mut text = format!("The {} {phrase} is {}.", superlative(write, by, high), line(first));
    if ties > 1 {
        let others: Vec<String> = all.iter().skip(1).take(ties - 1).map(line).collect();
        let more = if ties == all.len() { "at least " } else { "" };
        text.push_str(&format!(" It shares that place with {more}{}: {}.", others.len(), others.join("; ")));
    } else if all.len() > 1 {
        let next: Vec<String> = all.iter().skip(1).take(2).map(line).collect();
        text.push_str(&format!(" Next: {}.", next.join("; ")));
    }
    text
}

fn nothing(write: &Writer<'_>, list: &List) -> String {
    let phrase = selection(write, &list.of);
    let ranked = matches!(list.order, Order::By { .. });
    match write.threshold(list.order.parts().0, &list.of).filter(|_| ranked) {
        Some((measure, least)) => format!("The lake holds no {phrase} with at least {}.", labelled(write, measure, &Value::from(least))),
        None if ranked => format!("The lake holds no {phrase} with a known {}.", measure_label(write, list.order.parts().0)),
        None => format!("The lake holds no {phrase}."),
    }
}

pub(super) fn count(write: &Writer<'_>, of: &Selection, result: &ResultSet) -> String {
    let number = first_number(result, "number");
    let one = (number - 1.0).abs() < f64::EPSILON;
    format!("There {} **{}** {}.", if one { "is" } else { "are" }, whole(number), described(write, of, number))
}

pub(super) fn count_people(write: &Writer<'_>, role: Option<usize>, result: &ResultSet) -> String {
    let people = write.words.people.as_ref();
    let role = role.and_then(|role| people?.roles.get(role)).map(|role| role.plural.as_str());
    format!(
        "There are **{}** {} in the lake.",
        whole(first_number(result, "number")),
        role.or(people.map(|people| people.plural.as_str())).unwrap_or("people")
    )
}

pub(super) fn aggregate(write: &Writer<'_>, of: &Selection, values: &[(Aggregate, usize)], result: &ResultSet) -> String {
    let all = rows(result);
    let sentences: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(index, (aggregate, measure))| {
            let label = measure_label(write, *measure);
            let phrase = selection(write, of);
            let row = all.first();
            let counted = row.and_then(|row| row.number(&format!("count_{index}"))).unwrap_or(0.0);
            match row.and_then(|row| row.number(&format!("value_{index}"))) {
                Some(value) => format!(
                    "The {} {label} of {phrase} is **{}** (from {} with known {label}).",
                    aggregate.word(),
                    measured(write, *measure, value),
                    whole(counted)
                ),
                None => format!("The lake holds no {phrase} with a known {label}."),
            }
        })
        .collect();
    sentences.join(" ")
}

/// The name of a group, as a person writes it.
fn group_name(key: Key, value: &Value) -> String {
    match key {
        Key::Decade => format!("{}s", cell_text(value)),
        _ => escape(&cell_text(value)),
    }
}

pub(super) fn group(write: &Writer<'_>, group: &Group, result: &ResultSet) -> String {
    let all = rows(result);
    let phrase = selection(write, &group.of);
    let Some(first) = all.first() else { return format!("The lake holds no {phrase} to group by {}.", key_label(write, group.by)) };
    let value_of = |row: &Row<'_>| {
        let count = row.number("number").unwrap_or(0.0);
        match group.value {
            Number::Count => format!("{} {}", whole(count), kind_word(write, &group.of, count)),
            Number::Of(aggregate, measure) => {
                let value = row.number("value").map_or("unknown".to_owned(), |value| measured(write, measure, value));
                format!(
                    "{} {} {value} ({} {})",
                    aggregate.word(),
                    measure_label(write, measure),
                    whole(count),
                    kind_word(write, &group.of, count)
                )
            }
        }
    };
    let label = key_label(write, group.by);
    if group.limit == Limit::One {
        let name = group_name(group.by, first.value("name"));
        let next: Vec<String> =
            all.iter().skip(1).take(2).map(|row| format!("{} ({})", group_name(group.by, row.value("name")), value_of(row))).collect();
        let what = match group.value {
            Number::Count => format!("The {label} with the {} {phrase} is", if group.high == Some(false) { "fewest" } else { "most" }),
            Number::Of(aggregate, measure) => {
                let place = if group.high == Some(false) { "lowest" } else { "highest" };
                format!("The {label} with the {place} {} {} of {phrase} is", aggregate.word(), measure_label(write, measure))
            }
        };
        let rest = if next.is_empty() { String::new() } else { format!(" Next: {}.", next.join("; ")) };
        return format!("{what} **{name}**: {}.{rest}", value_of(first));
    }
    let head = match group.value {
        Number::Count => format!("Number of {phrase} per {label}:"),
        Number::Of(aggregate, measure) => {
            format!("{} {} of {phrase} per {label}:", capitalised(aggregate.word()), measure_label(write, measure))
        }
    };
    let shown = if all.len() > 40 && group.high.is_none() { all.len() } else { all.len().min(40) };
    let lines: Vec<String> = all
        .iter()
        .take(shown)
        .enumerate()
        .map(|(index, row)| {
            let bullet = if group.high.is_some() { format!("{}.", index + 1) } else { "-".to_owned() };
            format!("{bullet} **{}**: {}", group_name(group.by, row.value("name")), value_of(row))
        })
        .collect();
    let total = first.number("total").unwrap_or(0.0);
    let more = if total > f64::from(u32::try_from(shown).unwrap_or(u32::MAX)) {
        format!("\n\nThere are {} {} in all; these are the first {shown}.", whole(total), key_plural(write, group.by))
    } else {
        String::new()
    };
    format!("{head}\n\n{}{more}", lines.join("\n"))
}

pub(super) fn values(write: &Writer<'_>, dim: usize, count: bool, result: &ResultSet) -> String {
    let all = rows(result);
    let plural = key_plural(write, Key::Dim(dim));
    let total = all.first().and_then(|row| row.number("total")).unwrap_or(0.0);
    let names: Vec<String> =
        all.iter().map(|row| format!("{} ({})", escape(&row.text("name")), whole(row.number("number").unwrap_or(0.0)))).collect();
    let more = if total > f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX)) { ", and more" } else { "" };
    if count {
        format!("There are **{}** {plural}: {}{more}.", whole(total), names.join(", "))
    } else {
        format!("The lake has {} {plural}, each with how often it occurs: {}{more}.", whole(total), names.join(", "))
    }
}

/// A fact of an entity: its label and value, if it is known.
fn fact_value(write: &Writer<'_>, row: &Row<'_>, fact: Fact) -> (String, Option<String>) {
    match fact {
        Fact::Measure(index) => {
            (measure_label(write, index), row.number(&format!("fact_{index}")).map(|value| measured(write, index, value)))
        }
        Fact::Dim(index) => {
            let label = key_label(write, Key::Dim(index));
            let values = match row.value(&format!("dim_{index}")) {
                Value::Array(values) => values.iter().map(|value| escape(&cell_text(value))).collect::<Vec<_>>().join(", "),
                other => escape(&cell_text(other)),
            };
            (label, Some(values).filter(|values| !values.is_empty()))
        }
    }
}

pub(super) fn facts(write: &Writer<'_>, found: &[Row<'_>], wanted: &[Fact]) -> String {
    let several = found.len() > 1;
    let lines: Vec<String> = found
        .iter()
        .map(|row| {
            if wanted.is_empty() {
                every_fact(write, row)
            } else {
                wanted.iter().map(|fact| one_fact(write, row, *fact)).collect::<Vec<_>>().join(" ")
            }
        })
        .collect();
    if several { format!("The lake has {} of that name:\n\n- {}", found.len(), lines.join("\n- ")) } else { lines.join("") }
}

fn one_fact(write: &Writer<'_>, row: &Row<'_>, fact: Fact) -> String {
    let name = title(write, row);
    let (label, value) = fact_value(write, row, fact);
    let Some(value) = value else { return format!("The lake does not know the {label} of {name}.") };
    let sentence = match fact {
        Fact::Measure(index) => write.words.measures.get(index).and_then(|measure| measure.sentence.as_ref()),
        Fact::Dim(_) => None,
    };
    match sentence {
        Some(sentence) if sentence.contains("{name}") => {
            let year = matches!(fact, Fact::Measure(index) if write.words.measures.get(index).is_some_and(|measure| measure.year));
            let name = if year { bold(&row.text("name"), None) } else { name };
            sentence.replace("{value}", &value).replace("{name}", &name)
        }
        _ => format!("The {label} of {name} is {value}."),
    }
}

fn every_fact(write: &Writer<'_>, row: &Row<'_>) -> String {
    let known: Vec<String> = all_facts(write)
        .into_iter()
        .filter(|fact| !matches!(fact, Fact::Measure(index) if write.words.measures.get(*index).is_some_and(|measure| measure.year)))
        .filter_map(|fact| {
            let (label, value) = fact_value(write, row, fact);
            let suffixed =
                matches!(fact, Fact::Measure(index) if write.words.measures.get(index).is_some_and(|measure| measure.suffix.is_some()));
            value.map(|value| if suffixed { value } else { format!("{label} {value}") })
        })
        .collect();
    let name = title(write, row);
    if known.is_empty() { format!("{name}: the lake has nothing more than the name") } else { format!("{name}: {}.", known.join("; ")) }
}

pub(super) fn has_value(write: &Writer<'_>, found: &[Row<'_>], dim: usize, wanted: &[usize]) -> String {
    let names: Vec<String> =
        wanted.iter().filter_map(|at| write.words.dimensions.get(dim)?.values.get(*at)).map(|value| value.value.clone()).collect();
    let lines: Vec<String> = found
        .iter()
        .map(|row| {
            let column = row.value(&format!("dim_{dim}"));
            let has = |name: &String| match column {
                Value::Array(values) => values.iter().any(|value| value.as_str() == Some(name)),
                other => other.as_str() == Some(name),
            };
            let (label, value) = fact_value(write, row, Fact::Dim(dim));
            match value {
                None => format!("The lake does not know the {label} of {}.", title(write, row)),
                Some(value) => {
                    format!("{}: the {label} of {} is {value}.", if names.iter().all(has) { "Yes" } else { "No" }, title(write, row))
                }
            }
        })
        .collect();
    lines.join("\n\n")
}

pub(super) fn compare(
    write: &Writer<'_>,
    first: Vec<Row<'_>>,
    second: Vec<Row<'_>>,
    by: Option<(usize, bool)>,
    assumptions: &mut Vec<String>,
) -> String {
    let mut pick = |found: Vec<Row<'_>>| {
        let several = found.len() > 1;
        let row = found.into_iter().next();
        if let Some(row) = row.as_ref().filter(|_| several) {
            assumptions.push(format!("of several of that name, {} is meant", title(write, row)));
        }
        row.map(|row| (title(write, &row), row.cells.to_vec(), row.result.clone()))
    };
    let (Some(one), Some(other)) = (pick(first), pick(second)) else { return String::new() };
    let measure_of =
        |(_, cells, result): &(String, Vec<Value>, ResultSet), index: usize| Row { result, cells }.number(&format!("fact_{index}"));
    let indexes: Vec<usize> = by.map_or_else(|| (0..write.words.measures.len()).collect(), |(index, _)| vec![index]);
    let sentences: Vec<String> = indexes
        .iter()
        .map(|index| {
            let (label, high) = (measure_label(write, *index), by.is_none_or(|(_, high)| high));
            match (measure_of(&one, *index), measure_of(&other, *index)) {
                (Some(left), Some(right)) => {
                    let values = format!("{} {}, {} {}", one.0, measured(write, *index, left), other.0, measured(write, *index, right));
                    match by {
                        None => format!("- {label}: {values}"),
                        Some(_) if (left - right).abs() < 1e-9 => format!("Neither: both have the same {label}: {values}."),
                        Some(_) => {
                            let (winner, first, loser, second) =
                                if (left > right) == high { (&one.0, left, &other.0, right) } else { (&other.0, right, &one.0, left) };
                            let (first, second) = (measured(write, *index, first), measured(write, *index, second));
                            format!("{winner} is {}: {label} {first}, against {second} for {loser}.", comparative(write, *index, high))
                        }
                    }
                }
                (left, right) => {
                    let value = |side: Option<f64>| side.map_or("unknown".to_owned(), |side| measured(write, *index, side));
                    let values = format!("{} {}, {} {}", one.0, value(left), other.0, value(right));
                    if by.is_none() {
                        format!("- {label}: {values}")
                    } else {
                        format!("The lake does not know the {label} of both: {values}.")
                    }
                }
            }
        })
        .collect();
    sentences.join("\n")
}

pub(super) fn compare_people(write: &Writer<'_>, role: usize, of: &Selection, counts: &[(String, f64)]) -> String {
    let past = write.words.people.as_ref().and_then(|people| people.roles.get(role)).map_or("has", |role| role.past.as_str());
    let [(one, left), (other, right)] = counts else { return String::new() };
    let phrase = |name: &str, number: f64| format!("{} {past} {} {}", escape(name), whole(number), described(write, of, number));
    let (one, other) = (phrase(one, *left), phrase(other, *right));
    if (left - right).abs() < f64::EPSILON {
        format!("As many: {one}, and {other}.")
    } else if left > right {
        format!("**{one}**; {other}.")
    } else {
        format!("**{other}**; {one}.")
    }
}

pub(super) fn credits(write: &Writer<'_>, found: &[Row<'_>], role: Option<usize>, result: &ResultSet) -> String {
    let people = rows(result);
    let role = role.and_then(|index| write.words.people.as_ref()?.roles.get(index));
    let lines: Vec<String> = found
        .iter()
        .map(|entity| {
            let id = entity.text("id");
            let mut names: Vec<String> = people.iter().filter(|row| row.text("id") == id).map(|row| escape(&row.text("name"))).collect();
            names.dedup();
            let name = title(write, entity);
            match (names.as_slice(), role) {
                ([], Some(role)) => format!("The lake names no {} for {name}.", role.name),
                ([], None) => format!("The lake names nobody for {name}."),
                (names, Some(role)) if role.passive.is_some() => {
                    format!("{name} was {} **{}**.", role.passive.clone().unwrap_or_default(), joined(names, "and"))
                }
                (names, Some(role)) => format!("{} of {name}: {}.", capitalised(&role.plural), names.join(", ")),
                (names, None) => format!("{name}: {}.", names.join(", ")),
            }
        })
        .collect();
    if lines.len() > 1 { format!("The lake has {} of that name:\n\n- {}", lines.len(), lines.join("\n- ")) } else { lines.join("") }
}

pub(super) fn credited(write: &Writer<'_>, someone: &Someone<'_>, found: &[Row<'_>], role: Option<usize>, result: &ResultSet) -> String {
    let people = rows(result);
    let role = role.and_then(|index| write.words.people.as_ref()?.roles.get(index));
    let of = |entity: &Row<'_>| people.iter().filter(|row| row.text("id") == entity.text("id")).cloned().collect::<Vec<_>>();
    let matching = found.iter().find(|entity| of(entity).iter().any(|row| row.text("person") == someone.key));
    let name = escape(&someone.name);
    if let Some(entity) = matching {
        let past = role.map_or("is credited with", |role| role.past.as_str());
        return format!("Yes, {name} {past} {}.", title(write, entity));
    }
    let who: Vec<String> = found
        .iter()
        .map(|entity| {
            let names: Vec<String> = of(entity).iter().map(|row| escape(&row.text("name"))).collect();
            let role = role.map_or("people", |role| role.plural.as_str());
            if names.is_empty() {
                format!("the lake names no {role} for {}", title(write, entity))
            } else {
                format!("the {role} of {} it names: {}", title(write, entity), joined(&names, "and"))
            }
        })
        .collect();
    format!("No, not according to the lake: {}.", who.join("; "))
}

pub(super) fn person(write: &Writer<'_>, someone: &Someone<'_>, fact: Option<usize>, career: Option<&ResultSet>) -> String {
    let Some(people) = &write.words.people else { return String::new() };
    let name = escape(&someone.name);
    let value = |index: usize| {
        someone
            .row
            .number(&format!("fact_{index}"))
            .map(|value| format!("{value:.0}"))
            .or_else(|| Some(escape(&someone.row.text(&format!("fact_{index}")))).filter(|text| !text.is_empty()))
    };
    let known = |(index, label): (usize, &str)| value(index).map(|value| format!("{label} {value}"));
    if let Some(index) = fact {
        let label = people.facts.get(index).map_or("", |fact| fact.label.as_str());
        return known((index, label)).map_or_else(
            || format!("The lake does not say when **{name}** was {label}.").replace("was died", "died"),
            |known| format!("**{name}**: {known}."),
        );
    }
    let facts: Vec<String> = people.facts.iter().enumerate().filter_map(|(index, fact)| known((index, fact.label.as_str()))).collect();
    let roles: Vec<String> = career
        .map(rows)
        .unwrap_or_default()
        .iter()
        .map(|row| {
            let stored = row.text("role");
            let role = people.roles.iter().find(|role| role.values.contains(&stored)).map_or(stored.clone(), |role| role.name.clone());
            let years = match (row.number("first_year"), row.number("last_year")) {
                (Some(first), Some(last)) if first < last => format!(" ({first:.0} to {last:.0})"),
                (Some(first), _) => format!(" ({first:.0})"),
                _ => String::new(),
            };
            let number = row.number("number").unwrap_or(0.0);
            format!("{} of {} {}{years}", escape(&role), whole(number), any_kind(write, number))
        })
        .collect();
    let parts: Vec<String> = facts.into_iter().chain(roles).collect();
    if parts.is_empty() {
        format!("**{name}** is in the lake, with no credits and no dates.")
    } else {
        format!("**{name}**: {}.", parts.join("; "))
    }
}

/// The word for entities of any kind: that of the kind without a condition, else of the first.
fn any_kind(write: &Writer<'_>, count: f64) -> String {
    let kinds = &write.words.entity.kinds;
    let index = kinds.iter().position(|kind| kind.column.is_none()).unwrap_or(0);
    kind_word(write, &Selection { kinds: vec![index], ..Selection::default() }, count)
}

pub(super) fn exists(write: &Writer<'_>, name: &Name, exact: &[Row<'_>], within: &[Row<'_>]) -> String {
    let list = |found: &[Row<'_>]| found.iter().take(5).map(|row| title(write, row)).collect::<Vec<_>>();
    let wanted = escape(&name.text);
    match (exact, within) {
        ([], []) => format!("No, the lake has nothing called “{wanted}”."),
        ([], near) => format!("Nothing in the lake is called exactly “{wanted}”; the nearest: {}.", joined(&list(near), "and")),
        (found, _) => format!("Yes: {}.", joined(&list(found), "and")),
    }
}

pub(super) fn unknown_entity(write: &Writer<'_>, name: &Name) -> String {
    let year = name.year.map_or(String::new(), |year| format!(" from {year}"));
    let kind = write.words.entity.kinds.first().and_then(|kind| kind.nouns.first()).map_or("row", String::as_str);
    format!(
        "The lake has no {kind} called “{}”{year}, and none with a name close to it. If that is not a name, I did not understand it.",
        escape(&name.text)
    )
}

pub(super) fn which_entity(write: &Writer<'_>, name: &Name, candidates: &[Row<'_>]) -> String {
    let names: Vec<String> = candidates.iter().map(|row| title(write, row)).collect();
    format!(
        "The lake has nothing called exactly “{}”. Did you mean {}? Ask again with the full name.",
        escape(&name.text),
        joined(&names, "or")
    )
}

/// The question that looks for a word in names.
fn by_word(write: &Writer<'_>, name: &Name) -> String {
    let noun = write.words.entity.name_nouns.first().map_or("name", String::as_str);
    let kinds = capitalised(&kind_word(write, &Selection::default(), 2.0));
    format!("{kinds} with \"{}\" in the {noun}", escape(&name.text.replace('"', "")))
}

pub(super) fn unknown_person(write: &Writer<'_>, name: &Name) -> String {
    let wanted = escape(&name.text);
    let noun = write.words.people.as_ref().and_then(|people| people.nouns.first()).map_or("person", String::as_str);
    if name.strict {
        let part = write.words.entity.name_nouns.first().map_or("name", String::as_str);
        format!(
            "I did not understand “{wanted}”: it is no word I know, and the lake has no {noun} of that name. If it is part of a {part}, ask: {}",
            by_word(write, name)
        )
    } else {
        format!(
            "The lake has no {noun} called “{wanted}”, and none with a name close to it. If that is not a name, I did not understand it."
        )
    }
}

pub(super) fn which_person(write: &Writer<'_>, name: &Name, candidates: &[Row<'_>]) -> String {
    let names: Vec<String> = candidates
        .iter()
        .take(6)
        .map(|row| {
            let count = row.number("in_any").unwrap_or(0.0);
            format!("**{}** ({} {})", escape(&row.text("name")), whole(count), any_kind(write, count))
        })
        .collect();
    format!("Several people fit “{}”: did you mean {}? Ask again with the full name.", escape(&name.text), joined(&names, "or"))
}

pub(super) fn other_role(write: &Writer<'_>, someone: &Someone<'_>, role: Option<usize>) -> String {
    let role = role.and_then(|index| write.words.people.as_ref()?.roles.get(index)).map_or("that role", |role| role.name.as_str());
    let count = someone.row.number("in_any").unwrap_or(0.0);
    let name = escape(&someone.name);
    if count > 0.0 {
        format!("The lake names **{name}** for {} {}, but never as {role}.", whole(count), any_kind(write, count))
    } else {
        format!("The lake knows **{name}**, but no work of theirs.")
    }
}

/// A rule with its parameters as people write numbers.
pub(super) fn filled(write: &Writer<'_>, rule: &str) -> String {
    #[expect(clippy::cast_precision_loss, reason = "parameters are small")]
    let number = |value: i64| whole(value as f64);
    write.catalog.parameters.iter().fold(rule.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &number(*value)))
}
