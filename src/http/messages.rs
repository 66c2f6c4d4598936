//! `GET /api/chat/{id}/messages`.

use serde::Serialize;
use warp::{http::StatusCode, reply::Response};

use super::problem::Problem;
use crate::{
    conversation::{ConversationId, Lookup, Message, Role, Timestamp, ToolCall, ToolOutcome},
    service::Service,
};

#[derive(Serialize)]
struct Messages<'a> {
    conversation_id: ConversationId,
    messages: Vec<MessageView<'a>>,
}

#[derive(Serialize)]
struct MessageView<'a> {
    role: Role,
    content: &'a str,
    timestamp: Timestamp,
    turn: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallView<'a>>,
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

fn message(message: &Message) -> MessageView<'_> {
    let tool_calls = message.tool_calls.iter().map(call).collect();
    MessageView { role: message.role, content: &message.content, timestamp: message.timestamp, turn: message.turn, tool_calls }
}

pub(super) async fn messages(service: &Service, id: ConversationId) -> Result<Response, Problem> {
    let conversation = service.read(id, None).await?.ok_or_else(Problem::no_conversation)?;
    let messages = conversation.messages.iter().map(message).collect();
    Ok(super::json(StatusCode::OK, &Messages { conversation_id: id, messages }))
}
