//! A suite: questions with what is known to answer them, read from one YAML file.
//!
//! Owns the file's shape and everything that can be wrong with it, told all at once with lines. Refuses to judge the SQL in it: the
//! guard and the warehouse do that when the suite is run.

use std::{collections::BTreeSet, fmt, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sql::catalog::{Fault, line_of, yaml};

/// A suite of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Short name, shown above the figures.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The questions in the order of the file; ids and texts are unique.
    pub questions: Vec<Question>,
}

/// A question of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Names it in reports and in `--only`.
    pub id: String,
    /// What it asks of a query writer.
    pub level: Level,
    /// As a user would ask.
    pub text: String,
    /// What is right.
    pub expected: Expected,
    /// Whether the order of the rows matters, where the statement's ORDER BY is not to decide.
    pub order: Option<bool>,
}

/// What answers a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The rows of any of these statements: Spark SQL, may hold `{parameter}` of the catalog; never empty.
    Rows(Vec<String>),
    /// Nothing in the lake does: to say so is right.
    Refusal {
        /// What is missing.
        missing: String,
    },
}

/// What a question asks of a query writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// One table, filter and order.
    Simple,
    /// More than one table.
    Join,
    /// Groups.
    Aggregate,
    /// Ranks within groups, running figures.
    Window,
    /// Something that looks simpler than it is.
    Trap,
    /// Nothing in the lake answers it.
    Unanswerable,
}

impl Level {
    /// Every level, from plain to hard.
    pub const ALL: [Self; 6] = [Self::Simple, Self::Join, Self::Aggregate, Self::Window, Self::Trap, Self::Unanswerable];

