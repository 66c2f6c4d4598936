//! The contract of `asklake::queue::{Sender, Receiver}`.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use asklake::{
    conversation::{ConversationId, Revision},
    queue::{Delivery, Error, Lane, Receiver, Sender, Wake},
};
use async_trait::async_trait;

use super::eventually;

/// An empty queue and its time.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Where to send.
    fn sender(&self) -> Arc<dyn Sender>;
    /// Where to receive.
    fn receiver(&self) -> Arc<dyn Receiver>;
    /// The shortest lease or delay that a case may use; a few of them must be longer than an operation takes.
    fn unit(&self) -> Duration;
    /// Lets time pass.
    async fn elapse(&self, by: Duration);
}

/// Runs the whole contract for the harness that an `async fn() -> Option<impl Harness>` makes.
macro_rules! queue_contract {
    ($fresh:path) => {
        $crate::contract::cases!(
            $crate::contract::queue,
            $fresh,
            [
                an_empty_queue_gives_nothing,
                what_was_sent_is_delivered_as_json,
                a_delayed_wake_is_invisible_until_it_is_due,
                a_lease_hides_the_wake_until_it_ends,
                what_was_deleted_is_gone,
                a_lease_lost_to_another_delivery_changes_nothing,
                a_deleted_wake_has_no_lease,
                a_renewed_lease_lasts_longer_and_replaces_the_old_one,
                a_released_wake_comes_back_after_its_delay,
                a_released_lease_is_lost,
                a_poisoned_wake_moves_to_the_poison_lane,
                a_lost_lease_poisons_nothing,
                the_lanes_do_not_share_leases,
                a_batch_is_no_larger_than_asked_for,
                a_send_wakes_who_waits,
                waiting_ends_without_a_wake,
                concurrent_receivers_never_share_a_wake,
                a_lease_that_the_queue_never_gave_is_lost,
                the_probe_answers,
            ]
        );
    };
}
pub(crate) use queue_contract;

/// A wake for some conversation.
pub fn wake(revision: u64) -> Wake {
    Wake::at(ConversationId::random(), Revision(revision))
}

/// The wake in a delivery.
pub fn read(delivery: &Delivery) -> Wake {
    serde_json::from_str(&delivery.body).expect("a wake as JSON")
}

async fn sent(harness: &impl Harness) -> Wake {
    let wake = wake(1);
    harness.sender().send(&wake, Duration::ZERO).await.expect("sent");
    wake
}

async fn look(harness: &impl Harness, lane: Lane, lease: Duration) -> Vec<Delivery> {
    harness.receiver().receive(lane, 32, lease, Duration::ZERO).await.expect("received")
}

/// The one wake of `lane`, leased for long.
async fn one(harness: &impl Harness, lane: Lane) -> Delivery {
    leased(harness, lane, harness.unit() * 100).await
}

async fn leased(harness: &impl Harness, lane: Lane, lease: Duration) -> Delivery {
    let mut deliveries =
        eventually("a wake is delivered", async || Some(look(harness, lane, lease).await).filter(|all| !all.is_empty())).await;
    assert_eq!(deliveries.len(), 1, "one wake is visible in {lane:?}: {deliveries:?}");
    deliveries.remove(0)
}

async fn assert_nothing_visible(harness: &impl Harness, lane: Lane, why: &str) {
    let found = look(harness, lane, harness.unit()).await;
    assert!(found.is_empty(), "{why}: {found:?}");
}

fn assert_lost<T: std::fmt::Debug>(outcome: Result<T, Error>, what: &str) {
    assert!(matches!(outcome, Err(Error::LeaseLost(_))), "{what}: {outcome:?}");
}

pub async fn an_empty_queue_gives_nothing(harness: &impl Harness) {
    for lane in [Lane::Work, Lane::Poison] {
        assert_nothing_visible(harness, lane, "nothing was sent").await;
    }
}

pub async fn what_was_sent_is_delivered_as_json(harness: &impl Harness) {
    let wake = wake(7);
    harness.sender().send(&wake, Duration::ZERO).await.unwrap();
    let delivery = one(harness, Lane::Work).await;
    assert_eq!(delivery.dequeue_count, 1);
    let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
    assert_eq!(body, serde_json::json!({"conversation_id": wake.conversation_id.to_string(), "revision": 7}));
}

pub async fn a_delayed_wake_is_invisible_until_it_is_due(harness: &impl Harness) {
    let delayed = wake(1);
    harness.sender().send(&delayed, harness.unit() * 3).await.unwrap();
    assert_nothing_visible(harness, Lane::Work, "not due yet").await;
    harness.elapse(harness.unit() * 3).await;
    assert_eq!(read(&one(harness, Lane::Work).await), delayed);
}

pub async fn a_lease_hides_the_wake_until_it_ends(harness: &impl Harness) {
    let wake = sent(harness).await;
    let first = leased(harness, Lane::Work, harness.unit() * 3).await;
    assert_nothing_visible(harness, Lane::Work, "leased").await;
    harness.elapse(harness.unit() * 3).await;
    let second = one(harness, Lane::Work).await;
    assert_eq!((first.dequeue_count, second.dequeue_count), (1, 2));
    assert_eq!((read(&first), read(&second)), (wake, wake));
    assert_eq!(first.lease.message_id, second.lease.message_id);
    assert_ne!(first.lease.receipt, second.lease.receipt, "each delivery has a receipt of its own");
}

