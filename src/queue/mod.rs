//! The queue port: wakes that are delivered at least once, in any order, perhaps late and perhaps twice.
//!
//! Contract, proven for every adapter by `tests/it/contract/queue.rs`:
//! - a sent wake is invisible for its delay, then delivered until it is deleted;
//! - a received wake is leased: invisible to others until the lease ends or it is released, its dequeue count raised by one;
//! - deleting, renewing or releasing with a lease that has been lost fails with [`Error::LeaseLost`] and changes nothing;
//! - a poisoned wake leaves the queue for the poison queue and is delivered there under the same rules.

#[cfg(feature = "azure")]
pub mod azure;
#[cfg(feature = "local")]
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::conversation::{Conversation, ConversationId, Revision, TraceParent, trace};

/// The queue of wakes, as `worker/function.json` names it.
pub const NAME: &str = "conversation-wakes";

/// What the Functions host adds to a queue's name for its poison queue.
pub const POISON_SUFFIX: &str = "-poison";

/// The queue of wakes that were delivered too often: the Functions host adds `-poison` to the name.
pub const POISON_NAME: &str = "conversation-wakes-poison";

/// Asks a worker to take a conversation on from `revision`. None of its field names is one that the Functions host
/// merges into `Metadata` (`Id`, `DequeueCount`, `PopReceipt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wake {
    /// Which conversation.
    pub conversation_id: ConversationId,
    /// The revision that was stored when the wake was sent: the fence.
    pub revision: Revision,
    /// Whether it was sent to repair a lost one, see `service::protocol`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repair: bool,
    /// Whether the question is being answered for another who asked it too, and this conversation waits for that. A wake without it, such
    /// as one that is sent again, has the conversation answered by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// Asks not for the turn but for rows that have expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Recompute>,
    /// The span that sent it, where traces are exported: the worker's goes on from there.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "trace::lenient")]
    pub traceparent: Option<TraceParent>,
}

/// Rows to compute again. All that is known of it stands in the message: the conversation stays as it is, and so does its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recompute {
    /// The number of the query, from 1.
    pub query: u32,
    /// Launches so far that came to nothing.
    pub lost: u32,
    /// Times the query was found running, or the warehouse did not answer.
    pub polls: u32,
}

impl Wake {
    /// The wake that takes `conversation` on.
    #[must_use]
    pub fn of(conversation: &Conversation) -> Self {
        Self::at(conversation.id, conversation.revision)
    }

    /// The wake that takes a conversation on that is stored at `revision`.
    #[must_use]
    pub fn at(conversation_id: ConversationId, revision: Revision) -> Self {
        Self { conversation_id, revision, repair: false, follows: false, rows: None, traceparent: None }
    }
}

/// Which of the two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Wakes to work on.
    Work,
    /// Wakes that were delivered too often.
    Poison,
}

/// A leased message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The message's text: a [`Wake`] as JSON, unless somebody else wrote to the queue.
    pub body: String,
    /// How often it has been delivered, this time included.
    pub dequeue_count: u32,
    /// The lease.
    pub lease: Lease,
}

/// Identifies a delivery to the queue that made it. Opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The message.
    pub message_id: String,
    /// Changes with every delivery and renewal.
    pub receipt: String,
}

/// Why a queue operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lease has ended: the message is gone or leased by someone else.
    #[error("the lease on message {0} is lost")]
    LeaseLost(String),
    /// The queue could not be reached or failed; another try may work.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
}

/// Sends wakes. All that a request handler and a worker need.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Name of the kind of queue, for `ready` and `check`.
    fn kind(&self) -> &'static str;

    /// Sends a wake that becomes visible after `delay`.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: it may or may not have been sent.
    async fn send(&self, wake: &Wake, delay: Duration) -> Result<(), Error>;

    /// Whether the queue answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn probe(&self) -> Result<(), Error>;
}

/// Receives wakes with the semantics of the Functions host. Only the standalone server needs it.
#[async_trait]
pub trait Receiver: Send + Sync {
    /// Leases at most `max` visible messages of `lane` for `lease`, oldest first; waits for the first one up to `wait`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn receive(&self, lane: Lane, max: u32, lease: Duration, wait: Duration) -> Result<Vec<Delivery>, Error>;

    /// Extends a lease by `lease` from now and returns the new one.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], [`Error::Unavailable`].
    async fn renew(&self, lane: Lane, held: &Lease, lease: Duration) -> Result<Lease, Error>;

    /// Removes a message that was worked on.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], [`Error::Unavailable`].
    async fn delete(&self, lane: Lane, held: &Lease) -> Result<(), Error>;

    /// Gives a message back after a failure; it becomes visible again after `delay`.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], [`Error::Unavailable`].
    async fn release(&self, lane: Lane, held: &Lease, delay: Duration) -> Result<(), Error>;

    /// Moves a message from the work queue to the poison queue.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], [`Error::Unavailable`].
    async fn poison(&self, delivery: &Delivery) -> Result<(), Error>;
}
