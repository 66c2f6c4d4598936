//! The server under load, measured from outside: the figures of the first milestone as a table, ratios within one run.
//!
//! `cargo bench --bench server` starts this same program again as the server (`--serve`), with a scripted model and
//! warehouse, so that what is measured is asklake and not them. Nothing is asserted: timings on a shared machine vary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs, unreachable_pub)]

#[path = "../tests/support/issuer.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod issuer;
mod process;
#[path = "../tests/support/scripted.rs"]
mod scripted;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use asklake::{
    app::App,
    cache::memory::MemoryCache,
    config::Telemetry,
    conversation::Budgets,
    http,
    queue::sqlite::SqliteQueue,
    runtime::{connections::Limits, standalone, worker},
    service::{Ports, Recall, Scope, Service, Settings},
    sql::{Catalog, Lake},
    sqlite::{Database, Options},
    store::sqlite::SqliteStore,
    telemetry,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use scripted::{ScriptedModel, ScriptedWarehouse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use warp::Filter as _;

const CONNECTIONS: usize = 64;
const PERIOD: Duration = Duration::from_secs(5);
const MODEL: Duration = Duration::from_millis(300);
const WAREHOUSE: Duration = Duration::from_millis(1000);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.iter().position(|argument| argument == "--serve") {
        Some(at) => {
            let telemetry = telemetry::start(telemetry::Output::Terminal, "error", &Telemetry::from_env());
            runtime().block_on(serve(serde_json::from_str(&arguments[at + 1]).unwrap()));
            telemetry.flush();
        }
        None => runtime().block_on(measure()),
    }
}

/// What a server is like.
#[derive(Default, Serialize, Deserialize)]
struct Kind {
    folder: PathBuf,
    /// Whom its callers must sign in with.
    issuer: Option<String>,
    /// Whether it gives answers again.
    recalls: bool,
}

/// The server side: scripted model and warehouse, embedded store and queue; ends with its standard input.
async fn serve(kind: Kind) {
    let database = Database::open(&kind.folder, Options::default()).unwrap();
    let queue = Arc::new(SqliteQueue::new(database.clone()).unwrap());
    let ports = Ports {
        store: Arc::new(SqliteStore::new(database, Duration::from_secs(3600)).unwrap()),
        wakes: Arc::clone(&queue) as _,
        model: Arc::new(ScriptedModel::querying(1, MODEL)),
        warehouse: Arc::new(ScriptedWarehouse::new(WAREHOUSE)),
    };
    let lake = Lake::new(Arc::new(Catalog::embedded().unwrap()), 1000);
    let mut service = Service::new(ports, lake, Budgets::default(), Settings::default());
    if kind.recalls {
        let recall = Recall { at_most: Duration::from_secs(900), scope: Scope::App, made_from: "bench".into() };
        service = service.recalling(Arc::new(MemoryCache::default()), recall);
    }
    let authenticator = kind.issuer.as_deref().map(|issuer| issuer::accepting(issuer::settings(issuer))).unwrap_or_default();
    let http = http::Settings { authenticator, ..http::Settings::default() };
    let app = App { service, receiver: queue, worker: worker::Settings::default(), http, limits: Limits::default() };
    let server = standalone::Server::start(app, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    println!("{}", server.address());
    tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop)).await.unwrap();
}

struct Server {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::start_as(Kind::default(), None)
    }

    /// Starts one that is like this, and tells a collector of what it does.
    fn start_as(kind: Kind, collector: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kind = Kind { folder: folder.path().to_owned(), ..kind };
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .arg("--serve")
            .arg(serde_json::to_string(&kind).unwrap())
            .envs(collector.map(|address| ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"))))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { address: line.trim().parse().unwrap(), child, _folder: folder }
    }

    /// The most memory the process has had, in MiB; 0 where the system does not tell.
    fn peak_memory(&self) -> u64 {
        process::memory(self.child.id(), "VmHWM") / 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection to a server.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The value of `Authorization`.
    authorization: Option<String>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, authorization: None }
    }

    fn signed_in(self, token: Option<&str>) -> Self {
        Self { authorization: token.map(|token| format!("Bearer {token}")), ..self }
    }

    async fn get(&mut self, path: &str) -> Bytes {
        self.send(Request::get(path).header("host", "bench").body(Full::default()).unwrap()).await
    }

    async fn start(&mut self) -> String {
        let body = json!({"question": "which films?"}).to_string();
        let request = Request::post("/api/chat/start").header("host", "bench").header("content-type", "application/json");
        let answer: Value = serde_json::from_slice(&self.send(request.body(Full::from(body)).unwrap()).await).unwrap();
        answer["conversation_id"].as_str().unwrap().to_owned()
    }

    async fn ended(&mut self, id: &str) -> Value {
        let mut after = 0;
        loop {
            let status: Value = serde_json::from_slice(&self.get(&format!("/api/chat/{id}/status?wait=30&after={after}")).await).unwrap();
            if status["status"] != "processing" {
                return status;
            }
            after = status["revision"].as_u64().unwrap();
        }
    }

    async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Bytes {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert("authorization", authorization.parse().unwrap());
        }
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.into_body().collect().await.unwrap().to_bytes()
    }
}

