//! `POST /api/chat/start`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use warp::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use super::{problem::Problem, quota, request};
use crate::{
    conversation::{Caller, ConversationId, NewConversation},
    service::{Asker, Service},
};

/// Longest question, in characters after trimming.
const QUESTION_LIMIT: usize = 4000;
/// Longest label and idempotency key, in characters.
pub(super) const LABEL_LIMIT: usize = 128;
/// Longest language tag: RFC 5646 §4.4.1 asks for 35.
const LANGUAGE_LIMIT: usize = 35;

/// The published text.
pub(super) const STARTED: &str = "Conversation started. Poll /chat/{id}/status for updates.";

#[derive(Deserialize)]
struct Start {
    question: String,
    user_id: Option<String>,
    device_id: Option<String>,
    language: Option<String>,
    fresh: Option<bool>,
}

#[derive(Serialize)]
struct Accepted {
    status: &'static str,
    conversation_id: ConversationId,
    processing_status: &'static str,
    message: &'static str,
    poll_url: String,
    events_url: String,
}

pub(super) async fn start(service: &Service, asker: &Asker<'_>, headers: &HeaderMap, body: request::Body) -> Result<Response, Problem> {
    let key = idempotency_key(headers)?;
    let start: Start = request::json(headers, body).await?;
    let is_fresh = start.fresh.unwrap_or_default() || asks_anew(headers);
    let new = validate(asker.caller, start, key.as_deref())?;
    let (started, standings) = service.start_for(asker, new, is_fresh).await?;
    let mut response = accepted(started.id, "started", STARTED)?;
    quota::tell(&mut response, &standings);
    Ok(response)
}

fn validate(caller: &Caller, start: Start, key: Option<&str>) -> Result<NewConversation, Problem> {
    let question = question(&start.question)?;
    let user_id = label("user_id", start.user_id)?;
    let device_id = label("device_id", start.device_id)?;
    let language = start.language.map(language).transpose()?;
    let mut parts = vec![Some(question.as_str()), user_id.as_deref(), device_id.as_deref(), language.as_deref()];
    // Only where it is said, so that what is stored of bodies without it stays what it is.
    parts.extend(start.fresh.unwrap_or_default().then_some(Some("fresh")));
    let request_digest = key.map(|_| digest(&parts));
    let id = key.map_or_else(ConversationId::random, |key| ConversationId::from_idempotency_key(caller.scope(), key));
    Ok(NewConversation { id, question, owner: caller.owner().cloned(), user_id, device_id, language, request_digest })
}

/// Whether the client refuses an answer that was made before (RFC 9111, section 5.2.1.4).
fn asks_anew(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

/// What tells one body from another: the same for the same parts.
pub(super) fn digest(parts: &[Option<&str>]) -> String {
    Uuid::new_v5(&Uuid::nil(), serde_json::json!(parts).to_string().as_bytes()).to_string()
}

/// A question, without the space around it.
pub(super) fn question(text: &str) -> Result<String, Problem> {
    let question = text.trim();
    if question.is_empty() || question.chars().count() > QUESTION_LIMIT {
        return Err(Problem::bad_request(format!("question must have 1 to {QUESTION_LIMIT} characters")));
    }
    Ok(question.to_owned())
}

/// A label of the client's choice; an empty one counts as none.
pub(super) fn label(name: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    let value = value.filter(|value| !value.is_empty());
    if value.as_ref().is_some_and(|value| value.chars().count() > LABEL_LIMIT) {
        return Err(Problem::bad_request(format!("{name} must have at most {LABEL_LIMIT} characters")));
    }
    Ok(value)
}

/// A well-formed BCP 47 tag, by shape: subtags of 1 to 8 letters or digits, the first one of letters.
pub(super) fn language(tag: String) -> Result<String, Problem> {
    let mut subtags = tag.split('-');
    let is_subtag = |subtag: &str| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_primary = |subtag: &str| is_subtag(subtag) && subtag.bytes().all(|byte| byte.is_ascii_alphabetic());
    if tag.len() <= LANGUAGE_LIMIT && subtags.next().is_some_and(is_primary) && subtags.all(is_subtag) {
        return Ok(tag);
    }
    Err(Problem::bad_request("language must be a BCP 47 tag such as en or pt-BR"))
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=LABEL_LIMIT).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
    key.map(|key| Some(key.to_owned()))
        .ok_or_else(|| Problem::bad_request(format!("Idempotency-Key must have 1 to {LABEL_LIMIT} visible ASCII characters")))
}

/// The 202 of everything that a worker sees to.
pub(super) fn accepted(id: ConversationId, processing_status: &'static str, message: &'static str) -> Result<Response, Problem> {
    let body = Accepted {
        status: "success",
        conversation_id: id,
        processing_status,
        message,
        poll_url: format!("/api/chat/{id}/status"),
        events_url: format!("/api/chat/{id}/events"),
    };
    let location = HeaderValue::from_str(&body.poll_url).map_err(|error| Problem::internal(&error))?;
    let mut response = super::json(StatusCode::ACCEPTED, &body);
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Ok(response)
}
