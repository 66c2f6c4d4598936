//! Open streams, measured from outside: what each costs, and how soon it tells of a change of its own process and of another one.
//!
//! `cargo bench --bench streams` starts this same program again as the servers (`--serve`), with a scripted warehouse and a model that
//! leaves most conversations unanswered, so that their streams stay open. A change counts from the time that stands in it, which is taken
//! before it is committed. Nothing is asserted: timings on a shared machine vary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs, unreachable_pub)]

mod process;
#[path = "../tests/support/scripted.rs"]
mod scripted;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use asklake::{
    app::App,
    conversation::{Budgets, Timestamp},
    http::{self, Front},
    model::{self, Entry, Listener, Model, Reply, Request},
    queue::sqlite::SqliteQueue,
    runtime::{
        connections::{self, Limits},
        standalone, worker,
    },
    service::{Ports, Service, Settings},
    sql::{Catalog, Lake},
    sqlite::{Database, Options},
    store::sqlite::SqliteStore,
};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request as HttpRequest, body::Incoming, client::conn::http1::SendRequest};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use scripted::{ScriptedModel, ScriptedWarehouse};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Streams held open.
const STREAMS: usize = 2000;
/// Conversations whose changes are timed, each with a stream of its own; so many at once.
const TIMED: usize = 300;
const AT_ONCE: usize = 10;
const IDLE: Duration = Duration::from_secs(15);
/// What a question says that is never answered.
const UNANSWERED: &str = "unanswered";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.iter().position(|argument| argument == "--serve") {
        Some(at) => runtime.block_on(serve(&arguments[at + 1], arguments[at + 2] == "work")),
        None => runtime.block_on(measure()),
    }
}

/// Replies after a while, but to [`UNANSWERED`] never.
struct Selective(ScriptedModel);

#[async_trait]
impl Model for Selective {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn fingerprint(&self, request: &Request) -> String {
        self.0.fingerprint(request)
    }

    async fn reply(&self, request: &Request, listener: &Listener<'_>) -> Result<Reply, model::Error> {
        if matches!(request.transcript.first(), Some(Entry::Question(question)) if question == UNANSWERED) {
            std::future::pending::<()>().await;
        }
        self.0.reply(request, listener).await
    }

    async fn probe(&self) -> Result<(), model::Error> {
        Ok(())
    }
}

/// A server over the embedded store in `folder`, that works or only answers; ends with its standard input.
async fn serve(folder: &str, works: bool) {
    let database = Database::open(folder.as_ref(), Options::default()).unwrap();
    let queue = Arc::new(SqliteQueue::new(database.clone()).unwrap());
    let ports = Ports {
        store: Arc::new(SqliteStore::new(database, Duration::from_secs(3600)).unwrap()),
        wakes: Arc::clone(&queue) as _,
        model: Arc::new(Selective(ScriptedModel::querying(1, Duration::from_millis(50)))),
        warehouse: Arc::new(ScriptedWarehouse::new(Duration::from_millis(50))),
    };
    let settings = Settings { model_timeout: Duration::from_secs(3600), ..Settings::default() };
    let service = Service::new(ports, Lake::new(Arc::new(Catalog::embedded().unwrap()), 1000), Budgets::default(), settings);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    if works {
        let worker = worker::Settings { concurrency: STREAMS + TIMED, ..worker::Settings::default() };
        let app = App { service, receiver: queue, worker, http: http::Settings::default(), limits: Limits::default() };
        let server = standalone::Server::start(app, address).await;
        println!("{}", server.as_ref().unwrap().address());
        ended().await;
    } else {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let routes = http::routes(service, http::Settings::default(), Front::Direct, CancellationToken::new());
        tokio::select! {
            () = connections::serve(listener, TowerToHyperService::new(warp::service(routes)), Limits::default(), CancellationToken::new()) => {}
            () = ended() => {}
        }
    }
}

