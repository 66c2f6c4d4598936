//! What a request does to a conversation: it asks the next question, cancels the turn, rates an answer, has rows computed again.
//!
//! Pure, and by the rules of `machine`: each is one commit, which raises the revision by one. Such a commit is not the worker's, so the
//! service sees to the wake. Refuses to touch a running turn but for canceling it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    machine::{CANCELED, Transition, commit, end, shown_percentage},
    model::{Conversation, Delegation, ErrorCode, Message, NewConversation, Timestamp},
    retry::Budgets,
    stage::Stage,
};

/// A question that goes on with a conversation. Validated by `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// The question, 1 to 4,000 characters.
    pub question: String,
    /// BCP 47 tag of the language to answer in; that of the conversation where there is none.
    pub language: Option<String>,
    /// What identifies the request, where it came with an idempotency key.
    pub key: Option<RequestKey>,
}

/// Identifies a request and its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey {
    /// A digest of the idempotency key.
    pub key: String,
    /// A digest of what the body says.
    pub body: String,
}

/// A request with an idempotency key, and the turn that it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedRequest {
    /// The turn.
    pub turn: u32,
    /// The request.
    #[serde(flatten)]
    pub request: RequestKey,
}

/// What a user thinks of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// It helped.
    Positive,
    /// It did not.
    Negative,
}

/// What the user thinks of the answer of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The turn.
    pub turn: u32,
    /// Good or bad.
    pub rating: Rating,
    /// Why, at most 2,000 characters.
    pub comment: Option<String>,
    /// When it was given.
    pub given_at: Timestamp,
}

/// Why a conversation does not take a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// Its turn is running.
    #[error("the last question is still being worked on: wait until it has ended, or cancel it")]
    TurnRunning,
    /// It has had all its turns.
    #[error("the conversation has had its {0} questions; start a new one")]
    NoTurnLeft(u32),
}

/// The next turn of `conversation`. What belongs to a turn begins anew; messages, queries and what they used go on.
///
/// # Errors
/// [`Declined`].
pub fn follow_up(conversation: Conversation, asked: FollowUp, budgets: &Budgets, now: Timestamp) -> Result<Transition, Declined> {
    if !conversation.stage.is_terminal() {
        return Err(Declined::TurnRunning);
    }
    if conversation.turn >= budgets.turns {
        return Err(Declined::NoTurnLeft(budgets.turns));
    }
    let ended = conversation.ended_turn();
    let Conversation { id, owner, user_id, device_id, request_digest, revision, mut messages, mut keyed_requests, .. } = conversation;
    let turn = conversation.turn + 1;
    let language = asked.language.or(conversation.language);
    let new = NewConversation { id, question: asked.question, owner, user_id, device_id, language, request_digest };
    let begun = Conversation::start(new, now);
    messages.extend(begun.messages.iter().cloned().map(|message| Message { turn, ..message }));
    keyed_requests.extend(asked.key.map(|request| KeyedRequest { turn, request }));
    let next = Conversation {
        revision,
        turn,
        messages,
        keyed_requests,
        rows_delegation: conversation.rows_delegation,
        feedback: conversation.feedback,
        ended_turns: conversation.ended_turns.into_iter().chain([ended]).collect(),
        databricks_jobs: conversation.databricks_jobs,
        usage: conversation.usage,
        created_at: conversation.created_at,
        ..begun
    };
    Ok(commit(next, 0, Duration::ZERO, now))
}

/// The conversation with its running turn canceled: at once where no query runs, else when the warehouse has confirmed it. None when there
/// is nothing to cancel any more: the turn has ended, or is being canceled.
#[must_use]
pub fn cancel(mut conversation: Conversation, now: Timestamp) -> Option<Transition> {
    if conversation.stage.is_terminal() || conversation.stage == Stage::Canceling {
        return None;
    }
    let before = shown_percentage(&conversation);
    conversation.percentage = before;
    conversation.cancel_requested_at = Some(now);
    conversation.draft = None;
    if conversation.running_run().is_some() {
        conversation.stage = Stage::Canceling;
    } else {
        end(&mut conversation, ErrorCode::Canceled, CANCELED.into(), now);
    }
    Some(commit(conversation, before, Duration::ZERO, now))
}

/// The conversation with what the user thinks of its last answer, in the place of what was thought before.
///
/// # Errors
/// [`Declined::TurnRunning`].
pub fn rate(mut conversation: Conversation, rating: Rating, comment: Option<String>, now: Timestamp) -> Result<Transition, Declined> {
    if !conversation.stage.is_terminal() {
        return Err(Declined::TurnRunning);
    }
    let turn = conversation.turn;
    conversation.feedback.retain(|feedback| feedback.turn != turn);
    conversation.feedback.push(Feedback { turn, rating, comment, given_at: now });
    let before = conversation.percentage;
    Ok(commit(conversation, before, Duration::ZERO, now))
}

/// The conversation with what came of computing the rows of job `index` again: an error, or none yet, and by what `delegation` that is
/// done where it needs one. None where that is known already, or a turn is running, which nobody but its worker commits.
#[must_use]
pub fn note_recompute(
    mut conversation: Conversation,
    index: usize,
    error: Option<String>,
    delegation: Option<Box<Delegation>>,
    now: Timestamp,
) -> Option<Transition> {
    if !conversation.stage.is_terminal() {
        return None;
    }
    let job = conversation.databricks_jobs.get_mut(index).filter(|job| job.recompute_error != error || delegation.is_some())?;
    job.recompute_error = error;
    // One that is there may be for rows of another query, which are still being computed.
    conversation.rows_delegation = delegation.or(conversation.rows_delegation);
    let before = conversation.percentage;
    Some(commit(conversation, before, Duration::ZERO, now))
}
