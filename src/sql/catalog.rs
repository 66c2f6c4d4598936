//! The catalog: everything asklake knows of a lake, read from one YAML file.
//!
//! Owns its shape and its faults, all of them at once. Another lake needs another file and no code.

use serde::{Deserialize, Serialize};

/// A lake, as its catalog file describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Short name, such as `imdb`.
    pub name: String,
    /// Tables that statements may read.
    pub tables: Vec<Relation>,
    /// Views over them that statements may read.
    #[serde(default)]
    pub views: Vec<View>,
    /// Functions of the lake that statements may call besides Spark's built-in ones, such as `imdb.title_case`.
    #[serde(default)]
    pub functions: Vec<String>,
}

/// A table or view with its columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// `schema.table`.
    pub name: String,
    /// One or two sentences.
    pub description: String,
    /// Columns in order.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Spark SQL type in lower case.
    #[serde(rename = "type")]
    pub data_type: String,
    /// One sentence.
    pub description: String,
    /// Values as they are stored.
    #[serde(default)]
    pub examples: Vec<serde_json::Value>,
}

/// A view and the statement that makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Name and columns.
    #[serde(flatten)]
    pub relation: Relation,
    /// A SELECT over the tables, in Spark SQL.
    pub sql: String,
}

impl Catalog {
    /// Every table and view that statements may read.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.tables.iter().chain(self.views.iter().map(|view| &view.relation))
    }

    /// The table or view of that name, ignoring case.
    #[must_use]
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations().find(|relation| relation.name.eq_ignore_ascii_case(name))
    }
}
