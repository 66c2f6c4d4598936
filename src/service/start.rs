//! Starting a conversation: stored first, then a worker is woken.

use super::Service;
use crate::{
    conversation::{Conversation, ConversationId, ErrorCode, NewConversation, Outcome, Stage, apply},
    queue::{self, Wake},
    store::{self, ETag},
};

/// A conversation that got its 202.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its id.
    pub id: ConversationId,
}

/// Why a conversation was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The idempotency key was used with another body.
    #[error("this Idempotency-Key was used before with another request body")]
    IdempotencyMismatch,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] queue::Error),
}

impl Service {
    /// Stores the conversation and wakes a worker. With an idempotency key (a digest is given) it may exist already.
    ///
    /// # Errors
    /// [`StartError`]: nothing was promised to the client, and no worker will act.
    pub async fn start(&self, new: NewConversation) -> Result<Started, StartError> {
        let conversation = Conversation::start(new, Self::now());
        let id = conversation.id;
        match self.ports.store.create(&conversation).await {
            Ok(etag) => {
                self.recent.committed(&conversation);
                self.wake_or_withdraw(conversation, &etag).await?;
            }
            Err(store::Error::Exists(_)) => self.join(&conversation).await?,
            Err(error) => return Err(error.into()),
        }
        Ok(Started { id })
    }

    /// Wakes a worker for the turn that `conversation` has just begun.
    ///
    /// # Errors
    /// [`queue::Error`]: then the turn has ended.
    pub(super) async fn wake_or_withdraw(&self, mut conversation: Conversation, etag: &ETag) -> Result<(), queue::Error> {
        let wake = Wake::of(&conversation);
        let Err(error) = self.wake(wake, std::time::Duration::ZERO).await else { return Ok(()) };
        // Without its wake nobody would ever take it on: it must not look as if it were being worked on. Nor must its idempotency key
        // keep the client from asking again.
        let turn = conversation.turn;
        conversation.keyed_requests.retain(|keyed| keyed.turn != turn);
        let detail = "No worker could be woken: the queue did not answer.".to_owned();
        let ended = apply(conversation, Outcome::Ended { code: ErrorCode::Abandoned, detail }, &self.budgets, Self::now());
        if let Some(transition) = ended
            && let Err(error) = self.commit(&transition.conversation, etag).await
        {
            tracing::warn!(conversation.id = %transition.conversation.id, %error, "could not withdraw a conversation that has no wake");
        }
        Err(error)
    }

    /// A request that was sent again finds what the first one made. Its wake is sent again too as long as no worker has
    /// begun: the first request may have died before it could.
    async fn join(&self, asked: &Conversation) -> Result<(), StartError> {
        let found = self.load_since(asked.id, asked.revision).await?.map(|found| found.conversation);
        let Some(found) = found.filter(|found| (&found.owner, &found.request_digest) == (&asked.owner, &asked.request_digest)) else {
            return Err(StartError::IdempotencyMismatch);
        };
        if found.revision == asked.revision && found.stage == Stage::Planning {
            self.wake(Wake::of(&found), std::time::Duration::ZERO).await?;
        }
        Ok(())
    }
}
