//! A client who asks and watches, and notices when something that was told is taken back.

use std::time::{Duration, Instant};

use asklake::conversation::ConversationId;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// When a test gives up on what must happen. It bounds a test that hangs and says nothing of how fast asklake is: beside seven hundred
/// other tests on two cores, a debug build takes minutes for what it does in seconds alone.
pub fn patience() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

/// A client of one base address.
#[derive(Clone, Debug)]
pub struct Watcher {
    client: Client,
    base: String,
}

impl Watcher {
    pub fn new(base: String) -> Self {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(40)).build().unwrap();
        Self { client, base }
    }

    /// Asks until there is a 202; a retry is the same question by its key.
    pub async fn ask(&self, question: &str, deadline: Instant) -> ConversationId {
        let key = uuid::Uuid::new_v4().to_string();
        loop {
            let request = self.client.post(format!("{}/api/chat/start", self.base)).header("idempotency-key", &key);
            let refused = match request.json(&json!({"question": question})).send().await {
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    return response.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().parse().unwrap();
                }
                Ok(response) => {
                    let status = response.status();
                    let said = format!("{status}: {}", response.text().await.unwrap_or_default());
                    assert!(status.is_server_error(), "{said}");
                    said
                }
                Err(error) => error.to_string(),
            };
            assert!(Instant::now() < deadline, "{question:?} was not accepted in time: {refused}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Long-polls until the turn has ended; returns the last status.
    pub async fn ended(&self, id: ConversationId, deadline: Instant) -> Value {
        let mut last = json!({"revision": 0, "progress": {"percentage": 0}});
        loop {
            let after = last["revision"].as_u64().unwrap();
            if let Some(status) = self.status(id, after).await {
                assert_went_on(id, &last, &status);
                last = status;
            } else {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if matches!(last["status"].as_str(), Some("completed" | "error")) {
                return last;
            }
            assert!(Instant::now() < deadline, "{id} has not ended: {last:#}");
        }
    }

    /// Polls until the turn is in that stage; returns the status that said so.
    pub async fn until(&self, id: ConversationId, stage: &str, deadline: Instant) -> Value {
        loop {
            let status = self.status(id, 0).await;
            if let Some(status) = status.as_ref().filter(|status| status["stage"] == stage) {
                return status.clone();
            }
            assert!(Instant::now() < deadline, "{id} is not {stage}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `None` when the answer was a server error or none at all; or when the conversation was not there: replicas may lag for longer than
    /// asklake asks them again, and whether it is lost the store says at the end.
    async fn status(&self, id: ConversationId, after: u64) -> Option<Value> {
        let response = self.client.get(format!("{}/api/chat/{id}/status?wait=10&after={after}", self.base)).send().await.ok()?;
        if response.status().is_server_error() || response.status() == StatusCode::NOT_FOUND {
            return None;
        }
        assert_eq!(response.status(), StatusCode::OK, "{id}");
        response.json().await.ok()
    }
}

/// Asks `count` questions at once and waits for their ends.
pub async fn ask_and_watch(base: String, count: usize, question: &'static str, deadline: Instant) -> Vec<ConversationId> {
    let watcher = Watcher::new(base);
    let asked = (0..count).map(|_| {
        let watcher = watcher.clone();
        tokio::spawn(async move {
            let id = watcher.ask(question, deadline).await;
            watcher.ended(id, deadline).await;
            id
        })
    });
    futures_util::future::join_all(asked).await.into_iter().map(Result::unwrap).collect()
}

fn assert_went_on(id: ConversationId, before: &Value, now: &Value) {
    for field in ["/revision", "/progress/percentage"] {
        let number = |status: &Value| status.pointer(field).and_then(Value::as_u64).unwrap();
        assert!(number(now) >= number(before), "{id}: {field} went back\nfrom {before:#}\nto {now:#}");
    }
}
