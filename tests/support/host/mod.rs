//! An emulator of the Azure Functions host: does to a custom handler what the host is known to do.
//!
//! It reads a Function App's own files, starts the handler with the host's environment and probes it, passes HTTP on in both ways,
//! listens on real queues (of Azurite) and posts envelopes, restarts the handler when it dies and kills it at `functionTimeout`.
//!
//! **No real host was run**: neither the host nor `func` can be installed where this was written. What it does follows the host's
//! documents, one captured envelope, and the host's source; statements that were only read in source are marked \[code\]. It differs
//! from a real host where that would only slow tests down: it restarts a dead handler without limit (a real one stops after the third
//! death within half an hour, and the platform starts it anew), and it has no function keys, no scale-out and no home page.

// The benches use a part of it.
#![allow(dead_code)]

mod app;
pub mod envelope;
mod front;
mod listener;
mod process;
pub mod reply;
pub mod storage;
pub mod wire;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

pub use app::{FunctionApp, Trigger};
use envelope::{Encoding, Invocation};
use http_body_util::BodyExt as _;
use listener::Listener;
use process::Handler;
pub use process::{Launch, Level, Live};
use reply::Verdict;
use storage::{Message, Storage};
use tokio::{net::TcpListener, task::JoinSet};

/// How requests reach the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `enableForwardingHttpRequest` on a host that knows no other.
    Forwarding,
    /// `enableProxyingHttpRequest`.
    Proxying,
}

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Function App, with what a test wants otherwise than the files.
    pub app: FunctionApp,
    /// The handler.
    pub launch: Launch,
    /// Connection string of the storage account.
    pub storage: String,
    /// How requests reach the handler.
    pub mode: Mode,
    /// How envelopes are written.
    pub encoding: Encoding,
    /// How long a message is leased; renewed at half of it.
    pub lease: Duration,
    /// Whether every message is delivered twice at once, as a queue may.
    pub twice: bool,
}

impl Settings {
    /// The Function App of this repository, run by the `asklake` of this build with `environment` as its app settings.
    pub fn of_this_repository(storage: &str, environment: &[(&str, &str)]) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let app = FunctionApp::read(&root);
        let settings = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_asklake"));
        let launch = Launch { program, arguments: app.arguments.clone(), settings, root };
        Self::new(app, launch, storage)
    }

    /// A host as Azure has it.
    pub fn new(app: FunctionApp, launch: Launch, storage: &str) -> Self {
        let mode = if app.proxying { Mode::Proxying } else { Mode::Forwarding };
        Self { app, launch, storage: storage.to_owned(), mode, encoding: Encoding::Double, lease: Duration::from_secs(600), twice: false }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicUsize);

impl Count {
    fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn subtract(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// The number.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// What has happened so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Queue functions called.
    pub invocations: Count,
    /// Of them, ended well.
    pub successes: Count,
    /// Of them, failed, the handler's death included.
    pub failures: Count,
    /// Of them, answered with what nobody completes.
    pub hangs: Count,
    /// `functionTimeout` reached: the process was killed.
    pub timeouts: Count,
    /// Messages moved to a poison queue.
    pub poisoned: Count,
    /// Queue functions running now.
    pub running: Count,
    /// The most that ran at once.
    pub most_running: AtomicUsize,
    /// Texts of messages and when a function was called with them.
    pub delivered: Mutex<Vec<(String, Instant)>>,
    /// Texts of messages whose invocation died with the process.
    pub killed: Mutex<Vec<String>>,
}

/// A running host, without the tasks that drive it.
#[derive(Debug)]
pub struct Host {
    settings: Settings,
    storage: Storage,
    handler: Handler,
    counts: Counts,
    address: SocketAddr,
}

/// A running host. Dropped, it kills the handler.
#[derive(Debug)]
pub struct Running {
    host: Arc<Host>,
    _tasks: JoinSet<()>,
}

impl std::ops::Deref for Running {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Running {
    /// Starts the handler, waits until it answers, then listens to clients and queues. A queue function's queue is created.
    pub async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Arc::new(Host {
            storage: Storage::new(&settings.storage),
            handler: Handler::start(settings.launch.clone()),
            counts: Counts::default(),
            address: listener.local_addr().unwrap(),
            settings,
        });
        if let Err(error) = host.handler.ready().await {
            panic!("{error}; it wrote {:#?}", host.handler.logs());
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(front::serve(listener, Arc::clone(&host)));
        for function in &host.settings.app.functions {
            if let Trigger::Queue { queue, binding } = &function.trigger {
                host.storage.create(queue).await.unwrap_or_else(|error| panic!("{queue}: {}", error.0));
                let (function, binding, queue) = (function.name.clone(), binding.clone(), queue.clone());
                tasks.spawn(Listener { host: Arc::clone(&host), function, binding, queue }.run());
            }
        }
        Self { host, _tasks: tasks }
    }
}

impl Host {
    /// Where clients reach it: scheme, address and port.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The Function App.
    pub fn app(&self) -> &FunctionApp {
        &self.settings.app
    }

    /// The queues.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Lines that the handler has written, from all of its lives.
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.handler.logs()
    }

    /// The process that answers now; waits for one.
    pub async fn live(&self) -> Live {
        self.handler.ready().await.unwrap()
    }

