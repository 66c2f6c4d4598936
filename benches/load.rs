//! Two hundred users who ask and poll while parts of what they use fail, measured from outside: is a conversation lost, does memory grow,
//! how long does a start and a status take.
//!
//! `make load` starts this same program again as the standalone server (`--serve`), over the Cosmos emulator, Azurite and Redis, with a model and
//! a warehouse of fixed time. `LOAD_SECONDS` (300) and `LOAD_USERS` (200) bound it. It ends with 1 where a conversation was lost; timings
//! are reported and not judged, because a shared machine varies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs, unreachable_pub, dead_code)]

#[path = "../tests/support/azurite.rs"]
mod azurite;
#[path = "../tests/support/cosmos.rs"]
mod cosmos;
#[path = "../tests/support/counted.rs"]
mod counted;
mod process;
#[path = "../tests/support/redis.rs"]
mod redis;
#[path = "../tests/support/scripted.rs"]
mod scripted;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use asklake::{
    app::App,
    cache::redis::RedisCache,
    conversation::{Budgets, Timestamp},
    http,
    queue::{
        self,
        azure::{Account, AzureQueue},
    },
    redis::Redis,
    runtime::{connections::Limits, standalone, worker},
    service::{Ports, Recall, Scope, Service, Settings},
    sql::{Catalog, Lake},
    store::cosmos::{Config, CosmosStore, Credential},
};
use azurite::Azurite;
use cosmos::Emulator;
use counted::{Counted, Remote};
use redis::RedisServer;
use reqwest::{Client, StatusCode};
use scripted::ScriptedModel;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Time of every reply of the model: a question takes two.
const MODEL: Duration = Duration::from_millis(500);
/// Time of every statement.
const WAREHOUSE: Duration = Duration::from_millis(1000);
/// Between two polls, as the published clients have it.
const POLL: Duration = Duration::from_secs(2);
/// Between an answer and the next question of a user.
const THINK: Duration = Duration::from_secs(8);
/// One question in so many is one that others ask too.
const FREQUENT: usize = 5;
/// How long what was asked may take to end after the last question.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the server is made of.
#[derive(Debug, Serialize, Deserialize)]
struct Parts {
    cosmos: String,
    storage: String,
    redis: String,
    warehouse: String,
    address: SocketAddr,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.iter().position(|argument| argument == "--serve") {
        Some(at) => runtime.block_on(serve(&serde_json::from_str(&arguments[at + 1]).unwrap())),
        None if runtime.block_on(measure()) => {}
        None => std::process::exit(1),
    }
}

/// The server; ends with its standard input.
async fn serve(parts: &Parts) {
    let account = Account::parse(&parts.storage).unwrap();
    let queue = Arc::new(AzureQueue::new(&account, queue::NAME).unwrap());
    let credential = Credential::Key("YW55IGtleQ==".into());
    let (database, container) = ("load".to_owned(), "conversations".to_owned());
    let config = Config { endpoint: parts.cosmos.clone(), credential, database, container, ttl: Duration::from_secs(3600) };
    let ports = Ports {
        store: Arc::new(CosmosStore::new(config).unwrap()),
        wakes: Arc::clone(&queue) as _,
        model: Arc::new(ScriptedModel::querying(1, MODEL)),
        warehouse: Arc::new(Remote::new(parts.warehouse.clone())),
    };
    // As `app` sets them for such a store.
    let settings = Settings { read_interval: Duration::from_secs(1), replica_lag: Duration::from_millis(500), ..Settings::default() };
    let cache = Arc::new(RedisCache::new(Arc::new(Redis::new(&parts.redis).unwrap())));
    let recall = Recall { at_most: Duration::from_secs(900), scope: Scope::App, made_from: "load".into() };
    let lake = Lake::new(Arc::new(Catalog::embedded().unwrap()), 1000);
    let service = Service::new(ports, lake, Budgets::default(), settings).recalling(cache, recall);
    let worker = worker::Settings { concurrency: 256, lease: Duration::from_secs(20), ..worker::Settings::default() };
    let app = App { service, receiver: queue, worker, http: http::Settings::default(), limits: Limits::default() };
    let server = standalone::Server::start(app, parts.address).await;
    println!("{}", server.as_ref().unwrap().address());
    tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop)).await.unwrap();
}

struct Server(Mutex<Child>);

