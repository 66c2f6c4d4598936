//! The catalog: everything asklake knows of a lake, read from one YAML file.
//!
//! Owns its shape, its parameters and the way it is read. Another lake needs another file and no code. What is wrong with a
//! file is found by `check`, all of it at once; the words the offline planner understands are in `vocabulary`.

mod check;
mod fit;
mod lines;
pub mod nearest;
pub mod vocabulary;
pub mod yaml;

use std::{collections::BTreeMap, fmt, path::Path};

use serde::{Deserialize, Serialize};

pub use check::Fault;
pub use fit::misfits;
pub use lines::line_of;
use vocabulary::Vocabulary;

/// The catalog that asklake ships.
const EMBEDDED: &str = include_str!("../../../catalog/imdb.yaml");

/// A lake, as its catalog file describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Short name of the lake.
    pub name: String,
    /// What the lake is about, one or two sentences.
    #[serde(default)]
    pub description: String,
    /// Numbers that rules, verified queries and the planner refer to as `{name}`.
    #[serde(default)]
    pub parameters: BTreeMap<String, i64>,
    /// Other values of the parameters, each for a certain kind of lake.
    #[serde(default)]
    pub profiles: BTreeMap<String, Profile>,
    /// Tables that statements may read.
    pub tables: Vec<Relation>,
    /// Views over them that statements may read.
    #[serde(default)]
    pub views: Vec<View>,
    /// How tables belong together.
    #[serde(default)]
    pub joins: Vec<Join>,
    /// What a query writer must know, in words.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Questions with a query that is known to answer them.
    #[serde(default)]
    pub queries: Vec<VerifiedQuery>,
    /// Questions that people ask and the lake does not answer.
    #[serde(default)]
    pub unanswerable: Vec<Unanswerable>,
    /// Example questions shown to users. The offline planner understands each of them.
    #[serde(default)]
    pub questions: Vec<String>,
    /// Functions of the warehouse beyond Spark's own.
    #[serde(default)]
    pub functions: Vec<Function>,
    /// The words of the offline planner.
    #[serde(default)]
    pub planner: Option<Vocabulary>,
}

/// Parameter values for one kind of lake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// When the profile applies without being named; absent when it has to be named.
    #[serde(default)]
    pub when: Option<ProfileCondition>,
    /// Values that replace those of [`Catalog::parameters`].
    pub parameters: BTreeMap<String, i64>,
}

/// The size of a table by which a lake is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileCondition {
    /// A table of the catalog.
    pub table: String,
    /// The profile applies when the table has fewer rows than this.
    pub rows_below: u64,
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
    /// Columns that identify a row; empty when there are none.
    #[serde(default)]
    pub primary_key: Vec<String>,
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

/// Two columns that hold the same identities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// `schema.table.column`.
    pub from: String,
    /// `schema.table.column`.
    pub to: String,
    /// How many rows meet how many.
    pub kind: JoinKind,
}

/// How many rows meet how many in a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinKind {
    /// At most one on either side.
    OneToOne,
    /// Each row of `from` meets any number of rows of `to`.
    OneToMany,
    /// Any number of rows of `from` meet one row of `to`.
    ManyToOne,
}

/// A question with a query that is known to answer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedQuery {
    /// As a user would ask.
    pub question: String,
    /// Spark SQL over the catalog's tables; may hold `{parameter}`.
    pub sql: String,
}

/// A question that the lake does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswerable {
    /// As a user would ask.
    pub question: String,
    /// What the lake does not hold, to be read after "It holds nothing about".
    pub missing: String,
}

/// A function of the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Parameters and result.
    pub signature: String,
    /// What it gives and what a call costs.
    pub description: String,
}

impl Relation {
    /// The column of that name, ignoring case.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

impl Catalog {
    /// The catalog that asklake ships, for the public lake of its examples.
    ///
    /// # Errors
    /// Every [`Fault`]; a test holds that there are none.
    pub fn embedded() -> Result<Self, Vec<Fault>> {
        Self::parse(EMBEDDED)
    }

    /// Reads the catalog file at `path`.
    ///
    /// # Errors
    /// Every [`Fault`] of the file, or one that says why it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        let yaml = std::fs::read_to_string(path)
            .map_err(|error| vec![Fault::whole(format!("the catalog file {} cannot be read: {error}", path.display()))])?;
        Self::parse(&yaml)
    }

    /// Reads a catalog from YAML.
    ///
    /// # Errors
    /// Every [`Fault`] at once: of the YAML itself, else of the JSON schema `catalog/schema.json`, else of what the parts say
    /// of each other.
    pub fn parse(yaml: &str) -> Result<Self, Vec<Fault>> {
        check::parse(yaml)
    }

    /// The faults that only the guard can see: verified queries and views that it would not admit. `admit` gives the reason
    /// of a refusal, as `|sql| guard.admit(sql).map(drop).map_err(|refusal| refusal.reason)`.
    pub fn check_queries(&self, admit: impl Fn(&str) -> Result<(), String>) -> Vec<Fault> {
        check::queries(self, admit)
    }

    /// The catalog with the parameters of a profile.
    ///
    /// # Errors
    /// [`UnknownProfile`].
    pub fn in_profile(mut self, profile: &str) -> Result<Self, UnknownProfile> {
        let Some(found) = self.profiles.get(profile) else {
            return Err(UnknownProfile { name: profile.to_owned(), known: self.profiles.into_keys().collect() });
        };
        self.parameters.extend(found.parameters.clone());
        Ok(self)
    }

    /// The profile whose condition holds, given the number of rows of a table where it is known.
    pub fn profile_for(&self, rows: impl Fn(&str) -> Option<u64>) -> Option<&str> {
        self.profiles.iter().find_map(|(name, profile)| {
            let when = profile.when.as_ref()?;
            (rows(&when.table)? < when.rows_below).then_some(name.as_str())
        })
    }

    /// `text` with every `{parameter}` replaced by its value.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        self.parameters.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &value.to_string()))
    }

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

/// A profile was named that the catalog does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProfile {
    /// The name given.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

impl std::error::Error for UnknownProfile {}

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        write!(f, "the catalog has no profile `{}`; its profiles are: {known}", self.name)
    }
}
