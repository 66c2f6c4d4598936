//! The caches by their contract, and the one in Redis where Redis is away, is killed, or holds what asklake did not write.

use std::{sync::Arc, time::Duration};

use asklake::{
    cache::{Cache, MAX_BYTES, memory::MemoryCache, redis::RedisCache},
    conversation::{Answered, ConversationId},
    redis::Redis,
};
use redis::cmd;
use serde_json::{Value, json};

use crate::{
    contract::cache::{Harness, key, of},
    support::redis::RedisServer,
};

const HOUR: Duration = Duration::from_secs(3600);

impl Harness for MemoryCache {
    fn cache(&self) -> &dyn Cache {
        self
    }
}

/// A cache in a Redis of its own.
struct InRedis {
    cache: RedisCache,
    redis: Arc<Redis>,
    server: RedisServer,
}

impl Harness for InRedis {
    fn cache(&self) -> &dyn Cache {
        &self.cache
    }
}

impl InRedis {
    fn start() -> Self {
        let server = RedisServer::start();
        let redis = Arc::new(Redis::new(&server.url()).unwrap());
        Self { cache: RedisCache::new(Arc::clone(&redis)), redis, server }
    }

    /// Has `value` in the place of the answer under the key `a`.
    async fn write(&self, value: impl AsRef<[u8]>) {
        self.redis.run::<()>(cmd("SET").arg("asklake:answer:1:a").arg(value.as_ref())).await.unwrap();
    }
}

async fn in_memory() -> Option<MemoryCache> {
    Some(MemoryCache::default())
}

async fn in_redis() -> Option<InRedis> {
    Some(InRedis::start())
}

mod memory {
    crate::contract::cache::cache_contract!(super::in_memory);
}

mod shared {
    crate::contract::cache::cache_contract!(super::in_redis);
}

#[tokio::test]
async fn an_entry_that_is_no_answer_which_may_be_given_again_is_ignored() {
    let fixture = InRedis::start();
    let answered = of(2).await;
    let whole = serde_json::to_value(&*answered).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut entry = whole.clone();
        change(&mut entry);
        entry.to_string()
    };
    fixture.write(with(&|_| {})).await;
    assert_eq!(fixture.cache.get(&key("a")).await, Some(answered), "unchanged it is one");
    for (what, value) in [
        ("noise", "\u{0}\u{1}".to_owned()),
        ("cut", whole.to_string()[..200].to_owned()),
        ("another shape", json!([1, 2]).to_string()),
        ("a field more", with(&|entry| entry["owner"] = json!("ann"))),
        ("a field less", with(&|entry| drop(entry.as_object_mut().unwrap().remove("jobs")))),
        ("without rows", with(&|entry| entry["results"] = json!({}))),
        ("rows of no query", with(&|entry| entry["results"]["7"] = entry["results"]["0"].clone())),
        ("a query that runs", with(&|entry| entry["jobs"][0]["status"] = json!("running"))),
        ("of a later turn", with(&|entry| entry["jobs"][0]["turn"] = json!(2))),
        ("that speaks for the user", with(&|entry| entry["said"][0]["role"] = json!("user"))),
        ("that says nothing", with(&|entry| entry["said"] = json!([]))),
        ("too large", with(&|entry| entry["final_answer"] = json!("x".repeat(MAX_BYTES)))),
    ] {
        fixture.write(value).await;
        assert_eq!(fixture.cache.get(&key("a")).await, None, "{what}");
    }
    let replaced = of(1).await;
    fixture.cache.put(&key("a"), Arc::clone(&replaced), HOUR).await;
    assert_eq!(fixture.cache.get(&key("a")).await, Some(replaced));
}

#[tokio::test]
async fn what_redis_is_given_tells_nothing_of_who_asked() {
    let fixture = InRedis::start();
    fixture.cache.put(&key("a"), of(1).await, HOUR).await;
    let stored: String = fixture.redis.run(cmd("GET").arg("asklake:answer:1:a")).await.unwrap();
    assert!(stored.contains("which films?"));
    assert!(!stored.contains("issuer") && !stored.contains("ann"), "{stored}");
    let life: i64 = fixture.redis.run(cmd("TTL").arg("asklake:answer:1:a")).await.unwrap();
    assert!((1..=3600).contains(&life), "Redis forgets it by itself: {life}");
}

#[tokio::test]
async fn a_redis_that_is_away_finds_nothing_and_hands_leases_out_until_it_is_back() {
    let fixture = InRedis::start();
    let (cache, answered) = (&fixture.cache, of(1).await);
    let [first, second] = [ConversationId::random(), ConversationId::random()];
    assert!(cache.lease(&key("a"), first, HOUR).await);
    fixture.server.kill();
    cache.put(&key("a"), Arc::clone(&answered), HOUR).await;
    assert_eq!(cache.get(&key("a")).await, None);
    assert!(cache.lease(&key("a"), second, HOUR).await && !cache.is_leased(&key("a")).await);
    cache.release(&key("a"), first).await;
    cache.probe().await.unwrap_err();
    fixture.server.resume();
    let found = crate::contract::eventually("the cache keeps again", async || {
        cache.put(&key("a"), Arc::clone(&answered), HOUR).await;
        cache.get(&key("a")).await
    });
    assert_eq!(found.await, answered);
}

#[tokio::test]
async fn a_redis_that_takes_connections_and_never_answers_holds_nobody_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let redis = Redis::new(&format!("redis://{}", silent.local_addr().unwrap())).unwrap();
    let cache = RedisCache::new(Arc::new(redis));
    let answered: Arc<Answered> = of(1).await;
    for _ in 0..100 {
        cache.put(&key("a"), Arc::clone(&answered), HOUR).await;
        assert_eq!(cache.get(&key("a")).await, None);
        assert!(cache.lease(&key("a"), ConversationId::random(), HOUR).await);
    }
}