pub async fn what_was_deleted_is_gone(harness: &impl Harness) {
    sent(harness).await;
    let delivery = leased(harness, Lane::Work, harness.unit() * 3).await;
    harness.receiver().delete(Lane::Work, &delivery.lease).await.expect("deleted");
    harness.elapse(harness.unit() * 4).await;
    assert_nothing_visible(harness, Lane::Work, "deleted").await;
}

pub async fn a_lease_lost_to_another_delivery_changes_nothing(harness: &impl Harness) {
    sent(harness).await;
    let stale = leased(harness, Lane::Work, harness.unit()).await.lease;
    harness.elapse(harness.unit()).await;
    let current = one(harness, Lane::Work).await;
    let receiver = harness.receiver();
    assert_lost(receiver.delete(Lane::Work, &stale).await, "delete");
    assert_lost(receiver.renew(Lane::Work, &stale, harness.unit()).await, "renew");
    assert_lost(receiver.release(Lane::Work, &stale, Duration::ZERO).await, "release");
    assert_nothing_visible(harness, Lane::Work, "still leased").await;
    receiver.delete(Lane::Work, &current.lease).await.expect("the lease that holds");
}

pub async fn a_deleted_wake_has_no_lease(harness: &impl Harness) {
    sent(harness).await;
    let delivery = one(harness, Lane::Work).await;
    let receiver = harness.receiver();
    receiver.delete(Lane::Work, &delivery.lease).await.expect("deleted");
    assert_lost(receiver.delete(Lane::Work, &delivery.lease).await, "delete");
    assert_lost(receiver.renew(Lane::Work, &delivery.lease, harness.unit()).await, "renew");
    assert_lost(receiver.release(Lane::Work, &delivery.lease, Duration::ZERO).await, "release");
    assert_lost(receiver.poison(&delivery).await, "poison");
    assert_nothing_visible(harness, Lane::Work, "deleted").await;
    assert_nothing_visible(harness, Lane::Poison, "deleted").await;
}

pub async fn a_renewed_lease_lasts_longer_and_replaces_the_old_one(harness: &impl Harness) {
    sent(harness).await;
    let first = leased(harness, Lane::Work, harness.unit() * 3).await;
    harness.elapse(harness.unit()).await;
    let renewed = harness.receiver().renew(Lane::Work, &first.lease, harness.unit() * 10).await.expect("renewed");
    assert_ne!(renewed.receipt, first.lease.receipt);
    harness.elapse(harness.unit() * 4).await;
    assert_nothing_visible(harness, Lane::Work, "renewed").await;
    assert_lost(harness.receiver().delete(Lane::Work, &first.lease).await, "the lease before");
    harness.receiver().delete(Lane::Work, &renewed).await.expect("the renewed lease holds");
}

pub async fn a_released_wake_comes_back_after_its_delay(harness: &impl Harness) {
    let wake = sent(harness).await;
    let receiver = harness.receiver();
    let first = one(harness, Lane::Work).await;
    receiver.release(Lane::Work, &first.lease, Duration::ZERO).await.expect("released");
    let second = one(harness, Lane::Work).await;
    receiver.release(Lane::Work, &second.lease, harness.unit() * 3).await.expect("released");
    assert_nothing_visible(harness, Lane::Work, "not due again").await;
    harness.elapse(harness.unit() * 3).await;
    let third = one(harness, Lane::Work).await;
    assert_eq!([first.dequeue_count, second.dequeue_count, third.dequeue_count], [1, 2, 3]);
    assert_eq!(read(&third), wake);
}

pub async fn a_released_lease_is_lost(harness: &impl Harness) {
    sent(harness).await;
    let delivery = one(harness, Lane::Work).await;
    harness.receiver().release(Lane::Work, &delivery.lease, Duration::ZERO).await.expect("released");
    assert_lost(harness.receiver().delete(Lane::Work, &delivery.lease).await, "delete");
    assert_lost(harness.receiver().release(Lane::Work, &delivery.lease, Duration::ZERO).await, "release");
    assert_eq!(one(harness, Lane::Work).await.dequeue_count, 2);
}

pub async fn a_poisoned_wake_moves_to_the_poison_lane(harness: &impl Harness) {
    let wake = sent(harness).await;
    let delivery = leased(harness, Lane::Work, harness.unit() * 3).await;
    harness.receiver().poison(&delivery).await.expect("poisoned");
    let first = leased(harness, Lane::Poison, harness.unit() * 3).await;
    assert_eq!((read(&first), first.dequeue_count), (wake, 1), "its deliveries are counted anew");
    assert_nothing_visible(harness, Lane::Poison, "leased").await;
    harness.elapse(harness.unit() * 3).await;
    let second = one(harness, Lane::Poison).await;
    assert_eq!(second.dequeue_count, 2);
    assert_lost(harness.receiver().delete(Lane::Poison, &first.lease).await, "the lease before");
    harness.receiver().delete(Lane::Poison, &second.lease).await.expect("deleted");
    harness.elapse(harness.unit() * 4).await;
    assert_nothing_visible(harness, Lane::Work, "it has left the work lane").await;
    assert_nothing_visible(harness, Lane::Poison, "deleted").await;
}

