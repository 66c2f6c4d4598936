//! The prompt: what a language model is told about the lake. Text only; who sends it, and in which form, is the model adapter's.
//!
//! The wording is in the templates beside this file, what it says of a lake comes from the catalog. The system prompt does not depend
//! on the question, so a server that keeps the beginning of prompts reads it once; what depends on it are the [`Prompt::examples`].

mod tables;

use std::sync::Arc;

use super::{
    catalog::Catalog,
    similar::{Index, Known},
};

/// For how much of a model the prompt is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A model that follows written rules: every column is explained, examples are a list of queries.
    Large,
    /// A model that follows examples: tables in one line each, examples as turns of a conversation.
    Small,
    /// Tables and columns and nothing more, not even tools: what the others are measured against.
    Plain,
}

/// How many rows a model may work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows a query returns at most.
    pub max_rows: u64,
    /// Rows of them that the model is shown.
    pub rows_shown: usize,
}

/// What is told about one lake.
#[derive(Clone, Debug)]
pub struct Prompt {
    profile: Profile,
    system: String,
    catalog: Arc<Catalog>,
    similar: Index,
}

/// A question with what is right to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Example {
    /// A query answers it.
    Query {
        /// The question.
        question: String,
        /// The statement, on one line.
        sql: String,
    },
    /// The lake does not.
    Unanswerable {
        /// The question.
        question: String,
        /// What is missing.
        missing: String,
    },
}

/// Examples for one question, about 100 tokens each.
const EXAMPLES: usize = 5;

impl Profile {
    fn template(self) -> &'static str {
        match self {
            Self::Large => include_str!("large.md"),
            Self::Small => include_str!("small.md"),
            Self::Plain => include_str!("plain.md"),
        }
    }
}

impl Prompt {
    /// The prompt about `catalog`, whose parameters are already those of its profile.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, profile: Profile, limits: Limits) -> Self {
        let parts = [
            ("name", catalog.name.clone()),
            ("description", catalog.description.trim().to_owned()),
            ("relations", tables::explained(&catalog)),
            ("tables", tables::listed(&catalog)),
            ("values", tables::values(&catalog)),
            ("joins", tables::joins(&catalog)),
            ("functions", tables::functions(&catalog)),
            ("missing", missing(&catalog)),
            ("max_rows", limits.max_rows.to_string()),
            ("rows_shown", limits.rows_shown.to_string()),
            ("rules", catalog.rules.iter().map(|rule| format!("- {}", catalog.fill(rule.trim()))).collect::<Vec<_>>().join("\n")),
        ];
        let system = render(profile.template(), &parts);
        let similar = Index::new(&catalog);
        Self { profile, system, catalog, similar }
    }

    /// For how much of a model it is.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// What comes before every conversation.
    #[must_use]
    pub fn system(&self) -> &str {
        &self.system
    }

    /// What is right to do about questions like this one, the most similar one last: that is the one a model follows most. How to decline is
    /// shown only where the most similar one is declined: small models decline too readily after they have seen it.
    #[must_use]
    pub fn examples(&self, question: &str) -> Vec<Example> {
        if self.profile == Profile::Plain {
            return Vec::new();
        }
        let nearest = self.similar.nearest(question, 2 * EXAMPLES);
        let declines = matches!(nearest.first(), Some(Known::Unanswerable(_)));
        let fitting = nearest.into_iter().filter(|known| declines || matches!(known, Known::Query(_)));
        let mut examples: Vec<Example> = fitting.take(EXAMPLES).filter_map(|known| self.example(known)).collect();
        examples.reverse();
        examples
    }

    /// What the question most like this one lacks, where that is one that the lake does not answer.
    #[must_use]
    pub fn lacking(&self, question: &str) -> Option<&str> {
        if self.profile == Profile::Plain {
            return None;
        }
        match self.similar.nearest(question, 1).first()? {
            Known::Unanswerable(at) => self.catalog.unanswerable.get(*at).map(|one| one.missing.trim()),
            Known::Query(_) => None,
        }
    }

    fn example(&self, known: Known) -> Option<Example> {
        Some(match known {
            Known::Query(at) => {
                let query = self.catalog.queries.get(at)?;
                Example::Query { question: self.catalog.fill(query.question.trim()), sql: self.catalog.fill(&one_line(&query.sql)) }
            }
            Known::Unanswerable(at) => {
                let (question, missing) = self.catalog.unanswerable.get(at).map(|one| (one.question.clone(), one.missing.clone()))?;
                Example::Unanswerable { question, missing }
            }
        })
    }

    /// The first table of the lake, for an example whose answer is known without asking the lake: how many rows it has is made up.
    #[must_use]
    pub fn first_table(&self) -> Option<&str> {
        self.catalog.tables.first().map(|table| table.name.as_str())
    }
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

/// What people ask for and the lake does not hold.
fn missing(catalog: &Catalog) -> String {
    let mut missing: Vec<&str> = Vec::new();
    for one in &catalog.unanswerable {
        if !missing.contains(&one.missing.trim()) {
            missing.push(one.missing.trim());
        }
    }
    if missing.is_empty() { String::new() } else { format!(" It holds nothing about {}.", missing.join("; ")) }
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
    fn examples_are_like_the_question_and_the_nearest_is_last() {
        let catalog = Arc::new(Catalog::embedded().expect("the catalog is valid"));
        let prompt = |profile| Prompt::new(Arc::clone(&catalog), profile, Limits { max_rows: 1000, rows_shown: 100 });
        let examples = prompt(Profile::Small).examples("How long is Jaws?");
        assert_eq!(examples.len(), EXAMPLES);
        let Some(Example::Query { question, sql }) = examples.last() else { panic!("{examples:?}") };
        assert_eq!(question, "How long is Titanic?");
        assert!(sql.starts_with("SELECT") && !sql.contains('\n'), "{sql}");
        assert!(
            prompt(Profile::Large)
                .examples("Which film made the most money in 1990?")
                .iter()
                .any(|example| matches!(example, Example::Unanswerable { .. }))
        );
        assert!(prompt(Profile::Plain).examples("How long is Jaws?").is_empty());
        assert_eq!(prompt(Profile::Small).lacking("How many Oscars did Jaws win?"), Some("awards"));
        assert_eq!(prompt(Profile::Small).lacking("How long is Jaws?"), None);
    }
}
