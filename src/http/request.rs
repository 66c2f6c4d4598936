//! Reading requests: query parameters, headers and bodies, each within its limits.

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use serde::de::DeserializeOwned;
use uuid::Uuid;
use warp::{
    Buf,
    http::{HeaderMap, HeaderValue, header},
};

use super::problem::Problem;

/// Largest body, in bytes.
pub(super) const BODY_LIMIT: usize = 64 * 1024;
/// What is read on of a refused body at most, in bytes, and for how long.
const DRAIN_LIMIT: usize = 1 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// Longest path and query together, in bytes.
const ADDRESS_LIMIT: usize = 8 * 1024;
/// Largest header fields, in bytes, names and values alone.
const FIELDS_LIMIT: usize = 32 * 1024;

/// Refuses a head that is larger than any request needs. One of more than `runtime::connections` takes does not come here.
pub(super) fn check_head(path: &str, query: &str, headers: &HeaderMap) -> Result<(), Problem> {
    if path.len() + query.len() > ADDRESS_LIMIT {
        return Err(Problem::address_too_long(ADDRESS_LIMIT));
    }
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if fields > FIELDS_LIMIT { Err(Problem::fields_too_large(FIELDS_LIMIT)) } else { Ok(()) }
}

/// A body that has not been read, and how long it may take to arrive.
pub(super) struct Body {
    parts: BoxStream<'static, Result<Bytes, warp::Error>>,
    patience: Duration,
}

impl Body {
    /// The body that warp hands over in `parts`.
    pub(super) fn new<P: Buf>(parts: impl Stream<Item = Result<P, warp::Error>> + Send + 'static, patience: Duration) -> Self {
        Self { parts: parts.map(|part| part.map(|mut part| part.copy_to_bytes(part.remaining()))).boxed(), patience }
    }
}

/// Names of a request that are taken over, the first one that is there: the caller's, else that of the Functions host, by which its
/// logs tell of the same request. Both may be forged, and both are but labels.
const REQUEST_IDS: [&str; 2] = ["x-request-id", "x-azure-functions-invocationid"];

/// Identifies a request in responses and logs: one of [`REQUEST_IDS`] if it is a plain one, else ours.
#[derive(Clone, Debug)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let is_plain = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            !bytes.is_empty() && bytes.len() <= 128 && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
        };
        let given = REQUEST_IDS.iter().filter_map(|name| headers.get(*name)).find(is_plain);
        given.cloned().map_or_else(Self::random, Self)
    }

    pub(super) fn random() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::new_v4().as_hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown")))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Query parameters. Unknown ones are ignored, a known one given twice is an error.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(raw: &str) -> Result<Self, Problem> {
        let foreign = || Problem::bad_request("the query string is not URL-encoded UTF-8");
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(raw).map_err(|_| foreign())?;
        // What is no UTF-8 has become this character, and labels that differ would be one.
        let is_replaced = pairs.iter().any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}'));
        if is_replaced && !raw.to_ascii_lowercase().contains("%ef%bf%bd") { Err(foreign()) } else { Ok(Self(pairs)) }
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        if values.next().is_some() {
            return Err(Problem::bad_request(format!("the parameter {name} is given twice")));
        }
        Ok(value)
    }

    /// The value of `name` as a whole number between `least` and `most`.
    pub(super) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| text.bytes().all(|byte| byte.is_ascii_digit()) && (least..=most).contains(number));
        number.map(Some).ok_or_else(|| Problem::bad_request(format!("the parameter {name} must be a whole number from {least} to {most}")))
    }
}

/// Reads a JSON body of at most [`BODY_LIMIT`] bytes.
pub(super) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let bytes = json_bytes(headers, body, BODY_LIMIT).await?;
    // An array would be read as the fields in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::bad_request("the request body must be a JSON object"));
    }
    serde_json::from_slice(&bytes).map_err(|error| Problem::bad_request(format!("the request body is not the expected JSON: {error}")))
}

/// Reads a body of at most `limit` bytes that says it is JSON.
pub(super) async fn json_bytes(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let read = tokio::time::timeout(body.patience, read(headers, &mut body, limit)).await;
    // Who is late already is not waited for again.
    let read = read.map_err(|_| Problem::body_timeout())?;
    if read.is_err() {
        discard(body).await;
    }
    read
}

async fn read(headers: &HeaderMap, body: &mut Body, limit: usize) -> Result<Vec<u8>, Problem> {
    if !is_json(headers) {
        return Err(Problem::unsupported_media_type());
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Problem::too_large(limit));
    }
    collect(body, limit).await
}

/// Reads away a body that nobody will look at.
pub(super) async fn discard(body: Body) {
    // Whoever has not sent it by then is answered all the same.
    let _ = tokio::time::timeout(DRAIN_TIME.min(body.patience), drain(body)).await;
}

/// Reads on what is left of a refused body, up to a limit. Who is still sending would find the connection reset instead of an answer;
/// the Functions host, which sends a body before it reads, answers its client 502 then.
async fn drain(mut body: Body) {
    let mut drained = 0;
    while let Some(Ok(part)) = body.parts.next().await {
        drained += part.len();
        if drained > DRAIN_LIMIT {
            return;
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

async fn collect(body: &mut Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(part) = body.parts.next().await {
        let part = part.map_err(|_| Problem::bad_request("the request body ended early"))?;
        if bytes.len() + part.len() > limit {
            return Err(Problem::too_large(limit));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}
