//! The worker: takes a conversation as far as it goes within one delivery of a wake.
//!
//! load → fence → (perform → apply → commit) … → wake → acknowledge. Every step is committed before the next begins, so a
//! process may die between any two of them; `protocol` says why no wake is lost then.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Service,
    answers::FOLLOW_EVERY,
    charge::{Call, tokens_since},
    observed::{end_work, query_outcome},
    protocol::{Conflict, DELIVERIES_UNTIL_GONE, Fence, conflict, fence, needs_repair},
};
use crate::{
    conversation::{Answered, Conversation, ConversationId, Effect, ErrorCode, Outcome, Revision, RunId, Usage, apply, effect},
    queue::{self, Wake},
    store::{self, ETag, Versioned},
};

/// How a delivery ended that may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The turn has ended.
    Ended,
    /// The next wake is sent.
    Waiting,
    /// Somebody else has taken the conversation on.
    Overtaken,
    /// There is no such conversation (any more).
    Gone,
}

/// Why the message must be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The store showed an older state than the message knows of.
    #[error("the store does not show revision {revision} of conversation {id} yet")]
    StaleRead {
        /// Which conversation.
        id: ConversationId,
        /// The revision that must be there.
        revision: Revision,
    },
    /// The store failed: the step may not be recorded.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The queue failed: the next wake may not be sent.
    #[error(transparent)]
    Queue(#[from] queue::Error),
}

/// How often a worker looks whether another process has canceled the turn, while model or warehouse are at work.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a delivery tells of earlier ones.
#[derive(Clone, Copy, Debug)]
struct Delivered {
    count: u32,
    is_repair: bool,
}

/// A message of the poison queue: it has been delivered in vain before, so whatever it finds advanced needs repair.
const GIVEN_UP: Delivered = Delivered { count: u32::MAX, is_repair: false };

impl Service {
    /// Handles one delivery of `wake`. `Ok` means the message may be deleted.
    ///
    /// # Errors
    /// [`StepError`]: the message must be delivered again.
    pub async fn step(&self, wake: Wake, dequeue_count: u32) -> Result<Advance, StepError> {
        let span = self.begin_work("process", wake, dequeue_count);
        let advance = self.take_on(wake, dequeue_count).instrument(span.clone()).await;
        end_work(&span, &advance);
        advance
    }

    async fn take_on(&self, wake: Wake, dequeue_count: u32) -> Result<Advance, StepError> {
        if let Some(rows) = wake.rows {
            return self.compute_again(wake, rows).await;
        }
        let id = wake.conversation_id;
        let delivered = Delivered { count: dequeue_count, is_repair: wake.repair };
        let Some(stored) = self.load_since(id, wake.revision).await? else { return Self::unknown(wake, dequeue_count) };
        match fence(wake.revision, stored.conversation.revision) {
            Fence::Perform => {
                // Who follows another's answer is not late: it looks as often as it is to.
                if !wake.follows {
                    self.count_wake(&stored.conversation);
                }
                if wake.follows { self.follow(stored, delivered).await } else { self.drive(stored, delivered).await }
            }
            Fence::Advanced => self.repair(&stored.conversation, delivered).await,
            Fence::StaleRead => Err(StepError::StaleRead { id, revision: wake.revision }),
        }
    }

    fn unknown(wake: Wake, dequeue_count: u32) -> Result<Advance, StepError> {
        if dequeue_count < DELIVERIES_UNTIL_GONE {
            return Err(StepError::StaleRead { id: wake.conversation_id, revision: wake.revision });
        }
        Ok(Advance::Gone)
    }

    /// Ends the turn with the answer that was made for another who asked the same, once it is there. While it is being made, looks again
    /// later; when it will not come, the conversation is taken on like any other.
    async fn follow(&self, stored: Versioned, delivered: Delivered) -> Result<Advance, StepError> {
        let Some(answers) = self.answers.as_deref() else { return self.drive(stored, delivered).await };
        let Versioned { conversation, etag } = &stored;
        // In this order, because an answer is kept before its lease is given back.
        let is_awaited = answers.is_awaited(conversation, Self::now()).await;
        if let Some(answered) = answers.find(conversation, Self::now()).await
            && self.answer_again(conversation, etag, &answered).await
        {
            return Ok(Advance::Ended);
        }
        if is_awaited {
            return self.send(Wake { follows: true, ..Wake::of(conversation) }, FOLLOW_EVERY).await;
        }
        self.drive(stored, delivered).await
    }

