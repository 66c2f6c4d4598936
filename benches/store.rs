//! The embedded store and queue: what a read, a commit and a message cost.
//!
//! `load` bounds `GET status`; `create` and `send` are what `POST start` waits for, each with a flush to the disk that the temporary
//! folder is on.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{hint::black_box, time::Duration};

use asklake::{
    conversation::{Conversation, ConversationId, NewConversation, Revision, Timestamp},
    queue::{Lane, Receiver, Sender, Wake, sqlite::SqliteQueue},
    sqlite::{Database, Options},
    store::{Store, sqlite::SqliteStore},
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

/// Callers that wait at the same time in the concurrent measurements.
const CALLERS: u64 = 64;

fn asked() -> Conversation {
    let new = NewConversation {
        id: ConversationId::random(),
        question: "Which ten science fiction films since 1990 are rated best?".into(),
        owner: None,
        user_id: Some("bench".into()),
        device_id: None,
        language: None,
        request_digest: None,
    };
    Conversation::start(new, Timestamp::now())
}

fn wake() -> Wake {
    Wake::at(ConversationId::random(), Revision::FIRST)
}

fn store(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let database = Database::open(folder.path(), Options::default()).unwrap();
    let store = SqliteStore::new(database, Duration::from_secs(3600)).unwrap();
    let conversation = asked();
    let mut etag = runtime.block_on(store.create(&conversation)).unwrap();

    let mut group = criterion.benchmark_group("store");
    group.bench_function("load", |bencher| bencher.iter(|| black_box(runtime.block_on(store.load(conversation.id))).unwrap()));
    group.bench_function("create", |bencher| {
        bencher.iter_batched(asked, |new| runtime.block_on(store.create(&new)).unwrap(), BatchSize::SmallInput);
    });
    group.bench_function("commit", |bencher| {
        bencher.iter(|| etag = runtime.block_on(store.commit(&conversation, &etag)).unwrap());
    });
    group.throughput(Throughput::Elements(CALLERS));
    group.bench_function("create, 64 at once", |bencher| {
        let callers = || -> Vec<Conversation> { (0..CALLERS).map(|_| asked()).collect() };
        let all = |new: Vec<Conversation>| runtime.block_on(futures_util::future::join_all(new.iter().map(|new| store.create(new))));
        bencher.iter_batched(callers, all, BatchSize::SmallInput);
    });
    group.finish();
}

fn queue(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let queue = SqliteQueue::new(Database::open(folder.path(), Options::default()).unwrap()).unwrap();
    let lease = Duration::from_secs(600);
    let receive = async |max| queue.receive(Lane::Work, max, lease, Duration::ZERO).await.unwrap();

    let mut group = criterion.benchmark_group("queue");
    group.bench_function("receive from an empty queue", |bencher| bencher.iter(|| runtime.block_on(receive(16))));
    group.bench_function("send, receive, delete", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                queue.send(&wake(), Duration::ZERO).await.unwrap();
                for delivery in receive(1).await {
                    queue.delete(Lane::Work, &delivery.lease).await.unwrap();
                }
            });
        });
    });
    group.throughput(Throughput::Elements(CALLERS));
    group.bench_function("send, receive, delete, 64 at once", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let wakes: Vec<Wake> = (0..CALLERS).map(|_| wake()).collect();
                futures_util::future::join_all(wakes.iter().map(|wake| queue.send(wake, Duration::ZERO))).await;
                let deliveries = receive(64).await;
                futures_util::future::join_all(deliveries.iter().map(|delivery| queue.delete(Lane::Work, &delivery.lease))).await
            })
        });
    });
    group.finish();
}

criterion_group!(benches, store, queue);
criterion_main!(benches);
