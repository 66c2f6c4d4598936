//! What the store promises beyond the contract: its items, what it creates, lost answers, faults, and what it costs.

use std::{sync::Arc, time::Duration};

use asklake::{
    conversation::{Conversation, ConversationId, Revision},
    store::{Error, HistoryFilter, Store, cosmos::Credential},
};
use azure_core::credentials::Secret;
use azure_data_cosmos::{
    AccountReference, CosmosClient, CosmosRuntime, FeedScope, RoutingStrategy, clients::ContainerClient, models::TimeToLive,
    options::BinaryEncodingOptions,
};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use super::{DATABASE, Fresh, TTL, open, open_as, wire::FakeCredential};
use crate::{
    contract::store::{advanced, answered, asked},
    support::{cosmos::Emulator, scripted::ScriptedWarehouse},
};

/// A client past the store.
async fn raw(fresh: &Fresh) -> ContainerClient {
    let endpoint = Emulator::shared().endpoint().parse().unwrap();
    let account = AccountReference::with_authentication_key(endpoint, Secret::from("YW55IGtleQ=="));
    let client = CosmosClient::builder()
        // Not the global one: that ends with the test that was first.
        .with_runtime(CosmosRuntime::builder().build().await.unwrap())
        .with_binary_encoding_options(BinaryEncodingOptions::new().with_enabled(false))
        .build(account, RoutingStrategy::PreferredRegions(Vec::new()));
    let name = fresh.container.split_once('/').unwrap().1.to_owned();
    client.await.unwrap().database_client(DATABASE).container_client(name, None).await.unwrap()
}

async fn items(fresh: &Fresh) -> Vec<Value> {
    let all = raw(fresh).await.query_items("SELECT * FROM c", FeedScope::full_container(), None).await.unwrap();
    all.try_collect().await.unwrap()
}

/// The fault, for the container of `fresh` alone.
async fn order(fresh: &Fresh, mut fault: Value) {
    fault["container"] = fresh.container.clone().into();
    Emulator::shared().order(fault).await;
}

