//! Answers of this process that are given again to whoever asks the same question while they are young.
//!
//! Bounded in number, bytes and age; the oldest go first. Kept in this process only: catalog, model and warehouse do not change in its
//! life, so question, language and scope tell all answers apart. Refuses whatever [`Answered`] does. A follow-up, whose meaning lies in
//! what was said before, is never looked up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::conversation::{Answered, Conversation, Owner, Timestamp};

/// Answers kept at most.
const MOST: usize = 512;
/// Bytes of JSON that they may have together, and one of them alone.
const MOST_BYTES: usize = 64 << 20;
const MOST_BYTES_OF_ONE: usize = 4 << 20;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall {
    /// How old an answer may be. The lake may have changed since it was made, and no warehouse tells whether it has.
    pub at_most: Duration,
    /// To whom.
    pub scope: Scope,
}

/// What an answer is kept under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    question: String,
    language: Option<String>,
    principal: Option<Owner>,
}

#[derive(Debug)]
struct Entry {
    answered: Arc<Answered>,
    bytes: usize,
}

/// The answers that are kept.
#[derive(Debug)]
pub(super) struct Answers {
    recall: Recall,
    entries: Mutex<HashMap<Key, Entry>>,
}

impl Answers {
    pub(super) fn new(recall: Recall) -> Self {
        Self { recall, entries: Mutex::default() }
    }

    /// The answer to the question of `asked`, if there is one that is young enough.
    pub(super) fn find(&self, asked: &Conversation, now: Timestamp) -> Option<Arc<Answered>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = &entries.get(&self.key(asked))?.answered;
        self.is_young(answered, now).then(|| Arc::clone(answered))
    }

    /// Keeps the answer of `conversation` in the place of an earlier one to its question.
    pub(super) fn keep(&self, conversation: &Conversation, answered: Answered, now: Timestamp) {
        let bytes = answered.bytes();
        if bytes > MOST_BYTES_OF_ONE {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| self.is_young(&entry.answered, now));
        entries.insert(self.key(conversation), Entry { answered: Arc::new(answered), bytes });
        while entries.len() > MOST || entries.values().map(|entry| entry.bytes).sum::<usize>() > MOST_BYTES {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.answered.answered_at()).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            entries.remove(&oldest);
        }
    }

    fn is_young(&self, answered: &Answered, now: Timestamp) -> bool {
        now.since(answered.answered_at()) < self.recall.at_most
    }

    fn key(&self, conversation: &Conversation) -> Key {
        let principal = conversation.owner.clone().filter(|_| self.recall.scope == Scope::Principal);
        let language = conversation.language.as_ref().map(|language| language.to_ascii_lowercase());
        Key { question: normalized(&conversation.question), language, principal }
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
