//! The Databricks adapters: statements on a SQL warehouse, and runs of a job with a notebook.
//!
//! Owns what both share: the workspace with its sign-in, and how a run is waited for. Judges no statement (that is the guard) and keeps no
//! rows: they stay in the workspace, so that every instance of asklake finds a run by its id.
//!
//! Facts of the protocol are from the official SDKs for Python and Go (August 2026). Enums of the API are open there: a value that is not
//! known here never fails a query by itself.

mod auth;
mod behalf;
mod cells;
mod client;
mod jobs;
mod seal;
mod statements;

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

pub use auth::Credential;
pub use behalf::{ClientProof, Exchange, Persons};
pub use jobs::{Job, Parameters};
pub use seal::Seal;
pub use statements::SqlWarehouse;

use super::{Error, RunState};
use crate::conversation::Phase;

/// First pause between two looks at a run, and the longest: each next one is half as long again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A workspace and how to sign in there.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its address without a path, such as `https://adb-1234567890123456.7.azuredatabricks.net`.
    pub host: String,
    /// How to sign in.
    pub credential: Credential,
}

/// Looks at a run until it has ended, its phase is another one than `known`, or `wait` is over. `look` gets the number of looks before it.
async fn until_news<L: Future<Output = Result<RunState, Error>>>(
    known: Phase,
    wait: Duration,
    look: impl Fn(usize) -> L,
) -> Result<RunState, Error> {
    let until = Instant::now() + wait;
    let (mut pause, longest) = PAUSES;
    let mut looks = 0;
    loop {
        let state = look(looks).await?;
        let left = until.saturating_duration_since(Instant::now());
        if state != RunState::Running(known) || left.is_zero() {
            return Ok(state);
        }
        sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(longest);
        looks += 1;
    }
}
