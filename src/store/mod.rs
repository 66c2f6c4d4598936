//! The store port: conversations by id, committed only over the version that was read, and the results of their queries.
//!
//! Contract, proven for every adapter by `tests/it/contract/store.rs`:
//! - `create` fails with [`Error::Exists`] on a known id, `commit` with [`Error::Conflict`] on any other version than the stored one;
//! - an expired conversation (no commit for the TTL) and its results are gone from every read, also before they are swept;
//! - a conversation that is removed is gone from every read at once, with its results, and no commit brings it back;
//! - a conversation of more than [`document::MAX_BYTES`] is refused with [`Error::TooLarge`], and what was stored stays;
//! - `history` is newest first by `created_at`, and its cursor never repeats nor skips a conversation that was there throughout.

#[cfg(feature = "azure")]
pub mod cosmos;
mod cursor;
pub mod document;
#[cfg(feature = "local")]
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;

pub use cursor::Cursor;

use crate::conversation::{Conversation, ConversationId, Owner, ResultSet};

/// The version of a stored document, for [`Store::commit`]. Opaque; compares equal only to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(pub String);

/// A conversation with the version it was read at.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// What was read.
    pub conversation: Conversation,
    /// Its version.
    pub etag: ETag,
}

/// Whose conversations to list. The owner always must match, so that a list never mixes what belongs to different principals; of the labels
/// those that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// The principal; with none, only conversations that belong to nobody.
    pub owner: Option<Owner>,
    /// The user label.
    pub user_id: Option<String>,
    /// The device label.
    pub device_id: Option<String>,
}

/// A page of history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPage {
    /// Newest first.
    pub conversations: Vec<Conversation>,
    /// Where the next page begins; absent on the last one.
    pub next_cursor: Option<String>,
}

/// Why a store operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The id is taken.
    #[error("conversation {0} exists already")]
    Exists(ConversationId),
    /// The stored version is not the expected one, or the conversation is gone.
    #[error("conversation {0} was changed by someone else")]
    Conflict(ConversationId),
    /// The cursor was not made by this store.
    #[error("the cursor is not one that an earlier page returned")]
    BadCursor,
    /// The store could not be reached or failed; another try may work.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store asks for patience: it has been asked more than it can do.
    #[error("the store is throttled; it asks to wait {} ms", .retry_after.as_millis())]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The conversation has grown beyond [`document::MAX_BYTES`], or the rows of one of its queries beyond
    /// [`document::MAX_RESULT_BYTES`]; nothing was stored.
    #[error("a document of conversation {id} would have {bytes} bytes, which is more than may be stored")]
    TooLarge {
        /// Which one.
        id: ConversationId,
        /// How large it would be, in bytes.
        bytes: usize,
    },
    /// What is stored cannot be read as a conversation.
    #[error("the stored document of {id} is unreadable: {reason}")]
    Corrupt {
        /// Which one.
        id: String,
        /// Why.
        reason: String,
    },
}

/// Where conversations and results are kept.
#[async_trait]
pub trait Store: Send + Sync {
    /// Name of the kind of store, for `ready` and `check`.
    fn kind(&self) -> &'static str;

    /// Stores a new conversation.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::TooLarge`], [`Error::Throttled`], [`Error::Unavailable`].
    async fn create(&self, conversation: &Conversation) -> Result<ETag, Error>;

    /// Reads a conversation; `None` when it is unknown or expired.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, Error>;

    /// Replaces a conversation if its stored version is still `expected`.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::TooLarge`], [`Error::Throttled`], [`Error::Unavailable`].
    async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, Error>;

    /// Removes a conversation and its results if its stored version is still `expected`. Its id may be created anew.
    ///
    /// # Errors
    /// [`Error::Conflict`], also when it is gone already; [`Error::Throttled`], [`Error::Unavailable`].
    async fn remove(&self, conversation: &Conversation, expected: &ETag) -> Result<(), Error>;

    /// Lists conversations newest first, at most `limit`, from `cursor` on.
    ///
    /// # Errors
    /// [`Error::BadCursor`], [`Error::Unavailable`].
    async fn history(&self, filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, Error>;

    /// Keeps the rows of query `number` (from 1) of a conversation, replacing those that are there.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`document::MAX_RESULT_BYTES`], [`Error::Throttled`], [`Error::Unavailable`].
    async fn put_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), Error>;

    /// Reads the rows of query `number` (from 1); `None` when there are none or they have expired.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, Error>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn probe(&self) -> Result<(), Error>;
}
