//! The stored document: the published schema around a [`Conversation`].
//!
//! Published fields: `id, partition_key, user_id, status, question, messages, databricks_jobs, final_answer, error, created_at,
//! updated_at, ttl`; the rest of [`Conversation`] is ours. `partition_key` is the id, so that every read is a point read.

use serde::{Deserialize, Serialize};

#[cfg(any(feature = "azure", feature = "local"))]
use super::Error;
use crate::conversation::{Conversation, ConversationId, PublicStatus};
#[cfg(any(feature = "azure", feature = "local"))]
use crate::conversation::{ResultSet, Stage};

/// The largest document of a conversation, in bytes of JSON: half of what Cosmos DB takes in one item, so that reading and writing one
/// stays cheap. A turn that would pass it ends with an error.
pub const MAX_BYTES: usize = 1 << 20;

/// By how much the document of a turn that has ended, or is about to, may pass [`MAX_BYTES`], so that why it ended can always be kept.
const RESERVE: usize = 64 << 10;

/// The most that the rows of one query may be, in bytes of JSON: half of [`MAX_BYTES`], because a store that keeps them as text in JSON
/// doubles their quotation marks.
pub const MAX_RESULT_BYTES: usize = MAX_BYTES / 2;

/// A conversation as it stands in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Equal to the conversation's id.
    pub partition_key: ConversationId,
    /// The published status, derived from the stage.
    pub status: PublicStatus,
    /// Seconds after the last update at which the document expires.
    pub ttl: u64,
    /// The conversation.
    #[serde(flatten)]
    pub conversation: Conversation,
}

impl Document {
    /// The document of `conversation` that lives `ttl` seconds after its last update.
    #[must_use]
    pub fn new(conversation: &Conversation, ttl: u64) -> Self {
        Self { partition_key: conversation.id, status: conversation.status(), ttl, conversation: conversation.clone() }
    }
}

#[cfg(any(feature = "azure", feature = "local"))]
/// The JSON of `document`, which is about `conversation`.
///
/// # Errors
/// [`Error::TooLarge`] above [`MAX_BYTES`].
pub(super) fn encode(conversation: &Conversation, document: &impl Serialize) -> Result<String, Error> {
    let is_ending = conversation.stage.is_terminal() || conversation.stage == Stage::Canceling;
    let reserve = if is_ending { RESERVE } else { 0 };
    bounded(conversation.id, document, MAX_BYTES + reserve)
}

#[cfg(any(feature = "azure", feature = "local"))]
/// The JSON of the rows of a query of the conversation `id`.
///
/// # Errors
/// [`Error::TooLarge`] above [`MAX_RESULT_BYTES`].
pub(super) fn encode_result(id: ConversationId, result: &ResultSet) -> Result<String, Error> {
    bounded(id, result, MAX_RESULT_BYTES)
}

#[cfg(any(feature = "azure", feature = "local"))]
fn bounded(id: ConversationId, value: &impl Serialize, limit: usize) -> Result<String, Error> {
    let json = serde_json::to_string(value).map_err(|error| Error::Corrupt { id: id.to_string(), reason: error.to_string() })?;
    if json.len() > limit { Err(Error::TooLarge { id, bytes: json.len() }) } else { Ok(json) }
}
