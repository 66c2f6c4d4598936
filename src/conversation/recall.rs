//! Answers that are given again: what of an ended turn may answer the same question, and how it becomes the turn of another conversation.
//!
//! Only a first turn has no context, so only such a turn is kept, and only if it was answered from data, every number and name of it
//! found in the rows, and the rows are there. Refuses errors, cancellations, refusals, and whatever tells who asked: no id, owner or
//! label goes from one conversation to another.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    machine::{Transition, commit},
    model::{AnswerBasis, Conversation, JobStatus, Message, Timestamp, Usage},
    result::ResultSet,
    stage::Stage,
};

/// That an answer was not made for this turn, and how old it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalled {
    /// When it was made.
    pub answered_at: Timestamp,
    /// How old it was when it was asked for again, in seconds.
    pub age_seconds: u64,
}

/// An answered first turn with its rows. There is none of any other kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    conversation: Conversation,
    results: BTreeMap<usize, ResultSet>,
}

impl Answered {
    /// Whether `conversation` has an answer that may be given again, if its rows are there.
    #[must_use]
    pub fn may_be_given_again(conversation: &Conversation) -> bool {
        conversation.turn == 1
            && conversation.stage == Stage::Completed
            && conversation.recalled.is_none()
            && conversation.answer_basis == Some(AnswerBasis::Data)
            && conversation.unverified.is_empty()
            && conversation.turn_statements().next().is_some()
    }

    /// The turn of `conversation` with the rows of its queries, by the index of the job; none where it may not be given again.
    #[must_use]
    pub fn of(conversation: &Conversation, results: BTreeMap<usize, ResultSet>) -> Option<Self> {
        let has_rows = |(index, job): (usize, &super::Job)| job.status != JobStatus::Completed || results.contains_key(&index);
        let is_whole = Self::may_be_given_again(conversation) && conversation.turn_jobs().all(has_rows);
        is_whole.then(|| Self { conversation: conversation.clone(), results })
    }

    /// When the answer was made.
    #[must_use]
    pub fn answered_at(&self) -> Timestamp {
        self.conversation.messages.last().map_or(self.conversation.updated_at, |message| message.timestamp)
    }

    /// The question that it answers.
    #[must_use]
    pub fn question(&self) -> &str {
        &self.conversation.question
    }

    /// The rows, by the index of the job.
    #[must_use]
    pub fn results(&self) -> &BTreeMap<usize, ResultSet> {
        &self.results
    }

    /// How large it is, in bytes of JSON.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let length = |json: serde_json::Result<String>| json.map_or(usize::MAX / 4, |json| json.len());
        let rows = self.results.values().map(|result| length(serde_json::to_string(result)));
        rows.fold(length(serde_json::to_string(&self.conversation)), usize::saturating_add)
    }
}

/// `asked`, which nobody has begun to answer, with the answer of `answered`. None once its turn has begun. Queries keep when they ran; what
/// was said is said now, and nothing was used for it.
#[must_use]
pub fn recall(asked: Conversation, answered: &Answered, now: Timestamp) -> Option<Transition> {
    let is_unbegun = asked.turn == 1 && asked.stage == Stage::Planning && asked.messages.len() == 1 && asked.usage == Usage::default();
    if !is_unbegun {
        return None;
    }
    let from = &answered.conversation;
    let age_seconds = now.since(answered.answered_at()).as_secs();
    let said = from.messages.iter().skip(1).map(|message| Message { timestamp: now, ..message.clone() });
    let next = Conversation {
        stage: Stage::Completed,
        messages: asked.messages.into_iter().chain(said).collect(),
        databricks_jobs: from.databricks_jobs.clone(),
        final_answer: from.final_answer.clone(),
        answer_basis: from.answer_basis,
        assumptions: from.assumptions.clone(),
        verified_queries: from.verified_queries.clone(),
        chart: from.chart.clone(),
        suggested_questions: from.suggested_questions.clone(),
        answered_by: from.answered_by.clone(),
        recalled: Some(Recalled { answered_at: answered.answered_at(), age_seconds }),
        ..asked
    };
    Some(commit(next, 0, Duration::ZERO, now))
}
