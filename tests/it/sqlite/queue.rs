//! The queue in SQLite: the contract, its order, waking, two processes on one file, messages that are too old.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use asklake::{
    queue::{Lane, Receiver, Sender, sqlite::SqliteQueue},
    sqlite::Options,
};
use async_trait::async_trait;

use super::{Clock, Fresh, count, open, raw};
use crate::contract::{
    eventually,
    queue::{Harness, queue_contract, read, wake},
};

const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[async_trait]
impl Harness for Fresh {
    fn sender(&self) -> Arc<dyn Sender> {
        Arc::new(self.queue.clone())
    }

    fn receiver(&self) -> Arc<dyn Receiver> {
        Arc::new(self.queue.clone())
    }

    fn unit(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn elapse(&self, by: Duration) {
        self.clock.advance(by);
    }
}

async fn fresh() -> Option<Fresh> {
    Some(Fresh::new())
}

mod contract {
    super::queue_contract!(super::fresh);
}

async fn revisions(queue: &SqliteQueue, max: u32) -> Vec<u64> {
    let deliveries = queue.receive(Lane::Work, max, LEASE, Duration::ZERO).await.unwrap();
    deliveries.iter().map(|delivery| read(delivery).revision.0).collect()
}

#[tokio::test]
async fn what_has_been_visible_longest_is_delivered_first() {
    let fresh = Fresh::new();
    for (revision, delay) in [(1, 5), (2, 0), (3, 3), (4, 0)] {
        fresh.queue.send(&wake(revision), Duration::from_secs(delay)).await.unwrap();
    }
    fresh.clock.advance(Duration::from_secs(10));
    assert_eq!(revisions(&fresh.queue, 1).await, [2]);
    assert_eq!(revisions(&fresh.queue, 32).await, [4, 3, 1]);
}

#[tokio::test]
async fn a_delayed_wake_is_delivered_when_it_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let (_, queue) = open(folder.path(), Options::default());
    let delay = Duration::from_millis(120);
    let mut took = vec![];
    for revision in 1..=5 {
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { (queue.receive(Lane::Work, 1, LEASE, Duration::from_secs(55)).await.unwrap(), Instant::now()) }
        });
        tokio::task::yield_now().await;
        let sent = Instant::now();
        queue.send(&wake(revision), delay).await.unwrap();
        let (deliveries, received) = waiting.await.unwrap();
        assert_eq!(deliveries.len(), 1);
        took.push(received - sent);
    }
    // The clock has milliseconds.
    assert!(took.iter().all(|took| *took + Duration::from_millis(2) >= delay), "{took:?}");
    // At least one (this machine may be busy): by the due time, and not by the next look for other processes' messages.
    assert!(took.iter().any(|took| *took < Duration::from_millis(450)), "{took:?}");
}

#[tokio::test]
async fn a_wake_sent_by_another_process_is_found() {
    let fresh = Fresh::new();
    let (_, elsewhere) = fresh.again();
    let queue = fresh.queue.clone();
    let waiting = tokio::spawn(async move { queue.receive(Lane::Work, 1, LEASE, Duration::from_secs(55)).await });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    elsewhere.send(&wake(1), Duration::ZERO).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_released_or_poisoned_wake_wakes_who_waits() {
    let fresh = Fresh::new();
    fresh.queue.send(&wake(1), Duration::ZERO).await.unwrap();
    let begun = Instant::now();
    for lane in [Lane::Work, Lane::Poison] {
        let delivery = fresh.queue.receive(Lane::Work, 1, LEASE, Duration::ZERO).await.unwrap().remove(0);
        let queue = fresh.queue.clone();
        let waiting = tokio::spawn(async move { queue.receive(lane, 1, LEASE, Duration::from_secs(55)).await.unwrap() });
        tokio::task::yield_now().await;
        match lane {
            Lane::Work => fresh.queue.release(lane, &delivery.lease, Duration::ZERO).await.unwrap(),
            Lane::Poison => fresh.queue.poison(&delivery).await.unwrap(),
        }
        let again = waiting.await.unwrap().remove(0);
        fresh.queue.release(lane, &again.lease, Duration::ZERO).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_receive_that_was_given_up_leaves_no_lease_behind() {
    let fresh = Fresh::new();
    fresh.queue.send(&wake(1), Duration::ZERO).await.unwrap();
    // Polled once: the lease is with the writer. Then dropped.
    let mut given_up = fresh.queue.receive(Lane::Work, 1, LEASE, Duration::from_secs(55));
    assert!(futures_util::poll!(&mut given_up).is_pending());
    drop(given_up);
    let delivery = eventually("the wake is delivered to somebody else", async || {
        fresh.queue.receive(Lane::Work, 1, LEASE, Duration::ZERO).await.unwrap().pop()
    })
    .await;
    assert_eq!(delivery.dequeue_count, 2, "the delivery that was given up counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn receivers_of_two_processes_never_share_a_lease() {
    const WAKES: u64 = 200;
    let fresh = Fresh::new();
    let (_, elsewhere) = fresh.again();
    for revision in 0..WAKES {
        fresh.queue.send(&wake(revision), Duration::ZERO).await.unwrap();
    }
    let receivers = (0..8).map(|n| {
        let queue = if n % 2 == 0 { fresh.queue.clone() } else { elsewhere.clone() };
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let batch = revisions(&queue, 3).await;
                if batch.is_empty() {
                    return mine;
                }
                mine.extend(batch);
            }
        })
    });
    let mut all = Vec::new();
    for receiver in receivers.collect::<Vec<_>>() {
        all.extend(receiver.await.unwrap());
    }
    assert_eq!(all.len() as u64, WAKES);
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), (0..WAKES).collect());
}

#[tokio::test]
async fn a_wake_of_seven_days_is_gone_and_then_removed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let (_store, queue) =
        open(folder.path(), Options { first_sweep: Duration::ZERO, sweep_every: Duration::from_millis(5), ..clock.options() });
    queue.send(&wake(1), Duration::ZERO).await.unwrap();
    clock.advance(DAY * 6);
    let delivery = queue.receive(Lane::Work, 1, Duration::from_secs(1), Duration::ZERO).await.unwrap().remove(0);
    queue.send(&wake(2), Duration::ZERO).await.unwrap();
    clock.advance(DAY);
    assert_eq!(revisions(&queue, 32).await, [2], "a delivery does not prolong the life of a wake");
    let raw = raw(folder.path());
    eventually("the old wake is removed", async || (count(&raw, "messages") == 1).then_some(())).await;
    assert!(queue.delete(Lane::Work, &delivery.lease).await.is_err());
}