async fn ended() {
    tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop)).await.unwrap();
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &Path, role: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child =
            Command::new(program).arg("--serve").arg(folder).arg(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { address: line.trim().parse().unwrap(), child }
    }

    /// Memory of the process, in KiB; 0 where the system does not tell.
    fn memory(&self) -> u64 {
        process::memory(self.child.id(), "VmRSS")
    }

    /// Processor time of the process so far; zero where the system does not tell. Linux counts in hundredths of a second.
    fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        Duration::from_millis(fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn start(sender: &mut SendRequest<Full<Bytes>>, question: &str) -> String {
    let request = HttpRequest::post("/api/chat/start").header("host", "bench").header("content-type", "application/json");
    let request = request.body(Full::from(json!({"question": question}).to_string())).unwrap();
    sender.ready().await.unwrap();
    let answer = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice::<Value>(&answer).unwrap()["conversation_id"].as_str().unwrap().to_owned()
}

/// An open stream.
struct Stream {
    body: Incoming,
    text: String,
    _sender: SendRequest<Full<Bytes>>,
}

impl Stream {
    async fn open(address: SocketAddr, id: &str) -> Self {
        let mut sender = connect(address).await;
        let request = HttpRequest::get(format!("/api/chat/{id}/events")).header("host", "bench").body(Full::default()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        Self { body: response.into_body(), text: String::new(), _sender: sender }
    }

    /// The data of the next status; `None` at the end.
    async fn status(&mut self) -> Option<Value> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let data = block.starts_with("event: status").then(|| block.lines().find_map(|line| line.strip_prefix("data: "))).flatten();
                let data = data.map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                if data.is_some() {
                    return data;
                }
            }
            let frame = self.body.frame().await?.unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }
}

fn age(status: &Value) -> Duration {
    let at: Timestamp = status["updated_at"].as_str().unwrap().parse().unwrap();
    let at = Duration::from_millis(u64::try_from(at.unix_millis()).unwrap());
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().saturating_sub(at)
}

/// How old each change was when a stream told of it, in milliseconds: the median, the 99th percentile, and how many there were.
async fn latencies(address: SocketAddr) -> (u128, u128, usize) {
    let load = (0..AT_ONCE).map(|_| {
        tokio::spawn(async move {
            let mut sender = connect(address).await;
            let mut ages = vec![];
            for _ in 0..TIMED / AT_ONCE {
                let mut stream = Stream::open(address, &start(&mut sender, "which films?").await).await;
                stream.status().await.unwrap();
                while let Some(status) = stream.status().await {
                    ages.push(age(&status));
                }
            }
            ages
        })
    });
    let mut ages: Vec<Duration> = futures_util::future::join_all(load).await.into_iter().flat_map(Result::unwrap).collect();
    ages.sort();
    (ages[ages.len() / 2].as_millis(), ages[ages.len() * 99 / 100].as_millis(), ages.len())
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "work");
    let mut sender = connect(server.address).await;
    let mut ids = vec![];
    for _ in 0..STREAMS {
        ids.push(start(&mut sender, UNANSWERED).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = server.memory();
    let mut streams = vec![];
    for id in &ids {
        let mut stream = Stream::open(server.address, id).await;
        stream.status().await.unwrap();
        streams.push(stream);
    }
    let each = server.memory().saturating_sub(before) as f64 / STREAMS as f64;
    let worked = server.processor_time();
    tokio::time::sleep(IDLE).await;
    let idle = (server.processor_time() - worked).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let each_later = server.memory().saturating_sub(before) as f64 / STREAMS as f64;
    let (median, p99, count) = latencies(server.address).await;
    drop(streams);
    drop(server);

    // Here the streams are in a process that does no work.
    let folder = tempfile::tempdir().unwrap();
    let _worker = Server::start(folder.path(), "work");
    let reader = Server::start(folder.path(), "read");
    let (far_median, far_p99, far_count) = latencies(reader.address).await;

    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("\n{STREAMS} open streams, each of another conversation, {cores} cores shared with the clients");
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(["what", "figure", "to reach"]);
    table.add_row(["memory of each, when open", &format!("{each:.1} KiB"), "under 20 KiB"]);
    table.add_row(["memory of each, later", &format!("{each_later:.1} KiB"), "under 20 KiB"]);
    table.add_row(["processor while nothing happens", &format!("{idle:.1} % of a core"), "no busy loop"]);
    let figure = |median: u128, p99: u128, count: usize| format!("p50 {median} ms, p99 {p99} ms of {count}");
    table.add_row(["a change of the same process is told, beside those", &figure(median, p99, count), "p99 within 50 ms"]);
    table.add_row(["a change of another process is told", &figure(far_median, far_p99, far_count), "within 1,500 ms"]);
    println!("{table}");
}
