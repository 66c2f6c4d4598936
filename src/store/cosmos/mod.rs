//! The store in Azure Cosmos DB: a container in which every conversation is a partition of its own, with the results of its queries
//! beside it.
//!
//! Owns the items' shapes (`items`), what the operations on them mean, and that each has an end and a recorded charge. `connection`
//! owns the client, `charge` the metric. Facts about the service are from the SDK's sources (1.0.0) and the
//! pages named here, November 2026.
//!
//! - **Reads by id are point reads**; `history` is the only query. A commit is a replace with If-Match, and what it answers has the
//!   next ETag, so nothing is read again. The service refuses an ETag that is not the current one with 412.
//! - **Lost answers.** The SDK sends a write again when its answer was lost, creates included. When the first attempt was done, the
//!   second meets 412 or 409 through ourselves. Every write therefore leaves an id of its own in the item (`write_id`), and a refused
//!   one reads whether it is there: then it was ours, and succeeded.
//! - **Expiry** is the service's ("Time to live in Azure Cosmos DB": expired items appear in no response, though they are deleted later): from the second that `_ts + ttl` has passed it shows an item to no reader, whenever it deletes it. No
//!   clock of ours is held against that: a worker whose clock is wrong must not believe that a conversation is gone.
//! - **A result belongs to the item of its conversation** by that item's `_rid`, which a replace keeps and a new item of the same id does not
//!   have. It is read only together with its conversation, so no reader sees it longer than that, and a commit prolongs both.
//!   Its own `ttl` only clears it away, and is twice the conversation's and an hour: long enough for a turn that begins at the last
//!   moment. Every turn reads all the rows of its conversation, and a read writes those anew that are older than a `ttl`; so rows live
//!   as long as their conversation. (One that is kept alive by nothing but feedback, for days, loses them.)
//! - **Session consistency**: the SDK remembers the session token of every answer and sends it with reads, so one process reads its own
//!   writes. Another process may read what was before; the worker's fence (`service::protocol`) is made for that.
//! - **Numbers** are doubles there. Rows are kept as text for that reason, and run ids above 2^53 are serialised as text.
//! - **Throttling**: the SDK waits as 429 asks, for seconds altogether; what is left is [`Error::Throttled`].

mod beside;
mod charge;
mod connection;
mod items;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::{Secret, TokenCredential},
    http::Etag,
};
use azure_data_cosmos::{
    CosmosError, FeedScope, Query,
    clients::ContainerClient,
    feed::QueryPageIterator,
    models::ItemResponse,
    options::{ItemWriteOptions, MaxItemCountHint, Precondition, QueryOptions},
};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use self::{
    charge::Charges,
    connection::Connection,
    items::{ConversationItem, ResultItem, Stored, StoredResult},
};
use super::{Cursor, ETag, Error, HistoryFilter, HistoryPage, Store, Versioned, document};
use crate::conversation::{Conversation, ConversationId, JobStatus, ResultSet};

/// How long an operation of the store may take altogether: connecting, retries and waits included.
const TIME_LIMIT: Duration = Duration::from_secs(12);

/// An id that no item has, for [`Store::probe`].
const NO_ITEM: &str = "probe";

/// Which container, and as whom.
pub struct Config {
    /// Address of the account, such as `https://account.documents.azure.com/`.
    pub endpoint: String,
    /// As whom.
    pub credential: Credential,
    /// Name of the database.
    pub database: String,
    /// Name of the container.
    pub container: String,
    /// How long a conversation lives after its last commit, in whole seconds.
    pub ttl: Duration,
}

