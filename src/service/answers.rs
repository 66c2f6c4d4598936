//! Answers that are given again to whoever asks the same question while they are young, and questions that are being answered for another.
//!
//! What an answer depends on is in its key: what it was made from, question, language and, where queries run as whoever asks, the
//! principal. Refuses whatever [`Answered`] does, and what the cache has that does not answer the question or is too old. A follow-up,
//! whose meaning lies in what was said before, is never looked up.

use std::{sync::Arc, time::Duration};

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::{
    cache::{Cache, Key},
    conversation::{Answered, Conversation, Timestamp},
};

/// How long a question waits at most for its answer to be made for another who asked it; then it is answered by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often such a question looks whether its answer is there. The shortest delay that Azure Queue Storage knows.
pub(super) const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// How far the clocks of instances may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// Who may be given an answer that was made for somebody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everybody: queries run as asklake, whoever asks.
    #[default]
    App,
    /// Nobody: each principal has answers of its own.
    Principal,
}

/// How answers are given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// How old an answer may be. The lake may have changed since it was made, and no warehouse tells whether it has.
    pub at_most: Duration,
    /// To whom.
    pub scope: Scope,
    /// All that answers are made from and that is the same for every question: catalog, lake, model. Instances that share a cache
    /// share the answers of those that have the same.
    pub made_from: String,
}

/// The answers that are kept.
pub(super) struct Answers {
    pub(super) cache: Arc<dyn Cache>,
    recall: Recall,
}

impl Answers {
    pub(super) fn new(cache: Arc<dyn Cache>, recall: Recall) -> Self {
        Self { cache, recall }
    }

    /// The answer to the question of `asked`, if there is one that is young enough.
    pub(super) async fn find(&self, asked: &Conversation, now: Timestamp) -> Option<Arc<Answered>> {
        let answered = self.cache.get(&self.key(asked)).await?;
        let is_its_own = normalized(answered.question()) == normalized(&asked.question);
        // One of the future was not made by a clock like ours, and would never be too old.
        let is_young = now.plus(CLOCKS_DIFFER) >= answered.answered_at() && now.since(answered.answered_at()) < self.recall.at_most;
        (is_its_own && is_young).then_some(answered)
    }

    /// Keeps the answer of `conversation` in the place of an earlier one to its question.
    pub(super) async fn keep(&self, conversation: &Conversation, answered: Answered) {
        self.cache.put(&self.key(conversation), Arc::new(answered), self.recall.at_most).await;
    }

    /// Whether the answer of `asked` is to be made for it: nobody else is making it.
    pub(super) async fn lead(&self, asked: &Conversation) -> bool {
        self.cache.lease(&self.key(asked), asked.id, PATIENCE).await
    }

    /// Whether `asked`, which does not lead, is to wait for who does. Never longer than its patience, whoever leads by then.
    pub(super) async fn is_awaited(&self, asked: &Conversation, now: Timestamp) -> bool {
        now.since(asked.created_at) < PATIENCE && self.cache.is_leased(&self.key(asked)).await
    }

    /// Tells those who wait that `conversation`, if it led, has ended.
    pub(super) async fn ended(&self, conversation: &Conversation) {
        self.cache.release(&self.key(conversation), conversation.id).await;
    }

    fn key(&self, conversation: &Conversation) -> Key {
        let principal = conversation.owner.as_ref().filter(|_| self.recall.scope == Scope::Principal);
        let language = conversation.language.as_ref().map(|language| language.to_ascii_lowercase());
        Key::of(&serde_json::json!([self.recall.made_from, normalized(&conversation.question), language, principal]))
    }
}

/// A question as it is compared: composed, in lower case, with single spaces and without marks at its end.
fn normalized(question: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(question);
    let words: Vec<String> = composed.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ").trim_end_matches(['?', '!', '.', ' ', '…', '？', '。']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_the_same_whatever_their_case_space_composition_and_end() {
        for same in
            ["Which  films\tabout CAFE\u{301}S ?", "which films about cafés", "Which films about Cafés?!", "which films about cafés …"]
        {
            assert_eq!(normalized(same), "which films about cafés", "{same:?}");
        }
        for other in ["which films about cafes", "which films about 'cafés'", "which film about cafés"] {
            assert_ne!(normalized(other), "which films about cafés", "{other:?}");
        }
    }
}
