//! The contract of `asklake::cache::Cache`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use asklake::{
    cache::{Cache, Key, MAX_BYTES},
    conversation::{Answered, ConversationId},
};
use serde_json::json;

use super::eventually;
use crate::recall::answered;

/// An empty cache.
pub trait Harness: Send + Sync {
    /// The cache.
    fn cache(&self) -> &dyn Cache;
}

/// Runs the whole contract for the harness that an `async fn() -> Option<impl Harness>` makes.
macro_rules! cache_contract {
    ($fresh:path) => {
        $crate::contract::cases!(
            $crate::contract::cache,
            $fresh,
            [
                an_answer_is_found_whole_under_its_key_alone,
                a_later_answer_takes_the_place_of_an_earlier_one,
                an_answer_is_gone_when_its_life_is_over,
                an_answer_that_is_too_large_is_not_kept,
                a_lease_has_one_holder_who_alone_gives_it_back,
                a_lease_is_over_when_its_life_is,
                the_probe_answers,
            ]
        );
    };
}
pub(crate) use cache_contract;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(300);

pub fn key(name: &str) -> Key {
    Key(name.to_owned())
}

/// An answer of so many queries.
pub async fn of(queries: usize) -> Arc<Answered> {
    let (conversation, results) = answered(queries).await;
    Arc::new(Answered::of(&conversation, results).unwrap())
}

pub async fn an_answer_is_found_whole_under_its_key_alone(harness: &impl Harness) {
    let cache = harness.cache();
    assert_eq!(cache.get(&key("a")).await, None);
    let answered = of(2).await;
    cache.put(&key("a"), Arc::clone(&answered), HOUR).await;
    assert_eq!(cache.get(&key("a")).await, Some(answered));
    assert_eq!(cache.get(&key("b")).await, None);
}

pub async fn a_later_answer_takes_the_place_of_an_earlier_one(harness: &impl Harness) {
    let cache = harness.cache();
    let later = of(2).await;
    cache.put(&key("a"), of(1).await, SHORT).await;
    cache.put(&key("a"), Arc::clone(&later), HOUR).await;
    tokio::time::sleep(2 * SHORT).await;
    assert_eq!(cache.get(&key("a")).await, Some(later), "and the life of the earlier one does not end it");
}

pub async fn an_answer_is_gone_when_its_life_is_over(harness: &impl Harness) {
    let cache = harness.cache();
    cache.put(&key("a"), of(1).await, SHORT).await;
    eventually("the answer is gone", async || cache.get(&key("a")).await.is_none().then_some(())).await;
}

pub async fn an_answer_that_is_too_large_is_not_kept(harness: &impl Harness) {
    let cache = harness.cache();
    let (conversation, mut results) = answered(1).await;
    let mut large = |bytes: usize| {
        results.get_mut(&0).unwrap().rows = vec![vec![json!("x".repeat(bytes))]];
        let results: BTreeMap<_, _> = results.clone();
        Arc::new(Answered::of(&conversation, results).unwrap())
    };
    let frame = large(0).bytes();
    cache.put(&key("a"), large(MAX_BYTES - frame), HOUR).await;
    assert_eq!(cache.get(&key("a")).await.map(|answered| answered.bytes()), Some(MAX_BYTES));
    cache.put(&key("b"), large(MAX_BYTES - frame + 1), HOUR).await;
    assert_eq!(cache.get(&key("b")).await, None);
}

pub async fn a_lease_has_one_holder_who_alone_gives_it_back(harness: &impl Harness) {
    let cache = harness.cache();
    let [first, second] = [ConversationId::random(), ConversationId::random()];
    assert!(!cache.is_leased(&key("a")).await);
    assert!(cache.lease(&key("a"), first, HOUR).await);
    assert!(!cache.lease(&key("a"), second, HOUR).await);
    assert!(cache.lease(&key("b"), second, HOUR).await, "another key");
    cache.release(&key("a"), second).await;
    assert!(cache.is_leased(&key("a")).await, "it was not the second's");
    cache.release(&key("a"), first).await;
    assert!(!cache.is_leased(&key("a")).await);
    assert!(cache.lease(&key("a"), second, HOUR).await);
}

pub async fn a_lease_is_over_when_its_life_is(harness: &impl Harness) {
    let cache = harness.cache();
    assert!(cache.lease(&key("a"), ConversationId::random(), SHORT).await);
    eventually("the lease is over", async || (!cache.is_leased(&key("a")).await).then_some(())).await;
    assert!(cache.lease(&key("a"), ConversationId::random(), HOUR).await);
}

pub async fn the_probe_answers(harness: &impl Harness) {
    harness.cache().probe().await.unwrap();
}