/// Requests per second for `path`, from many connections at once, each sending its next request after the last answer.
async fn throughput(address: SocketAddr, path: &str) -> f64 {
    throughput_of(address, path, None, PERIOD).await
}

/// The same for `period`, with a token.
async fn throughput_of(address: SocketAddr, path: &str, token: Option<&str>, period: Duration) -> f64 {
    let began = Instant::now();
    let load = (0..CONNECTIONS).map(|_| {
        let (path, token) = (path.to_owned(), token.map(str::to_owned));
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await.signed_in(token.as_deref());
            let mut count = 0_u32;
            while began.elapsed() < period {
                connection.get(&path).await;
                count += 1;
            }
            count
        })
    });
    let counts = futures_util::future::join_all(load).await;
    f64::from(counts.into_iter().map(Result::unwrap).sum::<u32>()) / began.elapsed().as_secs_f64()
}

/// The 99th percentile of latencies, in milliseconds, at a fixed rate. A latency counts from the moment the request was due,
/// so that a server that stalls cannot hide it.
async fn p99(address: SocketAddr, rate: u32, path: Option<String>) -> f64 {
    let connections = 32;
    let began = Instant::now();
    let load = (0..connections).map(|connection_number| {
        let path = path.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut latencies = Vec::new();
            for number in (connection_number..).step_by(connections as usize) {
                let due = Duration::from_secs(1) * number / rate;
                if due >= PERIOD {
                    break;
                }
                tokio::time::sleep_until((began + due).into()).await;
                match &path {
                    Some(path) => drop(connection.get(path).await),
                    None => drop(connection.start().await),
                }
                latencies.push(began.elapsed().saturating_sub(due));
            }
            latencies
        })
    });
    let mut latencies: Vec<Duration> = futures_util::future::join_all(load).await.into_iter().flat_map(Result::unwrap).collect();
    latencies.sort();
    latencies[latencies.len() * 99 / 100].as_secs_f64() * 1000.0
}

/// How much longer a one-query conversation takes than its model and warehouse; the median of several.
async fn overhead(address: SocketAddr) -> f64 {
    let mut connection = Connection::open(address).await;
    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let id = connection.start().await;
        assert_eq!(connection.ended(&id).await["status"], "completed");
        times.push(began.elapsed());
    }
    times.sort();
    times[2].as_secs_f64() / (MODEL * 2 + WAREHOUSE).as_secs_f64()
}

/// Starts 500 conversations at once; returns how many were completed, and the seconds it took.
async fn crowd(address: SocketAddr) -> (usize, f64) {
    let began = Instant::now();
    let asked = (0..500).map(|_| {
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            let id = connection.start().await;
            connection.ended(&id).await["status"] == "completed"
        })
    });
    let completed = futures_util::future::join_all(asked).await.into_iter().filter(|ended| *ended.as_ref().unwrap()).count();
    (completed, began.elapsed().as_secs_f64())
}

