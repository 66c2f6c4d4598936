//! The cache port: answers that may be given again, and who is making one.
//!
//! Contract, proven for every adapter by `tests/it/contract/cache.rs`:
//! - an answer is found under the key that it was kept under, whole and unchanged, until its life is over or another takes its place;
//! - an answer of more than [`MAX_BYTES`] is not kept;
//! - what cannot be read as an answer is not found;
//! - a lease has one holder, until that gives it back or its life is over; nobody else can give it back;
//! - no operation fails and none takes long: a cache that does not answer finds nothing, keeps nothing, and hands every lease out.
//!
//! So a cache may be away, slow, emptied or filled with anything, and questions are answered as if there were none.

pub mod memory;
pub mod redis;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::digest;

use crate::conversation::{Answered, ConversationId};

/// How large an answer may be with its rows, in bytes of JSON.
pub const MAX_BYTES: usize = 4 << 20;

/// What an answer is kept under: a digest of all that it depends on, so that it tells of none of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub String);

impl Key {
    /// The key of what depends on `parts`. They are told apart as JSON, where no part can pass for another.
    #[must_use]
    pub fn of(parts: &serde_json::Value) -> Self {
        let digest = digest::digest(&digest::SHA256, parts.to_string().as_bytes());
        Self(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Why a cache does not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the cache is unavailable: {0}")]
pub struct Unavailable(pub String);

/// Where answers are kept for whoever asks the same.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Name of the kind of cache, for `ready` and `check`.
    fn kind(&self) -> &'static str;

    /// The answer under `key`.
    async fn get(&self, key: &Key) -> Option<Arc<Answered>>;

    /// Keeps `answered` under `key` for `life`, in the place of an earlier one.
    async fn put(&self, key: &Key, answered: Arc<Answered>, life: Duration);

    /// Whether `holder` may make the answer for `key`: false while another does, `life` at most.
    async fn lease(&self, key: &Key, holder: ConversationId, life: Duration) -> bool;

    /// Whether somebody is making the answer for `key`.
    async fn is_leased(&self, key: &Key) -> bool;

    /// Gives the lease of `key` back if `holder` has it.
    async fn release(&self, key: &Key, holder: ConversationId);

    /// Whether it answers.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn probe(&self) -> Result<(), Unavailable>;
}
