//! Deletes the items that have expired, which the SDK's emulator keeps for ever.
//!
//! As in the service: an item lives `ttl` seconds after its last write (`_ts`), its container's default where it has none, for ever
//! with -1, and in a container without TTL in any case. Because `_ts` has whole seconds, an item may live up to a second longer, and
//! never shorter. Only for containers with one partition key path and text as key.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use azure_core::http::Etag;
use azure_data_cosmos::{
    CosmosClient, Query,
    clients::ContainerClient,
    feed::FeedScope,
    models::{ContainerProperties, TimeToLive},
    options::{ItemWriteOptions, Precondition},
};
use futures_util::TryStreamExt as _;
use serde::Deserialize;

use crate::account::Account;

/// Between two sweeps, at least: how long an item that has expired may still be seen in an account that is small.
const PAUSE: Duration = Duration::from_millis(250);

/// An item as the sweep sees it.
#[derive(Deserialize)]
struct Item {
    id: String,
    key: Option<String>,
    #[serde(rename = "_ts")]
    written_at: i64,
    #[serde(rename = "_etag")]
    etag: String,
    ttl: Option<i64>,
}

/// Sweeps for ever, and rests for at least as long as it swept: with hundreds of containers a sweep takes longer than the pause. A
/// sweep that meets a container being made or removed is tried again with the next one.
///
/// To be run as a task of its own: what is asked of an account in memory is answered without a wait, so that a sweep lets nothing else of
/// its task come to its turn.
pub(crate) async fn sweep_forever(account: Account) -> anyhow::Result<()> {
    let client = account.client().await?;
    loop {
        let began = Instant::now();
        sweep(&client).await.ok();
        tokio::time::sleep(began.elapsed().max(PAUSE)).await;
    }
}

async fn sweep(client: &CosmosClient) -> azure_data_cosmos::Result<()> {
    let databases: Vec<_> = client.query_databases("SELECT * FROM c", None).await?.try_collect().await?;
    for database in databases {
        let database = client.database_client(database.id.unwrap_or_default());
        let containers: Vec<ContainerProperties> = database.query_containers("SELECT * FROM c", None).await?.try_collect().await?;
        for container in containers.into_iter().filter(|container| !container.default_ttl.is_forever()) {
            let items = database.container_client(container.id.to_string(), None).await?;
            sweep_container(&items, &container).await?;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

async fn sweep_container(items: &ContainerClient, container: &ContainerProperties) -> azure_data_cosmos::Result<()> {
    let default_ttl = match container.default_ttl {
        TimeToLive::Seconds(seconds) => Some(i64::from(seconds)),
        _ => None,
    };
    let Some(path) = container.partition_key.paths().first() else { return Ok(()) };
    let key = path.trim_start_matches('/').replace('/', ".");
    let query = Query::from(format!("SELECT c.id, c.{key} AS key, c._ts, c._etag, c.ttl FROM c"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let all: Vec<Item> = items.query_items(query, FeedScope::full_container(), None).await?.try_collect().await?;
    for item in all {
        let Some(ttl) = item.ttl.or(default_ttl).filter(|ttl| *ttl >= 0) else { continue };
        let (Some(key), true) = (item.key, item.written_at.saturating_add(ttl) < now) else { continue };
        // Only the version that was seen: it may have been written again since.
        let options = ItemWriteOptions::default().with_precondition(Precondition::if_match(Etag::from(item.etag)));
        items.delete_item(key, &item.id, Some(options)).await.ok();
    }
    Ok(())
}
