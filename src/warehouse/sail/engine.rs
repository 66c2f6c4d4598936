//! One start of Sail: a process that knows the lake, a connection to it, and the watch over its memory and its leftovers.
//!
//! Owns what is decided for one process; when to start the next one is decided in `sail`.
//!
//! Tried with Sail 0.7.2:
//! - Its own memory pool (`fair`) makes most runaway queries (collect_list, GROUP BY on a key, sorts) fail by themselves with "Resources
//!   exhausted", spilling first where they can. It does not see all memory: `repeat('a', 1000000000)` took 2.5 GB beside a pool of
//!   0.5 GB and went on growing after its stream was dropped. So the pool gets half of the limit, and the resident memory is watched.
//! - All clients share one session, which idle for `flight.session_timeout_secs` (1 h) is removed with all tables, for good: "session
//!   flight-default is not running". So that time is set to years.
//! - A nested-loop join occupies its runtime thread without a break, so there must be more threads than it can occupy.
//! - An expression of 1,000 terms overflows its stack of 8 MiB, which ends the process. 64 MiB (of which only what is used is taken) carry
//!   3,000.
//! - A server started on a taken port exits at once, but a client may by then have reached the port's other owner. So each start has a
//!   database of a random name, and an engine is only used when it knows it.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Config,
    process::{Process, Stop},
};
use crate::warehouse::{
    Error,
    flight::{Bounds, Client, Failure},
};

/// Time from the start of the process to its first answer; 0.3 s is usual.
const READY: Duration = Duration::from_secs(10);
/// Between two looks at the memory while queries run.
const TICK: Duration = Duration::from_millis(250);
/// Between two looks while none runs.
const IDLE_TICK: Duration = Duration::from_secs(5);
/// Ports tried, should one be taken by somebody else between its choice and its use.
const PORTS: usize = 5;
/// Time for stopped work to end by itself.
const SETTLE: Duration = Duration::from_secs(2);
/// Time to wait for a moment without queries, in which stopped work can be told from theirs.
const GAP: Duration = Duration::from_secs(30);
/// Share of one core, in percent, up to which an engine does nothing to speak of.
const QUIET: f32 = 20.0;

/// A running Sail that knows the lake, or one that has stopped.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) client: Client,
    pub(super) process: Process,
    pub(super) url: String,
    started: Instant,
    running: watch::Sender<usize>,
}

/// Why an engine could not be started.
#[derive(Debug)]
enum Unstarted {
    /// The port is somebody else's.
    Port,
    /// The command is not there: only a person can put that right.
    Missing(String),
    /// Anything else, with what to do about it.
    Other(String),
}

impl Engine {
    /// Starts a process and shows it the lake by `statements`.
    ///
    /// # Errors
    /// What happened and what to do; [`Error::Misconfigured`] when the command is not there.
    pub(super) async fn start(config: &Config, statements: &[String], shutdown: &CancellationToken) -> Result<Arc<Self>, Error> {
        for _ in 0..PORTS {
            match Self::start_once(config, statements, shutdown).await {
                Ok(engine) => return Ok(engine),
                Err(Unstarted::Port) => {}
                Err(Unstarted::Missing(detail)) => return Err(Error::Misconfigured(detail)),
                Err(Unstarted::Other(detail)) => return Err(Error::Unavailable { detail, retry_after: None }),
            }
        }
        Err(Error::Unavailable { detail: format!("Sail found none of {PORTS} ports of 127.0.0.1 free"), retry_after: None })
    }

