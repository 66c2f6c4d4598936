//! Answers that are given again: what of an ended turn may answer the same question, and how it becomes the turn of another conversation.
//!
//! Only a first turn has no context, so only such a turn is kept, and only if it was answered from data, every number and name of it
//! found in the rows, and the rows are there. Refuses errors, cancellations, refusals, and whatever tells who asked: no id, owner or
//! label goes from one conversation to another.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    chart::Chart,
    machine::{Transition, commit},
    model::{AnswerBasis, Conversation, Job, JobStatus, Message, Role, Timestamp, Usage},
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

/// An answered first turn with its rows, and nothing of who asked. There is none of any other kind: what is read as one is held to that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Turn")]
pub struct Answered(Turn);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    question: String,
    answered_at: Timestamp,
    said: Vec<Message>,
    jobs: Vec<Job>,
    final_answer: String,
    assumptions: Vec<String>,
    verified_queries: Vec<String>,
    chart: Option<Chart>,
    suggested_questions: Vec<String>,
    answered_by: Option<String>,
    results: BTreeMap<usize, ResultSet>,
}

impl TryFrom<Turn> for Answered {
    type Error = &'static str;

    fn try_from(turn: Turn) -> Result<Self, Self::Error> {
        let is_first = turn.jobs.iter().all(|job| job.turn == 1) && turn.said.iter().all(|message| message.turn == 1);
        if !is_first || turn.said.is_empty() || turn.said.iter().any(|message| message.role == Role::User) {
            return Err("it is not the answer of a first turn");
        }
        let completed = turn.jobs.iter().enumerate().filter(|(_, job)| job.status == JobStatus::Completed).map(|(index, _)| index);
        if !turn.jobs.iter().all(|job| job.status.is_over()) || !completed.eq(turn.results.keys().copied()) || turn.results.is_empty() {
            return Err("its rows are not those of its queries");
        }
        Ok(Self(turn))
    }
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
        if !Self::may_be_given_again(conversation) {
            return None;
        }
        let from = conversation.clone();
        let turn = Turn {
            question: from.question,
            answered_at: from.messages.last().map_or(from.updated_at, |message| message.timestamp),
            said: from.messages.into_iter().skip(1).collect(),
            jobs: from.databricks_jobs,
            final_answer: from.final_answer?,
            assumptions: from.assumptions,
            verified_queries: from.verified_queries,
            chart: from.chart,
            suggested_questions: from.suggested_questions,
            answered_by: from.answered_by,
            results,
        };
        turn.try_into().ok()
    }

    /// When the answer was made.
    #[must_use]
    pub fn answered_at(&self) -> Timestamp {
        self.0.answered_at
    }

    /// The question that it answers.
    #[must_use]
    pub fn question(&self) -> &str {
        &self.0.question
    }

    /// The rows, by the index of the job.
    #[must_use]
    pub fn results(&self) -> &BTreeMap<usize, ResultSet> {
        &self.0.results
    }

    /// How large it is, in bytes of JSON.
    #[must_use]
    pub fn bytes(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |json| json.len())
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
    let from = answered.0.clone();
    let age_seconds = now.since(from.answered_at).as_secs();
    let said = from.said.into_iter().map(|message| Message { timestamp: now, ..message });
    let next = Conversation {
        stage: Stage::Completed,
        messages: asked.messages.into_iter().chain(said).collect(),
        databricks_jobs: from.jobs,
        final_answer: Some(from.final_answer),
        answer_basis: Some(AnswerBasis::Data),
        assumptions: from.assumptions,
        verified_queries: from.verified_queries,
        chart: from.chart,
        suggested_questions: from.suggested_questions,
        answered_by: from.answered_by,
        recalled: Some(Recalled { answered_at: from.answered_at, age_seconds }),
        ..asked
    };
    Some(commit(next, 0, Duration::ZERO, now))
}
