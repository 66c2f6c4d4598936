//! `GET /api/chat/{id}/events`: server-sent events (HTML standard, "Server-sent events"), resumed by `Last-Event-ID`.
//!
//! Where a Functions host collects responses until they are whole (`enableForwardingHttpRequest` on a host that knows no other), a
//! stream would arrive after it has ended: there it is refused, so that an `EventSource` fails at once and its page polls.

use std::{convert::Infallible, fmt::Write as _};

use futures_util::{StreamExt, stream};
use warp::{
    Reply as _,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{
    Context, Front,
    feed::{self, Event, Feed},
    problem::Problem,
    request::Query,
    status::LARGEST_REVISION,
};
use crate::conversation::{ConversationId, Revision};

const CONTENT_TYPE: &str = "text/event-stream";
/// How long a client waits before it connects again, in milliseconds.
const RETRY_MS: u32 = 1000;
/// What the Functions host appends to `User-Agent` when it forwards, and not when it proxies.
const FORWARDED_BY: &str = "Azure-Functions-Host/";

pub(super) async fn events(
    context: &Context,
    id: ConversationId,
    method: &Method,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if context.front == Front::FunctionsHost && is_forwarded(headers) {
        return Err(Problem::no_stream_here(id));
    }
    let after = query.number("after", 0, LARGEST_REVISION)?.map(Revision);
    if method == Method::HEAD {
        context.service.read(id, None).await?.ok_or_else(Problem::no_conversation)?;
        return Ok(with_headers(Response::default()));
    }
    let feed = context.streams.open(&context.service, id, last_event_id(headers).or(after)).await?;
    Ok(with_headers(warp::reply::stream(bytes(feed)).into_response()))
}

/// The id of the last event that the client has. One that is not ours is ignored: an `EventSource` would repeat it for ever.
fn last_event_id(headers: &HeaderMap) -> Option<Revision> {
    feed::revision(headers.get("last-event-id")?.to_str().ok()?)
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| String::from_utf8_lossy(agent.as_bytes()).contains(FORWARDED_BY))
}

fn with_headers(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    // nginx collects responses unless it is told not to.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn bytes(feed: Feed) -> impl futures_util::Stream<Item = Result<String, Infallible>> {
    let events = stream::unfold(feed, |mut feed| async move { Some((Ok(text(&feed.next().await?)), feed)) });
    stream::once(std::future::ready(Ok(format!("retry: {RETRY_MS}\n\n")))).chain(events)
}

/// JSON has no line breaks of its own, so that data is one line.
fn text(event: &Event) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match event {
        Event::Status(revision, data) => write!(text, "event: status\nid: {revision}\ndata: {data}\n\n"),
        Event::Draft(data) => write!(text, "event: draft\ndata: {data}\n\n"),
        Event::Done(revision, data) => write!(text, "event: done\nid: {revision}\ndata: {data}\n\n"),
        Event::Heartbeat => write!(text, ":\n\n"),
    };
    text
}
