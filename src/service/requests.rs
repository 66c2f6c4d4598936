//! What a client asks of a conversation that is there: the next question, its cancellation, its removal, a rating.
//!
//! Each is one conditional write beside the worker's, tried again where the worker was quicker. `protocol` says what becomes of wakes.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    Asker, Limited, Service,
    quota::{Admission, Began},
};
use crate::{
    conversation::{
        Caller, Conversation, ConversationId, Declined, FollowUp, Rating, RequestKey, Stage, Transition, cancel, follow_up, rate,
    },
    queue::{self, Wake},
    store::{self, ETag, Versioned},
    warehouse::behalf,
};

/// Times a request tries to write over what the worker has just written.
pub(super) const TRIES: usize = 16;

/// Why a request changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no such conversation (any more), or it is not the caller's.
    #[error("there is no conversation with this id, or it has expired")]
    Unknown,
    /// It does not take the request now.
    #[error(transparent)]
    Declined(#[from] Declined),
    /// The turn that was to be canceled has ended.
    #[error("the turn has ended: there is nothing to cancel")]
    TurnEnded,
    /// There is no room left in the document.
    #[error("the conversation has become too large to go on (more than {} KiB); start a new one", store::document::MAX_BYTES >> 10)]
    TooLarge,
    /// The idempotency key was used with another body.
    #[error("this Idempotency-Key was used before with another request body")]
    IdempotencyMismatch,
    /// Others committed every time that this request was about to.
    #[error("the conversation is being changed all the time; try again")]
    Contended,
    /// Whoever asks may not now.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// The warehouse cannot be asked in the caller's name.
    #[error(transparent)]
    Behalf(#[from] behalf::Error),
    /// The store failed.
    #[error(transparent)]
    Store(store::Error),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] queue::Error),
}

impl From<store::Error> for RequestError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::TooLarge { .. } => Self::TooLarge,
            error => Self::Store(error),
        }
    }
}

/// How far a cancellation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canceled {
    /// The turn has ended.
    Now,
    /// The warehouse is asked to stop the query first.
    Soon,
}

impl Service {
    /// Begins the next turn of a conversation and wakes a worker. Whoever asks is admitted to the turn that what was read shows to be the
    /// next one; what admits them is in `held`, also where no turn began.
    pub(super) async fn begin_turn(
        &self,
        asker: &Asker<'_>,
        id: ConversationId,
        asked: &FollowUp,
        held: &mut Option<Admission>,
    ) -> Result<Began, RequestError> {
        for _ in 0..TRIES {
            let Versioned { conversation, etag } = self.load_own(asker.caller, id).await?.ok_or(RequestError::Unknown)?;
            if let Some(turn) = asked.key.as_ref().map_or(Ok(None), |key| turn_of(&conversation, key))? {
                self.join_turn(&conversation, turn).await?;
                return Ok(Began::Before);
            }
            let begun = follow_up(conversation, asked.clone(), &self.budgets, Self::now())?.conversation;
            let admission = self.admit_to(asker, &begun, held).await?;
            let delegation = self.delegation(asker, id).await?;
            let next = admission.counting(Conversation { delegation, ..begun });
            if let Some(etag) = self.try_commit(&next, &etag).await? {
                let wake = Wake::of(&next);
                self.wake_or_withdraw(next, &etag, wake).await?;
                return Ok(Began::Now);
            }
        }
        Err(RequestError::Contended)
    }

    /// The first request may have died before it could wake a worker. One more wake does no harm.
    async fn join_turn(&self, found: &Conversation, turn: u32) -> Result<(), RequestError> {
        if found.turn == turn && found.stage == Stage::Planning {
            self.wake(Wake::of(found), Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Cancels the running turn. To cancel it again changes nothing.
    ///
    /// # Errors
    /// [`RequestError`], with [`RequestError::TurnEnded`] when it ended otherwise.
    pub async fn cancel(&self, caller: &Caller, id: ConversationId) -> Result<Canceled, RequestError> {
        for _ in 0..TRIES {
            let Versioned { conversation, etag } = self.load_own(caller, id).await?.ok_or(RequestError::Unknown)?;
            match conversation.stage {
                Stage::Canceled => return Ok(Canceled::Now),
                Stage::Canceling => return Ok(self.wake_to_cancel(&conversation).await),
                _ => {}
            }
            let Some(Transition { conversation, wake }) = cancel(conversation, Self::now()) else { return Err(RequestError::TurnEnded) };
            if self.try_commit(&conversation, &etag).await?.is_some() {
                // Its answer will not come, also where its query has yet to be stopped.
                self.let_others_lead(&conversation).await;
                self.count_ended(&conversation);
                return Ok(if wake.is_some() { self.wake_to_cancel(&conversation).await } else { Canceled::Now });
            }
        }
        Err(RequestError::Contended)
    }

    /// Wakes a worker for a turn that is being canceled. Where the queue fails, the message that is under way for it does the same, later.
    async fn wake_to_cancel(&self, conversation: &Conversation) -> Canceled {
        if let Err(error) = self.wake(Wake::of(conversation), Duration::ZERO).await {
            tracing::warn!(conversation.id = %conversation.id, %error, "could not wake a worker for a cancellation");
        }
        Canceled::Soon
    }

    /// Cancels what the warehouse has in hand for a conversation, and removes it with its results.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete(&self, caller: &Caller, id: ConversationId) -> Result<(), RequestError> {
        for _ in 0..TRIES {
            let Versioned { conversation, etag } = self.load_own(caller, id).await?.ok_or(RequestError::Unknown)?;
            if let Some(run) = conversation.running_run() {
                self.stop(&conversation, run).await;
            }
            match self.ports.store.remove(&conversation, &etag).await {
                Err(store::Error::Conflict(_)) => sleep(self.settings.replica_lag / 4).await,
                removed => {
                    removed?;
                    self.let_others_lead(&conversation).await;
                    self.settle_removed(&conversation).await;
                    self.recent.removed(id);
                    self.changes.removed(id);
                    return Ok(());
                }
            }
        }
        Err(RequestError::Contended)
    }

    /// Notes what the user thinks of the last answer.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn rate(&self, caller: &Caller, id: ConversationId, rating: Rating, comment: Option<&str>) -> Result<(), RequestError> {
        for _ in 0..TRIES {
            let Versioned { conversation, etag } = self.load_own(caller, id).await?.ok_or(RequestError::Unknown)?;
            let rated = rate(conversation, rating, comment.map(str::to_owned), Self::now())?.conversation;
            if self.try_commit(&rated, &etag).await?.is_some() {
                return Ok(());
            }
        }
        Err(RequestError::Contended)
    }

    /// Commits; none when somebody else did, or a replica showed what is no longer stored.
    async fn try_commit(&self, conversation: &Conversation, expected: &ETag) -> Result<Option<ETag>, RequestError> {
        match self.commit(conversation, expected).await {
            Err(store::Error::Conflict(_)) => {
                sleep(self.settings.replica_lag / 4).await;
                Ok(None)
            }
            committed => Ok(Some(committed?)),
        }
    }
}

/// The turn that an earlier request with this key began.
fn turn_of(conversation: &Conversation, key: &RequestKey) -> Result<Option<u32>, RequestError> {
    match conversation.keyed_requests.iter().find(|earlier| earlier.request.key == key.key) {
        Some(earlier) if earlier.request.body == key.body => Ok(Some(earlier.turn)),
        Some(_) => Err(RequestError::IdempotencyMismatch),
        None => Ok(None),
    }
}
