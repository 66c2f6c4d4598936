//! The local warehouse: Sail, a Spark SQL engine, as a child process over the Parquet lake.
//!
//! Owns when a process is started, what becomes of the queries of one that stopped, and who answers for too much memory. A query that
//! was stopped for another's sake, or together with others so that nobody knows whose fault it was, runs again, alone: then it answers
//! for itself. So no innocent query fails, and a runaway one fails for good and is not launched again. Only when somebody else ended Sail
//! are its runs lost.

mod engine;
mod lake;
mod process;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use lake::row_count;

use super::{
    Error, Run, RunState, Statement, Warehouse,
    flight::{self, Bounds, Failure, Keep, Names, RESULT_BYTES, Report, Runs, permits},
    time_limit_passed,
};
use crate::{
    conversation::{Phase, RunId},
    sql::Catalog,
};
use engine::{Engine, Running};
use lake::Lake;
use process::Stop;

/// A process that lived shorter than this when it ended by itself counts as a failed start.
const STEADY: Duration = Duration::from_secs(60);
/// Time for the end of the process to be noticed once its connection broke.
const NOTICE: Duration = Duration::from_secs(2);

/// Where Sail and the lake are, and what queries may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// The `sail` command (`SAIL_BIN`).
    pub binary: PathBuf,
    /// The lake: one folder per schema, one file or folder of Parquet files per table (`LAKE_DIR`).
    pub lake: PathBuf,
    /// Resident memory of the process, in bytes. Half of it is what queries can allocate before they must spill or fail.
    pub memory_limit: u64,
    /// How long a query may run, from the moment it is sent.
    pub query_time_limit: Duration,
    /// Queries sent at the same time; further ones queue.
    pub max_concurrency: usize,
}

impl Config {
    /// The configuration for `binary` and `lake` with the default limits: half of the machine's memory but at most 4 GiB, 120 s, and
    /// one query per core.
    #[must_use]
    pub fn new(binary: PathBuf, lake: PathBuf) -> Self {
        Self {
            binary,
            lake,
            memory_limit: engine::default_memory_limit(),
            query_time_limit: Duration::from_secs(120),
            max_concurrency: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

/// Sail over a lake. Started on first use; ended when this is dropped, and also when this process is killed.
#[derive(Debug)]
pub struct Sail {
    runs: Runs,
    host: Arc<Host>,
    _end: DropGuard,
}

#[derive(Debug)]
struct Host {
    config: Config,
    names: Names,
    lake: Lake,
    /// What may run: one permit for a query among others, all of them for one alone.
    permits: Semaphore,
    slot: Mutex<Slot>,
    shutdown: CancellationToken,
}

#[derive(Debug, Default)]
struct Slot {
    engine: Option<Arc<Engine>>,
    /// Starts in a row that failed, or that did not live long.
    failures: u32,
    /// The last failure, while another try would be too early.
    failed: Option<(Instant, String)>,
}

/// Whether a query shares the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    Shared,
    Alone,
}

/// What came of a query.
enum Attempt {
    Ended(RunState),
    /// It was stopped and nobody knows whether it is to blame.
    Unclear,
}

impl Sail {
    /// Sail for the tables and views of `catalog`. Starts nothing yet.
    #[must_use]
    pub fn new(config: Config, catalog: &Catalog) -> Self {
        let config = Config { max_concurrency: config.max_concurrency.clamp(1, 1_000), ..config };
        let shutdown = CancellationToken::new();
        let host = Host {
            names: Names::of(catalog),
            lake: Lake::new(config.lake.clone(), catalog),
            permits: Semaphore::new(config.max_concurrency),
            slot: Mutex::default(),
            shutdown: shutdown.clone(),
            config,
        };
        Self { runs: Runs::new(Keep::default()), host: Arc::new(host), _end: shutdown.drop_guard() }
    }

    /// Address of the running Sail, for a Flight SQL client of one's own; it changes with every restart. Starts Sail if need be.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn url(&self) -> Result<String, Error> {
        Ok(self.host.engine().await?.url.clone())
    }

    /// Process id of the running Sail, if one runs.
    pub async fn pid(&self) -> Option<u32> {
        let slot = self.host.slot.lock().await;
        slot.engine.as_ref().filter(|engine| engine.process.is_running()).map(|engine| engine.process.pid())
    }

    /// Ends Sail and waits until it is gone. Later calls find the warehouse unavailable.
    pub async fn shutdown(&self) {
        self.host.shutdown.cancel();
        let engine = self.host.slot.lock().await.engine.take();
        if let Some(engine) = engine {
            engine.process.stopped().await;
        }
    }
}

impl Host {
    /// The running engine; starts one if there is none.
    async fn engine(&self) -> Result<Arc<Engine>, Error> {
        let mut slot = self.slot.lock().await;
        if let Some(engine) = &slot.engine {
            if engine.process.is_running() {
                return Ok(Arc::clone(engine));
            }
            // Two at a time would be too much for the memory.
            engine.process.stopped().await;
        }
        if self.shutdown.is_cancelled() {
            return Err(Error::Unavailable { detail: "asklake is shutting down".into(), retry_after: None });
        }
        slot.retire();
        slot.wait().await?;
        match self.start().await {
            Ok(engine) => {
                slot.failed = None;
                slot.engine = Some(Arc::clone(&engine));
                Ok(engine)
            }
            Err(Error::Unavailable { detail, .. }) => {
                slot.failures = slot.failures.saturating_add(1);
                slot.failed = Some((Instant::now(), detail.clone()));
                Err(Error::Unavailable { detail, retry_after: Some(slot.delay()) })
            }
            // Waiting helps nobody where a person has to act.
            Err(error) => Err(error),
        }
    }

