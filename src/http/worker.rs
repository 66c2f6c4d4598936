//! `POST /worker` and `POST /poison`: what the Functions host calls with a queue message. The only file that knows its envelope.
//!
//! Nothing authenticates these two, so they refuse whatever did not come from this machine, and every reply is a JSON object: a success
//! with an empty body, a 204 or `null` would make the host wait until `functionTimeout` and kill the process with all its invocations
//! (read in the source of azure-functions-host). The capture of an envelope stands in `tests/host/envelope.json`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use warp::{
    Filter, Rejection,
    http::{HeaderMap, Method, StatusCode, header},
    reply::Response,
};

use super::{
    BODY_TIMEOUT, headers,
    problem::Problem,
    request::{self, Body, RequestId},
};
use crate::{
    queue::{Lane, Wake},
    service::{Advance, Service, StepError},
};

/// Name of the queue trigger's binding in `worker/function.json` and `poison/function.json`.
pub const BINDING: &str = "wake";

/// Largest envelope, in bytes: a message of 64 KiB, escaped twice, with all its fields once more in `Metadata`.
const ENVELOPE_LIMIT: usize = 1 << 20;

/// How often a message counts as delivered when the envelope does not tell: as again, so that nothing is left without its wake.
const UNKNOWN_DEQUEUE_COUNT: u32 = 2;

/// Between two tries to end a conversation.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Headers that a request has which a proxy passed on: nobody but the host itself may call the worker.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-forwarded-host"];

/// The routes of both functions; every invocation ends within `deadline`.
pub fn routes(service: Service, deadline: Duration) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let worker = warp::path!("worker").map(|| Lane::Work);
    let poison = warp::path!("poison").map(|| Lane::Poison);
    let invocations = Arc::new(Invocations { service, deadline });
    (worker.or(poison).unify())
        .and(warp::any().map(move || Arc::clone(&invocations)))
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(|lane: Lane, invocations: Arc<Invocations>, method: Method, headers: HeaderMap, body| async move {
            let id = RequestId::of(&headers);
            let invoked = invocations.invoke(lane, &id, &method, &headers, Body::new(body, BODY_TIMEOUT)).await;
            headers::finish(invoked.unwrap_or_else(|problem| problem.respond(lane_path(lane), &id)), &id)
        })
}

fn lane_path(lane: Lane) -> &'static str {
    match lane {
        Lane::Work => "/worker",
        Lane::Poison => "/poison",
    }
}

struct Invocations {
    service: Service,
    deadline: Duration,
}

impl Invocations {
    async fn invoke(&self, lane: Lane, id: &RequestId, method: &Method, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
        if !is_from_the_host(headers) {
            return Err(Problem::not_found());
        }
        if method != Method::POST {
            return Err(Problem::method_not_allowed(method, "POST"));
        }
        let bytes = request::json_bytes(headers, body, ENVELOPE_LIMIT).await?;
        let message = match Message::decode(&bytes) {
            Ok(message) => message,
            Err(reason) => {
                // Delivering it again would change nothing about it.
                tracing::error!(request.id = %id, function = lane_path(lane), reason, "dropped a message that is not a wake");
                return Ok(succeeded());
            }
        };
        Ok(match self.work(lane, message).await {
            Ok(_) => succeeded(),
            Err(error) => failed(lane, id, message, &error),
        })
    }

    /// Works on the wake in a task of its own, so that a panic is a failure like any other.
    async fn work(&self, lane: Lane, message: Message) -> Result<Advance, String> {
        let (service, patience) = (self.service.clone(), self.deadline / 2);
        let mut work = tokio::spawn(async move {
            let step = match lane {
                Lane::Work => service.step(message.wake, message.dequeue_count).await,
                Lane::Poison => abandon(&service, message, patience).await,
            };
            step.map_err(|error: StepError| error.to_string())
        });
        match tokio::time::timeout(self.deadline, &mut work).await {
            Ok(ended) => ended.unwrap_or_else(|panic| Err(format!("the worker panicked: {panic}"))),
            Err(_) => {
                // Its commits are fenced, so it may be stopped anywhere.
                work.abort();
                Err(format!("not done within {} s", self.deadline.as_secs()))
            }
        }
    }
}

/// Ends a conversation, and tries for as long as `patience`: the host leaves a poisoned message that fails where it is until its lease of
/// ten minutes ends, and delivers it `maxDequeueCount` times at most (read in the source of its queue extension).
async fn abandon(service: &Service, message: Message, patience: Duration) -> Result<Advance, StepError> {
    let until = Instant::now() + patience;
    let Message { wake, mut dequeue_count } = message;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match service.abandon(wake, dequeue_count).await {
            Err(error) if Instant::now() + pause < until => error,
            ended => return ended,
        };
        tracing::warn!(conversation.id = %wake.conversation_id, %error, "could not end a conversation; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        dequeue_count = dequeue_count.saturating_add(1);
    }
}

/// Whether a request can be from the host on this machine: it names this machine, and no proxy passed it on. A page in a browser on
/// the same laptop cannot pretend that, whatever name it has its address resolved by.
fn is_from_the_host(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]") && !FORWARDED.iter().any(|name| headers.contains_key(*name))
}

