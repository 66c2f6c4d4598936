//! A warehouse that honours launch tokens and counts what it starts, as a server: it outlives the handlers that are killed.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use asklake::{
    conversation::{Phase, RunId},
    warehouse::{Error, Run, RunState, Statement, Warehouse},
};
use async_trait::async_trait;
use serde_json::{Value, json};
use warp::Filter as _;

use super::scripted::ScriptedWarehouse;

/// Started statements by token, and how often each was asked for.
type Runs = Arc<Mutex<BTreeMap<String, Started>>>;

/// A statement that was started.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// How often it was asked for: more than once when a handler died before it could note the run.
    pub asked: usize,
    at: Instant,
}

/// The server.
#[derive(Debug)]
pub struct Counted {
    address: SocketAddr,
    runs: Runs,
    server: tokio::task::JoinHandle<()>,
}

impl Counted {
    /// Starts a warehouse whose statements take `time`.
    pub async fn start(time: Duration) -> Self {
        let runs = Runs::default();
        let book = Arc::clone(&runs);
        let with_book = warp::any().map(move || Arc::clone(&book));
        let launch =
            warp::path!("launch").and(warp::post()).and(warp::body::json()).and(with_book.clone()).map(|body: Value, runs: Runs| {
                let token = body["token"].as_str().unwrap().to_owned();
                let mut runs = runs.lock().unwrap();
                runs.entry(token).or_insert_with(|| Started { asked: 0, at: Instant::now() }).asked += 1;
                warp::reply::json(&json!({}))
            });
        let poll = warp::path!("poll" / String / u64).and(with_book).then(move |token: String, wait: u64, runs: Runs| async move {
            let started = runs.lock().unwrap().get(&token).copied();
            let Some(started) = started else { return warp::reply::json(&json!("lost")) };
            let left = time.saturating_sub(started.at.elapsed());
            tokio::time::sleep(left.min(Duration::from_millis(wait))).await;
            warp::reply::json(&json!(if started.at.elapsed() >= time { "succeeded" } else { "running" }))
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(warp::serve(launch.or(poll)).incoming(listener).run());
        Self { address, runs, server }
    }

    /// For [`Remote::new`].
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was started, by token.
    pub fn started(&self) -> BTreeMap<String, Started> {
        self.runs.lock().unwrap().clone()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The adapter in the handler.
#[derive(Debug)]
pub struct Remote {
    client: reqwest::Client,
    url: String,
}

impl Remote {
    /// An adapter for the warehouse at `url`.
    pub fn new(url: String) -> Self {
        Self { client: reqwest::Client::builder().no_proxy().build().unwrap(), url }
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Result<Value, Error> {
        let unavailable = |error: reqwest::Error| Error::Unavailable { detail: error.to_string(), retry_after: None };
        request.send().await.map_err(unavailable)?.json().await.map_err(unavailable)
    }
}

#[async_trait]
impl Warehouse for Remote {
    fn kind(&self) -> &'static str {
        "counted"
    }

    async fn launch(&self, statement: &Statement) -> Result<Run, Error> {
        let body = json!({"token": statement.token, "sql": statement.sql});
        self.call(self.client.post(format!("{}/launch", self.url)).json(&body)).await?;
        Ok(Run { id: RunId::Text(statement.token.clone()), page_url: None, phase: Phase::Executing })
    }

    async fn poll(&self, run: &RunId, _known: Phase, wait: Duration) -> Result<RunState, Error> {
        let state = self.call(self.client.get(format!("{}/poll/{run}/{}", self.url, wait.as_millis()))).await?;
        Ok(match state.as_str().unwrap() {
            "running" => RunState::Running(Phase::Executing),
            "succeeded" => RunState::Succeeded(ScriptedWarehouse::rows()),
            _ => RunState::Lost,
        })
    }

    async fn cancel(&self, _run: &RunId) -> Result<(), Error> {
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}
