//! `GET /api/chat/{id}/results/{n}`: the rows of a query, and `POST` there: to have rows that have expired computed again.

use futures_util::stream;
use serde::Serialize;
use warp::{
    Reply,
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use super::{
    problem::Problem,
    request::Query,
    rows::{Chunks, Format},
};
use crate::{
    conversation::{Caller, Conversation, ConversationId, Job, PublicJobStatus},
    service::{Asker, Recomputed, Service},
};

pub(super) async fn result(
    service: &Service,
    caller: &Caller,
    id: ConversationId,
    number: u32,
    query: &Query,
) -> Result<Response, Problem> {
    let format = format(query)?;
    let conversation = service.read(caller, id, None).await?.ok_or_else(Problem::no_conversation)?;
    let job = completed(&conversation, number)?;
    let Some(result) = service.result(&conversation, number).await? else {
        return Err(Problem::result_expired(number, job.recompute_error.as_deref()));
    };
    let chunks = Chunks::new(format, &job.sql_query, result);
    let mut response = warp::reply::stream(stream::iter(chunks)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if let Some(extension) = format.extension() {
        let disposition = format!("attachment; filename=\"asklake-{id}-{number}.{extension}\"");
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(|error| Problem::internal(&error))?);
    }
    Ok(response)
}

/// Query `number`, if it gave rows.
fn completed(conversation: &Conversation, number: u32) -> Result<&Job, Problem> {
    let job = usize::try_from(number).ok().and_then(|number| conversation.databricks_jobs.get(number.checked_sub(1)?));
    let job = job.ok_or_else(|| Problem::no_result(format!("this conversation has no query {number}")))?;
    if job.public_status() != PublicJobStatus::Completed {
        return Err(Problem::no_result(format!("query {number} has no rows: it is {}", name(job.public_status()))));
    }
    Ok(job)
}

fn name(status: PublicJobStatus) -> &'static str {
    match status {
        PublicJobStatus::Pending => "pending",
        PublicJobStatus::Running => "running",
        PublicJobStatus::Completed => "completed",
        PublicJobStatus::Failed => "failed",
        PublicJobStatus::Canceled => "canceled",
    }
}

fn format(query: &Query) -> Result<Format, Problem> {
    match query.get("format")? {
        None | Some("json") => Ok(Format::Json),
        Some("csv") => Ok(Format::Csv),
        Some("ndjson") => Ok(Format::Ndjson),
        Some(_) => Err(Problem::bad_request("the parameter format must be json, csv or ndjson")),
    }
}

#[derive(Serialize)]
struct Accepted {
    status: &'static str,
    conversation_id: ConversationId,
    processing_status: &'static str,
    message: &'static str,
    result_url: String,
}

pub(super) async fn recompute(service: &Service, asker: &Asker<'_>, id: ConversationId, number: u32) -> Result<Response, Problem> {
    let conversation = service.read(asker.caller, id, None).await?.ok_or_else(Problem::no_conversation)?;
    completed(&conversation, number)?;
    let (processing_status, message) = match service.recompute(asker, id, number).await? {
        Recomputed::Kept => ("completed", "The rows are there."),
        Recomputed::Started => ("started", "The query is run again. Poll result_url until it has rows."),
    };
    let result_url = format!("/api/chat/{id}/results/{number}");
    let location = HeaderValue::from_str(&result_url).map_err(|error| Problem::internal(&error))?;
    let body = Accepted { status: "success", conversation_id: id, processing_status, message, result_url };
    let mut response = super::json(StatusCode::ACCEPTED, &body);
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Ok(response)
}
