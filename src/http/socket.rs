//! `GET /api/chat/{id}/ws`: the events over a WebSocket (RFC 6455), as text frames `{"event","id","data"}`.
//!
//! For the standalone server. The Functions host documents no WebSocket, so there it is refused with where to go instead. What a client
//! sends is read and left alone.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use warp::{
    Reply as _,
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
    ws::{Message, WebSocket, Ws},
};

use super::{
    Context, Front, cors,
    feed::{Event, Feed},
    problem::Problem,
    request::Query,
    status::LARGEST_REVISION,
};
use crate::conversation::{Caller, ConversationId, Revision};

/// Bytes of a message that a client may send: there is nothing to say.
const MAX_MESSAGE: usize = 4 << 10;
/// How long a client may take to accept an event.
const PATIENCE: Duration = Duration::from_secs(30);
/// Codes of a close frame (RFC 6455, section 7.4.1): the turn has ended; connect again.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;

pub(super) async fn open(
    context: &Context,
    caller: &Caller,
    id: ConversationId,
    query: &Query,
    headers: &HeaderMap,
    upgrade: Option<Ws>,
) -> Result<Response, Problem> {
    let events = format!("/api/chat/{id}/events");
    if context.front == Front::FunctionsHost {
        return Err(Problem::upgrade_required(format!("no WebSocket can pass the Functions host; GET {events} has the same as a stream")));
    }
    if !is_own_page(headers) && cors::allowed(&context.settings.cors_allowed_origins, headers).is_none() {
        return Err(Problem::foreign_origin());
    }
    let after = query.number("after", 0, LARGEST_REVISION)?.map(Revision);
    let feed = context.streams.open(&context.service, caller, id, after).await?;
    let Some(upgrade) = upgrade else {
        return Err(Problem::upgrade_required(format!("only a WebSocket can be opened here; GET {events} has the same as a stream")));
    };
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(|socket| run(feed, socket)).into_response())
}

/// Whether the request is from no page, or from one that this server has served. Browsers apply no CORS to WebSockets, so that any page
/// could open one otherwise.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let origin_host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host.as_bytes());
    host.is_some() && host == origin_host
}

async fn run(mut feed: Feed, mut socket: WebSocket) {
    let mut code = GOING_AWAY;
    loop {
        let event = tokio::select! {
            event = feed.next() => event,
            received = socket.next() => match received {
                Some(Ok(message)) if !message.is_close() => continue,
                // It has left.
                _ => return,
            },
        };
        let Some(event) = event else { break };
        if matches!(event, Event::Done(..)) {
            code = NORMAL;
        }
        if !matches!(timeout(PATIENCE, socket.send(message(&event))).await, Ok(Ok(()))) {
            return;
        }
    }
    // A client that is gone by then needs no farewell.
    let _ = timeout(PATIENCE, socket.send(Message::close_with(code, ""))).await;
}

fn message(event: &Event) -> Message {
    match event {
        Event::Status(revision, data) => Message::text(format!(r#"{{"event":"status","id":{revision},"data":{data}}}"#)),
        Event::Draft(data) => Message::text(format!(r#"{{"event":"draft","data":{data}}}"#)),
        Event::Done(revision, data) => Message::text(format!(r#"{{"event":"done","id":{revision},"data":{data}}}"#)),
        Event::Heartbeat => Message::ping(Vec::new()),
    }
}
