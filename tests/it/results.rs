//! Rows of queries as clients get them: written in chunks, and computed again once they have expired.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use asklake::{
    conversation::{Column, Conversation, ConversationId, Phase, ResultSet, RunId},
    http,
    model::{Entry, Request},
    runtime::worker,
    service::Settings,
    store::{self, ETag, HistoryFilter, HistoryPage, Store, Versioned},
    warehouse::{self, Run, RunState, Statement, Warehouse},
};
use async_trait::async_trait;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    embedded::Embedded,
    log::Log,
    scripted::{ScriptedModel, ScriptedWarehouse, answer, query, statement},
    server::TestServer,
};

/// A store whose rows have expired once it is told so, until they are put again.
struct Forgetful {
    store: Arc<dyn Store>,
    forgets: AtomicBool,
}

#[async_trait]
impl Store for Forgetful {
    fn kind(&self) -> &'static str {
        "forgetful"
    }
    async fn create(&self, conversation: &Conversation) -> Result<ETag, store::Error> {
        self.store.create(conversation).await
    }
    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, store::Error> {
        self.store.load(id).await
    }
    async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, store::Error> {
        self.store.commit(conversation, expected).await
    }
    async fn remove(&self, conversation: &Conversation, expected: &ETag) -> Result<(), store::Error> {
        self.store.remove(conversation, expected).await
    }
    async fn history(&self, filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, store::Error> {
        self.store.history(filter, limit, cursor).await
    }
    async fn put_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), store::Error> {
        self.store.put_result(id, number, result).await?;
        self.forgets.store(false, Ordering::SeqCst);
        Ok(())
    }
    async fn result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, store::Error> {
        if self.forgets.load(Ordering::SeqCst) { Ok(None) } else { self.store.result(id, number).await }
    }
    async fn probe(&self) -> Result<(), store::Error> {
        self.store.probe().await
    }
}

/// A warehouse that will launch nothing once it is told so.
struct Moody {
    inner: ScriptedWarehouse,
    refuses: AtomicBool,
    rows: ResultSet,
}

impl Moody {
    fn new() -> Self {
        Self { inner: ScriptedWarehouse::new(Duration::ZERO), refuses: AtomicBool::new(false), rows: ScriptedWarehouse::rows() }
    }
}

#[async_trait]
impl Warehouse for Moody {
    fn kind(&self) -> &'static str {
        "moody"
    }
    async fn launch(&self, statement: &Statement) -> Result<Run, warehouse::Error> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(warehouse::Error::Refused("the table is gone.".into()));
        }
        self.inner.launch(statement).await
    }
    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, warehouse::Error> {
        Ok(match self.inner.poll(run, known, wait).await? {
            RunState::Succeeded(_) => RunState::Succeeded(self.rows.clone()),
            state => state,
        })
    }
    async fn cancel(&self, run: &RunId) -> Result<(), warehouse::Error> {
        self.inner.cancel(run).await
    }
    async fn probe(&self) -> Result<(), warehouse::Error> {
        self.inner.probe().await
    }
}

struct World {
    server: TestServer,
    store: Arc<Forgetful>,
    warehouse: Arc<Moody>,
    shown: Arc<Mutex<Vec<Request>>>,
}

impl World {
    async fn new(warehouse: Moody) -> Self {
        Self::with(warehouse, Settings::default()).await
    }

    async fn with(warehouse: Moody, settings: Settings) -> Self {
        let mut embedded = Embedded::open();
        let store = Arc::new(Forgetful { store: Arc::clone(&embedded.store), forgets: AtomicBool::new(false) });
        embedded.store = Arc::clone(&store) as _;
        let (warehouse, shown) = (Arc::new(warehouse), Arc::<Mutex<Vec<Request>>>::default());
        let book = Arc::clone(&shown);
        let mut model = ScriptedModel::new(Duration::ZERO, move |request, done| {
            book.lock().unwrap().push(request.clone());
            let is_asked = matches!(request.transcript.last(), Some(Entry::Question(_)));
            Ok(if is_asked { query(&statement(done)) } else { answer("two films") })
        });
        model.pondered = Some("why?".into());
        let model = Arc::new(model);
        let (http, worker) = (http::Settings::default(), worker::Settings::default());
        let server = TestServer::start_on(embedded, model, Arc::clone(&warehouse) as _, http, worker, settings).await;
        Self { server, store, warehouse, shown }
    }