    async fn drive(&self, stored: Versioned, delivered: Delivered) -> Result<Advance, StepError> {
        let until = Instant::now() + self.settings.invocation;
        let Versioned { mut conversation, mut etag } = stored;
        while let Some(next) = effect(&conversation, &self.budgets, Self::now()) {
            let (id, refused_over) = (conversation.id, conversation.revision);
            let may_be_dropped = matches!(next, Effect::AskModel { .. } | Effect::Poll { .. });
            let call = Call::default();
            let outcome = tokio::select! {
                outcome = self.perform(&conversation, next, until.saturating_duration_since(Instant::now()), &call) => outcome?,
                () = self.superseded(id, refused_over), if may_be_dropped => {
                    self.settle_dropped(&conversation, &call).await;
                    return self.overtaken(id, refused_over, delivered).await;
                }
            };
            let (launched, used_before) = (launched(&outcome), conversation.usage.clone());
            let (ended, repairs) = (query_outcome(&outcome), conversation.spent.repairs);
            let Some(transition) = apply(conversation, outcome, &self.budgets, Self::now()) else { break };
            conversation = transition.conversation;
            etag = match self.commit_step(&conversation, &used_before, &etag).await {
                Err(store::Error::Conflict(id)) => {
                    self.stop_unwanted(&conversation, launched).await;
                    self.settle_unwanted(&conversation, tokens_since(&used_before, &conversation.usage)).await;
                    return self.overtaken(id, refused_over, delivered).await;
                }
                Err(store::Error::TooLarge { id, bytes }) => return self.end_too_large(id, refused_over, bytes, delivered).await,
                committed => committed?,
            };
            self.count_step(&conversation, ended, repairs);
            match transition.wake {
                None => break,
                Some(delay) if delay.is_zero() && Instant::now() < until => {}
                Some(delay) => return self.send(Wake::of(&conversation), delay).await,
            }
        }
        Ok(Advance::Ended)
    }

    /// Commits a step of the worker. The answer that a turn ends with is kept before anybody is told of it, so that whoever was told finds
    /// it when asking again.
    async fn commit_step(&self, conversation: &Conversation, used_before: &Usage, expected: &ETag) -> Result<ETag, store::Error> {
        let answered = self.to_keep(conversation).await;
        let etag = self.ports.store.commit(conversation, expected).await?;
        if let (Some(answers), Some(answered)) = (&self.answers, answered) {
            answers.keep(conversation, answered).await;
        }
        if conversation.stage.is_terminal() {
            self.let_others_lead(conversation).await;
        }
        self.settle(used_before, conversation).await;
        self.tell(conversation);
        Ok(etag)
    }

    /// The answer with its rows, if it may be given again. Whatever keeps it from that costs no turn its end.
    async fn to_keep(&self, conversation: &Conversation) -> Option<Answered> {
        if self.answers.is_none() || !Answered::may_be_given_again(conversation) {
            return None;
        }
        match self.results(conversation).await {
            Ok(results) => Answered::of(conversation, results),
            Err(error) => {
                tracing::debug!(conversation.id = %conversation.id, %error, "could not read rows to keep an answer");
                None
            }
        }
    }

    /// Ends when the conversation is no longer stored at `revision`: its turn was canceled, it was deleted, or another worker has it. What
    /// happens in this process is noticed at once.
    async fn superseded(&self, id: ConversationId, revision: Revision) {
        let topic = self.changes.topic(id);
        let mut touched = std::pin::pin!(topic.touched.notified());
        loop {
            let _ = tokio::time::timeout(LOOK_EVERY, touched.as_mut()).await;
            // Registered before the read, so that a commit between the two is not missed.
            touched.set(topic.touched.notified());
            touched.as_mut().enable();
            match self.ports.store.load(id).await {
                Ok(Some(stored)) if stored.conversation.revision <= revision => {}
                Ok(_) => return,
                Err(error) => tracing::debug!(conversation.id = %id, %error, "could not look whether a conversation is still wanted"),
            }
        }
    }

    /// Stops a run that could not be recorded because its turn was canceled, or its conversation deleted, while it was launched.
    async fn stop_unwanted(&self, unrecorded: &Conversation, launched: Option<(usize, RunId)>) {
        let Some((index, run)) = launched else { return };
        let id = unrecorded.id;
        let is_wanted = |stored: &Versioned| {
            let job = stored.conversation.databricks_jobs.get(index);
            job.is_some_and(|job| !job.status.is_over() || job.run_id.as_ref() == Some(&run))
        };
        match self.ports.store.load(id).await {
            Ok(stored) if stored.as_ref().is_some_and(is_wanted) => {}
            Ok(_) => self.stop(unrecorded, &run).await,
            Err(error) => tracing::warn!(conversation.id = %id, run.id = %run, %error, "could not look whether a query is still wanted"),
        }
    }

    pub(super) async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, store::Error> {
        let etag = self.ports.store.commit(conversation, expected).await?;
        self.settle(&conversation.usage, conversation).await;
        self.tell(conversation);
        Ok(etag)
    }

