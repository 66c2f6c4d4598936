//! The store in SQLite: the contract, the stored JSON, two processes on one file, the sweep.

use std::{sync::Arc, time::Duration};

use asklake::{
    conversation::{Column, Conversation, ConversationId, ResultSet, Revision},
    sqlite::Options,
    store::{Error, HistoryFilter, Store},
};
use async_trait::async_trait;

use super::{Clock, Fresh, TTL, count, open};
use crate::contract::{
    eventually,
    store::{Harness, advanced, answered, asked, store_contract},
};

#[async_trait]
impl Harness for Fresh {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    async fn elapse(&self, by: Duration) {
        self.clock.advance(by);
    }
}

async fn fresh() -> Option<Fresh> {
    Some(Fresh::new())
}

mod contract {
    super::store_contract!(super::fresh);
}

fn empty_result() -> ResultSet {
    let columns = vec![Column { name: "n".into(), data_type: "bigint".into() }];
    ResultSet { columns, rows: Vec::new(), row_count: 0, truncated: false, limit_source: None }
}

#[tokio::test]
async fn the_stored_document_has_the_published_schema() {
    let fresh = Fresh::new();
    let conversation = Conversation { id: ConversationId::from_idempotency_key("snapshot", "1"), ..answered() };
    fresh.store.create(&conversation).await.unwrap();
    let stored: String = fresh.raw().query_row("SELECT document FROM conversations", [], |row| row.get(0)).unwrap();
    let document: serde_json::Value = serde_json::from_str(&stored).unwrap();
    for published in [
        "id",
        "partition_key",
        "user_id",
        "status",
        "question",
        "messages",
        "databricks_jobs",
        "final_answer",
        "error",
        "created_at",
        "updated_at",
        "ttl",
    ] {
        assert!(document.get(published).is_some(), "{published} is missing");
    }
    insta::assert_json_snapshot!(document);
}

#[tokio::test]
async fn two_handles_on_one_file_conflict_and_one_wins() {
    let here = Fresh::new();
    let (there, _) = here.again();
    let conversation = asked("q");
    let etag = here.store.create(&conversation).await.unwrap();
    let next = advanced(&conversation);
    let (one, other) = tokio::join!(here.store.commit(&next, &etag), there.commit(&next, &etag));
    let won = [&one, &other].into_iter().filter(|outcome| outcome.is_ok()).count();
    let lost = [&one, &other].into_iter().filter(|outcome| matches!(outcome, Err(Error::Conflict(_)))).count();
    assert_eq!((won, lost), (1, 1), "{one:?}, {other:?}");
    assert_eq!(here.store.load(conversation.id).await.unwrap(), there.load(conversation.id).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_commit_of_eight_racing_workers_is_lost() {
    const WORKERS: u64 = 8;
    const COMMITS: u64 = 100;
    let fresh = Fresh::new();
    let (other, _) = fresh.again();
    let conversation = asked("q");
    fresh.store.create(&conversation).await.unwrap();
    let workers = (0..WORKERS).map(|worker| {
        // Half of them through another handle, as from another process.
        let store = if worker % 2 == 0 { fresh.store.clone() } else { other.clone() };
        let id = conversation.id;
        tokio::spawn(async move {
            let mut committed = 0;
            while committed < COMMITS {
                let read = store.load(id).await.unwrap().expect("there");
                let next = Conversation { revision: read.conversation.revision.next(), ..read.conversation };
                match store.commit(&next, &read.etag).await {
                    Ok(_) => committed += 1,
                    Err(Error::Conflict(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let last = fresh.store.load(conversation.id).await.unwrap().expect("there");
    assert_eq!(last.conversation.revision, Revision(1 + WORKERS * COMMITS));
}

#[tokio::test]
async fn what_has_expired_is_removed_from_the_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let (store, _queue) =
        open(folder.path(), Options { first_sweep: Duration::ZERO, sweep_every: Duration::from_millis(5), ..clock.options() });
    // More than a batch.
    for _ in 0..120 {
        let conversation = asked("q");
        store.create(&conversation).await.unwrap();
        store.put_result(conversation.id, 1, &empty_result()).await.unwrap();
    }
    clock.advance(TTL / 2);
    let young = asked("young");
    store.create(&young).await.unwrap();
    store.put_result(young.id, 1, &empty_result()).await.unwrap();
    clock.advance(TTL / 2);
    let raw = super::raw(folder.path());
    eventually("only the young one is left", async || (count(&raw, "conversations") == 1 && count(&raw, "results") == 1).then_some(()))
        .await;
    assert!(store.load(young.id).await.unwrap().is_some());
    assert!(store.result(young.id, 1).await.unwrap().is_some());
}

#[tokio::test]
async fn a_result_of_a_conversation_that_is_gone_leaves_nothing_behind() {
    let fresh = Fresh::new();
    let conversation = asked("q");
    fresh.store.put_result(conversation.id, 1, &empty_result()).await.unwrap();
    fresh.store.create(&conversation).await.unwrap();
    fresh.clock.advance(TTL);
    fresh.store.put_result(conversation.id, 1, &empty_result()).await.unwrap();
    assert_eq!(count(&fresh.raw(), "results"), 0);
}

#[tokio::test]
async fn an_unreadable_document_is_reported_with_its_id() {
    let fresh = Fresh::new();
    let conversation = asked("q");
    fresh.store.create(&conversation).await.unwrap();
    fresh.raw().execute("UPDATE conversations SET document = '{\"id\": 7}'", []).unwrap();
    let id = conversation.id.to_string();
    let loaded = fresh.store.load(conversation.id).await;
    assert!(matches!(&loaded, Err(Error::Corrupt { id: named, .. }) if *named == id), "{loaded:?}");
    let listed = fresh.store.history(&HistoryFilter::default(), 10, None).await;
    assert!(matches!(&listed, Err(Error::Corrupt { id: named, .. }) if *named == id), "{listed:?}");
}