    /// A conversation that has ended, and the path to its rows.
    async fn answered(&self) -> (String, String) {
        let id = self.server.ask("which films?").await;
        assert_eq!(self.server.ended(&id).await["status"], "completed");
        let path = format!("/api/chat/{id}/results/1");
        (id, path)
    }

    async fn post(&self, path: &str) -> Response {
        self.server.request(Method::POST, path).send().await.unwrap()
    }

    /// Gets `path` until what comes is `wanted`.
    async fn until(&self, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        let until = std::time::Instant::now() + Duration::from_secs(300);
        while std::time::Instant::now() < until {
            let response = self.server.get(path).await;
            let (status, body) = (response.status().as_u16(), response.json().await.unwrap());
            if wanted(status, &body) {
                return body;
            }
            tokio::task::yield_now().await;
        }
        panic!("{path} never was what is waited for");
    }
}

async fn expired(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::GONE);
    let body: Value = response.json().await.unwrap();
    assert!(body["type"].as_str().unwrap().ends_with("/result-expired"), "{body}");
    body["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn expired_rows_are_computed_again_on_request_and_the_conversation_stays_as_it_was() {
    let world = World::new(Moody::new()).await;
    let (id, path) = world.answered().await;
    let (before, rows) = (world.server.json(&format!("/api/chat/{id}/status")).await, world.server.json(&path).await);
    world.store.forgets.store(true, Ordering::SeqCst);
    assert!(expired(world.server.get(&path).await).await.contains("POST"), "it says what to do");
    let response = world.post(&path).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!((&response.headers()["location"], &response.headers()["retry-after"]), (&path.parse().unwrap(), &"1".parse().unwrap()));
    assert_eq!(response.json::<Value>().await.unwrap()["processing_status"], "started");
    assert_eq!(world.until(&path, |status, _| status == 200).await, rows);
    assert_eq!(world.server.json(&format!("/api/chat/{id}/status")).await, before);
    let launches = world.warehouse.inner.launches.lock().unwrap().clone();
    assert!(launches.values().all(|count| *count == 1), "a run that the warehouse still has is not started again: {launches:?}");
    assert_eq!(world.post(&path).await.json::<Value>().await.unwrap()["processing_status"], "completed", "they are there");
    for (path, status) in [(format!("/api/chat/{id}/results/2"), 404), (format!("/api/chat/{}/results/1", ConversationId::random()), 404)] {
        assert_eq!(world.post(&path).await.status().as_u16(), status);
    }
}

#[tokio::test]
async fn rows_that_cannot_be_computed_again_say_why_until_somebody_tries_once_more() {
    let world = World::new(Moody::new()).await;
    let (_, path) = world.answered().await;
    world.store.forgets.store(true, Ordering::SeqCst);
    world.warehouse.refuses.store(true, Ordering::SeqCst);
    assert_eq!(world.post(&path).await.status(), StatusCode::ACCEPTED);
    let is_told = |status: u16, body: &Value| status == 410 && body["detail"].as_str().unwrap().contains("the table is gone");
    world.until(&path, is_told).await;
    world.warehouse.refuses.store(false, Ordering::SeqCst);
    assert_eq!(world.post(&path).await.status(), StatusCode::ACCEPTED);
    world.until(&path, |status, _| status == 200).await;
}

#[tokio::test]
async fn what_an_engine_says_of_expired_rows_is_logged_only_where_content_may_be_told() {
    for tells_content in [false, true] {
        let log = Log::begin();
        let world = World::with(Moody::new(), Settings { tells_content, ..Settings::default() }).await;
        let (_, path) = world.answered().await;
        world.store.forgets.store(true, Ordering::SeqCst);
        world.warehouse.refuses.store(true, Ordering::SeqCst);
        assert_eq!(world.post(&path).await.status(), StatusCode::ACCEPTED);
        world.until(&path, |status, body| status == 410 && body["detail"].as_str().unwrap().contains("the table is gone")).await;
        let logged = log.text();
        assert!(logged.contains("could not compute expired rows again"), "{logged}");
        assert_eq!(logged.contains("the table is gone"), tells_content, "{logged}");
        world.server.stop().await;
    }
}

