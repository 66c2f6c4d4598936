//! Headers that every response carries: what it is called, that it is not kept, and what a browser may do with it.

use warp::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    reply::Response,
};

use super::request::RequestId;

/// What is no page, is none for a browser either, whatever is in it: it loads nothing, runs nothing and stands in no frame.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// What a response says unless its handler has said otherwise.
///
/// `Cross-Origin-Resource-Policy` keeps a foreign page from embedding it, which needs no permission. A page of `CORS_ALLOWED_ORIGINS` reads it
/// all the same: what is asked for with CORS is not subject to that policy (Fetch standard, "cross-origin resource policy check").
const DEFAULTS: [(HeaderName, HeaderValue); 6] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// A year: what RFC 6797, section 6.1.1, takes as its example.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds what is missing.
pub(super) fn finish(mut response: Response, id: &RequestId) -> Response {
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(value);
    }
    headers.insert("x-request-id", id.header());
    response
}

/// Whether a proxy says that the client came by TLS. Who forges it only tells itself to do so again.
pub(super) fn is_secure(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Tells the client to come by TLS alone.
pub(super) fn keep_secure(response: &mut Response) {
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
}
