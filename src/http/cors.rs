//! Cross-origin requests: which pages of other origins may read our answers (`CORS_ALLOWED_ORIGINS`).
//!
//! Own code, because `warp::cors` answers 403 to every origin that is not listed, and a browser sends `Origin` with a POST of our
//! own page too. What is not allowed gets no headers, and the browser keeps the answer from the page (Fetch standard, "CORS check").

use warp::{
    http::{HeaderMap, HeaderValue, Method, header},
    reply::Response,
};

const METHODS: &str = "GET, HEAD, POST, DELETE, OPTIONS";
const REQUEST_HEADERS: &str = "authorization, cache-control, content-type, idempotency-key, if-none-match, last-event-id, prefer, traceparent, \
                               tracestate, x-api-key, x-request-id";
const RESPONSE_HEADERS: &str =
    "content-disposition, etag, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id";
/// How long a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: u16 = 600;

/// The `Origin` of a request, if its pages may read the answer.
pub(super) fn allowed(origins: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// Adds what lets a page of `origin` read `response`. Every answer varies by origin once any origin is allowed.
pub(super) fn admit(response: &mut Response, method: &Method, origins: &[String], origin: Option<HeaderValue>) {
    let headers = response.headers_mut();
    if !origins.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    let Some(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if method == Method::OPTIONS {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE));
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
    }
}
