//! The offline planner: answers a documented family of questions without any language model.
//!
//! It stands behind the model port and does what a language model does there: it makes the same tool calls and writes the
//! answer from their rows. Deterministic and without state: every call reads the question and the results of the turn again.
//! It owns the grammar of questions and no word of any lake: those come from the catalog's `planner` section. What it does not
//! understand, it says, with examples; it never guesses. `docs/questions.md` documents the family.
//!
//! The way of a question: `words` cuts it into tokens, `lexicon` gives them meanings, `draft` and `finish` or `patterns` make a
//! plan of them (`understand` decides), `turn` runs the plan through `sql`, and `answer` words the rows. A question that gives no
//! plan but is a verified query of the catalog is answered by `verified`.

mod account;
mod answer;
mod context;
mod draft;
mod finish;
mod lexicon;
mod patterns;
mod plan;
mod sql;
mod turn;
mod understand;
mod verified;
mod words;

use std::sync::Arc;

use async_trait::async_trait;

use super::{Entry, Error, Listener, Model, Reply, Request};
use crate::{
    conversation::{Answer, AnswerBasis, Decision},
    sql::Catalog,
};
use lexicon::Lexicon;
use sql::Writer;
use turn::{Results, Stop, Turn};
use understand::{Understood, understand};

/// Closes every answer, so that nobody mistakes the planner for a language model.
const SIGNATURE: &str = "_Answered by asklake's offline planner, which is not a language model._";
/// Refuses a question about a lake of which nothing but its verified queries is understood.
const NO_WORDS: &str = "The catalog has no `planner` section, so the offline planner knows no word about this lake and answers the \
                        catalog's verified queries alone. Configure a language model or add the section.";
/// Examples given with an answer.
const EXAMPLES: usize = 3;

/// The offline planner over one catalog.
#[derive(Clone, Debug)]
pub struct Planner {
    catalog: Arc<Catalog>,
    lexicon: Arc<Lexicon>,
}

impl Planner {
    /// A planner over `catalog`, whose parameters are already those of its profile. Over a catalog without a `planner` section
    /// it answers every question but the catalog's verified queries with a sentence that says so.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let lexicon = catalog.planner.as_ref().map(Lexicon::new).unwrap_or_default();
        Self { catalog, lexicon: Arc::new(lexicon) }
    }

    /// One line that says what the planner makes of `question`: for tests and for whoever writes a catalog.
    #[must_use]
    pub fn explain(&self, question: &str) -> String {
        let Some(words) = &self.catalog.planner else { return "no planner section".into() };
        match understand(question, words, &self.lexicon, false) {
            Understood::Plan(plan, typos) => {
                let typos: String = typos.iter().map(|(written, read)| format!(" ({written}: {read})")).collect();
                format!("{}{typos}", plan.describe(words))
            }
            Understood::Absent(parts) => {
                let labels: Vec<&str> =
                    parts.iter().filter_map(|index| words.absent.get(*index)).map(|absent| absent.label.as_str()).collect();
                format!("absent: {}", labels.join(", "))
            }
            Understood::Not(parts) if parts.is_empty() => "not understood".into(),
            Understood::Not(parts) => format!("not understood: {}", parts.join(" | ")),
            Understood::Foreign => "mostly unknown words".into(),
            Understood::Help => "help".into(),
            Understood::FollowUp => "goes on from another question".into(),
        }
    }

    /// What to do next in the turn that `request` tells of.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        let (question, results) = last_turn(&request.transcript);
        let later = request.transcript.iter().filter(|entry| matches!(entry, Entry::Question(_))).count() > 1;
        match self.step(question, later, &results, request.queries_left) {
            Stop::Query(mut query) => {
                query.call_id = format!("call_{}", request.transcript.len());
                Decision::Query(vec![query])
            }
            Stop::Answer(answer) => Decision::Answer(self.signed(*answer, question, request.language.as_deref())),
        }
    }

    fn step(&self, question: &str, later: bool, results: Results<'_>, queries_left: u32) -> Stop {
        let Some(words) = &self.catalog.planner else {
            return verified::step(&self.catalog, question, results).unwrap_or_else(|| unanswered(NO_WORDS.into()));
        };
        let understood = understand(question, words, &self.lexicon, later);
        if !matches!(understood, Understood::Plan(..))
            && let Some(stop) = verified::step(&self.catalog, question, results)
        {
            return stop;
        }
        match understood {
            Understood::Plan(plan, typos) => {
                let read = typos.iter().map(|(written, read)| format!("“{}” is read as “{read}”", answer::escape(written))).collect();
                Turn::new(Writer { catalog: &self.catalog, words }, results, queries_left, read).run(&plan)
            }
            Understood::Absent(parts) => {
                let labels: Vec<&str> =
                    parts.iter().filter_map(|index| words.absent.get(*index)).map(|absent| absent.label.as_str()).collect();
                unanswered(format!("The lake holds no {}, so I cannot answer this.", labels.join(" and no ")))
            }
            Understood::Not(parts) if parts.is_empty() => unanswered("I did not understand what you are asking for.".into()),
            Understood::Not(parts) => {
                let quoted: Vec<String> = parts.iter().map(|part| format!("“{}”", answer::escape(part))).collect();
                unanswered(format!("I did not understand {}, and I do not guess.", quoted.join(" and ")))
            }
            Understood::Foreign => {
                unanswered("I did not understand this question: most of its words mean nothing to me. I only read English.".into())
            }
            Understood::Help => unanswered(answer::help(words)),
            Understood::FollowUp => unanswered("I keep no context between questions: ask the whole question.".into()),
        }
    }

    /// The answer with examples where it has none of its own, and the planner's signature.
    fn signed(&self, mut answer: Answer, question: &str, language: Option<&str>) -> Answer {
        if answer.suggested_questions.is_empty() {
            answer.suggested_questions = self.examples(question);
        }
        if answer.basis == AnswerBasis::None {
            let lines: Vec<String> = answer.suggested_questions.iter().map(|example| format!("- {example}")).collect();
            if !lines.is_empty() {
                answer.text.push_str(&format!("\n\nQuestions that work:\n\n{}", lines.join("\n")));
            }
        }
        if !answer.assumptions.is_empty() {
            answer.text.push_str(&format!("\n\nAssumed: {}.", answer.assumptions.join("; ")));
        }
        let other = language.is_some_and(|tag| !tag.to_ascii_lowercase().starts_with("en"));
        let note = if other { " It writes English only." } else { "" };
        answer.text.push_str(&format!("\n\n{SIGNATURE}{note}"));
        answer
    }

    /// The questions of the catalog that are surely answered.
    fn understood(&self) -> Vec<&String> {
        match self.catalog.planner {
            Some(_) => self.catalog.questions.iter().collect(),
            None => self.catalog.queries.iter().map(|query| &query.question).collect(),
        }
    }

    /// Examples of the catalog, other ones for other questions.
    fn examples(&self, question: &str) -> Vec<String> {
        let questions = self.understood();
        let from = question.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        let start = if questions.is_empty() { 0 } else { from % questions.len() };
        questions
            .iter()
            .cycle()
            .skip(start)
            .take(questions.len())
            .filter(|example| !example.eq_ignore_ascii_case(question.trim()))
            .take(EXAMPLES)
            .map(|example| (*example).clone())
            .collect()
    }
}