/// Milliseconds from the start of the real program to its first answer; the median of several.
async fn first_answer() -> f64 {
    let mut times = Vec::new();
    for _ in 0..7 {
        let folder = tempfile::tempdir().unwrap();
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_asklake"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("the banner has the address");
        Connection::open(address.parse().unwrap()).await.get("/api/health").await;
        times.push(began.elapsed());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    times.sort();
    times[3].as_secs_f64() * 1000.0
}

/// What a status poll of one who is signed in costs, of an anonymous one.
async fn cost_of_sign_in() -> f64 {
    let issuer = issuer::Issuer::start().await;
    let token = issuer.token("ann");
    let signed_in = Server::start_as(Kind { issuer: Some(issuer.name.clone()), ..Kind::default() }, None);
    cost_of(&signed_in, Some(&token)).await
}

/// What a status poll costs of which a collector is told, with a span for each, of one of which nobody is.
async fn cost_of_telemetry() -> f64 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // An empty message of protobuf: all is accepted.
    let accept = warp::post().and(warp::body::bytes()).map(|_: Bytes| String::new());
    let collector = tokio::spawn(warp::serve(accept).incoming(listener).run());
    let cost = cost_of(&Server::start_as(Kind::default(), Some(address)), None).await;
    collector.abort();
    cost
}

/// What a status poll of `server` costs, of one of a server with nothing: the median of rounds in which both are measured in turn.
async fn cost_of(server: &Server, token: Option<&str>) -> f64 {
    let plain = Server::start();
    let mut paths = Vec::new();
    for (server, token) in [(&plain, None), (server, token)] {
        let mut connection = Connection::open(server.address).await.signed_in(token);
        let id = connection.start().await;
        connection.ended(&id).await;
        paths.push(format!("/api/chat/{id}/status"));
    }
    let mut ratios = Vec::new();
    for _ in 0..7 {
        let without = throughput_of(plain.address, &paths[0], None, PERIOD / 3).await;
        ratios.push(without / throughput_of(server.address, &paths[1], token, PERIOD / 3).await);
    }
    ratios.sort_by(f64::total_cmp);
    ratios[3]
}

/// Milliseconds from a start to the end of a conversation whose question was answered before: median and 95th percentile.
async fn recalled() -> (f64, f64) {
    let server = Server::start_as(Kind { recalls: true, ..Kind::default() }, None);
    let mut connection = Connection::open(server.address).await;
    let id = connection.start().await;
    connection.ended(&id).await;
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        let id = connection.start().await;
        assert!(!connection.ended(&id).await["cached"].is_null());
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    (times[100], times[190])
}

async fn measure() {
    let sign_in = cost_of_sign_in().await;
    let telemetry = cost_of_telemetry().await;
    let (recalled, recalled_p95) = recalled().await;
    let server = Server::start();
    let address = server.address;
    let mut connection = Connection::open(address).await;
    let id = connection.start().await;
    connection.ended(&id).await;
    let status = format!("/api/chat/{id}/status");
    let health = throughput(address, "/api/health").await;
    let stored = throughput(address, &status).await;
    let status_p99 = p99(address, 1000, Some(status)).await;
    let start_p99 = p99(address, 100, None).await;
    // What that load started must not slow what comes next.
    drop(server);
    let server = Server::start();
    let overhead = overhead(server.address).await;
    let (completed, seconds) = crowd(server.address).await;
    let memory = server.peak_memory();
    let first = first_answer().await;

    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("\nServer under load, {cores} cores shared with the load, {} {}", std::env::consts::OS, std::env::consts::ARCH);
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(["what", "figure", "to reach"]);
    table.add_row(["GET health, 64 connections", &format!("{health:.0}/s"), ""]);
    table.add_row(["GET status, 64 connections", &format!("{stored:.0}/s = {:.2} of health", stored / health), "at least 0.5 of health"]);
    table.add_row(["GET status signed in, 64 connections", &format!("{sign_in:.2} of anonymous"), "at most 1.2"]);
    table.add_row(["GET status with telemetry, 64 connections", &format!("{telemetry:.2} of without"), "at most 1.05"]);
    table.add_row(["answer given again, p50 and p95", &format!("{recalled:.1} ms, {recalled_p95:.1} ms"), "at most 50 ms"]);
    table.add_row(["GET status at 1,000/s, p99", &format!("{status_p99:.1} ms"), "under 10 ms"]);
    table.add_row(["POST start at 100/s, p99", &format!("{start_p99:.1} ms"), "under 20 ms"]);
    table.add_row(["conversation of 300 + 1000 + 300 ms", &format!("{overhead:.3} of the sum"), "at most 1.05"]);
    table.add_row(["500 conversations at once", &format!("{completed} completed in {seconds:.0} s"), "500"]);
    table.add_row(["memory with those, peak", &format!("{memory} MiB"), "under 300 MiB"]);
    table.add_row(["process start to first answer", &format!("{first:.0} ms"), "under 300 ms"]);
    println!("{table}");
}