    /// Tells those who wait in this process what was committed.
    pub(super) fn tell(&self, conversation: &Conversation) {
        self.recent.committed(conversation);
        self.changes.committed(conversation);
        tracing::debug!(
            conversation.id = %conversation.id, revision = conversation.revision.0, stage = ?conversation.stage, "committed a step"
        );
    }

    /// Ends a turn whose next step would make its conversation too large to keep: what is stored stays, and says why.
    async fn end_too_large(
        &self,
        id: ConversationId,
        refused_over: Revision,
        bytes: usize,
        delivered: Delivered,
    ) -> Result<Advance, StepError> {
        tracing::warn!(conversation.id = %id, bytes, "a conversation would become too large; its turn ends");
        let detail = format!(
            "The conversation has become too large to keep (more than {} KiB). Ask in a new conversation, or for less at once.",
            store::document::MAX_BYTES >> 10
        );
        self.end(id, refused_over, Outcome::Ended { code: ErrorCode::ConversationTooLarge, detail }, delivered).await
    }

    /// Ends the turn of a conversation that is stored at `revision`.
    async fn end(&self, id: ConversationId, revision: Revision, outcome: Outcome, delivered: Delivered) -> Result<Advance, StepError> {
        let Some(Versioned { conversation, etag }) = self.load_since(id, revision).await? else { return Ok(Advance::Gone) };
        match fence(revision, conversation.revision) {
            Fence::StaleRead => return Err(StepError::StaleRead { id, revision }),
            Fence::Advanced => return self.repair(&conversation, delivered).await,
            Fence::Perform => {}
        }
        let used_before = conversation.usage.clone();
        let Some(transition) = apply(conversation, outcome, &self.budgets, Self::now()) else { return Ok(Advance::Ended) };
        match self.commit_step(&transition.conversation, &used_before, &etag).await {
            Err(store::Error::Conflict(id)) => self.overtaken(id, revision, delivered).await,
            committed => {
                committed?;
                self.count_ended(&transition.conversation);
                Ok(Advance::Ended)
            }
        }
    }

    async fn overtaken(&self, id: ConversationId, refused_over: Revision, delivered: Delivered) -> Result<Advance, StepError> {
        let Some(stored) = self.load_since(id, refused_over.next()).await? else { return Ok(Advance::Gone) };
        match conflict(refused_over, stored.conversation.revision) {
            Conflict::Overtaken => self.repair(&stored.conversation, delivered).await,
            Conflict::StaleRead => Err(StepError::StaleRead { id, revision: refused_over.next() }),
        }
    }

    /// Sends the wake of the stored revision again where an earlier delivery may have died before it could.
    async fn repair(&self, stored: &Conversation, delivered: Delivered) -> Result<Advance, StepError> {
        if needs_repair(delivered.count, delivered.is_repair, stored.stage) {
            let delay = stored.wake_at.map(|at| at.since(Self::now())).unwrap_or_default();
            return self.send(Wake { repair: true, ..Wake::of(stored) }, delay).await;
        }
        if delivered.count > 1 {
            // The earlier delivery may have died after it ended the turn.
            self.settle(&stored.usage, stored).await;
        }
        Ok(Advance::Overtaken)
    }

    pub(super) async fn send(&self, wake: Wake, delay: Duration) -> Result<Advance, StepError> {
        self.wake(wake, delay).await?;
        Ok(Advance::Waiting)
    }

    /// Handles a wake that was given up by the queue: the conversation ends with an error, so that no client waits forever.
    /// One that has moved on since is repaired instead.
    ///
    /// # Errors
    /// [`StepError`]: the message must be delivered again.
    pub async fn abandon(&self, wake: Wake, dequeue_count: u32) -> Result<Advance, StepError> {
        let span = self.begin_work("abandon", wake, dequeue_count);
        let advance = self.give_up(wake, dequeue_count).instrument(span.clone()).await;
        end_work(&span, &advance);
        advance
    }

    async fn give_up(&self, wake: Wake, dequeue_count: u32) -> Result<Advance, StepError> {
        let (id, revision) = (wake.conversation_id, wake.revision);
        if let Some(rows) = wake.rows {
            return self.give_rows_up(id, rows).await;
        }
        let detail = "The question could not be worked on: every attempt failed. Ask it again later.".to_owned();
        match self.end(id, revision, Outcome::Ended { code: ErrorCode::Abandoned, detail }, GIVEN_UP).await? {
            Advance::Gone => Self::unknown(wake, dequeue_count),
            ended => Ok(ended),
        }
    }
}

/// The run that an outcome tells of for the first time, and its job.
fn launched(outcome: &Outcome) -> Option<(usize, RunId)> {
    if let Outcome::QueryLaunched { job, run_id, .. } = outcome { Some((*job, run_id.clone())) } else { None }
}
