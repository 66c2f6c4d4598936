//! The client and its container: made with the first operation, made again after a failure, and what errors of the service mean.
//!
//! Making it reads the account's and the container's metadata. With a key, a database and a container that are missing are created; an
//! identity cannot do that, and is told who can.

use std::time::Duration;

use azure_data_cosmos::{
    AccountEndpoint, AccountReference, CosmosClient, CosmosError, CosmosRuntime, RoutingStrategy,
    clients::{ContainerClient, DatabaseClient},
    models::{ContainerProperties, IndexingPolicy, TimeToLive},
    options::{
        BinaryEncodingOptions, EndToEndOperationLatencyPolicy, OperationOptions, OperationOptionsBuilder, ThrottlingRetryOptionsBuilder,
    },
};
use tokio::sync::Mutex;

use super::{Credential, Error};

/// How long one operation of the SDK may take, retries included. Less than what the store's own may.
const OPERATION: Duration = Duration::from_secs(10);

/// How long the SDK may wait altogether because it was throttled, each of the two times that it tries (seen, not documented).
const THROTTLED: Duration = Duration::from_secs(3);

/// How long to wait where a 429 does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Sub-status of a 404: not the item is missing but the container.
const OWNER_NOT_FOUND: u16 = 1003;

/// Longest text of the service in an error of ours, in characters.
const LONGEST_DETAIL: usize = 300;

/// What is indexed: what `history` filters and sorts by. The rest of a document would only make every write dearer.
pub(super) const INDEXED: [&str; 4] = ["/history_key/?", "/owner/?", "/user_id/?", "/device_id/?"];

/// The way to the container.
pub(super) struct Connection {
    endpoint: AccountEndpoint,
    credential: Credential,
    database: String,
    container: String,
    /// Locked while it is made, so that it is made once.
    made: Mutex<Option<ContainerClient>>,
}

impl Connection {
    pub(super) fn new(endpoint: AccountEndpoint, credential: Credential, database: String, container: String) -> Self {
        Self { endpoint, credential, database, container, made: Mutex::new(None) }
    }

    /// The container's client.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`]; the next call tries again.
    pub(super) async fn container(&self) -> Result<ContainerClient, Error> {
        let mut made = self.made.lock().await;
        if let Some(container) = made.as_ref() {
            return Ok(container.clone());
        }
        let container = Box::pin(self.make()).await?;
        *made = Some(container.clone());
        Ok(container)
    }

    async fn make(&self) -> Result<ContainerClient, Error> {
        let account = match &self.credential {
            Credential::Key(key) => AccountReference::with_authentication_key(self.endpoint.clone(), key.clone()),
            Credential::Token(credential) => AccountReference::with_credential(self.endpoint.clone(), credential.clone()),
        };
        // The SDK's connections and what it knows of containers. Not its global one, which would end with whichever tokio runtime it was
        // first used in; and a new one each time, because it would not forget a container that is gone.
        let runtime = CosmosRuntime::builder().build().await.map_err(|error| self.meaning(&error))?;
        let client = CosmosClient::builder()
            .with_runtime(runtime)
            // Plain JSON on the wire: not every emulator reads the binary form.
            .with_binary_encoding_options(BinaryEncodingOptions::new().with_enabled(false))
            .with_default_operation_options(options())
            .build(account, RoutingStrategy::PreferredRegions(Vec::new()))
            .await
            .map_err(|error| self.meaning(&error))?;
        let database = client.database_client(self.database.clone());
        match database.container_client(self.container.clone(), None).await {
            Ok(container) => Ok(container),
            Err(error) if is_404(&error) => self.created(&client, &database).await,
            Err(error) => Err(self.meaning(&error)),
        }
    }

    /// Creates what is missing, unless somebody else does.
    async fn created(&self, client: &CosmosClient, database: &DatabaseClient) -> Result<ContainerClient, Error> {
        let Credential::Key(_) = self.credential else { return Err(self.missing()) };
        let created = async {
            exists(client.create_database(&self.database, None).await.map(drop))?;
            exists(database.create_container(properties(self.container.clone()), None).await.map(drop))?;
            database.container_client(self.container.clone(), None).await
        };
        let container = created.await.map_err(|error| self.meaning(&error))?;
        tracing::info!(cosmos.database = self.database, cosmos.container = self.container, "created the container in Cosmos DB");
        Ok(container)
    }

    fn missing(&self) -> Error {
        Error::Unavailable(format!(
            "there is no container {} in the database {} of {}; an identity cannot create it: deploy it (docs/deploy.md) or set COSMOS_KEY",
            self.container, self.database, self.endpoint
        ))
    }

    /// The container is gone: the next operation looks for it anew.
    pub(super) async fn lost(&self) -> Error {
        *self.made.lock().await = None;
        Error::Unavailable(format!("the container {} in the database {} of {} is gone", self.container, self.database, self.endpoint))
    }

    /// What an error means.
    pub(super) async fn fault(&self, error: &CosmosError) -> Error {
        let is_lost = is_404(error) && error.status().sub_status().is_some_and(|sub_status| sub_status.value() == OWNER_NOT_FOUND);
        if is_lost { self.lost().await } else { self.meaning(error) }
    }

    fn meaning(&self, error: &CosmosError) -> Error {
        let status = error.status();
        if status.is_throttled() {
            let asked = error.response().and_then(|response| response.headers().retry_after_ms).map(Duration::from_millis);
            return Error::Throttled { retry_after: asked.unwrap_or(RETRY_AFTER) };
        }
        let advice = match &self.credential {
            Credential::Key(_) if status.is_unauthorized() || status.is_forbidden() => "; check COSMOS_KEY",
            Credential::Token(_) if status.is_unauthorized() || status.is_forbidden() => {
                "; the identity needs the role Cosmos DB Built-in Data Contributor on the account (docs/deploy.md)"
            }
            _ => "",
        };
        let detail: String = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST_DETAIL).collect();
        Error::Unavailable(format!("Cosmos DB at {}: {detail}{advice}", self.endpoint))
    }
}

fn options() -> OperationOptions {
    OperationOptionsBuilder::new()
        .with_end_to_end_latency_policy(EndToEndOperationLatencyPolicy::new(OPERATION))
        .with_throttling_retry_options(ThrottlingRetryOptionsBuilder::new().with_max_retry_wait_time(THROTTLED).build())
        .build()
}

/// The container as `deploy/` makes it too: a conversation a partition, and nothing expires that does not say so.
fn properties(name: String) -> ContainerProperties {
    let mut indexing = IndexingPolicy::default();
    indexing.automatic = true;
    indexing = INDEXED.iter().fold(indexing, |indexing, path| indexing.with_included_path(*path)).with_excluded_path("/*");
    ContainerProperties::new(name, "/partition_key".into()).with_default_ttl(TimeToLive::NoDefault).with_indexing_policy(indexing)
}

fn is_404(error: &CosmosError) -> bool {
    u16::from(error.status().status_code()) == 404
}

/// That it exists is as good as having created it.
fn exists(created: Result<(), CosmosError>) -> Result<(), CosmosError> {
    created.or_else(|error| if error.status().is_conflict() { Ok(()) } else { Err(error) })
}
