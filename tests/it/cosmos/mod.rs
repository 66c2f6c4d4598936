//! The store in Cosmos DB: the contract on the emulator, what only this store promises, and its behaviour on the wire.

mod charge;
mod store;
mod wire;

use std::{sync::Arc, time::Duration};

use asklake::store::{
    Store,
    cosmos::{Config, CosmosStore, Credential},
};
use async_trait::async_trait;
use azure_core::credentials::Secret;
use uuid::Uuid;

use crate::{
    contract::store::{Harness, store_contract},
    support::cosmos::Emulator,
};

/// Long enough for a busy machine: what lives two thirds of it has to be there still.
const TTL: Duration = Duration::from_secs(6);

const DATABASE: &str = "tests";

/// A store with a container of its own.
struct Fresh {
    store: Arc<CosmosStore>,
    /// `database/container`.
    container: String,
}

impl Fresh {
    fn new() -> Self {
        Self::at(Emulator::shared().endpoint(), TTL)
    }

    fn at(endpoint: &str, ttl: Duration) -> Self {
        let container = Uuid::new_v4().to_string();
        Self { store: Arc::new(open(endpoint, &container, ttl)), container: format!("{DATABASE}/{container}") }
    }
}

fn open(endpoint: &str, container: &str, ttl: Duration) -> CosmosStore {
    open_as(endpoint, Credential::Key(Secret::from("YW55IGtleQ==")), container, ttl)
}

fn open_as(endpoint: &str, credential: Credential, container: &str, ttl: Duration) -> CosmosStore {
    let (endpoint, database, container) = (endpoint.to_owned(), DATABASE.to_owned(), container.to_owned());
    CosmosStore::new(Config { endpoint, credential, database, container, ttl }).unwrap()
}

#[async_trait]
impl Harness for Fresh {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as _
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    async fn elapse(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

/// On the emulator, or on the account that the environment names (docs/testing.md).
async fn fresh() -> Option<Fresh> {
    let account = std::env::var("COSMOS_TEST_ENDPOINT").ok().zip(std::env::var("COSMOS_TEST_KEY").ok());
    let Some((endpoint, key)) = account else { return Some(Fresh::new()) };
    let container = Uuid::new_v4().to_string();
    let store = open_as(&endpoint, Credential::Key(Secret::from(key)), &container, TTL);
    Some(Fresh { store: Arc::new(store), container })
}

mod contract {
    super::store_contract!(super::fresh);
}