impl Server {
    fn start(parts: &Parts) -> (Self, SocketAddr) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--serve").arg(serde_json::to_string(parts).unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        (Self(Mutex::new(child)), line.trim().parse().unwrap())
    }

    /// Memory of the process, in MiB; 0 where the system does not tell.
    fn memory(&self) -> u64 {
        process::memory(self.0.lock().unwrap().id(), "VmRSS") / 1024
    }

    fn kill(&self) {
        let mut child = self.0.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What users saw.
#[derive(Debug, Default)]
struct Seen {
    starts: Vec<Duration>,
    statuses: Vec<Duration>,
    /// From when a question was stored until the worker had asked the model and heard, without the time of the model.
    wakes: Vec<Duration>,
    turned_away: usize,
    ends: BTreeMap<String, usize>,
    recalled: usize,
    lost: Vec<String>,
}

/// All that the users share.
struct World {
    client: Client,
    base: String,
    until: Instant,
    seen: Mutex<Seen>,
}

impl World {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap());
    }

    /// Asks until there is a 202; a retry is the same question by its key.
    async fn ask(&self, question: &str) -> Option<String> {
        let key = uuid::Uuid::new_v4().to_string();
        while Instant::now() < self.until + PATIENCE {
            let began = Instant::now();
            let request = self.client.post(format!("{}/api/chat/start", self.base)).header("idempotency-key", &key);
            match request.json(&json!({"question": question})).send().await {
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    self.note(|seen| seen.starts.push(began.elapsed()));
                    return Some(response.json::<Value>().await.ok()?["conversation_id"].as_str()?.to_owned());
                }
                _ => self.note(|seen| seen.turned_away += 1),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        None
    }

    /// Polls until the conversation has ended.
    async fn watch(&self, id: &str) {
        while Instant::now() < self.until + PATIENCE {
            let began = Instant::now();
            match self.client.get(format!("{}/api/chat/{id}/status", self.base)).send().await {
                Ok(response) if response.status() == StatusCode::OK => {
                    self.note(|seen| seen.statuses.push(began.elapsed()));
                    let status: Value = response.json().await.unwrap_or_default();
                    let ended = status["status"].as_str().filter(|status| ["completed", "error"].contains(status));
                    if let Some(ended) = ended {
                        let code = status["error_detail"]["code"].as_str().unwrap_or(ended).to_owned();
                        self.note(|seen| {
                            *seen.ends.entry(code).or_default() += 1;
                            seen.recalled += usize::from(!status["cached"].is_null());
                        });
                        return self.age(id, &status).await;
                    }
                }
                _ => self.note(|seen| seen.turned_away += 1),
            }
            tokio::time::sleep(POLL).await;
        }
        self.note(|seen| seen.lost.push(id.to_owned()));
    }

    /// How old the first wake was, by what is stored.
    async fn age(&self, id: &str, status: &Value) {
        if !status["cached"].is_null() {
            return;
        }
        let Ok(response) = self.client.get(format!("{}/api/chat/{id}/messages", self.base)).send().await else { return };
        let body: Value = response.json().await.unwrap_or_default();
        let at = |index: usize| body["messages"][index]["timestamp"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        if let (Some(asked), Some(decided)) = (at(0), at(1)) {
            self.note(|seen| seen.wakes.push(decided.since(asked).saturating_sub(MODEL)));
        }
    }

    async fn user(&self, number: usize) {
        // Not all at once, as nobody would.
        tokio::time::sleep(THINK * u32::try_from(number % 100).unwrap() / 100).await;
        let mut asked = 0;
        while Instant::now() < self.until {
            let is_frequent = (number + asked).is_multiple_of(FREQUENT);
            let question = if is_frequent { format!("frequent {}?", asked % 10) } else { format!("user {number} asks {asked}?") };
            match self.ask(&question).await {
                Some(id) => self.watch(&id).await,
                None => self.note(|seen| seen.lost.push(format!("{question}: never accepted"))),
            }
            asked += 1;
            tokio::time::sleep(THINK).await;
        }
    }
}

/// Lets things fail, each at its share of the time.
struct Chaos<'a> {
    began: Instant,
    whole: Duration,
    cosmos: &'a Emulator,
    azurite: &'a Azurite,
    redis: &'a RedisServer,
}