    async fn start(&self) -> Result<Arc<Engine>, Error> {
        // Footers and folders are looked at again on every start: an import may have made what was missing.
        let statements = self.lake.statements().map_err(Error::Misconfigured)?;
        Engine::start(&self.config, &statements, &self.shutdown).await.map_err(|error| match error {
            Error::Unavailable { detail, retry_after } => Error::Unavailable { detail: self.with_unreadable(detail), retry_after },
            other => other,
        })
    }

    async fn run(self: Arc<Self>, sql: String, rows: u64, report: Report) -> RunState {
        if let Attempt::Ended(state) = self.attempt(&sql, rows, Company::Shared, &report).await {
            return state;
        }
        tracing::info!("running a query again, alone");
        match self.attempt(&sql, rows, Company::Alone, &report).await {
            Attempt::Ended(state) => state,
            Attempt::Unclear => RunState::Lost,
        }
    }

    async fn attempt(self: &Arc<Self>, sql: &str, rows: u64, company: Company, report: &Report) -> Attempt {
        let wanted = if company == Company::Alone { self.all_permits() } else { 1 };
        let Ok(_permits) = permits(&self.permits, wanted, report).await else { return Attempt::Ended(RunState::Lost) };
        let Ok(engine) = self.engine().await else { return Attempt::Ended(RunState::Lost) };
        let _running: Running = engine.begin();
        let had_company = engine.running() > 1;
        let unfinished = Unfinished { host: Arc::clone(self), engine: Some(Arc::clone(&engine)) };
        let query = timeout(self.config.query_time_limit, engine.client.query(sql, Bounds { rows, bytes: RESULT_BYTES }));
        let end = tokio::select! {
            biased;
            why = engine.process.stopped() => return self.stopped(why, company),
            end = query => end,
        };
        let Ok(end) = end else { return Attempt::Ended(RunState::Failed(time_limit_passed(self.config.query_time_limit))) };
        unfinished.defuse();
        match end {
            Ok(result) => Attempt::Ended(RunState::Succeeded(result)),
            Err(Failure::Connection(cause)) => {
                tracing::debug!(cause, "the connection to Sail broke");
                match timeout(NOTICE, engine.process.stopped()).await {
                    Ok(why) => self.stopped(why, company),
                    Err(_) => Attempt::Ended(RunState::Lost),
                }
            }
            Err(Failure::Statement(message)) => {
                // The pool is shared: with company it may have been the others that exhausted it.
                if message.contains("Resources exhausted") && company == Company::Shared && (had_company || engine.running() > 1) {
                    return Attempt::Unclear;
                }
                // The session does not come back: only another process helps.
                if message.contains("is not running") && message.contains("session") {
                    engine.process.stop(Stop::Leftover);
                    return Attempt::Unclear;
                }
                Attempt::Ended(RunState::Failed(self.with_unreadable(self.names.explain(&message, sql))))
            }
        }
    }

