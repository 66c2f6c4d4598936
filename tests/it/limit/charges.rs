//! What is charged for what is not wanted any more: neither to cancel nor to delete in time is a way to ask for nothing.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use asklake::{
    conversation::{Caller, ConversationId},
    http,
    limit::{Ledger, Limits},
    model::{self, Listener, Model, Reply, Request},
    queue::Wake,
    runtime::worker,
    service::Asker,
    store::Store,
};
use async_trait::async_trait;
use reqwest::Method;

use super::{NONE, for_all, left, new, within};
use crate::{
    contract::eventually,
    support::{
        embedded::Embedded,
        scripted::{ScriptedModel, ScriptedWarehouse},
        server::TestServer,
    },
};

/// What the scripted model never comes to a reply to.
const HARD: &str = "why?";

async fn stop(server: &TestServer, id: &str, how: &str) {
    let request = match how {
        "cancel" => server.request(Method::POST, &format!("/api/chat/{id}/cancel")),
        _ => server.request(Method::DELETE, &format!("/api/chat/{id}")),
    };
    assert!(request.send().await.unwrap().status().is_success(), "{how}");
}

/// Waits until something is charged of `limits`, which has one, and returns how much.
async fn charged(ledger: &dyn Ledger, limits: &Limits) -> u64 {
    let limit = limits.tokens.or(limits.warehouse).unwrap();
    eventually("it is charged", async || Some(limit - left(ledger, limits).await[0]).filter(|charged| *charged > 0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_the_model_that_is_dropped_costs_the_tokens_that_it_may_have_read() {
    for how in ["cancel", "delete"] {
        let embedded = Embedded::open();
        let mut model = ScriptedModel::querying(0, Duration::ZERO);
        model.pondered = Some(HARD.into());
        let (model, ledger, limits) = (Arc::new(model), Arc::clone(&embedded.ledger), Limits { tokens: Some(1000), ..NONE });
        let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
        let service = within(&embedded, Arc::clone(&model) as _, warehouse, Arc::clone(&ledger), for_all(limits));
        let server = TestServer::serve(embedded, service, http::Settings::default(), worker::Settings::default()).await;
        let id = server.ask(HARD).await;
        eventually("the model is asked", async || (model.begun.load(Ordering::SeqCst) > 0).then_some(())).await;
        stop(&server, &id, how).await;
        let charged = charged(&*ledger, &limits).await;
        assert!((10..100).contains(&charged), "the size of a short question: {charged}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_ran_until_its_conversation_was_removed_or_its_turn_canceled_costs_its_seconds() {
    for how in ["cancel", "delete"] {
        let embedded = Embedded::open();
        let (ledger, limits) = (Arc::clone(&embedded.ledger), Limits { warehouse: Some(1000), ..NONE });
        let (model, warehouse) = (ScriptedModel::querying(1, Duration::ZERO), ScriptedWarehouse::new(Duration::from_secs(3600)));
        let warehouse = Arc::new(warehouse);
        let service = within(&embedded, Arc::new(model), Arc::clone(&warehouse) as _, Arc::clone(&ledger), for_all(limits));
        let server = TestServer::serve(embedded, service, http::Settings::default(), worker::Settings::default()).await;
        let id = server.ask("which films?").await;
        eventually("the query runs", async || (warehouse.polls.load(Ordering::SeqCst) > 0).then_some(())).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        stop(&server, &id, how).await;
        let charged = charged(&*ledger, &limits).await;
        assert!((1..60).contains(&charged), "{charged}");
        server.stop().await;
    }
}

/// A model that replies when its conversation has just been removed or changed by another.
struct Overtaken {
    inner: ScriptedModel,
    store: Arc<dyn Store>,
    id: Mutex<Option<ConversationId>>,
    removes: bool,
}

#[async_trait]
impl Model for Overtaken {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn fingerprint(&self, request: &Request) -> String {
        self.inner.fingerprint(request)
    }
    async fn reply(&self, request: &Request, listener: &Listener<'_>) -> Result<Reply, model::Error> {
        let reply = self.inner.reply(request, listener).await;
        let id = self.id.lock().unwrap().unwrap();
        let mut found = self.store.load(id).await.unwrap().unwrap();
        if self.removes {
            self.store.remove(&found.conversation, &found.etag).await.unwrap();
        } else {
            found.conversation.revision = found.conversation.revision.next();
            self.store.commit(&found.conversation, &found.etag).await.unwrap();
        }
        reply
    }
    async fn probe(&self) -> Result<(), model::Error> {
        self.inner.probe().await
    }
}

#[tokio::test]
async fn a_reply_that_comes_too_late_costs_its_tokens_unless_another_worker_has_had_it_too() {
    for (removes, charged) in [(true, 15), (false, 0)] {
        let embedded = Embedded::open();
        let model = Arc::new(Overtaken {
            inner: ScriptedModel::querying(0, Duration::ZERO),
            store: Arc::clone(&embedded.store),
            id: Mutex::default(),
            removes,
        });
        let (ledger, limits) = (Arc::clone(&embedded.ledger), Limits { tokens: Some(1000), ..NONE });
        let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
        let service = within(&embedded, Arc::clone(&model) as _, warehouse, ledger, for_all(limits));
        let caller = Caller::Anonymous;
        let (started, _) = service.start_for(&Asker::local(&caller), new(&caller), true).await.unwrap();
        model.id.lock().unwrap().replace(started.id);
        let wake = Wake::of(&embedded.store.load(started.id).await.unwrap().unwrap().conversation);
        service.step(wake, 1).await.unwrap();
        assert_eq!(left(&*embedded.ledger, &limits).await, [1000 - charged], "removed: {removes}");
    }
}
