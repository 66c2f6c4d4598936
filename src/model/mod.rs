//! The model port: reads a transcript, decides on queries or writes the answer.
//!
//! A model sees the question, what it queried so far with rows or errors, and nothing else of the conversation. It must be
//! safe to ask twice: a crash between its reply and the commit asks again.

pub mod offline;
pub mod openai;
#[cfg(feature = "local")]
pub mod recorded;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::conversation::{Decision, Lookup, ResultSet};

/// What the model is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// BCP 47 tag of the language to answer in, where the client gave one.
    pub language: Option<String>,
    /// What was said so far, oldest first; the last entry is the question or the result of the last query.
    pub transcript: Vec<Entry>,
    /// Queries it may still decide on in this turn; at 0 it must answer.
    pub queries_left: u32,
}

/// An entry of the transcript.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Entry {
    /// A question of the user.
    Question(String),
    /// An answer of the model in an earlier turn.
    Answer(String),
    /// A query the model decided on, and what came of it.
    Query {
        /// The model's id of the call.
        call_id: String,
        /// The statement as the model wrote it, or that of its lookup.
        sql_query: String,
        /// What it looked up, where it did not write the statement itself.
        lookup: Option<Lookup>,
        /// Why it wanted it.
        reasoning: String,
        /// Its rows, at most [`ROWS_SHOWN`], or the error.
        result: Result<Shown, String>,
    },
    /// An answer to the last question that did not pass, and why. Always the last entry: the model is to put it right.
    Draft {
        /// The answer.
        text: String,
        /// What is wrong with it.
        objections: Vec<String>,
    },
}

/// Rows as the model sees them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// Columns and the first rows; `row_count` is what the query returned, not what is shown.
    pub result: ResultSet,
}

/// Rows of a result that a model is shown at most.
pub const ROWS_SHOWN: usize = 100;

/// What the model replied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What it decided.
    pub decision: Decision,
    /// Tokens it read.
    pub prompt_tokens: u64,
    /// Tokens it wrote.
    pub completion_tokens: u64,
}

/// Why a model did not reply.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be reached, was too busy or took too long; another try may work.
    #[error("the model is unavailable: {detail}")]
    Unavailable {
        /// What happened, for a person.
        detail: String,
        /// What it asked for.
        retry_after: Option<Duration>,
    },
    /// Something is missing that only a person can put right: it says what to do.
    #[error("{0}")]
    Misconfigured(String),
    /// It will not reply to this request, however often it is asked.
    #[error("the model refused the request: {0}")]
    Refused(String),
    /// It replied, and again after it was told what was wrong, but with nothing that can be worked with.
    #[error("the model's replies cannot be used: {detail}")]
    Unusable {
        /// What is wrong with the last one.
        detail: String,
        /// Tokens it read.
        prompt_tokens: u64,
        /// Tokens it wrote.
        completion_tokens: u64,
    },
}

/// Of what a piece of text is a part, while the model writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Of the answer.
    Answer,
    /// Of a statement.
    Sql,
    /// Of why the statement is wanted.
    Reasoning,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Answer, Self::Sql, Self::Reasoning];
}

/// A piece of a reply that is being written. Provisional: only the [`Reply`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Of what.
    pub part: Part,
    /// Whether it replaces what was written of this part so far, instead of following it: another try, or another statement.
    pub is_anew: bool,
    /// Whole characters.
    pub text: &'a str,
}

/// Is told of every piece, at once and in order; must return at once itself.
pub type Listener<'a> = dyn Fn(Piece<'_>) + Send + Sync + 'a;

/// The [`Listener`] where nobody listens.
pub fn unheard(_piece: Piece<'_>) {}

/// What tells one request from another, for [`Model::fingerprint`]: the same for the same parts.
#[must_use]
pub fn digest(parts: &serde_json::Value) -> String {
    Uuid::new_v5(&Uuid::nil(), parts.to_string().as_bytes()).to_string()
}

/// A language model, or what stands in for one.
#[async_trait]
pub trait Model: Send + Sync {
    /// Name of the kind of model, for `ready` and `check`, such as `offline planner`.
    fn kind(&self) -> &'static str;

    /// Name shown with every answer, such as a deployment's.
    fn name(&self) -> &str;

    /// Whether what it says may come from its memory instead of rows.
    fn remembers(&self) -> bool {
        true
    }

    /// What it cannot do here although it answers, for whoever sets it up; most can do everything.
    fn caveat(&self) -> Option<String> {
        None
    }

    /// A digest of all that the reply depends on: what would be sent for `request`, but neither address nor key.
    fn fingerprint(&self, request: &Request) -> String;

    /// Asks the model. One that writes bit by bit tells `listener` of it; any other may leave that out.
    ///
    /// # Errors
    /// Every [`Error`].
    async fn reply(&self, request: &Request, listener: &Listener<'_>) -> Result<Reply, Error>;

    /// Whether the model answers, at no cost.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Misconfigured`].
    async fn probe(&self) -> Result<(), Error>;
}