    /// What went wrong, with the files that cannot be read where it may be for them: Sail names none.
    fn with_unreadable(&self, told: String) -> String {
        let unreadable = if told.contains("Parquet error") { self.lake.unreadable() } else { Vec::new() };
        if unreadable.is_empty() { told } else { format!("{told}; files of the lake that are no Parquet: {}", unreadable.join(", ")) }
    }

    fn all_permits(&self) -> u32 {
        u32::try_from(self.config.max_concurrency).unwrap_or(u32::MAX)
    }

    /// What the end of the process means for a query that was running.
    fn stopped(&self, why: Stop, company: Company) -> Attempt {
        match why {
            Stop::Exited | Stop::Shutdown => Attempt::Ended(RunState::Lost),
            Stop::Memory if company == Company::Alone => Attempt::Ended(RunState::Failed(memory_limit_passed(self.config.memory_limit))),
            Stop::Crashed if company == Company::Alone => Attempt::Ended(RunState::Failed(CRASHED.into())),
            Stop::Memory | Stop::Crashed | Stop::Leftover => Attempt::Unclear,
        }
    }
}

impl Slot {
    /// Takes note of how the engine before ended.
    fn retire(&mut self) {
        let Some(engine) = self.engine.take() else { return };
        let failed = matches!(engine.process.why_stopped(), Some(Stop::Exited | Stop::Crashed)) && engine.age() < STEADY;
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
    }

    /// Between starts that fail: 0.25, 0.5, … 8 s.
    fn delay(&self) -> Duration {
        Duration::from_millis(125 << self.failures.min(6))
    }

    /// Waits as long as the failures before ask for; right after a failed start its error is the answer.
    async fn wait(&mut self) -> Result<(), Error> {
        if self.failures == 0 {
            return Ok(());
        }
        match &self.failed {
            Some((at, detail)) if at.elapsed() < self.delay() => {
                Err(Error::Unavailable { detail: detail.clone(), retry_after: Some(self.delay().saturating_sub(at.elapsed())) })
            }
            Some(_) => Ok(()),
            None => {
                tokio::time::sleep(self.delay()).await;
                Ok(())
            }
        }
    }
}

/// A query that has not ended. Dropped, it sees to it that the engine stops working on it.
struct Unfinished {
    host: Arc<Host>,
    engine: Option<Arc<Engine>>,
}

impl Unfinished {
    fn defuse(mut self) {
        self.engine = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(engine) = self.engine.take().filter(|engine| engine.process.is_running()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let host = Arc::clone(&self.host);
        runtime.spawn(async move {
            tokio::select! {
                () = engine.settle(&host.permits, host.all_permits()) => {}
                () = host.shutdown.cancelled() => {}
            }
        });
    }
}

const CRASHED: &str = "the query made the warehouse crash; write it in a simpler way, without very long or deeply nested expressions";

fn memory_limit_passed(limit: u64) -> String {
    const MIB: u64 = 1 << 20;
    let limit =
        if limit >= 1 << 30 && limit.is_multiple_of(1 << 30) { format!("{} GiB", limit >> 30) } else { format!("{} MiB", limit / MIB) };
    format!(
        "the query used more than {limit} of memory and was stopped; filter or aggregate earlier, select fewer columns, \
         or avoid joins without keys and functions that build very long values"
    )
}

#[async_trait]
impl Warehouse for Sail {
    fn kind(&self) -> &'static str {
        "sail"
    }

    async fn launch(&self, statement: &Statement) -> Result<Run, Error> {
        if let Some(run) = self.runs.known(&statement.token) {
            return Ok(run);
        }
        self.host.engine().await?;
        let (host, rows) = (Arc::clone(&self.host), statement.max_rows);
        let sql = flight::text(statement, &host.names)?;
        self.runs.launch(&statement.token, move |report| host.run(sql, rows, report))
    }

    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, Error> {
        Ok(self.runs.poll(run, known, wait).await)
    }

    async fn cancel(&self, run: &RunId) -> Result<(), Error> {
        self.runs.cancel(run);
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        self.host.engine().await.map(drop)
    }

    fn is_free(&self) -> bool {
        true
    }
}
