//! The warehouse in the name of whoever asks, so that they see what they may see there and nothing else.
//!
//! A request is the only time at which the caller's token is at hand; a worker queries later, elsewhere. So the request exchanges it for one
//! of the warehouse, and leaves that with the conversation, sealed. Whoever holds the conversation without the key has nothing.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::Warehouse;
use crate::conversation::{ConversationId, Delegation, Owner, Timestamp};

/// What a caller proved who they are by: a bearer token. It shows nowhere.
#[derive(Clone)]
pub struct Proof(String);

impl Proof {
    /// Of a token that was accepted.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token, for the one who exchanges it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(…)")
    }
}

/// Whom a delegation is of, and what for: it opens for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The conversation whose queries run by it.
    pub conversation: ConversationId,
    /// In whose name.
    pub owner: &'a Owner,
}

/// Why there is no delegation, or none that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The caller has no token to exchange.
    #[error("queries run in the name of whoever asks: sign in with a token of a person")]
    NoProof,
    /// The caller's token, or what it is exchanged for, ends before a question could be answered.
    #[error("your token is about to end; sign in again")]
    EndsSoon,
    /// The one who exchanges tokens will not.
    #[error("you cannot be represented in the warehouse: {0}")]
    Refused(String),
    /// The one who exchanges tokens does not answer.
    #[error("the sign-in to the warehouse does not answer")]
    Unavailable(String),
    /// The one who exchanges tokens does not accept this service.
    #[error("the sign-in to the warehouse is not set up; tell the administrator of this service")]
    Misconfigured(String),
    /// The time of the delegation is over, or it was made with another key.
    #[error("your sign-in to the warehouse has ended; ask again")]
    Over,
}

/// Exchanges tokens, and queries by what they were exchanged for.
#[async_trait]
pub trait OnBehalf: Send + Sync {
    /// The right of `holder` to query, for what `proof` was accepted as. One token may be exchanged once for many questions.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::EndsSoon`], [`Error::Unavailable`], [`Error::Misconfigured`].
    async fn delegate(&self, proof: &Proof, holder: Holder<'_>, now: Timestamp) -> Result<Delegation, Error>;

    /// The warehouse as `holder`.
    ///
    /// # Errors
    /// [`Error::Over`].
    fn warehouse(&self, delegation: &Delegation, holder: Holder<'_>, now: Timestamp) -> Result<Arc<dyn Warehouse>, Error>;
}
