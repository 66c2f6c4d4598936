//! Answers about many entities: lists, counts, aggregates, groups, values.

use serde_json::Value;

use crate::conversation::ResultSet;

use super::{
    super::{
        plan::{Aggregate, Group, Key, Limit, List, Number, Order, Selection},
        sql::{Writer, key_label},
        turn::cell_text,
    },
    Row, bold, capitalised, described, escape, first_number, heading, key_plural, kind_word, labelled, measure_label, measured, number,
    rows, selection, superlative, whole,
};

pub(in crate::model::offline) fn list(write: &Writer<'_>, list: &List, result: &ResultSet) -> String {
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
        let more = if ties == all.len() { ", and perhaps with more" } else { "" };
        text.push_str(&format!(" It shares that place with {}{more}.", others.join("; ")));
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

pub(in crate::model::offline) fn count(write: &Writer<'_>, of: &Selection, result: &ResultSet) -> String {
    let number = first_number(result, "number");
    let one = (number - 1.0).abs() < f64::EPSILON;
    format!("There {} **{}** {}.", if one { "is" } else { "are" }, whole(number), described(write, of, number))
}

pub(in crate::model::offline) fn count_people(write: &Writer<'_>, role: Option<usize>, of: &Selection, result: &ResultSet) -> String {
    let people = write.words.people.as_ref();
    let role = role.and_then(|role| people?.roles.get(role)).map(|role| role.plural.as_str());
    let number = whole(first_number(result, "number"));
    let noun = role.or(people.map(|people| people.plural.as_str())).unwrap_or("people");
    if *of == Selection::default() {
        return format!("There are **{number}** {noun} in the lake.");
    }
    format!("The number of {noun} of {} is **{number}**.", selection(write, of))
}

pub(in crate::model::offline) fn aggregate(
    write: &Writer<'_>,
    of: &Selection,
    values: &[(Aggregate, usize)],
    result: &ResultSet,
) -> String {
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

pub(in crate::model::offline) fn group(write: &Writer<'_>, group: &Group, result: &ResultSet) -> String {
    let all = rows(result);
    let phrase = selection(write, &group.of);
    let Some(first) = all.first() else { return format!("The lake holds no {phrase} to group by {}.", key_label(write.words, group.by)) };
    // By their place: the names are those of the catalog.
    let has_value = matches!(group.value, Number::Of(..));
    let name_of = |row: &Row<'_>| group_name(group.by, row.at(0));
    let value_of = |row: &Row<'_>| {
        let count = number(row.at(if has_value { 2 } else { 1 })).unwrap_or(0.0);
        match group.value {
            Number::Count => format!("{} {}", whole(count), kind_word(write, &group.of, count)),
            Number::Of(aggregate, measure) => {
                let value = number(row.at(1)).map_or("unknown".to_owned(), |value| measured(write, measure, value));
                // "votes 120 votes": the unit says it already.
                let label = measure_label(write, measure);
                let said = write.words.measures.get(measure).is_some_and(|known| known.suffix.as_ref() == Some(&label));
                format!(
                    "{}{} {value} ({} {})",
                    aggregate.word(),
                    if said { String::new() } else { format!(" {label}") },
                    whole(count),
                    kind_word(write, &group.of, count)
                )
            }
        }
    };
    let label = key_label(write.words, group.by);
    if group.limit == Limit::One {
        let name = name_of(first);
        let next: Vec<String> = all.iter().skip(1).take(2).map(|row| format!("{} ({})", name_of(row), value_of(row))).collect();
        let what = match group.value {
            Number::Count => format!("The {label} with the {} {phrase} is", if group.high == Some(false) { "fewest" } else { "most" }),
            Number::Of(aggregate, measure) => {
                let place = if group.high == Some(false) { "lowest" } else { "highest" };
                // "the highest highest": the extreme of the extremes is the extreme.
                let of = if aggregate.word() == place { String::new() } else { format!(" {}", aggregate.word()) };
                format!("The {label} with the {place}{of} {} of {phrase} is", measure_label(write, measure))
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
            format!("{bullet} **{}**: {}", name_of(row), value_of(row))
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

pub(in crate::model::offline) fn values(write: &Writer<'_>, dim: usize, count: bool, result: &ResultSet) -> String {
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
