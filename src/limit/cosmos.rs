//! The ledger that instances share in Cosmos DB, where there is no Redis: a book is an item of `kind: "quota"` in a partition of its own,
//! in the container of the conversations, and its version is the item's ETag.
//!
//! The SDK sends a write again whose answer was lost. Where the first one was done the second is refused, and the change is made
//! once more: an account may be counted too much by that, never too little.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Ledger, Unavailable, Version, Versioned, book::Book};
use crate::{
    conversation::Account,
    store::{self, ETag, cosmos::CosmosStore},
};

/// Books in a container of Cosmos DB.
pub struct CosmosLedger(Arc<CosmosStore>);

impl CosmosLedger {
    /// A ledger in the container of `store`. Reaches nothing.
    #[must_use]
    pub fn new(store: Arc<CosmosStore>) -> Self {
        Self(store)
    }
}

impl From<store::Error> for Unavailable {
    fn from(error: store::Error) -> Self {
        Self(error.to_string())
    }
}

/// A book as it is written.
#[derive(Serialize)]
struct Item<'a> {
    id: &'a str,
    partition_key: &'a str,
    kind: &'static str,
    book: String,
    ttl: u64,
}

/// A book as it was read. It is a text, because numbers in JSON are doubles to the service.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Read {
    book: String,
}

fn id(account: &Account) -> String {
    format!("quota:{account}")
}

#[async_trait]
impl Ledger for CosmosLedger {
    fn kind(&self) -> &'static str {
        "cosmos"
    }

    async fn load(&self, account: &Account) -> Result<Option<Versioned>, Unavailable> {
        let Some((ETag(etag), body)) = self.0.read_beside(&id(account)).await? else { return Ok(None) };
        let Read { book } = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Some(Versioned { book: super::read(account, book.as_bytes()), version: Version(etag) }))
    }

    async fn replace(&self, account: &Account, book: &Book, expected: Option<&Version>, life: Duration) -> Result<bool, Unavailable> {
        let id = id(account);
        let item = Item { id: &id, partition_key: &id, kind: "quota", book: super::written(book)?, ttl: life.as_secs().max(1) };
        let expected = expected.map(|version| ETag(version.0.clone()));
        Ok(self.0.write_beside(&id, &item, expected.as_ref()).await?)
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        Ok(store::Store::probe(&*self.0).await?)
    }
}