async fn count(fresh: &Fresh, kind: &str) -> u64 {
    Emulator::shared().operations(&fresh.container).await[kind].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn the_items_have_the_published_schema_and_their_ttl() {
    let fresh = Fresh::new();
    let conversation = Conversation { id: ConversationId::from_idempotency_key("snapshot", "1"), ..answered() };
    fresh.store.create(&conversation).await.unwrap();
    fresh.store.put_result(conversation.id, 2, &ScriptedWarehouse::rows()).await.unwrap();
    let mut items = items(&fresh).await;
    items.sort_by_key(|item| item["id"].as_str().unwrap().len());
    assert_eq!(items[1]["conversation_rid"], items[0]["_rid"]);
    for item in &mut items {
        for changing in ["_rid", "_self", "_etag", "_ts", "write_id", "conversation_rid"] {
            if let Some(value) = item.get_mut(changing) {
                *value = "different every time".into();
            }
        }
    }
    insta::assert_json_snapshot!(items);
}

#[tokio::test]
async fn rows_that_are_read_live_on_with_their_conversation() {
    let fresh = Fresh::new();
    let mut conversation = asked("q");
    let mut etag = fresh.store.create(&conversation).await.unwrap();
    fresh.store.put_result(conversation.id, 1, &ScriptedWarehouse::rows()).await.unwrap();
    let written_at = async || items(&fresh).await.iter().find(|item| item["kind"] == "result").unwrap()["_ts"].as_u64().unwrap();
    let before = written_at().await;
    fresh.store.result(conversation.id, 1).await.unwrap();
    assert_eq!(written_at().await, before, "young rows are only read");
    for _ in 0..4 {
        tokio::time::sleep(TTL / 3).await;
        conversation = advanced(&conversation);
        etag = fresh.store.commit(&conversation, &etag).await.unwrap();
    }
    assert_eq!(fresh.store.result(conversation.id, 1).await.unwrap(), Some(ScriptedWarehouse::rows()));
    let after = written_at().await;
    assert!(after > before + TTL.as_secs(), "{before}, {after}");
    assert_eq!(fresh.store.result(conversation.id, 1).await.unwrap(), Some(ScriptedWarehouse::rows()), "as they were");
}

#[tokio::test]
async fn with_a_key_a_missing_container_is_created_once_by_many() {
    let fresh = Fresh::new();
    let stores =
        [&fresh.store, &Arc::new(open(Emulator::shared().endpoint(), fresh.container.split_once('/').unwrap().1, TTL))].map(Arc::clone);
    let creates = (0..20).map(|n| {
        let store = Arc::clone(&stores[n % 2]);
        tokio::spawn(async move { store.create(&asked("q")).await })
    });
    for created in creates.collect::<Vec<_>>() {
        created.await.unwrap().expect("created");
    }
    let properties = raw(&fresh).await.read(None).await.unwrap().into_model().unwrap();
    assert_eq!(properties.default_ttl, TimeToLive::NoDefault, "items expire that say so");
    assert_eq!(properties.partition_key.paths(), ["/partition_key"]);
    let indexing = serde_json::to_value(properties.indexing_policy.unwrap()).unwrap();
    assert_eq!(indexing["excludedPaths"][0]["path"], "/*", "{indexing}");
}

#[tokio::test]
async fn with_an_identity_a_missing_container_is_an_error_that_says_what_to_do() {
    let store = open_as(Emulator::shared().endpoint(), Credential::Token(Arc::new(FakeCredential)), "missing", TTL);
    let refused = store.create(&asked("q")).await;
    let Err(Error::Unavailable(detail)) = refused else { panic!("{refused:?}") };
    assert!(detail.contains("missing") && detail.contains("docs/deploy.md"), "{detail}");
}

#[tokio::test]
async fn a_store_that_could_not_connect_connects_later() {
    let emulator = Emulator::start();
    let endpoint = emulator.endpoint().to_owned();
    let store = open(&endpoint, "later", TTL);
    drop(emulator);
    let refused = store.probe().await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let _emulator = Emulator::start_at(&endpoint);
    store.probe().await.expect("a failure is not kept");
    store.create(&asked("q")).await.expect("nor is what it led to");
}

#[tokio::test]
async fn a_container_that_was_removed_is_made_anew() {
    let fresh = Fresh::new();
    fresh.store.create(&asked("q")).await.unwrap();
    raw(&fresh).await.delete(None).await.unwrap();
    let mut last = None;
    for _ in 0..5 {
        match fresh.store.create(&asked("q")).await {
            Ok(_) => return,
            Err(error) => last = Some(error),
        }
    }
    panic!("{last:?}");
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_has_succeeded() {
    let fresh = Fresh::new();
    fresh.store.probe().await.unwrap();
    order(&fresh, json!({"kind": "lost", "on": "writes", "count": 1})).await;
    let conversation = asked("q");
    let etag = fresh.store.create(&conversation).await.expect("it was ours");
    assert_eq!(count(&fresh, "create").await, 2, "it was sent again");
    fresh.store.commit(&advanced(&conversation), &etag).await.expect("with the ETag of what is stored");
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_has_succeeded() {
    let fresh = Fresh::new();
    let conversation = asked("q");
    let etag = fresh.store.create(&conversation).await.unwrap();
    order(&fresh, json!({"kind": "lost", "on": "writes", "count": 1})).await;
    let next = advanced(&conversation);
    let etag = fresh.store.commit(&next, &etag).await.expect("it was ours");
    assert_eq!(count(&fresh, "replace").await, 2, "it was sent again");
    fresh.store.commit(&advanced(&next), &etag).await.expect("with the ETag of what is stored");
}

#[tokio::test]
async fn of_two_equal_commits_only_one_is_ours() {
    let fresh = Fresh::new();
    let conversation = asked("q");
    let etag = fresh.store.create(&conversation).await.unwrap();
    let next = advanced(&conversation);
    fresh.store.commit(&next, &etag).await.unwrap();
    let refused = fresh.store.commit(&next, &etag).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
}

#[tokio::test]
async fn a_refusal_of_a_version_that_is_current_is_a_conflict_and_changes_nothing() {
    let fresh = Fresh::new();
    let conversation = asked("q");
    let etag = fresh.store.create(&conversation).await.unwrap();
    order(&fresh, json!({"kind": "412", "count": 1})).await;
    let refused = fresh.store.commit(&advanced(&conversation), &etag).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(fresh.store.load(conversation.id).await.unwrap().unwrap().etag, etag);
}

#[tokio::test]
async fn a_short_throttling_is_waited_for_and_a_long_one_told_of() {
    let fresh = Fresh::new();
    fresh.store.probe().await.unwrap();
    order(&fresh, json!({"kind": "429", "count": 3, "retry_after_ms": 10})).await;
    let conversation = asked("q");
    fresh.store.create(&conversation).await.expect("after a few tries");
    for retry_after_ms in [1000, 7500] {
        let fresh = Fresh::new();
        fresh.store.probe().await.unwrap();
        order(&fresh, json!({"kind": "429", "retry_after_ms": retry_after_ms})).await;
        let throttled = fresh.store.load(conversation.id).await;
        let asked = Duration::from_millis(retry_after_ms);
        assert!(matches!(throttled, Err(Error::Throttled { retry_after }) if retry_after == asked), "{throttled:?}");
    }
}

#[tokio::test]
async fn a_service_that_is_unavailable_for_long_is_told_of() {
    let fresh = Fresh::new();
    fresh.store.probe().await.unwrap();
    order(&fresh, json!({"kind": "503"})).await;
    for failed in [
        fresh.store.create(&asked("q")).await.map(drop),
        fresh.store.load(ConversationId::random()).await.map(drop),
        fresh.store.history(&HistoryFilter::default(), 10, None).await.map(drop),
        fresh.store.probe().await,
    ] {
        assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    }
}

#[tokio::test]
async fn an_operation_that_is_never_answered_ends() {
    let fresh = Fresh::new();
    fresh.store.probe().await.unwrap();
    order(&fresh, json!({"kind": "timeout"})).await;
    let unanswered = fresh.store.load(ConversationId::random()).await;
    assert!(matches!(unanswered, Err(Error::Unavailable(_))), "{unanswered:?}");
}

#[tokio::test]
async fn a_stale_read_shows_the_revision_before_which_the_fence_recognises() {
    let fresh = Fresh::new();
    let conversation = asked("q");
    order(&fresh, json!({"kind": "stale", "count": 2})).await;
    let etag = fresh.store.create(&conversation).await.unwrap();
    assert_eq!(fresh.store.load(conversation.id).await.unwrap(), None);
    fresh.store.commit(&advanced(&conversation), &etag).await.unwrap();
    let revision = async || fresh.store.load(conversation.id).await.unwrap().unwrap().conversation.revision;
    assert_eq!((revision().await, revision().await), (Revision(1), Revision(2)));
}

#[tokio::test]
async fn an_operation_is_one_request() {
    let fresh = Fresh::new();
    let conversation = asked("q");
    let etag = fresh.store.create(&conversation).await.unwrap();
    fresh.store.load(conversation.id).await.unwrap();
    fresh.store.commit(&advanced(&conversation), &etag).await.unwrap();
    let operations = Emulator::shared().operations(&fresh.container).await;
    assert_eq!(operations, json!({"read": 1, "create": 1, "replace": 1}));
    fresh.store.put_result(conversation.id, 1, &ScriptedWarehouse::rows()).await.unwrap();
    fresh.store.result(conversation.id, 1).await.unwrap();
    let operations = Emulator::shared().operations(&fresh.container).await;
    assert_eq!(operations, json!({"read": 4, "create": 1, "replace": 1, "upsert": 1}), "results are read with their conversation");
}

#[tokio::test]
async fn rows_are_not_in_the_history() {
    let fresh = Fresh::new();
    let conversation = asked("q");
    fresh.store.create(&conversation).await.unwrap();
    for number in 1..4 {
        fresh.store.put_result(conversation.id, number, &ScriptedWarehouse::rows()).await.unwrap();
    }
    let page = fresh.store.history(&HistoryFilter::default(), 10, None).await.unwrap();
    assert_eq!(page.conversations, [conversation]);
}

#[tokio::test]
async fn rows_of_a_conversation_that_is_gone_leave_nothing_behind() {
    let fresh = Fresh::new();
    fresh.store.put_result(ConversationId::random(), 1, &ScriptedWarehouse::rows()).await.unwrap();
    assert_eq!(items(&fresh).await, [] as [Value; 0]);
}

#[tokio::test]
async fn an_unreadable_document_is_reported_with_its_id() {
    let fresh = Fresh::new();
    fresh.store.probe().await.unwrap();
    let id = ConversationId::random();
    let item = json!({"id": id.to_string(), "partition_key": id.to_string(), "history_key": "2026", "question": 7});
    raw(&fresh).await.create_item(id.to_string(), &id.to_string(), item, None).await.unwrap();
    let loaded = fresh.store.load(id).await;
    assert!(matches!(&loaded, Err(Error::Corrupt { id: named, .. }) if *named == id.to_string()), "{loaded:?}");
    let listed = fresh.store.history(&HistoryFilter::default(), 10, None).await;
    assert!(matches!(&listed, Err(Error::Corrupt { id: named, .. }) if *named == id.to_string()), "{listed:?}");
}

#[test]
fn an_endpoint_that_is_no_address_is_refused() {
    let config = asklake::store::cosmos::Config {
        endpoint: "not an address".into(),
        credential: Credential::Key(Secret::from("k")),
        database: "d".into(),
        container: "c".into(),
        ttl: TTL,
    };
    let refused = asklake::store::cosmos::CosmosStore::new(config).err().expect("refused").to_string();
    assert!(refused.contains("not an address") && refused.contains("https://account.documents.azure.com/"), "{refused}");
}
