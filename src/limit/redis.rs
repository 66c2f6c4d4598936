//! The ledger that instances share in Redis: a book is JSON under `asklake:quota:1:ACCOUNT`, and its version is its text.
//!
//! A book is written by a script, which compares and sets in one step ("Scripting with Lua": a script is atomic). Redis forgets books by
//! itself. The number is that of the format: builds that write another one do not meet.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::cmd;

use super::{Ledger, Unavailable, Version, Versioned, book::Book};
use crate::{
    conversation::Account,
    redis::{Error, Redis},
};

/// Sets a key for a life if its value is the expected one; nothing is expected as an empty text, which is no book.
const REPLACE: &str = "if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end \
                       redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1";

/// Books in Redis.
#[derive(Debug)]
pub struct RedisLedger(Arc<Redis>);

impl RedisLedger {
    /// A ledger in `redis`. Reaches nothing.
    #[must_use]
    pub fn new(redis: Arc<Redis>) -> Self {
        Self(redis)
    }
}

impl From<Error> for Unavailable {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

fn key(account: &Account) -> String {
    format!("asklake:quota:1:{account}")
}

#[async_trait]
impl Ledger for RedisLedger {
    fn kind(&self) -> &'static str {
        "redis"
    }

    async fn load(&self, account: &Account) -> Result<Option<Versioned>, Unavailable> {
        let text: Option<String> = self.0.run(cmd("GET").arg(key(account))).await?;
        Ok(text.map(|text| Versioned { book: super::read(account, text.as_bytes()), version: Version(text) }))
    }

    async fn replace(&self, account: &Account, book: &Book, expected: Option<&Version>, life: Duration) -> Result<bool, Unavailable> {
        let mut replace = cmd("EVAL");
        let expected = expected.map_or("", |version| version.0.as_str());
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX >> 1);
        replace.arg(REPLACE).arg(1).arg(key(account)).arg(expected).arg(super::written(book)?).arg(life);
        Ok(self.0.run::<i64>(&replace).await? == 1)
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        Ok(self.0.probe().await?)
    }
}
