//! An OpenAI-compatible server that answers as it is told: for what only a fake can do on demand, such as failing.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use asklake::{
    model::openai::{AnswerFormat, Authentication, Config, Endpoint, OpenAi},
    sql::{Catalog, prompt::Profile},
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use warp::{
    Filter,
    http::{HeaderMap, Method, Response},
    path::FullPath,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Value,
}

/// What to answer with.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: vec![], body: body.into() }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// A stream with the pieces of `text`, and the end of `finish`.
    pub fn text(text: &str, finish: &str) -> Self {
        let (first, second) = text.split_at(text.len() / 2);
        Self::stream(&[json!({"role": "assistant", "content": first}), json!({"content": second})], finish)
    }

    /// A stream with one call of the tool.
    pub fn call(name: &str, arguments: &str) -> Self {
        let (first, second) = arguments.split_at(arguments.len() / 2);
        let start = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": first}});
        let deltas = [json!({"tool_calls": [start]}), json!({"tool_calls": [{"index": 0, "function": {"arguments": second}}]})];
        Self::stream(&deltas, "tool_calls")
    }

    fn stream(deltas: &[Value], finish: &str) -> Self {
        let delta = |delta: &Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        let mut events: Vec<Value> = deltas.iter().map(delta).collect();
        events.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}));
        events.push(json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}));
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        Self::new(200, body + "data: [DONE]\n\n").header("content-type", "text/event-stream")
    }
}

/// The server. What it is asked beyond its answers gets 500.
pub struct Fake {
    pub base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Fake {
    pub async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (note, answers) = (Arc::clone(&seen), Mutex::new(VecDeque::from(answers)));
        let answers = Arc::new(answers);
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let route = warp::method().and(warp::path::full()).and(query).and(warp::header::headers_cloned()).and(warp::body::bytes()).map(
            move |method: Method, path: FullPath, query: String, headers: HeaderMap, body: Bytes| {
                let target = if query.is_empty() { path.as_str().to_owned() } else { format!("{}?{query}", path.as_str()) };
                note.lock().unwrap().push(Seen { method, target, headers, body: serde_json::from_slice(&body).unwrap_or_default() });
                let answer = answers.lock().unwrap().pop_front().unwrap_or_else(|| Answer::new(500, "no answer left"));
                let response = Response::builder().status(answer.status);
                let response = answer.headers.iter().fold(response, |response, (name, value)| response.header(*name, value));
                response.body(answer.body).unwrap()
            },
        );
        let server = tokio::spawn(warp::serve(route).incoming(listener).run());
        Self { base, seen, server }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The model on this server.
    pub fn model(&self) -> OpenAi {
        model(&format!("{}/v1", self.base), AnswerFormat::Text)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The settings of the tests for a model at `endpoint`.
pub fn config(endpoint: Endpoint, answer_format: AnswerFormat) -> Config {
    Config {
        endpoint,
        timeout: Duration::from_secs(20),
        temperature: 0.0,
        max_tokens: 500,
        answer_format,
        max_rows: 1000,
        profile: Profile::Large,
    }
}

/// A model at `base_url`.
pub fn model(base_url: &str, answer_format: AnswerFormat) -> OpenAi {
    let endpoint = Endpoint::OpenAi { base_url: base_url.into(), model: "m".into() };
    let catalog = Arc::new(Catalog::embedded().unwrap());
    OpenAi::new(config(endpoint, answer_format), Authentication::Bearer("hunter2".into()), &catalog).unwrap()
}
