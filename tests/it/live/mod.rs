//! Live progress: server-sent events, the WebSocket, and what a model writes meanwhile.

mod drafts;
mod events;
mod hub;
mod socket;

use std::{sync::Arc, time::Duration};

use asklake::{
    conversation::Decision,
    model::{self, Listener, Model, Piece, Reply, Request},
};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use crate::support::{
    scripted::{ScriptedModel, ScriptedWarehouse},
    server::TestServer,
};

const LONG: Duration = Duration::from_secs(300);

/// One event as a client sees it.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    name: String,
    id: Option<u64>,
    data: Value,
}

/// A client of server-sent events.
struct Client {
    response: reqwest::Response,
    text: String,
}

impl Client {
    async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{:?}", response.headers());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, text: String::new() }
    }

    async fn of(server: &TestServer, id: &str) -> Self {
        Self::open(server.request(reqwest::Method::GET, &format!("/api/chat/{id}/events"))).await
    }

    /// The next block, comments and `retry` included; `None` at the end of the stream.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(LONG, self.response.chunk()).await.expect("the stream goes on").unwrap();
            let Some(chunk) = chunk else {
                assert_eq!(self.text, "", "the stream ends between two events");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let Some(name) = field("event") else { continue };
            let id = field("id").map(|id| id.parse().unwrap());
            return Some(Event { name: name.to_owned(), id, data: serde_json::from_str(field("data").unwrap()).unwrap() });
        }
    }

    /// The next event of that name; those before it are left out.
    async fn next_of(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream ended without {name}"));
            if event.name == name {
                return event;
            }
        }
    }

    /// All that is left.
    async fn rest(&mut self) -> Vec<Event> {
        let mut events = vec![];
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// What a model that is told from outside does next.
pub enum Act {
    Write(model::Part, bool, &'static str),
    Reply(Decision),
    Fail,
}

/// A model that writes and replies when it is told to.
pub struct Typist(Mutex<mpsc::UnboundedReceiver<Act>>);

impl Typist {
    pub fn new() -> (Arc<Self>, mpsc::UnboundedSender<Act>) {
        let (tell, told) = mpsc::unbounded_channel();
        (Arc::new(Self(Mutex::new(told))), tell)
    }
}

#[async_trait]
impl Model for Typist {
    fn kind(&self) -> &'static str {
        "typist"
    }

    fn name(&self) -> &str {
        "typist"
    }

    fn fingerprint(&self, request: &Request) -> String {
        model::digest(&json!(request))
    }

    async fn reply(&self, _request: &Request, listener: &Listener<'_>) -> Result<Reply, model::Error> {
        let mut told = self.0.lock().await;
        loop {
            match told.recv().await {
                Some(Act::Write(part, is_anew, text)) => listener(Piece { part, is_anew, text }),
                Some(Act::Reply(decision)) => return Ok(Reply { decision, prompt_tokens: 1, completion_tokens: 1 }),
                Some(Act::Fail) => return Err(model::Error::Unavailable { detail: "busy".into(), retry_after: None }),
                None => return Err(model::Error::Refused("nothing more is told".into())),
            }
        }
    }

    async fn probe(&self) -> Result<(), model::Error> {
        Ok(())
    }
}

async fn server() -> TestServer {
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::from_millis(20)));
    TestServer::start(Arc::new(ScriptedModel::querying(1, Duration::from_millis(20))), warehouse).await
}

/// A server whose conversations go on when the model is told to.
pub async fn told_server() -> (TestServer, mpsc::UnboundedSender<Act>) {
    let (model, tell) = Typist::new();
    (TestServer::start(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await, tell)
}