fn unanswered(text: String) -> Stop {
    Stop::Answer(Box::new(Answer { text, basis: AnswerBasis::None, assumptions: Vec::new(), suggested_questions: Vec::new() }))
}

/// The question of the last turn and what came of its queries.
fn last_turn(transcript: &[Entry]) -> (&str, Vec<&Result<super::Shown, String>>) {
    let start = transcript.iter().rposition(|entry| matches!(entry, Entry::Question(_)));
    let question = start.and_then(|at| transcript.get(at)).map_or("", |entry| if let Entry::Question(text) = entry { text } else { "" });
    let after = transcript.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
    let results = after.iter().filter_map(|entry| if let Entry::Query { result, .. } = entry { Some(result) } else { None }).collect();
    (question, results)
}

#[async_trait]
impl Model for Planner {
    fn kind(&self) -> &'static str {
        "offline planner"
    }

    fn remembers(&self) -> bool {
        false
    }

    fn name(&self) -> &str {
        "asklake offline planner"
    }

    fn caveat(&self) -> Option<String> {
        if self.catalog.planner.is_some() {
            return None;
        }
        let refused = match self.catalog.queries.len() {
            0 => "every question",
            _ => "every question that is not word for word a verified query of the catalog",
        };
        Some(format!(
            "It will refuse {refused}, because the catalog has no `planner` section: add one (docs/catalog.md) or configure a language model (docs/models.md)."
        ))
    }

    /// Another version of the planner may decide otherwise: it goes in as well.
    fn fingerprint(&self, request: &Request) -> String {
        super::digest(&serde_json::json!([env!("CARGO_PKG_VERSION"), *self.catalog, request]))
    }

    /// At once and whole: there is nothing to tell meanwhile.
    async fn reply(&self, request: &Request, _listener: &Listener<'_>) -> Result<Reply, Error> {
        Ok(Reply { decision: self.decide(request), prompt_tokens: 0, completion_tokens: 0 })
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}
