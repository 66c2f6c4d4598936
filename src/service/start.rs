//! Starting a conversation: stored first, then a worker is woken, unless the answer is there already.

use std::time::Duration;

use super::{
    Limited, Service,
    answers::{Answers, FOLLOW_EVERY},
    perform::number,
    quota::{Admission, Began},
};
use crate::{
    conversation::{
        Answered, Conversation, ConversationId, Delegation, ErrorCode, NewConversation, Outcome, Revision, Stage, Transition, apply, recall,
    },
    queue::{self, Wake},
    store::{self, ETag, Versioned},
    warehouse::behalf,
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
    /// Whoever asks may not now.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// The warehouse cannot be asked in the caller's name.
    #[error(transparent)]
    Behalf(#[from] behalf::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] queue::Error),
}

impl Service {
    /// Stores the conversation and wakes a worker: its answer is made anew. With an idempotency key (a digest is given) it may exist already.
    ///
    /// # Errors
    /// [`StartError`]: nothing was promised to the client, and no worker will act.
    pub async fn start(&self, new: NewConversation) -> Result<Started, StartError> {
        let id = new.id;
        self.begin(new, None, &Admission::uncounted(id, 1), None).await?;
        Ok(Started { id })
    }

    /// [`Service::start`] with the answer out of `answers`, where the same question was answered lately: then the conversation has ended with
    /// that answer by the time that this returns. Its use counts as `admission` says, and its queries run by `delegation`.
    pub(super) async fn begin(
        &self,
        new: NewConversation,
        answers: Option<&Answers>,
        admission: &Admission,
        delegation: Option<Box<Delegation>>,
    ) -> Result<Began, StartError> {
        let conversation = admission.counting(Conversation { delegation, ..Conversation::start(new.clone(), Self::now()) });
        let answered = match answers {
            Some(answers) => answers.find(&conversation, Self::now()).await,
            None => None,
        };
        match self.ports.store.create(&conversation).await {
            Ok(etag) => {
                self.recent.committed(&conversation);
                if let Some(answered) = answered
                    && self.answer_again(&conversation, &etag, &answered).await
                {
                    self.instruments.lookup("hit");
                    return Ok(Began::Now);
                }
                let follows = match answers {
                    Some(answers) => {
                        let follows = !answers.lead(&conversation).await;
                        self.instruments.lookup(if follows { "awaited" } else { "miss" });
                        follows
                    }
                    None => false,
                };
                let wake = Wake { follows, ..Wake::of(&conversation) };
                self.wake_or_withdraw(conversation, &etag, wake).await?;
                Ok(Began::Now)
            }
            Err(store::Error::Exists(_)) => {
                let found = self.load_since(new.id, Revision::FIRST).await?;
                match self.join(&new, found).await? {
                    Earlier::Begun => Ok(Began::Before),
                    Earlier::Withdrawn(at, etag) => self.begin_anew(Conversation { revision: at.next(), ..conversation }, &etag).await,
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an earlier request with the same idempotency key has begun what `new` asks for. Then that was joined, and nothing is left to begin.
    pub(super) async fn has_begun(&self, new: &NewConversation) -> Result<bool, StartError> {
        if new.request_digest.is_none() {
            return Ok(false);
        }
        let found = self.ports.store.load(new.id).await?;
        Ok(found.is_some() && matches!(self.join(new, found).await?, Earlier::Begun))
    }

    /// Ends the turn with an answer that was made before; false where that could not be stored. Then, or when the process dies before, the
    /// conversation stands as any other whose wake was not sent yet.
    pub(super) async fn answer_again(&self, conversation: &Conversation, etag: &ETag, answered: &Answered) -> bool {
        let Some(transition) = recall(conversation.clone(), answered, Self::now()) else { return false };
        let stored = async {
            for (index, result) in answered.results() {
                self.ports.store.put_result(conversation.id, number(*index), result).await?;
            }
            self.commit(&transition.conversation, etag).await
        };
        match stored.await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(conversation.id = %conversation.id, %error, "could not give an answer again; it is made anew");
                false
            }
        }
    }

    /// Wakes a worker by `wake` for the turn that `conversation` has just begun.
    ///
    /// # Errors
    /// [`queue::Error`]: then the turn has ended, and whoever was admitted to it takes that back.
    pub(super) async fn wake_or_withdraw(&self, mut conversation: Conversation, etag: &ETag, wake: Wake) -> Result<(), queue::Error> {
        let delay = if wake.follows { FOLLOW_EVERY } else { Duration::ZERO };
        let Err(error) = self.wake(wake, delay).await else { return Ok(()) };
        // Without its wake nobody would ever take it on: it must not look as if it were being worked on. Nor must its idempotency key
        // keep the client from asking again.
        let turn = conversation.turn;
        conversation.keyed_requests.retain(|keyed| keyed.turn != turn);
        let detail = "No worker could be woken: the queue did not answer.".to_owned();
        self.let_others_lead(&conversation).await;
        let ended = apply(conversation, Outcome::Ended { code: ErrorCode::Abandoned, detail }, &self.budgets, Self::now());
        if let Some(Transition { conversation, .. }) = ended {
            match self.ports.store.commit(&conversation, etag).await {
                Ok(_) => self.tell(&conversation),
                Err(error) => {
                    tracing::warn!(conversation.id = %conversation.id, %error, "could not withdraw a conversation that has no wake")
                }
            }
        }
        Err(error)
    }

    /// A request that was sent again finds what the first one made. Its wake is sent again too as long as no worker has
    /// begun: the first request may have died before it could. What was withdrawn, because nobody could be woken, is to begin anew: its client
    /// was told to try again.
    async fn join(&self, new: &NewConversation, found: Option<Versioned>) -> Result<Earlier, StartError> {
        let is_ours = |found: &Conversation| (&found.owner, &found.request_digest) == (&new.owner, &new.request_digest);
        let Some(Versioned { conversation: found, etag }) = found.filter(|found| is_ours(&found.conversation)) else {
            return Err(StartError::IdempotencyMismatch);
        };
        if is_withdrawn(&found) {
            return Ok(Earlier::Withdrawn(found.revision, etag));
        }
        if found.revision == Revision::FIRST && found.stage == Stage::Planning {
            self.wake(Wake::of(&found), Duration::ZERO).await?;
        }
        Ok(Earlier::Begun)
    }

    async fn begin_anew(&self, conversation: Conversation, withdrawn: &ETag) -> Result<Began, StartError> {
        match self.commit(&conversation, withdrawn).await {
            Ok(etag) => {
                let wake = Wake::of(&conversation);
                self.wake_or_withdraw(conversation, &etag, wake).await?;
                Ok(Began::Now)
            }
            // Another request with the same key was faster.
            Err(store::Error::Conflict(_)) => Ok(Began::Before),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells whoever waits for the answer of `conversation`, if that is to be made for others too, that it is there or will not come.
    pub(super) async fn let_others_lead(&self, conversation: &Conversation) {
        // No follow-up is answered for anybody else.
        if let Some(answers) = self.answers.as_deref().filter(|_| conversation.turn == 1) {
            answers.ended(conversation).await;
        }
    }
}

/// What became of an earlier request with the same idempotency key.
enum Earlier {
    /// It began the conversation.
    Begun,
    /// It began it, and withdrew it at this version, because nobody could be woken.
    Withdrawn(Revision, ETag),
}

/// Whether a first turn ended before anybody had begun with it.
fn is_withdrawn(conversation: &Conversation) -> bool {
    let is_abandoned = conversation.error_detail.as_ref().is_some_and(|detail| detail.code == ErrorCode::Abandoned);
    is_abandoned && conversation.turn == 1 && conversation.usage.model_calls == 0
}