pub async fn a_lost_lease_poisons_nothing(harness: &impl Harness) {
    sent(harness).await;
    let stale = leased(harness, Lane::Work, harness.unit()).await;
    harness.elapse(harness.unit()).await;
    let current = one(harness, Lane::Work).await;
    assert_lost(harness.receiver().poison(&stale).await, "poison");
    assert_nothing_visible(harness, Lane::Poison, "not poisoned").await;
    harness.receiver().delete(Lane::Work, &current.lease).await.expect("the lease that holds");
}

pub async fn the_lanes_do_not_share_leases(harness: &impl Harness) {
    sent(harness).await;
    let delivery = one(harness, Lane::Work).await;
    assert_nothing_visible(harness, Lane::Poison, "it was sent to the work lane").await;
    assert_lost(harness.receiver().delete(Lane::Poison, &delivery.lease).await, "delete");
    assert_lost(harness.receiver().renew(Lane::Poison, &delivery.lease, harness.unit()).await, "renew");
    assert_lost(harness.receiver().release(Lane::Poison, &delivery.lease, Duration::ZERO).await, "release");
    harness.receiver().delete(Lane::Work, &delivery.lease).await.expect("its own lane");
}

pub async fn a_batch_is_no_larger_than_asked_for(harness: &impl Harness) {
    let mut expected = HashSet::new();
    for _ in 0..7 {
        expected.insert(sent(harness).await);
    }
    let mut received = HashSet::new();
    while received.len() < expected.len() {
        let batch = harness.receiver().receive(Lane::Work, 3, harness.unit() * 100, Duration::ZERO).await.unwrap();
        assert!((1..=3).contains(&batch.len()), "{} wakes, {} received so far", batch.len(), received.len());
        received.extend(batch.iter().map(read));
    }
    assert_eq!(received, expected);
}

pub async fn a_send_wakes_who_waits(harness: &impl Harness) {
    let (receiver, lease) = (harness.receiver(), harness.unit() * 100);
    let begun = Instant::now();
    let waiting = tokio::spawn(async move { receiver.receive(Lane::Work, 1, lease, Duration::from_secs(120)).await });
    tokio::task::yield_now().await;
    let wake = sent(harness).await;
    let deliveries = waiting.await.unwrap().unwrap();
    assert_eq!(deliveries.iter().map(read).collect::<Vec<_>>(), [wake]);
    assert!(begun.elapsed() < Duration::from_secs(100), "it waited to the end: {:?}", begun.elapsed());
}

pub async fn waiting_ends_without_a_wake(harness: &impl Harness) {
    let wait = Duration::from_millis(50);
    let begun = Instant::now();
    let deliveries = harness.receiver().receive(Lane::Work, 1, harness.unit(), wait).await.unwrap();
    assert!(deliveries.is_empty());
    assert!(begun.elapsed() >= wait, "it did not wait: {:?}", begun.elapsed());
}

pub async fn concurrent_receivers_never_share_a_wake(harness: &impl Harness) {
    const WAKES: usize = 60;
    let mut expected = HashSet::new();
    for _ in 0..WAKES {
        expected.insert(sent(harness).await);
    }
    let receivers = (0..8).map(|_| {
        let (receiver, lease) = (harness.receiver(), harness.unit() * 100);
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let batch = receiver.receive(Lane::Work, 2, lease, Duration::ZERO).await.expect("received");
                if batch.is_empty() {
                    return mine;
                }
                mine.extend(batch);
            }
        })
    });
    let mut deliveries = Vec::new();
    for receiver in receivers.collect::<Vec<_>>() {
        deliveries.extend(receiver.await.unwrap());
    }
    // A service may say "empty" once too early to all eight.
    deliveries.extend(look(harness, Lane::Work, harness.unit() * 100).await);
    assert_eq!(deliveries.len(), WAKES, "each wake was delivered once");
    assert_eq!(deliveries.iter().map(read).collect::<HashSet<_>>(), expected);
    assert!(deliveries.iter().all(|delivery| delivery.dequeue_count == 1));
}

pub async fn a_lease_that_the_queue_never_gave_is_lost(harness: &impl Harness) {
    sent(harness).await;
    let delivery = one(harness, Lane::Work).await;
    let mut forged = delivery.lease.clone();
    forged.receipt = "AgAAAAMAAAAAAAAA".into();
    assert_lost(harness.receiver().delete(Lane::Work, &forged).await, "another receipt");
    harness.receiver().delete(Lane::Work, &delivery.lease).await.expect("the lease that holds");
}

pub async fn the_probe_answers(harness: &impl Harness) {
    harness.sender().probe().await.expect("it answers");
    assert!(!harness.sender().kind().is_empty());
}