    /// The level as files name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Join => "join",
            Self::Aggregate => "aggregate",
            Self::Window => "window",
            Self::Trap => "trap",
            Self::Unanswerable => "unanswerable",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSuite {
    name: String,
    #[serde(default)]
    description: String,
    questions: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuestion {
    id: String,
    level: Level,
    question: String,
    sql: Option<String>,
    any_of: Option<Vec<String>>,
    missing: Option<String>,
    order: Option<bool>,
}

impl Suite {
    /// Reads the suite file at `path`.
    ///
    /// # Errors
    /// Every [`Fault`] of the file, or one that says why it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        let yaml = std::fs::read_to_string(path)
            .map_err(|error| vec![fault("", format!("the suite {} cannot be read: {error}", path.display()))])?;
        Self::parse(&yaml)
    }

    /// Reads a suite from YAML.
    ///
    /// # Errors
    /// Every [`Fault`] at once.
    pub fn parse(yaml: &str) -> Result<Self, Vec<Fault>> {
        let raw: RawSuite =
            serde_json::from_value(yaml::read(yaml).map_err(|fault| vec![fault])?).map_err(|error| vec![fault("", error.to_string())])?;
        let mut faults = Vec::new();
        let mut questions = Vec::with_capacity(raw.questions.len());
        if raw.questions.is_empty() {
            faults.push(fault("/questions", "there is no question".into()));
        }
        for (index, value) in raw.questions.into_iter().enumerate() {
            let at = format!("/questions/{index}");
            match serde_json::from_value::<RawQuestion>(value) {
                Ok(raw) => faults.extend(raw.read(&at).map(|question| questions.push((at, question))).err().unwrap_or_default()),
                Err(error) => faults.push(fault(&at, error.to_string())),
            }
        }
        faults.extend(repeated(&questions));
        for fault in &mut faults {
            fault.line = line_of(yaml, &fault.pointer);
        }
        let questions = questions.into_iter().map(|(_, question)| question).collect();
        if faults.is_empty() { Ok(Self { name: raw.name, description: raw.description, questions }) } else { Err(faults) }
    }
}

impl RawQuestion {
    fn read(self, at: &str) -> Result<Question, Vec<Fault>> {
        let mut faults = Vec::new();
        let Self { id, level, question, sql, any_of, missing, order } = self;
        for (key, text) in [("id", &id), ("question", &question)] {
            if text.trim().is_empty() {
                faults.push(fault(&format!("{at}/{key}"), "is empty".into()));
            }
        }
        let expected = match (level, sql, any_of, missing) {
            (Level::Unanswerable, None, None, Some(missing)) => Some(Expected::Refusal { missing }),
            (Level::Unanswerable, ..) => {
                faults.push(fault(at, format!("`{id}` is unanswerable: it needs `missing` (what the lake lacks), and no SQL")));
                None
            }
            (_, Some(sql), None, None) => Some(Expected::Rows(vec![sql])),
            (_, None, Some(any_of), None) if !any_of.is_empty() => Some(Expected::Rows(any_of)),
            (_, sql, any_of, missing) => {
                let problem = match (sql, any_of, missing) {
                    (.., Some(_)) => "`missing` is for the level unanswerable alone",
                    (Some(_), Some(_), None) => "has `sql` and `any_of`: write all statements under `any_of`",
                    _ => "needs `sql`, or `any_of` with at least one statement",
                };
                faults.push(fault(at, format!("`{id}` {problem}").replace("` `missing` is", "`: `missing` is")));
                None
            }
        };
        match expected {
            Some(expected) if faults.is_empty() => Ok(Question { id, level, text: question, expected, order }),
            _ => Err(faults),
        }
    }
}

/// Ids and questions that were used before.
fn repeated(questions: &[(String, Question)]) -> Vec<Fault> {
    let (mut ids, mut texts) = (BTreeSet::new(), BTreeSet::new());
    let mut faults = Vec::new();
    for (at, question) in questions {
        if !ids.insert(&question.id) {
            faults.push(fault(&format!("{at}/id"), format!("the id `{}` is used before", question.id)));
        }
        if !texts.insert(&question.text) {
            faults.push(fault(&format!("{at}/question"), format!("`{}` asks what is asked before", question.id)));
        }
    }
    faults
}

fn fault(pointer: &str, problem: String) -> Fault {
    Fault { pointer: pointer.to_owned(), line: None, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_read() {
        let suite = Suite::parse(
            "name: shop\nquestions:\n  - {id: a, level: simple, question: How many?, sql: SELECT 1}\n  - id: b\n    level: unanswerable\n    \
             question: Who pays?\n    missing: money\n  - {id: c, level: trap, question: Which?, any_of: [SELECT 1, SELECT 2], order: false}\n",
        )
        .unwrap();
        assert_eq!(suite.questions.len(), 3);
        assert_eq!(suite.questions[1].expected, Expected::Refusal { missing: "money".into() });
        assert_eq!(suite.questions[2].order, Some(false));
    }

    #[test]
    fn ids_that_look_like_booleans_or_numbers_are_words() {
        let suite = Suite::parse(
            "name: shop\nquestions:\n  - {id: n, level: simple, question: How many?, sql: SELECT 1}\n  - {id: 007, level: simple, question: \
             Which?, sql: SELECT 1, order: true}\n",
        )
        .unwrap();
        assert_eq!(suite.questions.iter().map(|question| question.id.as_str()).collect::<Vec<_>>(), ["n", "007"]);
        assert_eq!(suite.questions[1].order, Some(true));
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_line() {
        let faults = Suite::parse(
            "name: shop\nquestions:\n  - id: a\n    level: simple\n    question: How many?\n    sql: SELECT 1\n    sqll: SELECT 1\n  - id: b\n    \
             level: hard\n    question: Who?\n    sql: SELECT 1\n  - id: c\n    level: unanswerable\n    question: What?\n    sql: SELECT 1\n  \
             - id: d\n    level: join\n    question: Where?\n  - id: d\n    level: join\n    question: What?\n    sql: SELECT 1\n  - id: d\n    \
             level: join\n    question: When?\n    sql: SELECT 1\n",
        )
        .unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 5, "{told:#?}");
        assert!(told[0].starts_with("line 3: questions[0]: unknown field `sqll`"), "{}", told[0]);
        assert!(told[1].contains("unknown variant `hard`"), "{}", told[1]);
        assert!(told[2].starts_with("line 12: ") && told[2].contains("needs `missing`"), "{}", told[2]);
        assert!(told[3].contains("needs `sql`"), "{}", told[3]);
        assert!(told[4].starts_with("line 23: questions[5].id: ") || told[4].contains("the id `d` is used before"), "{}", told[4]);
    }
}
