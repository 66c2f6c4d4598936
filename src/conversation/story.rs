//! The story of a conversation: what happened when, in the order in which it happened, from what is stored of it.
//!
//! Owns which of the stored times are events and what they say. What is not stored is not told: calls of the model have their sums, and
//! the traces of telemetry have each of them.

use std::fmt::Write as _;

use serde::Serialize;

use super::model::{Conversation, Job, JobStatus, Message, Role, Timestamp};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// In which turn.
    pub turn: u32,
    /// What.
    pub kind: EventKind,
    /// The question, statement, answer or error; with the run and the rows of a query.
    pub detail: String,
}

/// What can happen, in the order in which it does where the times are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The user asked.
    Asked,
    /// The model decided on a query.
    Decided,
    /// The query was launched on the warehouse.
    Launched,
    /// The query was seen to execute: what was before is queueing, and the start of the warehouse.
    Executing,
    /// The query ended with rows.
    Succeeded,
    /// The query was refused or failed.
    Failed,
    /// The query was canceled.
    Stopped,
    /// The client asked for the turn to be canceled.
    CancelRequested,
    /// The warehouse confirmed that it stopped a run.
    CancelConfirmed,
    /// The answer of another conversation was given again, with its queries.
    Recalled,
    /// The model answered.
    Answered,
    /// The turn ended without an answer.
    Ended,
    /// The user judged the answer.
    Rated,
    /// The next wake is due: the turn is not over.
    WakeDue,
}

/// What happened in `conversation`, oldest first.
#[must_use]
pub fn story(conversation: &Conversation) -> Vec<Event> {
    let mut events: Vec<Event> = conversation.messages.iter().filter_map(said).collect();
    let asked_at = |turn| conversation.messages.iter().find(|said| said.turn == turn && said.role == Role::User).map(|said| said.timestamp);
    events.extend(conversation.databricks_jobs.iter().enumerate().flat_map(|(index, job)| {
        // One that was decided on before its question came with the answer of another conversation, and its times are of that one.
        let recalled_at = asked_at(job.turn).filter(|asked_at| job.started_at < *asked_at);
        recalled_at.map_or_else(|| ran(index + 1, job), |at| vec![came(at, index + 1, job)])
    }));
    let turn = conversation.turn;
    if let Some(at) = conversation.cancel_requested_at {
        events.push(Event { at, turn, kind: EventKind::CancelRequested, detail: String::new() });
    }
    if let Some(recalled) = &conversation.recalled {
        let detail = format!("made {}, {} s before", recalled.answered_at, recalled.age_seconds);
        events.push(Event { at: conversation.turn_started_at, turn, kind: EventKind::Recalled, detail });
    }
    if conversation.stage.is_terminal() && conversation.error.is_some() {
        let code = conversation.error_detail.as_ref().and_then(|detail| serde_json::to_value(detail.code).ok());
        let code = code.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        let detail = format!("{code}: {}", conversation.error.as_deref().unwrap_or_default());
        // Its last commit was the end of the turn, unless it was judged afterwards.
        let judged_at = conversation.feedback.iter().find(|feedback| feedback.turn == turn).map(|feedback| feedback.given_at);
        let at = judged_at.map_or(conversation.updated_at, |judged_at| judged_at.min(conversation.updated_at));
        events.push(Event { at, turn, kind: EventKind::Ended, detail });
    }
    events.extend(conversation.feedback.iter().map(|feedback| {
        let detail = format!("{:?} {}", feedback.rating, feedback.comment.as_deref().unwrap_or_default()).trim_end().to_owned();
        Event { at: feedback.given_at, turn: feedback.turn, kind: EventKind::Rated, detail }
    }));
    if let Some(at) = conversation.wake_at {
        events.push(Event { at, turn, kind: EventKind::WakeDue, detail: format!("{:?}", conversation.stage).to_lowercase() });
    }
    events.sort_by_key(|event| (event.at, event.turn, event.kind));
    events
}

fn said(message: &Message) -> Option<Event> {
    let kind = match message.role {
        Role::User => EventKind::Asked,
        Role::Assistant if message.tool_calls.is_empty() => EventKind::Answered,
        // The queries that it decided on are told of by themselves.
        _ => return None,
    };
    Some(Event { at: message.timestamp, turn: message.turn, kind, detail: message.content.clone() })
}

fn came(at: Timestamp, number: usize, job: &Job) -> Event {
    let detail = format!("query {number}: {}{}", job.sql_query, outcome(job));
    Event { at, turn: job.turn, kind: EventKind::Recalled, detail }
}

fn ran(number: usize, job: &Job) -> Vec<Event> {
    let event = |at: Option<Timestamp>, kind: EventKind, detail: String| {
        at.map(|at| Event { at, turn: job.turn, kind, detail: format!("query {number}{detail}") })
    };
    let run = job.run_id.as_ref().map(|run| format!(" as {run}")).unwrap_or_default();
    let end = match job.status {
        JobStatus::Completed => Some(EventKind::Succeeded),
        JobStatus::Failed => Some(EventKind::Failed),
        JobStatus::Canceled => Some(EventKind::Stopped),
        JobStatus::Pending | JobStatus::Running => None,
    };
    [
        event(Some(job.started_at), EventKind::Decided, format!(": {}", job.sql_query)),
        event(job.launched_at, EventKind::Launched, run),
        event(job.executing_since, EventKind::Executing, String::new()),
        end.and_then(|end| event(job.finished_at, end, outcome(job))),
        event(job.cancel_confirmed_at, EventKind::CancelConfirmed, String::new()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn outcome(job: &Job) -> String {
    let mut text = String::new();
    if let Some(rows) = job.row_count {
        let more = if job.truncated == Some(true) { ", and there are more" } else { "" };
        let _ = write!(text, ": {rows} rows{more}");
    }
    if let Some(error) = &job.error {
        let _ = write!(text, ": {error}");
    }
    text
}
