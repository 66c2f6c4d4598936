//! A service for the targets that need one: a store with one conversation that takes every commit and keeps none, a queue that takes
//! everything, and the scripted model and warehouse of the tests. So every input meets the same.

#[allow(dead_code)]
#[path = "../../tests/support/scripted.rs"]
mod scripted;

use std::{
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use asklake::{
    conversation::{Budgets, Conversation, ConversationId, NewConversation, ResultSet, Timestamp},
    queue::{self, Sender, Wake},
    service::{Ports, Service, Settings},
    sql::{Catalog, Lake},
    store::{Cursor, ETag, Error, HistoryFilter, HistoryPage, Store, Versioned},
};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use scripted::{ScriptedModel, ScriptedWarehouse};
use tower_service::Service as _;

/// The conversation that is there.
pub const KNOWN: &str = "0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b";

/// An answer, as a client has it.
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

/// A service over the world of this crate.
pub fn service() -> Service {
    let ports = Ports {
        store: Arc::new(One),
        wakes: Arc::new(Open),
        model: Arc::new(ScriptedModel::querying(0, Duration::ZERO)),
        warehouse: Arc::new(ScriptedWarehouse::new(Duration::ZERO)),
    };
    let catalog = Catalog::embedded().expect("the embedded catalog is valid");
    Service::new(ports, Lake::new(Arc::new(catalog), 1_000), Budgets::default(), Settings::default())
}

/// Runs `future` where time passes as soon as all wait for it.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    thread_local!(static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime"));
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Routes of the server.
pub type Routes = warp::filters::BoxedFilter<(warp::reply::Response,)>;

/// What `routes` answer to `request`.
pub fn ask(routes: &Routes, request: http::Request<Full<Bytes>>) -> Answer {
    run(async {
        let answer = warp::service(routes.clone()).call(request).await.unwrap_or_else(|never| match never {});
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("the body is whole").to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    })
}

static CONVERSATION: LazyLock<Conversation> = LazyLock::new(|| {
    let new = NewConversation {
        id: KNOWN.parse().expect("an id"),
        question: "which films?".into(),
        owner: None,
        user_id: Some("u".into()),
        device_id: None,
        language: None,
        request_digest: None,
    };
    Conversation::start(new, Timestamp::now())
});

/// A store with [`CONVERSATION`], which stays as it is.
struct One;

#[async_trait]
impl Store for One {
    fn kind(&self) -> &'static str {
        "one"
    }

    async fn create(&self, conversation: &Conversation) -> Result<ETag, Error> {
        if conversation.id == CONVERSATION.id { Err(Error::Exists(conversation.id)) } else { Ok(ETag("new".into())) }
    }

    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, Error> {
        let versioned = || Versioned { conversation: CONVERSATION.clone(), etag: ETag("1".into()) };
        Ok((id == CONVERSATION.id).then(versioned))
    }

    async fn commit(&self, _conversation: &Conversation, _expected: &ETag) -> Result<ETag, Error> {
        Ok(ETag("1".into()))
    }

    async fn remove(&self, _conversation: &Conversation, _expected: &ETag) -> Result<(), Error> {
        Ok(())
    }

    async fn history(&self, _filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, Error> {
        assert!((1..=100).contains(&limit));
        if let Some(text) = cursor {
            Cursor::decode(text).ok_or(Error::BadCursor)?;
        }
        let conversations = vec![CONVERSATION.clone()];
        let next_cursor = Cursor::after(&conversations, true);
        Ok(HistoryPage { conversations, next_cursor })
    }

    async fn put_result(&self, _id: ConversationId, _number: u32, _result: &ResultSet) -> Result<(), Error> {
        Ok(())
    }

    async fn result(&self, _id: ConversationId, _number: u32) -> Result<Option<ResultSet>, Error> {
        Ok(None)
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A queue that takes every wake and delivers none.
struct Open;

#[async_trait]
impl Sender for Open {
    fn kind(&self) -> &'static str {
        "open"
    }

    async fn send(&self, _wake: &Wake, _delay: Duration) -> Result<(), queue::Error> {
        Ok(())
    }

    async fn probe(&self) -> Result<(), queue::Error> {
        Ok(())
    }
}