impl Chaos<'_> {
    async fn at(&self, percent: u32) {
        tokio::time::sleep((self.whole * percent / 100).saturating_sub(self.began.elapsed())).await;
    }

    /// Returns when the server is to be killed.
    async fn run(&self) {
        self.at(30).await;
        self.cosmos.order(json!({"kind": "429", "count": 200, "retry_after_ms": 100})).await;
        self.at(40).await;
        self.cosmos.order(json!({"kind": "503", "duration_ms": 2000})).await;
        self.at(50).await;
        self.redis.kill();
        self.at(60).await;
        self.redis.resume();
        self.at(65).await;
        tokio::task::block_in_place(|| self.azurite.stop());
        tokio::time::sleep(Duration::from_secs(5)).await;
        tokio::task::block_in_place(|| self.azurite.resume());
        self.at(80).await;
    }
}

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Whether no conversation was lost.
async fn measure() -> bool {
    let whole = Duration::from_secs(variable("LOAD_SECONDS", 300) as u64);
    let users = variable("LOAD_USERS", 200);
    let (cosmos, azurite, redis, warehouse) = (Emulator::start(), Azurite::start(), RedisServer::start(), Counted::start(WAREHOUSE).await);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let (endpoint, storage) = (cosmos.endpoint().to_owned(), azurite.account());
    let parts = Parts { cosmos: endpoint, storage, redis: redis.url(), warehouse: warehouse.url(), address };
    let (server, address) = Server::start(&parts);
    let began = Instant::now();
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
    let world = Arc::new(World { client, base: format!("http://{address}"), until: began + whole, seen: Mutex::default() });
    let asking: Vec<_> = (0..users)
        .map(|number| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.user(number).await })
        })
        .collect();
    let chaos = Chaos { began, whole, cosmos: &cosmos, azurite: &azurite, redis: &redis };
    let memory = async {
        let mut memory = Vec::new();
        loop {
            tokio::time::sleep(whole / 100).await;
            memory.push(server.memory());
            if began.elapsed() > whole * 79 / 100 {
                return memory;
            }
        }
    };
    let ((), memory) = tokio::join!(chaos.run(), memory);
    server.kill();
    let (server, _) = Server::start(&Parts { address, ..parts });
    futures_util::future::join_all(asking).await.into_iter().for_each(Result::unwrap);
    drop(server);
    let seen = world.seen.lock().unwrap();
    report(users, whole, &seen, &memory);
    seen.lost.is_empty()
}

fn figure(of: &[Duration]) -> String {
    let mut sorted = of.to_vec();
    sorted.sort();
    let at = |share: usize| sorted.get(sorted.len().saturating_sub(1) * share / 100).map_or(0, Duration::as_millis);
    format!("p50 {} ms, p99 {} ms, most {} ms of {}", at(50), at(99), at(100), sorted.len())
}

fn report(users: usize, whole: Duration, seen: &Seen, memory: &[u64]) {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("\n{users} users for {} s, {cores} cores shared with them, the emulators, Azurite and Redis", whole.as_secs());
    println!("failed meanwhile: Cosmos DB (429, 503), Redis killed, Azurite stopped, the server killed");
    let third = memory.len() / 3;
    let most = |of: &[u64]| of.iter().max().copied().unwrap_or(0);
    let grown = format!("{} MiB, {} MiB, {} MiB", most(&memory[..third]), most(&memory[third..2 * third]), most(&memory[2 * third..]));
    let ends = seen.ends.iter().map(|(end, count)| format!("{count} {end}")).collect::<Vec<_>>().join(", ");
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(["what", "figure", "to reach"]);
    table.add_row(["conversations lost", &seen.lost.len().to_string(), "0"]);
    table.add_row(["conversations that ended", &ends, "completed"]);
    table.add_row(["of them answered from the cache", &seen.recalled.to_string(), ""]);
    table.add_row(["requests turned away and sent again", &seen.turned_away.to_string(), "only while something is down"]);
    table.add_row(["POST start", &figure(&seen.starts), ""]);
    table.add_row(["GET status", &figure(&seen.statuses), ""]);
    table.add_row(["age of a question's wake", &figure(&seen.wakes), ""]);
    table.add_row(["most memory, by thirds, until the server is killed", &grown, "flat"]);
    println!("{table}");
    for lost in seen.lost.iter().take(10) {
        println!("lost: {lost}");
    }
}
