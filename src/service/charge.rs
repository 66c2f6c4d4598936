//! What is charged to the accounts of a conversation: what its committed steps used, and what was used in vain because it is not wanted any more.
//!
//! The tokens of a call of the model are known from its reply. One that is dropped, because its turn was canceled or its conversation deleted
//! meanwhile, has none: they are estimated from the sizes of what was sent and of what had been written by then.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Service;
use crate::{
    conversation::{Conversation, JobStatus, Stage, Usage},
    limit::book::{Holder, Used},
    model::{Piece, Reply, Request},
};

/// Bytes of text in a token, about.
const BYTES_IN_TOKEN: u64 = 4;

/// A call of the model that has no reply yet.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// Bytes that it was sent.
    sent: AtomicU64,
    /// Bytes that it has written.
    written: AtomicU64,
}

impl Call {
    /// It is sent `request`.
    pub(super) fn begin(&self, request: &Request) {
        let bytes = serde_json::to_string(request).map_or(0, |json| json.len());
        self.sent.store(length(bytes), Ordering::Relaxed);
    }

    /// It has written `piece`.
    pub(super) fn write(&self, piece: &Piece<'_>) {
        self.written.fetch_add(length(piece.text.len()), Ordering::Relaxed);
    }

    fn read_tokens(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) / BYTES_IN_TOKEN
    }

    /// The tokens that it has read and written, about; none where it was not begun.
    fn tokens(&self, instructions: &Instructions) -> u64 {
        match self.read_tokens() {
            0 => 0,
            read => read + self.written.load(Ordering::Relaxed) / BYTES_IN_TOKEN + instructions.0.load(Ordering::Relaxed),
        }
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Tokens that the model reads with every request besides it: what it is to do, and the catalog. Its port does not tell of them, but its last
/// reply did.
#[derive(Debug, Default)]
pub(super) struct Instructions(AtomicU64);

impl Instructions {
    /// `call` had this reply.
    pub(super) fn learn(&self, call: &Call, reply: &Reply) {
        self.0.store(reply.prompt_tokens.saturating_sub(call.read_tokens()), Ordering::Relaxed);
    }
}

impl Service {
    /// Counts what the turn of a committed `conversation` has used since `before`, and gives its place back when it has ended.
    pub(super) async fn settle(&self, before: &Usage, conversation: &Conversation) {
        let Some(quotas) = &self.quotas else { return };
        let tokens = tokens_since(before, &conversation.usage);
        let used = Used { tokens, warehouse_ms: conversation.usage.warehouse_ms.saturating_sub(before.warehouse_ms) };
        let ended = conversation.stage.is_terminal().then(|| Holder::new(conversation.id, conversation.turn));
        // On the heap: it is part of every commit.
        Box::pin(quotas.settle(&conversation.accounts, used, ended.as_ref(), Self::now())).await;
    }

    /// Counts how long the query of a conversation ran that was removed while its turn was running, and gives the turn's place back. What
    /// else the conversation used was charged with its steps.
    pub(super) async fn settle_removed(&self, conversation: &Conversation) {
        let Some(quotas) = self.quotas.as_ref().filter(|_| !conversation.stage.is_terminal()) else { return };
        let now = Self::now();
        let running = conversation.turn_jobs().filter(|(_, job)| job.status == JobStatus::Running);
        let ran = running.filter_map(|(_, job)| job.launched_at).map(|launched_at| now.since(launched_at).as_millis()).sum::<u128>();
        let used = Used { tokens: 0, warehouse_ms: u64::try_from(ran).unwrap_or(u64::MAX) };
        let holder = Holder::new(conversation.id, conversation.turn);
        Box::pin(quotas.settle(&conversation.accounts, used, Some(&holder), now)).await;
    }

    /// Counts the tokens of a `call` that was dropped before its reply, because what was worked on is not wanted any more.
    pub(super) async fn settle_dropped(&self, worked_on: &Conversation, call: &Call) {
        self.settle_unwanted(worked_on, call.tokens(&self.instructions)).await;
    }

    /// Counts the tokens of a step that could not be committed, because what was worked on is not wanted any more: canceled or removed. Where
    /// another worker has done the same step, the tokens of that one count.
    pub(super) async fn settle_unwanted(&self, worked_on: &Conversation, tokens: u64) {
        let Some(quotas) = self.quotas.as_ref().filter(|_| tokens > 0) else { return };
        if self.is_wanted(worked_on).await {
            return;
        }
        let used = Used { tokens, warehouse_ms: 0 };
        Box::pin(quotas.settle(&worked_on.accounts, used, None, Self::now())).await;
    }

    async fn is_wanted(&self, worked_on: &Conversation) -> bool {
        let is_same = |stored: &Conversation| stored.turn == worked_on.turn && !matches!(stored.stage, Stage::Canceling | Stage::Canceled);
        match self.ports.store.load(worked_on.id).await {
            Ok(stored) => stored.is_some_and(|stored| is_same(&stored.conversation)),
            Err(error) => {
                tracing::warn!(conversation.id = %worked_on.id, %error, "could not look whether a step is still wanted; it is not charged");
                true
            }
        }
    }
}

/// Tokens that were used since `before`.
pub(super) fn tokens_since(before: &Usage, now: &Usage) -> u64 {
    (now.prompt_tokens + now.completion_tokens).saturating_sub(before.prompt_tokens + before.completion_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conversation::{Answer, AnswerBasis, Decision},
        model::{Entry, Part},
    };

    fn asking(question: &str) -> Request {
        Request { language: None, transcript: vec![Entry::Question(question.into())], queries_left: 3 }
    }

    fn reply(prompt_tokens: u64) -> Reply {
        let (assumptions, suggested_questions) = (Vec::new(), Vec::new());
        let answer = Answer { text: "two films".into(), basis: AnswerBasis::Data, assumptions, suggested_questions };
        Reply { decision: Decision::Answer(answer), prompt_tokens, completion_tokens: 5 }
    }

    #[test]
    fn a_call_that_was_not_begun_has_cost_nothing() {
        let instructions = Instructions::default();
        instructions.learn(&Call::default(), &reply(5000));
        assert_eq!(Call::default().tokens(&instructions), 0);
    }

    #[test]
    fn a_call_costs_what_was_sent_and_written_and_the_instructions_that_the_last_reply_has_shown() {
        let (instructions, call) = (Instructions::default(), Call::default());
        call.begin(&asking(&"x".repeat(4000)));
        let sent = call.tokens(&instructions);
        assert!((1000..1100).contains(&sent), "{sent}");
        for _ in 0..10 {
            call.write(&Piece { part: Part::Answer, text: &"y".repeat(40), is_anew: false });
        }
        assert_eq!(call.tokens(&instructions), sent + 100);
        instructions.learn(&call, &reply(sent + 5000));
        assert_eq!(call.tokens(&instructions), sent + 100 + 5000);
        instructions.learn(&call, &reply(1));
        assert_eq!(call.tokens(&instructions), sent + 100, "a model that counts otherwise takes nothing away");
    }
}