/// As whom requests are made.
#[derive(Clone)]
pub enum Credential {
    /// The account's key: a database and a container that are missing are created.
    Key(Secret),
    /// An identity. It must cache its tokens: it is asked for one with every request. It may not create containers.
    Token(Arc<dyn TokenCredential>),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

/// The endpoint is not an address.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the address of a Cosmos DB account, such as https://account.documents.azure.com/")]
pub struct BadEndpoint(String);

/// The store in a container of Cosmos DB.
pub struct CosmosStore {
    connection: Connection,
    charges: Charges,
    ttl: Duration,
}

impl CosmosStore {
    /// The store that `config` names. Connects with the first operation.
    ///
    /// # Errors
    /// [`BadEndpoint`].
    pub fn new(config: Config) -> Result<Self, BadEndpoint> {
        let endpoint = config.endpoint.parse().map_err(|_| BadEndpoint(config.endpoint))?;
        let connection = Connection::new(endpoint, config.credential, config.database, config.container);
        Ok(Self { connection, charges: Charges::new(), ttl: config.ttl })
    }

    /// Gives `operation` an end.
    async fn within_limit<T>(&self, operation: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        // The SDK's futures are large.
        tokio::time::timeout(TIME_LIMIT, Box::pin(operation))
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("Cosmos DB gave no answer within {} s", TIME_LIMIT.as_secs()))))
    }

    /// Sends one operation on an item.
    async fn on_item<F>(&self, operation: &'static str, send: impl FnOnce(ContainerClient) -> F) -> Result<Sent, Error>
    where
        F: Future<Output = Result<ItemResponse, CosmosError>>,
    {
        let container = self.connection.container().await?;
        let outcome = send(container).await;
        self.charges.record(operation, outcome.as_ref().map_or_else(charge::of_failed, charge::of));
        match outcome {
            Ok(response) => Ok(Sent::Done(Box::new(response))),
            Err(error) if error.status().is_not_found() => Ok(Sent::NotFound),
            Err(error) if error.status().is_conflict() || error.status().is_precondition_failed() => Ok(Sent::Refused),
            Err(error) => Err(self.connection.fault(&error).await),
        }
    }

    /// Reads the item `id` of a partition; `None` when it is not there.
    async fn read(&self, partition: ConversationId, id: &str) -> Result<Option<azure_core::Bytes>, Error> {
        let key = partition.to_string();
        let sent = self.on_item("read_item", |container| async move { container.read_item(key, id, None).await }).await?;
        let Sent::Done(response) = sent else { return Ok(None) };
        response.into_body().single().map(Some).map_err(|error| items::corrupt(id, error))
    }

    async fn read_conversation(&self, id: ConversationId) -> Result<Option<Stored>, Error> {
        let key = id.to_string();
        self.read(id, &key).await?.map(|body| Stored::decode(&key, &body)).transpose()
    }

    /// After a refused write: the ETag that it made if it was done after all.
    async fn done_after_all(&self, item: &ConversationItem) -> Result<Refusal, Error> {
        Ok(match self.read_conversation(item.id()).await? {
            Some(stored) if stored.write_id == Some(item.write_id()) => Refusal::DoneByUs(stored.versioned.etag),
            Some(_) => Refusal::DoneByOthers,
            None => Refusal::NotThere,
        })
    }

    async fn create_item(&self, conversation: &Conversation) -> Result<ETag, Error> {
        let item = ConversationItem::new(conversation, self.ttl)?;
        let (key, body) = (conversation.id.to_string(), &item);
        let sent =
            self.on_item("create_item", |container| async move { container.create_item(key.clone(), &key, body, None).await }).await?;
        match sent {
            Sent::Done(response) => etag(&response),
            // No item can be missing here, so it is the container.
            Sent::NotFound => Err(self.connection.lost().await),
            Sent::Refused => match self.done_after_all(&item).await? {
                Refusal::DoneByUs(etag) => Ok(etag),
                Refusal::DoneByOthers => Err(Error::Exists(conversation.id)),
                Refusal::NotThere => {
                    Err(Error::Unavailable(format!("what had the id {} has expired and is not removed yet", conversation.id)))
                }
            },
        }
    }

    async fn replace_item(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, Error> {
        let item = ConversationItem::new(conversation, self.ttl)?;
        // Anything else, above all nothing and `*`, would be no condition.
        if !is_etag(&expected.0) {
            return Err(Error::Conflict(conversation.id));
        }
        let options = ItemWriteOptions::default().with_precondition(Precondition::if_match(Etag::from(expected.0.clone())));
        let (key, body) = (conversation.id.to_string(), &item);
        let sent = self
            .on_item("replace_item", |container| async move { container.replace_item(key.clone(), &key, body, Some(options)).await })
            .await?;
        match sent {
            Sent::Done(response) => etag(&response),
            Sent::NotFound => Err(Error::Conflict(conversation.id)),
            Sent::Refused => match self.done_after_all(&item).await? {
                Refusal::DoneByUs(etag) => Ok(etag),
                Refusal::DoneByOthers | Refusal::NotThere => Err(Error::Conflict(conversation.id)),
            },
        }
    }

    /// The conversation first: without it nobody sees its results, whose own `ttl` clears away what a crash in between leaves.
    async fn delete_items(&self, conversation: &Conversation, expected: &ETag) -> Result<(), Error> {
        let conflict = Error::Conflict(conversation.id);
        if !is_etag(&expected.0) {
            return Err(conflict);
        }
        let options = ItemWriteOptions::default().with_precondition(Precondition::if_match(Etag::from(expected.0.clone())));
        let key = conversation.id.to_string();
        let sent = self
            .on_item("delete_item", |container| {
                let key = key.clone();
                async move { container.delete_item(key.clone(), &key, Some(options)).await }
            })
            .await?;
        if !matches!(sent, Sent::Done(_)) {
            return Err(conflict);
        }
        let results = (1..).zip(&conversation.databricks_jobs).filter(|(_, job)| job.status == JobStatus::Completed);
        for (number, _) in results {
            let (key, id) = (key.clone(), items::result_id(conversation.id, number));
            self.on_item("delete_item", |container| async move { container.delete_item(key, &id, None).await }).await?;
        }
        Ok(())
    }

    async fn page(&self, filter: &HistoryFilter, limit: u32, after: Option<Cursor>) -> Result<HistoryPage, Error> {
        // One more than the page has, to know whether another one follows.
        let found = self.query(items::history_query(filter, after, limit.saturating_add(1))?, limit.saturating_add(1)).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        let conversations = found.into_iter().take(limit).map(items::conversation).collect::<Result<Vec<_>, _>>()?;
        let next_cursor = Cursor::after(&conversations, has_more);
        Ok(HistoryPage { conversations, next_cursor })
    }

    async fn query(&self, query: Query, expected: u32) -> Result<Vec<Value>, Error> {
        let container = self.connection.container().await?;
        let page_size = std::num::NonZeroU32::new(expected).map(MaxItemCountHint::Limit);
        let options = page_size.map(|size| QueryOptions::default().with_max_item_count(size));
        let mut spent = 0.0;
        let outcome = match container.query_items::<Value>(query, FeedScope::full_container(), options).await {
            Ok(items) => all(items.into_pages(), &mut spent).await,
            Err(error) => Err(error),
        };
        spent += outcome.as_ref().err().map_or(0.0, charge::of_failed);
        self.charges.record("query_items", spent);
        match outcome {
            Ok(found) => Ok(found),
            Err(error) => Err(self.connection.fault(&error).await),
        }
    }

    async fn upsert_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), Error> {
        let body = document::encode_result(id, result)?;
        let Some(owner) = self.read_conversation(id).await? else { return Ok(()) };
        let item = ResultItem::new(id, number, owner.rid, body, self.ttl);
        let key = id.to_string();
        let sent = self
            .on_item("upsert_item", |container| {
                let item = &item;
                async move { container.upsert_item(key, &item.id, item, None).await }
            })
            .await?;
        match sent {
            Sent::Done(_) => Ok(()),
            Sent::NotFound | Sent::Refused => Err(Error::Unavailable("Cosmos DB refused to store the rows of a query".into())),
        }
    }

    async fn read_result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, Error> {
        let key = items::result_id(id, number);
        let (owner, result) = tokio::try_join!(self.read_conversation(id), self.read(id, &key))?;
        let (Some(owner), Some(result)) = (owner, result) else { return Ok(None) };
        let Some(result) = StoredResult::decode(&key, &result, &owner)? else { return Ok(None) };
        if result.is_old(&owner, self.ttl) {
            self.renew(id, &result).await;
        }
        result.item.rows().map(Some)
    }

    /// Writes a result anew, so that it lives on. Where that fails, the next read tries again.
    async fn renew(&self, id: ConversationId, result: &StoredResult) {
        let options = ItemWriteOptions::default().with_precondition(Precondition::if_match(Etag::from(result.etag.clone())));
        let (key, item) = (id.to_string(), &result.item);
        let sent =
            self.on_item("replace_item", |container| async move { container.replace_item(key, &item.id, item, Some(options)).await }).await;
        if let Err(error) = sent {
            tracing::warn!(conversation.id = %id, %error, "could not make the rows of a query live on");
        }
    }
}

