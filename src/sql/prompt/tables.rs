//! Tables, views, joins and functions of a catalog as a prompt has them: explained for large models, listed for small ones.

use std::fmt::Write as _;

use super::super::catalog::{Catalog, Column, JoinKind, Relation};

/// Stored values shown for a column that is explained.
const EXAMPLES: usize = 9;
/// Examples from which on a column's values are listed: they are a choice of few then, not one example.
const FEW: usize = 3;

/// Every table with its columns, one line each, and every view.
pub(super) fn explained(catalog: &Catalog) -> String {
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

/// Every table and view on one line.
pub(super) fn listed(catalog: &Catalog) -> String {
    catalog.relations().fold(String::new(), |mut text, relation| {
        let columns: Vec<String> = relation.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
        let _ = writeln!(text, "{}({})", relation.name, columns.join(", "));
        text
    })
}

/// Columns with few values, and which.
pub(super) fn values(catalog: &Catalog) -> String {
    let mut lines: Vec<String> = Vec::new();
    for column in catalog.tables.iter().flat_map(|table| &table.columns).filter(|column| column.examples.len() > FEW) {
        let values: Vec<String> =
            column.examples.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
        lines.push(format!("- {}: {}", column.name, values.join(", ")));
    }
    for dimension in catalog.planner.iter().flat_map(|planner| &planner.dimensions) {
        let values: Vec<&str> = dimension.values.iter().map(|value| value.value.as_str()).collect();
        lines.push(format!("- {}: {}", dimension.column, values.join(", ")));
    }
    lines.join("\n")
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

/// How tables belong together.
pub(super) fn joins(catalog: &Catalog) -> String {
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

/// Functions of the lake.
pub(super) fn functions(catalog: &Catalog) -> String {
    if catalog.functions.is_empty() {
        return String::new();
    }
    catalog.functions.iter().fold("\n## Functions of this lake, besides Spark's own\n\n".to_owned(), |mut text, function| {
        let _ = writeln!(text, "- {}: {}", function.signature, function.description.trim());
        text
    })
}
