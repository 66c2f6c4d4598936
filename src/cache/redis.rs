//! The cache that instances share in Redis.
//!
//! An answer is JSON under `asklake:answer:1:DIGEST`, a lease the id of its holder under `asklake:lease:1:DIGEST`; Redis forgets both
//! by itself. The number is that of the format: builds that write another one do not meet. Redis is not trusted: what is too large or
//! does not read as an answer that may be given again counts as not found. After a failure it is left alone for a moment.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, cmd};

use super::{Cache, Key, MAX_BYTES, Unavailable};
use crate::{
    breaker::Breaker,
    conversation::{Answered, ConversationId},
    redis::Redis,
};

/// Deletes a key if it has a value: between a read and a deletion of our own another may take the lease.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

/// Answers and leases in Redis.
#[derive(Debug)]
pub struct RedisCache {
    redis: Arc<Redis>,
    breaker: Breaker,
}

impl RedisCache {
    /// A cache in `redis`. Reaches nothing.
    #[must_use]
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, breaker: Breaker::default() }
    }

    /// What Redis answers; none where it does not, or is left alone.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        if self.breaker.is_open() {
            return None;
        }
        match self.redis.run(command).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::warn!(%error, "the cache does not answer; questions are answered without it");
                self.breaker.trip();
                None
            }
        }
    }
}

fn answer_at(Key(digest): &Key) -> String {
    format!("asklake:answer:1:{digest}")
}

fn lease_at(Key(digest): &Key) -> String {
    format!("asklake:lease:1:{digest}")
}

/// Redis takes no life of nothing.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX >> 1).max(1)
}

#[async_trait]
impl Cache for RedisCache {
    fn kind(&self) -> &'static str {
        "redis"
    }

    async fn get(&self, key: &Key) -> Option<Arc<Answered>> {
        // The end is part of the range: whatever is there, one byte too many is the most that comes.
        let json: Vec<u8> = self.ask(cmd("GETRANGE").arg(answer_at(key)).arg(0).arg(MAX_BYTES)).await?;
        if json.is_empty() || json.len() > MAX_BYTES {
            return None;
        }
        let read = serde_json::from_slice(&json);
        read.map(Arc::new).inspect_err(|error| tracing::warn!(%error, "an entry of the cache is unreadable and is ignored")).ok()
    }

    async fn put(&self, key: &Key, answered: Arc<Answered>, life: Duration) {
        let Ok(json) = serde_json::to_vec(&*answered) else { return };
        if json.len() <= MAX_BYTES {
            let _: Option<()> = self.ask(cmd("SET").arg(answer_at(key)).arg(json).arg("PX").arg(millis(life))).await;
        }
    }

    async fn lease(&self, key: &Key, holder: ConversationId, life: Duration) -> bool {
        let mut set = cmd("SET");
        set.arg(lease_at(key)).arg(holder.to_string()).arg("NX").arg("PX").arg(millis(life));
        self.ask::<Option<String>>(&set).await.is_none_or(|was_set| was_set.is_some())
    }

    async fn is_leased(&self, key: &Key) -> bool {
        self.ask(cmd("EXISTS").arg(lease_at(key))).await.unwrap_or(false)
    }

    async fn release(&self, key: &Key, holder: ConversationId) {
        let _: Option<i64> = self.ask(cmd("EVAL").arg(RELEASE).arg(1).arg(lease_at(key)).arg(holder.to_string())).await;
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        self.redis.probe().await.map_err(|error| Unavailable(error.to_string()))
    }
}
