//! A warehouse whose results are recorded, or played from a recording: a statement that ran before gives what it gave then.
//!
//! Without either it passes everything through and is only counted. Recorded are rows and errors; not what the warehouse calls a run,
//! and no page about it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Error, Run, RunState, Statement, Warehouse};
use crate::{
    conversation::{Phase, ResultSet, RunId},
    tape::{Port, Tape},
};

/// A warehouse and the tape before it.
pub struct Recorded {
    live: Arc<dyn Warehouse>,
    tape: Arc<Tape>,
    /// Live runs that have not been seen to end.
    launched: Mutex<HashMap<RunId, Launched>>,
}

struct Launched {
    key: String,
    sql: String,
    at: Instant,
}

/// What a warehouse gives for a statement.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Given {
    Rows(ResultSet),
    Failed(String),
    Refused(String),
}

/// Begins the name of a run that is played.
const PLAYED: &str = "recorded-";

impl Recorded {
    /// `live` behind `tape`.
    #[must_use]
    pub fn new(live: Arc<dyn Warehouse>, tape: Arc<Tape>) -> Self {
        Self { live, tape, launched: Mutex::default() }
    }

    fn given(&self, key: &str) -> Option<Given> {
        serde_json::from_value(self.tape.find(Port::Warehouse, key)?.0).ok()
    }

    fn launched(&self) -> MutexGuard<'_, HashMap<RunId, Launched>> {
        self.launched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, run: &RunId, state: &RunState) {
        let given = match state {
            RunState::Running(_) => return,
            RunState::Succeeded(rows) => Some(Given::Rows(rows.clone())),
            RunState::Failed(error) => Some(Given::Failed(error.clone())),
            RunState::Canceled | RunState::Lost | RunState::TurnedAway(_) => None,
        };
        let Some(Launched { key, sql, at }) = self.launched().remove(run) else { return };
        self.tape.live(Port::Warehouse, &key, &sql, milliseconds(at), given.as_ref());
    }
}

#[async_trait]
impl Warehouse for Recorded {
    fn kind(&self) -> &'static str {
        self.live.kind()
    }

    async fn launch(&self, statement: &Statement) -> Result<Run, Error> {
        let (key, sql) = (key(statement), &statement.sql);
        if let Some(given) = self.given(&key) {
            self.tape.replayed(Port::Warehouse, &key, sql);
            return match given {
                Given::Refused(error) => Err(Error::Refused(error)),
                _ => Ok(Run { id: RunId::Text(format!("{PLAYED}{key}")), page_url: None, phase: Phase::Executing }),
            };
        }
        if self.tape.is_offline() {
            self.tape.missing(Port::Warehouse, sql);
            return Err(Error::Misconfigured("this statement is not recorded: run it live".into()));
        }
        let at = Instant::now();
        let launched = self.live.launch(statement).await;
        match &launched {
            Ok(run) => {
                self.launched().entry(run.id.clone()).or_insert(Launched { key, sql: sql.clone(), at });
            }
            Err(Error::Refused(error)) => {
                self.tape.live(Port::Warehouse, &key, sql, milliseconds(at), Some(&Given::Refused(error.clone())));
            }
            Err(Error::Unavailable { .. } | Error::Misconfigured(_) | Error::NotAdmitted(_)) => {}
        }
        launched
    }

    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, Error> {
        if let RunId::Text(id) = run
            && let Some(given) = id.strip_prefix(PLAYED).and_then(|key| self.given(key))
        {
            return Ok(match given {
                Given::Rows(rows) => RunState::Succeeded(rows),
                Given::Failed(error) | Given::Refused(error) => RunState::Failed(error),
            });
        }
        let state = self.live.poll(run, known, wait).await?;
        self.ended(run, &state);
        Ok(state)
    }

    async fn cancel(&self, run: &RunId) -> Result<(), Error> {
        match run {
            RunId::Text(id) if id.starts_with(PLAYED) => Ok(()),
            run => self.live.cancel(run).await,
        }
    }

    async fn probe(&self) -> Result<(), Error> {
        if self.tape.is_offline() { Ok(()) } else { self.live.probe().await }
    }

    fn is_free(&self) -> bool {
        self.live.is_free()
    }
}

/// Tells one statement from another, whoever launches it.
fn key(statement: &Statement) -> String {
    let parts = json!([statement.sql, statement.max_rows, format!("{:?}", statement.parameters)]);
    Uuid::new_v5(&Uuid::nil(), parts.to_string().as_bytes()).to_string()
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