/// What came of an operation on an item, where the store went along.
enum Sent {
    Done(Box<ItemResponse>),
    NotFound,
    /// 409 or 412: it is there already, or is not the version that was expected.
    Refused,
}

/// What stands in the place of a write that was refused.
enum Refusal {
    DoneByUs(ETag),
    DoneByOthers,
    NotThere,
}

async fn all(mut pages: QueryPageIterator<Value>, spent: &mut f64) -> Result<Vec<Value>, CosmosError> {
    let mut found = Vec::new();
    while let Some(page) = pages.try_next().await? {
        *spent += charge::total(&page.diagnostics());
        found.extend(page.into_items());
    }
    Ok(found)
}

fn etag(response: &ItemResponse) -> Result<ETag, Error> {
    let etag = response.headers().etag().map(|etag| ETag(etag.to_string()));
    etag.ok_or_else(|| Error::Unavailable("Cosmos DB answered a write without an ETag".into()))
}

/// Whether `text` has the form of an ETag of the service: something in quotation marks.
fn is_etag(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'))
}

#[async_trait]
impl Store for CosmosStore {
    fn kind(&self) -> &'static str {
        "cosmos"
    }

    async fn create(&self, conversation: &Conversation) -> Result<ETag, Error> {
        self.within_limit(self.create_item(conversation)).await
    }

    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, Error> {
        self.within_limit(async { Ok(self.read_conversation(id).await?.map(|stored| stored.versioned)) }).await
    }

    async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, Error> {
        self.within_limit(self.replace_item(conversation, expected)).await
    }

    async fn remove(&self, conversation: &Conversation, expected: &ETag) -> Result<(), Error> {
        self.within_limit(self.delete_items(conversation, expected)).await
    }

    async fn history(&self, filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, Error> {
        let after = cursor.map(|text| Cursor::decode(text).ok_or(Error::BadCursor)).transpose()?;
        self.within_limit(self.page(filter, limit, after)).await
    }

    /// A result of a conversation that is gone is dropped: the commit that would refer to it meets a conflict.
    async fn put_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), Error> {
        self.within_limit(self.upsert_result(id, number, result)).await
    }

    async fn result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, Error> {
        self.within_limit(self.read_result(id, number)).await
    }

    /// Reads an item that is not there: the cheapest thing that needs the account, the credential and the container.
    async fn probe(&self) -> Result<(), Error> {
        let probe = async {
            let sent = self.on_item("read_item", |container| async move { container.read_item(NO_ITEM, NO_ITEM, None).await }).await?;
            drop(sent);
            Ok(())
        };
        self.within_limit(probe).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_quotation_marks_is_an_etag() {
        assert!(is_etag("\"00000000-0000-0000-0000-000000000000\""));
        for text in ["", "*", "\"", "\"\"", "\"a\"b\"", "W/\"a\"", "\"ü\"", "\"a b\"", "\"a\r\nx: y\""] {
            assert!(!is_etag(text), "{text:?}");
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        assert_eq!(format!("{:?}", Credential::Key(Secret::from("hunter2"))), "Key(…)");
    }
}
