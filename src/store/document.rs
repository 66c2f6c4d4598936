//! The stored document: the published schema around a [`Conversation`].
//!
//! Published fields: `id, partition_key, user_id, status, question, messages, databricks_jobs, final_answer, error, created_at,
//! updated_at, ttl`; the rest of [`Conversation`] is ours. `partition_key` is the id, so that every read is a point read.

use serde::{Deserialize, Serialize};

use crate::conversation::{Conversation, ConversationId, PublicStatus};

/// The largest document of a conversation, in bytes of JSON: half of what Cosmos DB takes in one item, so that reading and writing one
/// stays cheap. A turn that would pass it ends with an error.
pub const MAX_BYTES: usize = 1 << 20;

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