    async fn start_once(config: &Config, statements: &[String], shutdown: &CancellationToken) -> Result<Arc<Self>, Unstarted> {
        let port = free_port().map_err(|error| Unstarted::Other(format!("no port of 127.0.0.1 is free: {error}")))?;
        let mark = format!("asklake_{}", Uuid::new_v4().simple());
        let began = Instant::now();
        let process = Process::spawn(&config.binary, port, &settings(config, &mark), shutdown.clone())
            .map_err(|error| Unstarted::Missing(no_binary(&config.binary, &error)))?;
        let url = format!("http://127.0.0.1:{port}");
        let client = tokio::select! {
            client = connect(&url, &mark) => client?,
            _ = process.stopped() => return Err(exited(&process)),
            () = sleep(READY) => {
                let lines = process.last_lines();
                return Err(Unstarted::Other(format!("Sail did not answer within {READY:?} of its start: {lines}")));
            }
        };
        for statement in statements {
            client.query(statement, BOUNDS).await.map_err(|failure| {
                let (Failure::Statement(cause) | Failure::Connection(cause)) = failure;
                Unstarted::Other(format!("Sail could not be shown the lake: {cause} (in {statement})"))
            })?;
        }
        tracing::info!(pid = process.pid(), url, millis = began.elapsed().as_millis(), "Sail started");
        let engine = Arc::new(Self { client, process, url, started: Instant::now(), running: watch::Sender::new(0) });
        tokio::spawn(watch_memory(Arc::downgrade(&engine), config.memory_limit));
        Ok(engine)
    }

    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Queries that run now.
    pub(super) fn running(&self) -> usize {
        *self.running.borrow()
    }

    /// Counts a query as running while the value lives.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.running.send_modify(|running| *running += 1);
        Running { engine: Arc::clone(self) }
    }

    /// Makes sure that a query that was stopped before its end does not go on computing: stops the process when it computes for a while
    /// though no query runs. When there is no such moment by itself, it makes one: `permits`, all `queries` of them, are what runs.
    pub(super) async fn settle(&self, permits: &Semaphore, queries: u32) {
        let mut usage = Usage::of(self.process.pid());
        let settled = match timeout(GAP, self.settles(&mut usage)).await {
            Ok(settled) => settled,
            Err(_) => {
                let _alone = permits.acquire_many(queries).await;
                self.settles(&mut usage).await
            }
        };
        if !settled {
            tracing::warn!(pid = self.process.pid(), "Sail goes on computing a query that was stopped: restarting it");
            self.process.stop(Stop::Leftover);
            self.process.stopped().await;
        }
    }

    /// True once the process is quiet or gone; false once it has been busy for [`SETTLE`] without a query.
    async fn settles(&self, usage: &mut Usage) -> bool {
        let mut busy_since = Instant::now();
        while busy_since.elapsed() < SETTLE {
            sleep(TICK).await;
            if usage.refresh().is_none_or(|sample| sample.cpu < QUIET) || !self.process.is_running() {
                return true;
            }
            if self.running() > 0 {
                busy_since = Instant::now();
            }
        }
        false
    }
}

/// A query that runs.
#[derive(Debug)]
pub(super) struct Running {
    engine: Arc<Engine>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.engine.running.send_modify(|running| *running -= 1);
    }
}

/// For statements of our own: their rows are of no interest.
const BOUNDS: Bounds = Bounds { rows: 1, bytes: 1 << 20 };

