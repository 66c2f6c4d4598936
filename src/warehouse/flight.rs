//! The Flight SQL adapter: any Arrow Flight SQL endpoint that speaks Spark SQL, such as a Sail cluster.
//!
//! Owns the connection and the runs of this process; a run does not outlive the process, so after a restart it is lost and launched
//! again. Starts no server (that is `sail`) and does not judge statements (that is the guard).

mod cells;
mod client;
mod faults;
mod runs;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{Mutex, Semaphore};

#[cfg(feature = "azure")]
pub(super) use cells::{decimal, float, single, size};
pub(super) use client::{Bounds, Client, Failure};
pub(super) use faults::Names;
pub use runs::Keep;
pub(super) use runs::{Report, Runs, permits};

use super::{Error, Run, RunState, Statement, Warehouse, parameters, time_limit_passed};
use crate::{
    conversation::{Phase, RunId},
    sql::Catalog,
};

/// Memory that the rows of one result take at most, in bytes; further rows are cut off and the result is `truncated`.
pub const RESULT_BYTES: usize = 8 << 20;

/// Where the endpoint is and what a query may use.
#[derive(Clone)]
pub struct Config {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// How long a query may run, from the moment it is sent.
    pub query_time_limit: Duration,
    /// Queries sent at the same time; further ones queue.
    pub max_concurrency: usize,
}

/// Without the token.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("query_time_limit", &self.query_time_limit)
            .field("max_concurrency", &self.max_concurrency)
            .finish()
    }
}

/// A Flight SQL endpoint.
#[derive(Debug)]
pub struct FlightSql {
    runs: Runs,
    link: Arc<Link>,
}

#[derive(Debug)]
struct Link {
    config: Config,
    names: Names,
    permits: Semaphore,
    /// Made on first use, and again after it broke.
    client: Mutex<Option<Client>>,
}

impl FlightSql {
    /// An adapter for the endpoint of `config`, whose tables are those of `catalog`. Connects on first use.
    #[must_use]
    pub fn new(config: Config, catalog: &Catalog) -> Self {
        let permits = Semaphore::new(config.max_concurrency.max(1));
        let link = Link { names: Names::of(catalog), permits, client: Mutex::new(None), config };
        Self { runs: Runs::new(Keep::default()), link: Arc::new(link) }
    }
}

impl Link {
    async fn client(&self) -> Result<Client, Error> {
        let mut slot = self.client.lock().await;
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let Config { url, token, .. } = &self.config;
        let client = Client::connect(url, token.clone()).await.map_err(|cause| Error::Unavailable {
            detail: format!("no Flight SQL server answers at {url} ({cause}); check FLIGHT_SQL_URL and that the server runs"),
            retry_after: None,
        })?;
        *slot = Some(client.clone());
        Ok(client)
    }

    async fn run(&self, sql: String, rows: u64, report: Report) -> RunState {
        let Ok(_permit) = permits(&self.permits, 1, &report).await else { return RunState::Lost };
        let client = match self.client().await {
            Ok(client) => client,
            Err(error) => return self.lost(&error.to_string()).await,
        };
        let query = client.query(&sql, Bounds { rows, bytes: RESULT_BYTES });
        match tokio::time::timeout(self.config.query_time_limit, query).await {
            Ok(Ok(result)) => RunState::Succeeded(result),
            Ok(Err(Failure::Statement(message))) => RunState::Failed(self.names.explain(&message, &sql)),
            Ok(Err(Failure::Connection(cause))) => self.lost(&cause).await,
            Err(_) => RunState::Failed(time_limit_passed(self.config.query_time_limit)),
        }
    }

    /// The next launch makes a new connection, and says so if nobody answers.
    async fn lost(&self, cause: &str) -> RunState {
        tracing::warn!(url = self.config.url, cause, "lost a query with its Flight SQL connection");
        *self.client.lock().await = None;
        RunState::Lost
    }
}

/// The statement as the engine is to get it: with its parameters, and with names in the case that the engine has them in.
///
/// # Errors
/// [`Error::Refused`] when it cannot be read.
pub(super) fn text(statement: &Statement, names: &Names) -> Result<String, Error> {
    let bound = parameters::bind(&statement.sql, &statement.parameters).map_err(Error::Refused)?;
    Ok(names.as_spelled(&bound).into_owned())
}

#[async_trait]
impl Warehouse for FlightSql {
    fn kind(&self) -> &'static str {
        "flight_sql"
    }

    async fn launch(&self, statement: &Statement) -> Result<Run, Error> {
        if let Some(run) = self.runs.known(&statement.token) {
            return Ok(run);
        }
        self.link.client().await?;
        let (link, rows) = (Arc::clone(&self.link), statement.max_rows);
        let sql = text(statement, &link.names)?;
        self.runs.launch(&statement.token, move |report| async move { link.run(sql, rows, report).await })
    }

    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, Error> {
        Ok(self.runs.poll(run, known, wait).await)
    }

    async fn cancel(&self, run: &RunId) -> Result<(), Error> {
        self.runs.cancel(run);
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        let client = self.link.client().await?;
        match client.query("SELECT 1", Bounds { rows: 1, bytes: RESULT_BYTES }).await {
            Ok(_) => Ok(()),
            Err(Failure::Connection(cause) | Failure::Statement(cause)) => {
                *self.link.client.lock().await = None;
                let url = &self.link.config.url;
                let detail = format!("the Flight SQL server at {url} does not answer SELECT 1 ({cause})");
                Err(Error::Unavailable { detail, retry_after: None })
            }
        }
    }

    fn is_free(&self) -> bool {
        true
    }
}
