//! The warehouse port: launches admitted statements, tells how they are doing, returns typed rows.
//!
//! Contract, proven for every adapter by `tests/it/contract/warehouse.rs`:
//! - `launch` with a token that is known gives the run of the first launch and starts nothing;
//! - a run that has not ended is in a phase; a poll returns early when the phase is another one than the caller knows, so that it can be
//!   shown; an engine that cannot tell its phases executes from the start;
//! - a run ends as succeeded, failed, canceled or lost, and stays so for as long as the warehouse keeps it;
//! - rows come typed, at most `max_rows` of them, and `truncated` is known, not guessed (the statement asks for one row more);
//! - parameters are values: nothing in them is read as SQL, and they come back as they were passed.

pub mod behalf;
#[cfg(feature = "azure")]
pub mod databricks;
pub mod flight;
pub mod parameters;
#[cfg(feature = "local")]
pub mod recorded;
#[cfg(feature = "local")]
pub mod sail;

use std::time::Duration;

use async_trait::async_trait;

use crate::conversation::{ConversationId, Phase, ResultSet, RunId};
pub use parameters::{Parameter, Value};

/// A statement to launch: one that the guard admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Identifies the decision, at most 64 characters: launching it twice gives the same run.
    pub token: String,
    /// Spark SQL, one read-only statement, with a limit of `max_rows + 1`.
    pub sql: String,
    /// Rows to return at most.
    pub max_rows: u64,
    /// What the statement names as `:name`.
    pub parameters: Vec<Parameter>,
    /// Whose statement it is, for who looks at the warehouse; none where no conversation asked for it.
    pub origin: Option<Origin>,
}

impl Statement {
    /// A statement without parameters that no conversation asked for.
    #[must_use]
    pub fn new(token: impl Into<String>, sql: impl Into<String>, max_rows: u64) -> Self {
        Self { token: token.into(), sql: sql.into(), max_rows, parameters: Vec::new(), origin: None }
    }
}

/// The decision that a statement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its turn, from 1.
    pub turn: u32,
    /// The number of the query in the conversation, from 1.
    pub query: u32,
}

/// A launched statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The warehouse's name for it.
    pub id: RunId,
    /// A page of the warehouse about it.
    pub page_url: Option<String>,
    /// What the warehouse is doing about it.
    pub phase: Phase,
}

/// How a run is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It has not ended.
    Running(Phase),
    /// It ended with rows.
    Succeeded(ResultSet),
    /// It ended with an error: what the user and the model are told, with the nearest existing name where one is unknown.
    Failed(String),
    /// It was canceled.
    Canceled,
    /// The warehouse does not know it (any more): the engine was restarted.
    Lost,
    /// It never ran, because the warehouse takes no further one now: why, and what to change. Under another token it may be launched later.
    TurnedAway(String),
}

/// Why a warehouse operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be reached or is too busy; another try may work.
    #[error("the warehouse is unavailable: {detail}")]
    Unavailable {
        /// What happened and what to do.
        detail: String,
        /// What it asked for.
        retry_after: Option<Duration>,
    },
    /// Something is missing that only a person can put right: it says what to do.
    #[error("{0}")]
    Misconfigured(String),
    /// It does not admit whoever it is asked in the name of: it says why, to them.
    #[error("{0}")]
    NotAdmitted(String),
    /// It will not run this statement, however often it is launched.
    #[error("the warehouse refused the statement: {0}")]
    Refused(String),
}

/// A Spark SQL engine.
#[async_trait]
pub trait Warehouse: Send + Sync {
    /// Name of the kind of warehouse, for `ready` and `check`.
    fn kind(&self) -> &'static str;

    /// Launches a statement, once per token.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Refused`].
    async fn launch(&self, statement: &Statement) -> Result<Run, Error>;

    /// How the run is doing. Waits up to `wait` for its end, or for a phase other than `known`, the one that the caller has been told last.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, Error>;

    /// Asks for the run to be stopped. Idempotent; an ended run stays as it is.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn cancel(&self, run: &RunId) -> Result<(), Error>;

    /// Whether the warehouse answers, at no cost where that can be.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn probe(&self) -> Result<(), Error>;

    /// Whether a statement costs nothing but time: it wakes no machine that is paid for. Then `check` may read from every table.
    fn is_free(&self) -> bool {
        false
    }
}

/// What a query is told that ran for too long.
#[must_use]
pub fn time_limit_passed(limit: Duration) -> String {
    format!("the query ran for more than {limit:?} and was stopped; filter or aggregate earlier, or ask for less")
}