fn succeeded() -> Response {
    super::json(StatusCode::OK, &json!({"Outputs": {}, "Logs": [], "ReturnValue": null}))
}

fn failed(lane: Lane, id: &RequestId, message: Message, error: &str) -> Response {
    let Message { wake, dequeue_count } = message;
    tracing::warn!(
        request.id = %id, conversation.id = %wake.conversation_id, function = lane_path(lane), dequeue_count, error, "a wake failed"
    );
    super::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error}))
}

/// What the host delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    wake: Wake,
    dequeue_count: u32,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Data")]
    data: Map<String, Value>,
    /// Fields of a message that is a JSON object are merged into it and may have overwritten any of its own.
    #[serde(rename = "Metadata", default)]
    metadata: Value,
}

impl Message {
    /// # Errors
    /// Why it is no wake.
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|error| format!("not an envelope of the Functions host: {error}"))?;
        let data = envelope.data.get(BINDING).ok_or_else(|| format!("the envelope has no data for the binding {BINDING}"))?;
        let wake = unwrapped(data.clone()).and_then(|value| serde_json::from_value(value).ok());
        let count = envelope.metadata.get("DequeueCount").cloned().and_then(unwrapped).and_then(|count| count.as_u64());
        Ok(Self {
            wake: wake.ok_or("the message is not a wake")?,
            dequeue_count: count.and_then(|count| u32::try_from(count).ok()).unwrap_or(UNKNOWN_DEQUEUE_COUNT),
        })
    }
}

/// The JSON within strings of JSON: the host encodes twice, its documents show it once.
fn unwrapped(mut value: Value) -> Option<Value> {
    for _ in 0..3 {
        let Value::String(text) = &value else { return Some(value) };
        value = serde_json::from_str(text).ok()?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAKE: &str = r#"{"conversation_id":"0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b","revision":7}"#;

    fn decode(data: &Value, metadata: &Value) -> Result<(u64, u32), String> {
        let envelope = json!({"Data": {"wake": data}, "Metadata": metadata}).to_string();
        Message::decode(envelope.as_bytes()).map(|message| (message.wake.revision.0, message.dequeue_count))
    }

    fn encoded(text: &str, times: usize) -> Value {
        (1..times).fold(json!(text), |text, _| json!(text.to_string()))
    }

    #[test]
    fn a_wake_is_found_however_often_the_host_encoded_it() {
        let metadata = json!({"DequeueCount": "1"});
        assert_eq!(decode(&serde_json::from_str(WAKE).expect("an object"), &metadata), Ok((7, 1)), "an object");
        assert_eq!(decode(&encoded(WAKE, 1), &metadata), Ok((7, 1)), "once");
        assert_eq!(decode(&encoded(WAKE, 2), &metadata), Ok((7, 1)), "twice");
    }

    #[test]
    fn the_dequeue_count_is_a_number_or_a_string_and_counts_as_again_when_it_cannot_be_read() {
        let count = |metadata| decode(&encoded(WAKE, 1), &metadata).expect("a wake").1;
        assert_eq!(count(json!({"DequeueCount": 3})), 3);
        assert_eq!(count(json!({"DequeueCount": "3"})), 3);
        assert_eq!(count(json!({"DequeueCount": "\"3\""})), 3);
        for unreadable in [json!(null), json!({}), json!("text"), json!({"DequeueCount": "often"}), json!({"DequeueCount": -1})] {
            assert_eq!(count(unreadable), UNKNOWN_DEQUEUE_COUNT);
        }
        assert_eq!(count(json!({"DequeueCount": {"a": 1}, "Id": 5, "PopReceipt": [], "revision": 9})), UNKNOWN_DEQUEUE_COUNT);
    }

    #[test]
    fn what_is_no_wake_is_told_apart() {
        for data in [json!("hello!!"), json!("\"hello!!\""), json!({"conversation_id": "x", "revision": 1}), json!(null), json!([WAKE])] {
            assert!(decode(&data, &json!({})).is_err(), "{data}");
        }
        for envelope in ["", "null", "[]", "{}", r#"{"Data":{}}"#, r#"{"Data":{"other":1}}"#, r#"{"Data":"wake"}"#] {
            assert!(Message::decode(envelope.as_bytes()).is_err(), "{envelope}");
        }
    }

    #[test]
    fn only_this_machine_counts_as_the_host() {
        let from = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().expect("a header"));
            }
            is_from_the_host(&headers)
        };
        assert!(from(&[("host", "127.0.0.1:5000")]));
        assert!(from(&[("host", "localhost:5000")]));
        assert!(from(&[("host", "[::1]:5000")]));
        assert!(!from(&[]));
        assert!(!from(&[("host", "asklake.example")]));
        assert!(!from(&[("host", "127.0.0.1.evil.example:5000")]));
        assert!(!from(&[("host", "127.0.0.1:5000"), ("x-forwarded-for", "127.0.0.1")]));
        assert!(!from(&[("host", "127.0.0.1:5000"), ("x-forwarded-host", "asklake.example")]));
    }
}