/// A port that is free now. Sail takes no port 0 that it would tell us of.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn settings(config: &Config, mark: &str) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = (cores * (config.max_concurrency + 1) + 2).min(64);
    vec![
        ("SAIL_MODE", "local".into()),
        ("SAIL_CATALOG__LIST", format!(r#"[{{name="sail", type="memory", initial_database=["{mark}"]}}]"#)),
        ("SAIL_CATALOG__DEFAULT_DATABASE", format!(r#"["{mark}"]"#)),
        ("SAIL_FLIGHT__SESSION_TIMEOUT_SECS", (10_u64 * 365 * 24 * 3_600).to_string()),
        ("SAIL_RUNTIME__STACK_SIZE", (64_u64 << 20).to_string()),
        ("SAIL_EXECUTION__DEFAULT_PARALLELISM", cores.to_string()),
        ("SAIL_RUNTIME__MEMORY_POOL__TYPE", "fair".into()),
        ("SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE", (config.memory_limit / 2).to_string()),
        ("SAIL_RUNTIME__TEMPORARY_FILES__MAX_SIZE", config.memory_limit.saturating_mul(2).to_string()),
        ("TOKIO_WORKER_THREADS", threads.to_string()),
    ]
}

fn no_binary(binary: &Path, error: &std::io::Error) -> String {
    let binary = binary.display();
    if error.kind() == std::io::ErrorKind::NotFound {
        format!("Sail is not installed: there is no {binary}; run `make tools`, or set SAIL_BIN to the path of a `sail` command")
    } else {
        format!("Sail cannot be started from {binary} ({error}); run `make tools`, or set SAIL_BIN to the path of a `sail` command")
    }
}

fn exited(process: &Process) -> Unstarted {
    let lines = process.last_lines();
    if lines.contains("Address already in use") { Unstarted::Port } else { Unstarted::Other(format!("Sail ended at its start: {lines}")) }
}

/// Connects once the server answers; fails when it is not the one with `mark`.
async fn connect(url: &str, mark: &str) -> Result<Client, Unstarted> {
    loop {
        if let Ok(client) = Client::connect(url, None).await
            && let Ok(answer) = client.query("SELECT current_database()", BOUNDS).await
        {
            let is_ours = answer.rows.iter().flatten().any(|cell| cell == mark);
            return if is_ours { Ok(client) } else { Err(Unstarted::Port) };
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Stops the process when its resident memory passes `limit` bytes.
async fn watch_memory(engine: std::sync::Weak<Engine>, limit: u64) {
    let (mut running, mut usage) = match engine.upgrade() {
        Some(engine) => (engine.running.subscribe(), Usage::of(engine.process.pid())),
        None => return,
    };
    loop {
        let is_busy = *running.borrow_and_update() > 0;
        if is_busy {
            sleep(TICK).await;
        } else if timeout(IDLE_TICK, running.wait_for(|running| *running > 0)).await.is_ok_and(|changed| changed.is_err()) {
            return;
        }
        let Some(engine) = engine.upgrade().filter(|engine| engine.process.is_running()) else { return };
        let Some(Sample { memory, .. }) = usage.refresh() else { return };
        let (pid, queries) = (engine.process.pid(), engine.running());
        if memory > limit {
            tracing::warn!(pid, memory, limit, queries, "Sail uses too much memory: restarting it");
            return engine.process.stop(Stop::Memory);
        }
        // The allocator keeps what a large query took; the next one is not to be blamed for it.
        if queries == 0 && memory > limit / 2 {
            tracing::info!(pid, memory, limit, "Sail keeps memory that no query needs: restarting it");
            return engine.process.stop(Stop::Leftover);
        }
    }
}

/// What a process uses, as the operating system tells.
struct Usage {
    pid: Pid,
    /// Absent where the operating system does not tell.
    system: Option<System>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Resident memory in bytes.
    memory: u64,
    /// Percent of one core since the sample before.
    cpu: f32,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let mut usage = Self { pid: Pid::from_u32(pid), system: System::new().ok() };
        usage.refresh();
        usage
    }

    fn refresh(&mut self) -> Option<Sample> {
        let kind = ProcessRefreshKind::nothing().with_memory().with_cpu();
        let system = self.system.as_mut()?;
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[self.pid]), true, kind);
        system.process(self.pid).map(|process| Sample { memory: process.memory(), cpu: process.cpu_usage() })
    }
}

/// Half of the machine's memory, at most 4 GiB.
pub(super) fn default_memory_limit() -> u64 {
    const MOST: u64 = 4 << 30;
    let Ok(mut system) = System::new() else { return MOST };
    system.refresh_memory();
    // In a container the machine's memory is not ours.
    let total = system.cgroup_limits().map_or_else(|| system.total_memory(), |limits| limits.total_memory.min(system.total_memory()));
    match total / 2 {
        0 => MOST,
        half => half.min(MOST),
    }
}
