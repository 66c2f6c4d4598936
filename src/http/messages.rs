//! `GET /api/chat/{id}/messages`: what was said, and `POST` there: the next question.

use serde::{Deserialize, Serialize};
use warp::{
    http::{HeaderMap, StatusCode},
    reply::Response,
};

use super::{
    problem::Problem,
    quota, request,
    start::{self, accepted},
};
use crate::{
    conversation::{
        Caller, Conversation, ConversationId, EndedTurn, Feedback, FollowUp, Lookup, Message, PublicStatus, Rating, RequestKey, Role,
        Timestamp, ToolCall, ToolOutcome,
    },
    service::{Asker, Service},
};

#[derive(Serialize)]
struct Messages<'a> {
    conversation_id: ConversationId,
    messages: Vec<MessageView<'a>>,
    ended_turns: Vec<EndedTurnView<'a>>,
}

/// What the status told of a turn while it was the last one.
#[derive(Serialize)]
struct EndedTurnView<'a> {
    status: PublicStatus,
    #[serde(flatten)]
    turn: &'a EndedTurn,
}

#[derive(Serialize)]
struct MessageView<'a> {
    role: Role,
    content: &'a str,
    timestamp: Timestamp,
    turn: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallView<'a>>,
    /// Of an answer, what the user thinks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<FeedbackView<'a>>,
}

#[derive(Serialize)]
pub(super) struct FeedbackView<'a> {
    rating: Rating,
    comment: Option<&'a str>,
    given_at: Timestamp,
}

impl<'a> FeedbackView<'a> {
    pub(super) fn of(feedback: &'a Feedback) -> Self {
        Self { rating: feedback.rating, comment: feedback.comment.as_deref(), given_at: feedback.given_at }
    }
}

#[derive(Serialize)]
struct CallView<'a> {
    id: &'a str,
    name: &'static str,
    arguments: Arguments<'a>,
    result: Option<&'a ToolOutcome>,
}

/// Of a lookup the statement that it came to stands beside what was looked up.
#[derive(Serialize)]
struct Arguments<'a> {
    sql_query: &'a str,
    reasoning: &'a str,
    #[serde(flatten)]
    lookup: Option<&'a Lookup>,
}

fn call(call: &ToolCall) -> CallView<'_> {
    let arguments = Arguments { sql_query: &call.sql_query, reasoning: &call.reasoning, lookup: call.lookup.as_ref() };
    let name = if call.lookup.is_some() { "find_values" } else { "execute_spark_sql" };
    CallView { id: &call.id, name, arguments, result: call.result.as_ref() }
}

fn message<'a>(conversation: &'a Conversation, message: &'a Message) -> MessageView<'a> {
    let is_answer = message.role == Role::Assistant && message.tool_calls.is_empty();
    let feedback = conversation.feedback_of(message.turn).filter(|_| is_answer).map(FeedbackView::of);
    let tool_calls = message.tool_calls.iter().map(call).collect();
    let Message { role, content, timestamp, turn, .. } = message;
    MessageView { role: *role, content, timestamp: *timestamp, turn: *turn, tool_calls, feedback }
}

pub(super) async fn messages(service: &Service, caller: &Caller, id: ConversationId) -> Result<Response, Problem> {
    let conversation = service.read(caller, id, None).await?.ok_or_else(Problem::no_conversation)?;
    let messages = conversation.messages.iter().map(|said| message(&conversation, said)).collect();
    let ended_turns = conversation.ended_turns.iter().map(|turn| EndedTurnView { status: turn.stage.status(), turn }).collect();
    Ok(super::json(StatusCode::OK, &Messages { conversation_id: id, messages, ended_turns }))
}

#[derive(Deserialize)]
struct Ask {
    question: String,
    language: Option<String>,
}

pub(super) async fn follow_up(
    service: &Service,
    asker: &Asker<'_>,
    id: ConversationId,
    headers: &HeaderMap,
    body: request::Body,
) -> Result<Response, Problem> {
    let key = start::idempotency_key(headers)?;
    let ask: Ask = request::json(headers, body).await?;
    let question = start::question(&ask.question)?;
    let language = ask.language.map(start::language).transpose()?;
    let key = key.map(|key| RequestKey {
        key: start::digest(&[Some(key.as_str())]),
        body: start::digest(&[Some(question.as_str()), language.as_deref()]),
    });
    let standings = service.follow_up(asker, id, &FollowUp { question, language, key }).await?;
    let mut response = accepted(id, "started", start::STARTED)?;
    quota::tell(&mut response, &standings);
    Ok(response)
}
