//! Starting a conversation: stored first, then a worker is woken, unless the answer is there already.

use std::time::Duration;

use super::{
    Limited, Service,
    answers::{Answers, FOLLOW_EVERY},
    perform::number,
};
use crate::{
    conversation::{
        Account, Answered, Conversation, ConversationId, Delegation, ErrorCode, NewConversation, Outcome, Stage, apply, recall,
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
        self.begin(new, None, Vec::new(), None).await
    }

    /// [`Service::start`] with the answer out of `answers`, where the same question was answered lately: then the conversation has ended with
    /// that answer by the time that this returns. Its use counts for `accounts`, and its queries run by `delegation`.
    pub(super) async fn begin(
        &self,
        new: NewConversation,
        answers: Option<&Answers>,
        accounts: Vec<Account>,
        delegation: Option<Box<Delegation>>,
    ) -> Result<Started, StartError> {
        let conversation = Conversation { accounts, delegation, ..Conversation::start(new, Self::now()) };
        let id = conversation.id;
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
                    return Ok(Started { id });
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
            }
            Err(store::Error::Exists(_)) => self.join(&conversation).await?,
            Err(error) => return Err(error.into()),
        }
        Ok(Started { id })
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
    /// [`queue::Error`]: then the turn has ended.
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
        if let Some(transition) = ended
            && let Err(error) = self.commit(&transition.conversation, etag).await
        {
            tracing::warn!(conversation.id = %transition.conversation.id, %error, "could not withdraw a conversation that has no wake");
        }
        Err(error)
    }

    /// A request that was sent again finds what the first one made. Its wake is sent again too as long as no worker has
    /// begun: the first request may have died before it could. What was withdrawn, because nobody could be woken, begins anew: its client was
    /// told to try again.
    async fn join(&self, asked: &Conversation) -> Result<(), StartError> {
        let found = self.load_since(asked.id, asked.revision).await?;
        let is_ours = |found: &Conversation| (&found.owner, &found.request_digest) == (&asked.owner, &asked.request_digest);
        let Some(Versioned { conversation: found, etag }) = found.filter(|found| is_ours(&found.conversation)) else {
            return Err(StartError::IdempotencyMismatch);
        };
        if is_withdrawn(&found) {
            return self.begin_anew(Conversation { revision: found.revision.next(), ..asked.clone() }, &etag).await;
        }
        if found.revision == asked.revision && found.stage == Stage::Planning {
            self.wake(Wake::of(&found), Duration::ZERO).await?;
        }
        Ok(())
    }

    async fn begin_anew(&self, conversation: Conversation, withdrawn: &ETag) -> Result<(), StartError> {
        match self.commit(&conversation, withdrawn).await {
            Ok(etag) => {
                let wake = Wake::of(&conversation);
                Ok(self.wake_or_withdraw(conversation, &etag, wake).await?)
            }
            // Another request with the same key was faster.
            Err(store::Error::Conflict(_)) => Ok(()),
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

/// Whether a first turn ended before anybody had begun with it.
fn is_withdrawn(conversation: &Conversation) -> bool {
    let is_abandoned = conversation.error_detail.as_ref().is_some_and(|detail| detail.code == ErrorCode::Abandoned);
    is_abandoned && conversation.turn == 1 && conversation.usage.model_calls == 0
}
