//! The prompt: what a language model is told about the lake. Text only; who sends it, and in which form, is the model adapter's.
//!
//! The wording is in the templates beside this file, what it says of a lake comes from the catalog. It does not depend on the
//! question, so a server that keeps the beginning of prompts reads it once.

use std::fmt::Write as _;

use super::catalog::{Catalog, Column, JoinKind, Relation};

const SYSTEM: &str = include_str!("system.md");

/// Characters of the verified queries that are shown, about 1,000 tokens; further ones are left out. They are the part that grows with
/// the use of a catalog, while tables and rules cannot be left out.
const QUERIES_CHARS: usize = 4000;
/// Stored values shown for a column.
const EXAMPLES: usize = 5;

/// How many rows a model may work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows a query returns at most.
    pub max_rows: u64,
    /// Rows of them that the model is shown.
    pub rows_shown: usize,
}

/// The system prompt for `catalog`, whose parameters are already those of its profile.
#[must_use]
pub fn system(catalog: &Catalog, limits: Limits) -> String {
    let parts = [
        ("name", catalog.name.clone()),
        ("description", catalog.description.trim().to_owned()),
        ("relations", relations(catalog)),
        ("joins", joins(catalog)),
        ("functions", functions(catalog)),
        ("max_rows", limits.max_rows.to_string()),
        ("rows_shown", limits.rows_shown.to_string()),
        ("rules", catalog.rules.iter().map(|rule| format!("- {}", catalog.fill(rule.trim()))).collect::<Vec<_>>().join("\n")),
        ("queries", queries(catalog)),
    ];
    render(SYSTEM, &parts)
}

/// Fills every `{{name}}` of `template` in one pass, so that what a catalog says is never taken for a placeholder.
fn render(template: &str, parts: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((name, after)) = after.split_once("}}") else { break };
        if let Some((_, part)) = parts.iter().find(|(known, _)| *known == name) {
            text.push_str(part);
        }
        rest = after;
    }
    text.push_str(rest);
    text.trim_end().to_owned()
}

fn relations(catalog: &Catalog) -> String {
    let mut text = String::new();
    for relation in &catalog.tables {
        let key = if relation.primary_key.is_empty() { String::new() } else { format!(" Key: {}.", relation.primary_key.join(", ")) };
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "\n## Table {}\n\n{}{key}\n\n{}", relation.name, relation.description.trim(), columns(relation));
    }
    for view in &catalog.views {
        let relation = &view.relation;
        let _ = write!(text, "\n## View {}\n\n{}\n\n{}", relation.name, relation.description.trim(), view_columns(catalog, relation));
    }
    text
}

fn columns(relation: &Relation) -> String {
    relation.columns.iter().fold(String::new(), |mut text, column| {
        let _ = writeln!(text, "- {} {}: {}{}", column.name, column.data_type, column.description.trim(), examples(column));
        text
    })
}

/// A view's columns are those of tables, mostly: their names are enough where a table has one of the same name and type.
fn view_columns(catalog: &Catalog, relation: &Relation) -> String {
    let is_known = |column: &Column| {
        catalog
            .tables
            .iter()
            .any(|table| table.column(&column.name).is_some_and(|known| known.name == column.name && known.data_type == column.data_type))
    };
    let name = |column: &Column| if is_known(column) { column.name.clone() } else { format!("{} {}", column.name, column.data_type) };
    format!("- {}\n", relation.columns.iter().map(name).collect::<Vec<_>>().join(", "))
}

fn examples(column: &Column) -> String {
    let shown: Vec<String> = column.examples.iter().take(EXAMPLES).map(ToString::to_string).collect();
    if shown.is_empty() { String::new() } else { format!(" {}", shown.join(", ")) }
}

fn joins(catalog: &Catalog) -> String {
    if catalog.joins.is_empty() {
        return String::new();
    }
    catalog.joins.iter().fold("\n## Joins\n\n".to_owned(), |mut text, join| {
        let kind = match join.kind {
            JoinKind::OneToOne => "one to one",
            JoinKind::OneToMany => "one to many",
            JoinKind::ManyToOne => "many to one",
        };
        let _ = writeln!(text, "- {} = {} ({kind})", join.from, join.to);
        text
    })
}

fn functions(catalog: &Catalog) -> String {
    if catalog.functions.is_empty() {
        return String::new();
    }
    catalog.functions.iter().fold("\n## Functions of this lake, besides Spark's own\n\n".to_owned(), |mut text, function| {
        let _ = writeln!(text, "- {}: {}", function.signature, function.description.trim());
        text
    })
}

fn queries(catalog: &Catalog) -> String {
    let mut text = String::new();
    for query in &catalog.queries {
        let example = format!("\nQuestion: {}\nSQL: {}\n", query.question.trim(), catalog.fill(&one_line(&query.sql)));
        if text.len() + example.len() > QUERIES_CHARS {
            break;
        }
        text.push_str(&example);
    }
    if text.is_empty() { text } else { format!("\n# Queries that are known to be right\n{text}") }
}

/// A statement without its line breaks and indents. A comment would swallow what follows, so such a statement stays as it is.
fn one_line(sql: &str) -> String {
    if sql.contains("--") { sql.trim().to_owned() } else { sql.trim().lines().map(str::trim).collect::<Vec<_>>().join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_catalog_says_is_not_taken_for_a_placeholder() {
        let parts = [("a", "{{b}}".to_owned()), ("b", "x".to_owned())];
        assert_eq!(render("1 {{a}} 2 {{b}} 3{{unknown}}\n", &parts), "1 {{b}} 2 x 3");
    }

    #[test]
    fn verified_queries_are_shown_while_there_is_room() {
        let mut catalog = Catalog::embedded().expect("the catalog is valid");
        let query = catalog.queries.first().cloned().expect("it has queries");
        catalog.queries = vec![query; 100];
        let text = queries(&catalog);
        assert!(text.len() < QUERIES_CHARS + 100 && text.len() > QUERIES_CHARS / 2, "{}", text.len());
    }
}
