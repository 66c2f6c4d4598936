//! The items of a partition: the document of a conversation, and the results of its queries.
//!
//! What the conversation's item has beyond the published document: `history_key`, by which `history` sorts and which only conversations
//! have, and `write_id`, by which a write is known again. A result has `kind: "result"`.

use std::time::Duration;

use azure_data_cosmos::Query;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Cursor, ETag, Error, HistoryFilter, Versioned, document};
use crate::{
    conversation::{Conversation, ConversationId, ResultSet, Timestamp},
    store::document::Document,
};

/// A conversation as it is written.
#[derive(Serialize)]
pub(super) struct ConversationItem {
    #[serde(flatten)]
    document: Document,
    history_key: String,
    write_id: Uuid,
}

impl ConversationItem {
    /// The item of `conversation` that lives `ttl` after it is written.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub(super) fn new(conversation: &Conversation, ttl: Duration) -> Result<Self, Error> {
        let item = Self {
            document: Document::new(conversation, ttl.as_secs()),
            history_key: history_key(conversation.created_at, conversation.id),
            write_id: Uuid::new_v4(),
        };
        document::encode(conversation, &item)?;
        Ok(item)
    }

    pub(super) fn id(&self) -> ConversationId {
        self.document.conversation.id
    }

    pub(super) fn write_id(&self) -> Uuid {
        self.write_id
    }
}

/// Sorts as the pair does. One property, because sorting by two needs a composite index, which a container of somebody else's making
/// may not have.
fn history_key(created_at: Timestamp, id: ConversationId) -> String {
    format!("{created_at} {id}")
}

/// A conversation as it was read.
pub(super) struct Stored {
    pub(super) versioned: Versioned,
    /// Identifies the item among all that ever had its id.
    pub(super) rid: String,
    /// When it was written, in seconds since 1970 by the clock of the service.
    pub(super) written_at: u64,
    pub(super) write_id: Option<Uuid>,
}

/// What the service adds, and what we add to recognise a write.
#[derive(Deserialize)]
struct System {
    #[serde(rename = "_rid")]
    rid: String,
    #[serde(rename = "_etag")]
    etag: String,
    #[serde(rename = "_ts")]
    written_at: u64,
    #[serde(default)]
    write_id: Option<Uuid>,
}

impl Stored {
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn decode(id: &str, body: &[u8]) -> Result<Self, Error> {
        let System { rid, etag, written_at, write_id } = parse(id, body)?;
        Ok(Self { versioned: Versioned { conversation: parse(id, body)?, etag: ETag(etag) }, rid, written_at, write_id })
    }
}

/// The conversation in an item that a query found.
///
/// # Errors
/// [`Error::Corrupt`].
pub(super) fn conversation(item: Value) -> Result<Conversation, Error> {
    let id = item["id"].as_str().unwrap_or("(without id)").to_owned();
    serde_json::from_value(item).map_err(|error| corrupt(&id, error))
}

/// The rows of a query. `body` is JSON in a text, because numbers in JSON are doubles to the service.
#[derive(Serialize, Deserialize)]
pub(super) struct ResultItem {
    pub(super) id: String,
    partition_key: ConversationId,
    kind: String,
    /// `_rid` of the conversation's item.
    conversation_rid: String,
    body: String,
    ttl: u64,
}

impl ResultItem {
    pub(super) fn new(id: ConversationId, number: u32, conversation_rid: String, body: String, ttl: Duration) -> Self {
        let ttl = 2 * ttl.as_secs() + 3600;
        Self { id: result_id(id, number), partition_key: id, kind: "result".into(), conversation_rid, body, ttl }
    }

    /// The rows.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn rows(&self) -> Result<ResultSet, Error> {
        parse(&self.id, self.body.as_bytes())
    }
}

/// A result as it was read.
pub(super) struct StoredResult {
    pub(super) item: ResultItem,
    pub(super) etag: String,
    written_at: u64,
}

impl StoredResult {
    /// The result in an item; `None` when it belongs to an earlier conversation of the same id than `owner`.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn decode(id: &str, body: &[u8], owner: &Stored) -> Result<Option<Self>, Error> {
        let System { etag, written_at, .. } = parse(id, body)?;
        let item: ResultItem = parse(id, body)?;
        Ok((item.conversation_rid == owner.rid).then_some(Self { item, etag, written_at }))
    }

    /// Whether its own `ttl` might end before that of `owner`, which lives `ttl` after every commit.
    pub(super) fn is_old(&self, owner: &Stored, ttl: Duration) -> bool {
        owner.written_at.saturating_sub(self.written_at) > ttl.as_secs()
    }
}

/// The id of the item with the rows of query `number`.
pub(super) fn result_id(id: ConversationId, number: u32) -> String {
    format!("{id}:result:{number}")
}

/// The query of a page of at most `limit` conversations. Results have no `history_key`, so a comparison leaves them out.
///
/// # Errors
/// None in practice: texts are JSON.
pub(super) fn history_query(filter: &HistoryFilter, after: Option<Cursor>, limit: u32) -> Result<Query, Error> {
    let mut text = format!("SELECT TOP {limit} * FROM c WHERE c.history_key < @before");
    // Greater than every key: those begin with a digit.
    let before = after.map_or_else(|| "~".to_owned(), |cursor| history_key(cursor.created_at, cursor.id));
    let mut parameters = vec![("@before".to_owned(), before)];
    for (name, value) in [("owner", &filter.owner), ("user_id", &filter.user_id), ("device_id", &filter.device_id)] {
        if let Some(value) = value {
            text = format!("{text} AND c.{name} = @{name}");
            parameters.push((format!("@{name}"), value.clone()));
        }
    }
    let query = Query::from(format!("{text} ORDER BY c.history_key DESC"));
    parameters
        .into_iter()
        .try_fold(query, |query, (name, value)| query.with_parameter(name, value))
        .map_err(|error| Error::Unavailable(format!("the query of the history cannot be written: {error}")))
}

fn parse<T: serde::de::DeserializeOwned>(id: &str, json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|error| corrupt(id, error))
}

/// The error of an item that cannot be read.
pub(super) fn corrupt(id: &str, reason: impl std::fmt::Display) -> Error {
    Error::Corrupt { id: id.to_owned(), reason: reason.to_string() }
}
