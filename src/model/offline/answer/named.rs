//! Answers about what was called by name: facts, credits, comparisons, people, and names that fit nothing or too much.

use serde_json::Value;

use crate::conversation::ResultSet;

use super::{
    super::{
        plan::{Fact, Key, Name, Selection},
        sql::{Writer, key_label},
        turn::{Someone, all_facts, cell_text},
    },
    Row, any_kind, bold, capitalised, comparative, described, escape, joined, kind_word, measure_label, measured, rows, title, whole,
};

/// A fact of an entity: its label and value, if it is known.
fn fact_value(write: &Writer<'_>, row: &Row<'_>, fact: Fact) -> (String, Option<String>) {
    match fact {
        Fact::Measure(index) => {
            (measure_label(write, index), row.number(&format!("fact_{index}")).map(|value| measured(write, index, value)))
        }
        Fact::Dim(index) => {
            let label = key_label(write.words, Key::Dim(index));
            let values = match row.value(&format!("dim_{index}")) {
                Value::Array(values) => values.iter().map(|value| escape(&cell_text(value))).collect::<Vec<_>>().join(", "),
                other => escape(&cell_text(other)),
            };
            (label, Some(values).filter(|values| !values.is_empty()))
        }
    }
}

pub(in crate::model::offline) fn facts(write: &Writer<'_>, found: &[Row<'_>], wanted: &[Fact]) -> String {
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

pub(in crate::model::offline) fn has_value(write: &Writer<'_>, found: &[Row<'_>], dim: usize, wanted: &[usize]) -> String {
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

pub(in crate::model::offline) fn compare(
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

pub(in crate::model::offline) fn compare_people(write: &Writer<'_>, role: usize, of: &Selection, counts: &[(String, f64)]) -> String {
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

pub(in crate::model::offline) fn credits(write: &Writer<'_>, found: &[Row<'_>], role: Option<usize>, result: &ResultSet) -> String {
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

pub(in crate::model::offline) fn credited(
    write: &Writer<'_>,
    someone: &Someone<'_>,
    found: &[Row<'_>],
    role: Option<usize>,
    result: &ResultSet,
) -> String {
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

pub(in crate::model::offline) fn person(
    write: &Writer<'_>,
    someone: &Someone<'_>,
    fact: Option<usize>,
    career: Option<&ResultSet>,
) -> String {
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

pub(in crate::model::offline) fn exists(write: &Writer<'_>, name: &Name, exact: &[Row<'_>], within: &[Row<'_>]) -> String {
    let list = |found: &[Row<'_>]| found.iter().take(5).map(|row| title(write, row)).collect::<Vec<_>>();
    let wanted = escape(&name.text);
    match (exact, within) {
        ([], []) => format!("No, the lake has nothing called “{wanted}”."),
        ([], near) => format!("Nothing in the lake is called exactly “{wanted}”; the nearest: {}.", joined(&list(near), "and")),
        (found, _) => format!("Yes: {}.", joined(&list(found), "and")),
    }
}

pub(in crate::model::offline) fn unknown_entity(write: &Writer<'_>, name: &Name) -> String {
    let year = name.year.map_or(String::new(), |year| format!(" from {year}"));
    let kind = write.words.entity.kinds.first().and_then(|kind| kind.nouns.first()).map_or("row", String::as_str);
    format!(
        "The lake has no {kind} called “{}”{year}, and none with a name close to it. If that is not a name, I did not understand it.",
        escape(&name.text)
    )
}

pub(in crate::model::offline) fn which_entity(write: &Writer<'_>, name: &Name, candidates: &[Row<'_>]) -> String {
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

pub(in crate::model::offline) fn unknown_person(write: &Writer<'_>, name: &Name) -> String {
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

pub(in crate::model::offline) fn which_person(write: &Writer<'_>, name: &Name, candidates: &[Row<'_>]) -> String {
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

pub(in crate::model::offline) fn other_role(write: &Writer<'_>, someone: &Someone<'_>, role: Option<usize>) -> String {
    let role = role.and_then(|index| write.words.people.as_ref()?.roles.get(index)).map_or("that role", |role| role.name.as_str());
    let count = someone.row.number("in_any").unwrap_or(0.0);
    let name = escape(&someone.name);
    if count > 0.0 {
        format!("The lake names **{name}** for {} {}, but never as {role}.", whole(count), any_kind(write, count))
    } else {
        format!("The lake knows **{name}**, but no work of theirs.")
    }
}
