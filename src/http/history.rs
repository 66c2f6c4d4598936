//! `GET /api/chat/history`.

use serde::Serialize;
use warp::{http::StatusCode, reply::Response};

use super::{problem::Problem, request::Query, start::label};
use crate::{
    conversation::{Conversation, ConversationId, PublicStatus, Timestamp},
    service::Service,
    store::HistoryFilter,
};

const DEFAULT_LIMIT: u64 = 50;
const LARGEST_LIMIT: u64 = 100;

#[derive(Serialize)]
struct History<'a> {
    conversations: Vec<Summary<'a>>,
    next_cursor: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary<'a> {
    id: ConversationId,
    title: &'a str,
    question: &'a str,
    status: PublicStatus,
    final_answer: Option<&'a str>,
    error: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

fn summary(conversation: &Conversation) -> Summary<'_> {
    Summary {
        id: conversation.id,
        title: conversation.title(),
        question: &conversation.question,
        status: conversation.status(),
        final_answer: conversation.final_answer.as_deref(),
        error: conversation.error.as_deref(),
        created_at: conversation.created_at,
        updated_at: conversation.updated_at,
    }
}

pub(super) async fn history(service: &Service, query: &Query) -> Result<Response, Problem> {
    let user_id = label("user_id", query.get("user_id")?.map(str::to_owned))?;
    let device_id = label("device_id", query.get("device_id")?.map(str::to_owned))?;
    if user_id.is_none() && device_id.is_none() {
        return Err(Problem::bad_request("say whose history: give user_id or device_id"));
    }
    let limit = query.number("limit", 1, LARGEST_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let cursor = query.get("cursor")?.filter(|cursor| !cursor.is_empty());
    let filter = HistoryFilter { owner: None, user_id, device_id };
    let page = service.history(&filter, u32::try_from(limit).unwrap_or(u32::MAX), cursor).await?;
    let conversations = page.conversations.iter().map(summary).collect();
    Ok(super::json(StatusCode::OK, &History { conversations, next_cursor: page.next_cursor.as_deref() }))
}
