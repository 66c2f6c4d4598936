//! One hub for all who wait: what it costs the store, and what it finds of other processes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use asklake::{
    conversation::{Budgets, ConversationId, Revision},
    service::{Advance, News, Ports, Service, Wait, Watch},
};
use futures_util::future::join_all;

use super::LONG;
use crate::{
    replicas::{World, settings},
    support::{
        embedded::lake,
        scripted::{ScriptedModel, ScriptedWarehouse},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn world(read_interval: Duration, replica_lag: Duration) -> World {
    World::new(ScriptedModel::querying(1, Duration::ZERO), settings(read_interval, replica_lag))
}

/// Another process over the same store.
fn elsewhere(world: &World) -> Service {
    let ports = Ports {
        store: Arc::clone(&world.embedded.store),
        wakes: Arc::clone(&world.embedded.sender),
        model: Arc::new(ScriptedModel::querying(1, Duration::ZERO)),
        warehouse: Arc::new(ScriptedWarehouse::new(Duration::ZERO)),
    };
    Service::new(ports, lake(), Budgets::default(), settings(Duration::ZERO, Duration::ZERO))
}

async fn next(watch: &mut Watch) -> News {
    tokio::time::timeout(LONG, watch.next()).await.expect("news")
}

/// The revisions that are told until the end.
async fn to_the_end(watch: &mut Watch) -> Vec<u64> {
    let mut told = vec![];
    loop {
        match next(watch).await {
            News::Changed(conversation) => told.push(conversation.revision.0),
            News::Draft(_) => {}
            News::Ended => return told,
            News::Gone => panic!("it is gone after {told:?}"),
        }
    }
}

#[tokio::test]
async fn however_many_wait_a_conversation_costs_one_read_a_second_and_none_when_they_have_left() {
    for read_interval in [Duration::ZERO, SECOND] {
        let world = world(read_interval, Duration::ZERO);
        let id = world.start().await.conversation_id;
        let reads = || world.store.reads.load(Ordering::SeqCst);
        let (before, began) = (reads(), Instant::now());
        let mut watches: Vec<Watch> =
            join_all((0..500).map(|_| world.service.watch(id, None))).await.into_iter().map(|watch| watch.unwrap().unwrap()).collect();
        for watch in &mut watches {
            assert!(matches!(next(watch).await, News::Changed(_)));
        }
        let waiting = join_all(watches.iter_mut().map(|watch| tokio::time::timeout(Duration::from_millis(2500), watch.next())));
        assert!(waiting.await.iter().all(Result::is_err), "nothing happens");
        let (seconds, during) = (began.elapsed().as_secs(), reads() - before);
        assert!((2..=usize::try_from(seconds).unwrap() + 1).contains(&during), "{during} reads in {seconds} s");
        drop(watches);
        let after = reads();
        tokio::time::sleep(SECOND * 5 / 2).await;
        assert!(reads() <= after + 1, "one read may have been under way");
    }
}

#[tokio::test]
async fn a_watcher_is_told_what_another_process_commits() {
    for read_interval in [Duration::ZERO, SECOND] {
        let world = world(read_interval, Duration::ZERO);
        let wake = world.start().await;
        let mut watch = world.service.watch(wake.conversation_id, Some(Revision(1))).await.unwrap().unwrap();
        let (told, worked) = tokio::join!(to_the_end(&mut watch), async { elsewhere(&world).step(wake, 1).await.unwrap() });
        assert_eq!(worked, Advance::Ended);
        let ended = world.embedded.store.load(wake.conversation_id).await.unwrap().unwrap().conversation.revision;
        assert_eq!(told.last(), Some(&ended.0), "{told:?}");
    }
}

#[tokio::test]
async fn a_long_poll_is_answered_by_what_another_process_commits() {
    let world = world(Duration::ZERO, Duration::ZERO);
    let wake = world.start().await;
    let poll = world.service.read(wake.conversation_id, Some(Wait { after: Revision(1), at_most: LONG }));
    let (found, _) = tokio::join!(poll, async { elsewhere(&world).step(wake, 1).await.unwrap() });
    assert!(found.unwrap().unwrap().revision > Revision(1));
}

#[tokio::test]
async fn what_this_process_commits_is_told_without_a_read() {
    let world = world(Duration::ZERO, Duration::ZERO);
    let wake = world.start().await;
    let mut watch = world.service.watch(wake.conversation_id, None).await.unwrap().unwrap();
    assert!(matches!(next(&mut watch).await, News::Changed(_)));
    let began = Instant::now();
    let before = world.store.reads.load(Ordering::SeqCst);
    let (told, _) = tokio::join!(to_the_end(&mut watch), async { world.service.step(wake, 1).await.unwrap() });
    assert!(told.len() > 2 && told.is_sorted(), "{told:?}");
    let reads = world.store.reads.load(Ordering::SeqCst) - before;
    // The worker's own, and that of every second.
    assert!(reads <= 1 + usize::try_from(began.elapsed().as_secs()).unwrap() + 1, "{reads} reads for {} changes", told.len());
}

#[tokio::test]
async fn a_replica_that_lags_behind_takes_no_watcher_back() {
    let lag = Duration::from_millis(20);
    let world = world(Duration::ZERO, lag);
    let wake = world.start().await;
    world.service.step(wake, 1).await.unwrap();
    let ended = world.embedded.store.load(wake.conversation_id).await.unwrap().unwrap().conversation.revision;
    world.store.stale_reads.store(1, Ordering::SeqCst);
    let mut watch = world.service.watch(wake.conversation_id, Some(ended)).await.unwrap().unwrap();
    assert!(matches!(next(&mut watch).await, News::Ended), "the older state is not told");
}

#[tokio::test]
async fn a_conversation_that_does_not_exist_cannot_be_watched() {
    let world = world(Duration::ZERO, Duration::ZERO);
    assert!(world.service.watch(ConversationId::random(), None).await.unwrap().is_none());
}