#[tokio::test]
async fn rows_are_computed_again_beside_a_running_turn_and_do_not_disturb_it() {
    let world = World::new(Moody::new()).await;
    let (id, path) = world.answered().await;
    let ask = world.server.request(Method::POST, &format!("/api/chat/{id}/messages")).json(&json!({"question": "why?"}));
    assert_eq!(ask.send().await.unwrap().status(), StatusCode::ACCEPTED);
    world.store.forgets.store(true, Ordering::SeqCst);
    let before = world.server.json(&format!("/api/chat/{id}/status")).await;
    assert_eq!(world.post(&path).await.status(), StatusCode::ACCEPTED);
    world.until(&path, |status, _| status == 200).await;
    assert_eq!(world.server.json(&format!("/api/chat/{id}/status")).await["revision"], before["revision"]);
    assert_eq!(before["status"], "processing");
}

#[tokio::test]
async fn a_follow_up_is_answered_although_the_rows_of_earlier_queries_have_expired() {
    let world = World::new(Moody::new()).await;
    let (id, _) = world.answered().await;
    world.store.forgets.store(true, Ordering::SeqCst);
    let ask = world.server.request(Method::POST, &format!("/api/chat/{id}/messages")).json(&json!({"question": "and of them?"}));
    assert_eq!(ask.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let status = world.server.ended(&id).await;
    assert_eq!((&status["status"], &status["turn"]), (&json!("completed"), &json!(2)));
    let shown = world.shown.lock().unwrap();
    let first = shown.iter().find(|request| matches!(request.transcript.last(), Some(Entry::Question(text)) if text == "and of them?"));
    let is_told = |entry: &Entry| matches!(entry, Entry::Query { result: Err(error), .. } if error.contains("expired"));
    assert!(first.unwrap().transcript.iter().any(is_told), "the model is told: {first:?}");
}

#[tokio::test]
async fn large_results_come_in_chunks_with_a_name_for_who_saves_them() {
    let columns = [("n", "bigint"), ("name", "string")].map(|(name, data_type)| Column { name: name.into(), data_type: data_type.into() });
    let rows: Vec<Vec<Value>> = (0..900).map(|n| vec![json!(n), json!("x".repeat(400))]).collect();
    let large = ResultSet { columns: columns.into(), row_count: 900, rows, truncated: false, limit_source: None };
    let world = World::new(Moody { rows: large, ..Moody::new() }).await;
    let (id, path) = world.answered().await;
    for (format, name) in [("json", None), ("csv", Some("csv")), ("ndjson", Some("ndjson"))] {
        let url = format!("{path}?format={format}");
        let mut response = world.server.get(&url).await;
        assert_eq!(response.headers().get("transfer-encoding").map(|value| value.to_str().unwrap()), Some("chunked"), "{format}");
        let disposition = response.headers().get("content-disposition").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(disposition, name.map(|name| format!("attachment; filename=\"asklake-{id}-1.{name}\"")));
        let head = world.server.request(Method::HEAD, &url).send().await.unwrap();
        assert_eq!((head.status(), &head.headers()["content-type"]), (StatusCode::OK, &response.headers()["content-type"]));
        assert!(head.bytes().await.unwrap().is_empty());
        let (mut bytes, mut chunks) = (Vec::new(), 0);
        while let Some(chunk) = response.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
            chunks += 1;
        }
        assert!(chunks > 1, "{format}: {chunks} chunks of {} bytes", bytes.len());
        let text = String::from_utf8(bytes).unwrap();
        match format {
            "json" => assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["rows"].as_array().unwrap().len(), 900),
            "csv" => assert_eq!(text.lines().count(), 901),
            _ => assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()) && text.lines().count() == 900),
        }
    }
}
