//! The ledgers by their contract.

use std::{sync::Arc, time::Duration};

use asklake::{
    conversation::Account,
    limit::{Ledger, redis::RedisLedger, sqlite::SqliteLedger},
    redis::Redis,
    sqlite::{Database, Options},
};
use async_trait::async_trait;
use tempfile::TempDir;

use crate::{contract::limit::Harness, support::redis::RedisServer};

/// A file of its own; every instance opens it by itself, as a process does.
struct InFile(TempDir);

#[async_trait]
impl Harness for InFile {
    fn instance(&self) -> Arc<dyn Ledger> {
        Arc::new(SqliteLedger::new(Database::open(self.0.path(), Options::default()).unwrap()).unwrap())
    }

    async fn spoil(&self, account: &Account) {
        let _opened = self.instance();
        let connection = rusqlite::Connection::open(self.0.path().join("asklake.db")).unwrap();
        connection
            .execute("INSERT INTO quotas (account, version, expires_at, book) VALUES (?1, 1, ?2, '[1]')", (account.to_string(), i64::MAX))
            .unwrap();
    }
}

async fn in_file() -> Option<InFile> {
    Some(InFile(tempfile::tempdir().unwrap()))
}

/// A Redis of its own; every instance has its connection.
struct InRedis(RedisServer);

impl InRedis {
    fn redis(&self) -> Arc<Redis> {
        Arc::new(Redis::new(&self.0.url()).unwrap())
    }
}

#[async_trait]
impl Harness for InRedis {
    fn instance(&self) -> Arc<dyn Ledger> {
        Arc::new(RedisLedger::new(self.redis()))
    }

    async fn spoil(&self, account: &Account) {
        let key = format!("asklake:quota:1:{account}");
        self.redis().run::<()>(redis::cmd("SET").arg(key).arg("{\"tokens\":-1}")).await.unwrap();
    }
}

async fn in_redis() -> Option<InRedis> {
    Some(InRedis(RedisServer::start()))
}

mod embedded {
    crate::contract::limit::limit_contract!(super::in_file);
}

mod shared {
    crate::contract::limit::limit_contract!(super::in_redis);
}

#[cfg(feature = "azure")]
mod cosmos {
    use asklake::{limit::cosmos::CosmosLedger, store::cosmos};
    use azure_core::credentials::Secret;
    use azure_data_cosmos::{AccountReference, CosmosClient, CosmosRuntime, RoutingStrategy, options::BinaryEncodingOptions};
    use uuid::Uuid;

    use super::*;
    use crate::support::cosmos::Emulator;

    /// A container of its own; every instance has its client.
    struct InCosmos(String);

    #[async_trait]
    impl Harness for InCosmos {
        fn instance(&self) -> Arc<dyn Ledger> {
            let config = cosmos::Config {
                endpoint: Emulator::shared().endpoint().to_owned(),
                credential: cosmos::Credential::Key(Secret::from("YW55IGtleQ==")),
                database: "tests".into(),
                container: self.0.clone(),
                ttl: Duration::from_secs(60),
            };
            Arc::new(CosmosLedger::new(Arc::new(cosmos::CosmosStore::new(config).unwrap())))
        }

        async fn spoil(&self, account: &Account) {
            // Has the container made.
            self.instance().probe().await.unwrap();
            let endpoint = Emulator::shared().endpoint().parse().unwrap();
            let reference = AccountReference::with_authentication_key(endpoint, Secret::from("YW55IGtleQ=="));
            let client = CosmosClient::builder()
                .with_runtime(CosmosRuntime::builder().build().await.unwrap())
                .with_binary_encoding_options(BinaryEncodingOptions::new().with_enabled(false))
                .build(reference, RoutingStrategy::PreferredRegions(Vec::new()));
            let container = client.await.unwrap().database_client("tests").container_client(self.0.clone(), None).await.unwrap();
            let id = format!("quota:{account}");
            let item = serde_json::json!({"id": id, "partition_key": id, "book": "{}"});
            container.create_item(id.clone(), &id, &item, None).await.unwrap();
        }
    }

    async fn in_cosmos() -> Option<InCosmos> {
        Some(InCosmos(Uuid::new_v4().to_string()))
    }

    mod contract {
        crate::contract::limit::limit_contract!(super::in_cosmos);
    }
}
