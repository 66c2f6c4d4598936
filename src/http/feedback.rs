//! `POST /api/chat/{id}/feedback`: what the user thinks of the last answer.

use serde::Deserialize;
use warp::{http::HeaderMap, reply::Response};

use super::{problem::Problem, request};
use crate::{
    conversation::{Caller, ConversationId, Rating},
    service::Service,
};

/// Longest comment, in characters after trimming.
const COMMENT_LIMIT: usize = 2000;

#[derive(Deserialize)]
struct Given {
    rating: Rating,
    comment: Option<String>,
}

pub(super) async fn feedback(
    service: &Service,
    caller: &Caller,
    id: ConversationId,
    headers: &HeaderMap,
    body: request::Body,
) -> Result<Response, Problem> {
    let given: Given = request::json(headers, body).await?;
    let comment = given.comment.as_deref().map(str::trim).filter(|comment| !comment.is_empty());
    if comment.is_some_and(|comment| comment.chars().count() > COMMENT_LIMIT) {
        return Err(Problem::bad_request(format!("comment must have at most {COMMENT_LIMIT} characters")));
    }
    service.rate(caller, id, given.rating, comment).await?;
    Ok(super::no_content())
}