    /// Kills the handler; the host starts another.
    pub async fn kill(&self) {
        self.handler.kill(None).await;
    }

    /// Kills the handler and waits for the next to answer.
    pub async fn restart(&self) -> Live {
        self.kill().await;
        self.live().await
    }

    /// Waits until no message is left in any queue, visible or not, and no invocation runs.
    pub async fn wait_idle(&self, at_most: Duration) {
        let began = Instant::now();
        loop {
            let left = self.messages().await;
            if left == Some(0) && self.counts.running.get() == 0 {
                return;
            }
            assert!(began.elapsed() < at_most, "{left:?} messages left after {at_most:?}; {:#?}", self.counts);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a message has been poisoned.
    pub async fn wait_for_poison(&self, at_most: Duration) {
        let began = Instant::now();
        while self.counts.poisoned.get() == 0 {
            assert!(began.elapsed() < at_most, "nothing was poisoned within {at_most:?}; {:#?}", self.counts);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn messages(&self) -> Option<usize> {
        let mut count = 0;
        for function in &self.settings.app.functions {
            if let Trigger::Queue { queue, .. } = &function.trigger {
                count += self.storage.count(queue).await.ok()?;
            }
        }
        Some(count)
    }

    /// Calls a queue function with a text that is in no queue, as if it had been delivered `dequeue_count` times.
    pub async fn invoke(&self, function: &str, text: &str, dequeue_count: u32) -> Verdict {
        let found = self.settings.app.functions.iter().find(|candidate| candidate.name == function);
        let Some(Trigger::Queue { binding, .. }) = found.map(|function| &function.trigger) else { panic!("no queue function {function}") };
        let date = "Tue, 18 Feb 2025 03:06:19 GMT".to_owned();
        let message = Message {
            id: uuid::Uuid::new_v4().to_string(),
            receipt: "made up".into(),
            dequeue_count,
            inserted: date.clone(),
            expires: date.clone(),
            next_visible: date,
            text: String::new(),
        };
        self.invoke_with(function, binding, &message, text).await
    }

    /// What becomes of a delivered message. One of two deliveries that fails has it delivered again.
    async fn deliver(&self, function: &str, binding: &str, message: &Message, text: &str) -> Verdict {
        if !self.settings.twice {
            return self.invoke_with(function, binding, message, text).await;
        }
        let both = tokio::join!(self.invoke_with(function, binding, message, text), self.invoke_with(function, binding, message, text));
        if both.0 == Verdict::Success { both.1 } else { both.0 }
    }

    async fn invoke_with(&self, function: &str, binding: &str, message: &Message, text: &str) -> Verdict {
        self.counts.invocations.add();
        self.counts.delivered.lock().unwrap().push((text.to_owned(), Instant::now()));
        self.counts.most_running.fetch_max(self.counts.running.add(), Ordering::SeqCst);
        let until = Instant::now() + self.settings.app.function_timeout;
        let verdict = self.call(function, binding, message, text, until).await;
        self.counts.running.subtract();
        match verdict {
            Verdict::Success => self.counts.successes.add(),
            Verdict::Failure(_) | Verdict::Hang => self.counts.failures.add(),
        };
        verdict
    }

    async fn call(&self, function: &str, binding: &str, message: &Message, text: &str, until: Instant) -> Verdict {
        let live = match self.handler.ready().await {
            Ok(live) => live,
            Err(error) => return Verdict::Failure(error),
        };
        let invocation = Invocation { function, binding, random: uuid::Uuid::new_v4(), now: time::OffsetDateTime::now_utc() };
        let body = envelope::envelope(&invocation, message, text, self.settings.encoding);
        let answer = tokio::time::timeout_at(until.into(), post(live, function, &body)).await;
        let verdict = match answer {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => {
                self.counts.killed.lock().unwrap().push(text.to_owned());
                Verdict::Failure(format!("the handler broke the connection: {error}"))
            }
            Err(_) => return self.timed_out(Some(live.generation)).await,
        };
        if verdict == Verdict::Hang {
            self.counts.hangs.add();
            tokio::time::sleep_until(until.into()).await;
            return self.timed_out(Some(live.generation)).await;
        }
        verdict
    }

    /// Kills the one process, and with it every other invocation.
    async fn timed_out(&self, generation: Option<usize>) -> Verdict {
        self.counts.timeouts.add();
        self.handler.kill(generation).await;
        Verdict::Failure("functionTimeout: the process was killed".to_owned())
    }

    fn handler(&self) -> &Handler {
        &self.handler
    }

    fn mode(&self) -> Mode {
        self.settings.mode
    }

    fn lease(&self) -> Duration {
        self.settings.lease
    }
}

async fn post(live: Live, function: &str, envelope: &[u8]) -> Result<Verdict, String> {
    let request = hyper::Request::post(format!("/{function}"))
        .header("host", format!("127.0.0.1:{}", live.port))
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Azure-Functions-Host/4.1048")
        .header("x-azure-functions-invocationid", uuid::Uuid::new_v4().to_string())
        .body(wire::chunked(envelope))
        .map_err(|error| error.to_string())?;
    let response = wire::send(live.port, request).await?;
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(reply::judge(status, content_type.as_deref(), &body))
}
