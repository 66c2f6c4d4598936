//! Errors as `application/problem+json` (RFC 9457), with `error` repeating `detail` for the published clients.
//!
//! A detail tells the caller what to change. What happened inside stays in the log, under the request id.

use std::time::Duration;

use serde::Serialize;
use warp::{
    http::{HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{quota, request::RequestId};
use crate::{
    auth,
    conversation::{ConversationId, Declined},
    limit::Standing,
    queue,
    service::{BehalfError, Limited, RequestError, StartError},
    store,
};

/// Where the types of problems are named.
const TYPES: &str = "https://asklake.dev/problems/";

/// An error that a client is told.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    allow: Option<&'static str>,
    /// In seconds.
    retry_after: Option<u32>,
    /// The value of `WWW-Authenticate`.
    challenge: Option<String>,
    /// The quota that was met.
    quota: Option<Box<Standing>>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    error: &'a str,
}

impl Problem {
    fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, slug, title, detail: detail.into(), allow: None, retry_after: None, challenge: None, quota: None }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", "Invalid request", detail)
    }

    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "Not found",
            "there is nothing at this path; GET /api/openapi.json lists what there is",
        )
    }

    pub(super) fn no_conversation() -> Self {
        let detail = "there is no conversation with this id, or it has expired";
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(super) fn no_result(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// `failure` is why they could not be computed again.
    pub(super) fn result_expired(number: u32, failure: Option<&str>) -> Self {
        let again = "POST to this path to have them computed again";
        let detail = match failure {
            None => format!("the rows of query {number} have expired; {again}"),
            Some(error) => format!("the rows of query {number} have expired and could not be computed again: {error} {again}"),
        };
        Self::new(StatusCode::GONE, "result-expired", "Result expired", detail)
    }

    pub(super) fn method_not_allowed(method: &Method, allow: &'static str) -> Self {
        let detail = format!("{method} is not allowed here; allowed: {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail) }
    }

    pub(super) fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "Request timeout", "the request body took too long to arrive")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let detail = format!("the request body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "content-too-large", "Content too large", detail)
    }

    pub(super) fn address_too_long(limit: usize) -> Self {
        let detail = format!("path and query are longer than {limit} bytes");
        Self::new(StatusCode::URI_TOO_LONG, "uri-too-long", "URI too long", detail)
    }

    pub(super) fn fields_too_large(limit: usize) -> Self {
        let detail = format!("the header fields of the request are larger than {limit} bytes");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "header-fields-too-large", "Header fields too large", detail)
    }

    pub(super) fn unsupported_media_type() -> Self {
        let detail = "send the request body as Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type", detail)
    }

    pub(super) fn overloaded() -> Self {
        let detail = "too many requests are being worked on; try again shortly";
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Overloaded", detail) }
    }

    fn conflict(slug: &'static str, title: &'static str, detail: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, slug, title, detail.to_string())
    }

    fn idempotency_mismatch(detail: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch", "Idempotency key reused", detail.to_string())
    }

    pub(super) fn too_many_streams() -> Self {
        let detail = "too many streams are open; try again later, or ask GET status with wait";
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Overloaded", detail) }
    }

    pub(super) fn too_many_streams_of_caller(limit: usize) -> Self {
        let detail = format!("you have {limit} streams open, and may not have more; close one, or ask GET status with wait");
        Self { retry_after: Some(5), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", "Too many streams", detail) }
    }

    /// A host before the server collects every response until it is whole.
    pub(super) fn no_stream_here(id: ConversationId) -> Self {
        let detail = format!("no stream can pass the Functions host that runs this server; ask GET /api/chat/{id}/status?wait=30");
        Self::new(StatusCode::NOT_ACCEPTABLE, "no-stream", "No stream here", detail)
    }

    pub(super) fn upgrade_required(detail: String) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "Upgrade required", detail)
    }

    pub(super) fn foreign_origin() -> Self {
        let detail = "pages of this origin may not open a WebSocket here; CORS_ALLOWED_ORIGINS names those that may";
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", "Origin not allowed", detail)
    }

    fn unavailable(what: &str) -> Self {
        let detail = format!("{what} does not answer; try again shortly");
        Self {
            retry_after: Some(5),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "dependency-unavailable", "Dependency unavailable", detail)
        }
    }

    /// Logs `error` and tells the client nothing of it.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed inside");
        let detail = "something failed inside; the X-Request-Id of this response leads to the log line";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    pub(super) fn respond(self, instance: &str, id: &RequestId) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(request.id = %id, http.status = self.status.as_u16(), http.path = instance, problem = self.slug, "answered a request with an error");
        }
        let body = Body {
            r#type: format!("{TYPES}{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            error: &self.detail,
        };
        // Strings and a number always serialise.
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = super::bytes_response(self.status, "application/problem+json", bytes);
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(challenge) = self.challenge.and_then(|challenge| HeaderValue::from_str(&challenge).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(standing) = self.quota {
            quota::tell(&mut response, &[*standing]);
        }
        response
    }
}

impl From<auth::Error> for Problem {
    /// The challenges are those of RFC 6750, section 3: without a code where no credentials came, else with one.
    fn from(error: auth::Error) -> Self {
        let detail = error.to_string();
        let challenge = |code: &str| Some(format!("Bearer realm=\"asklake\", error=\"{code}\", error_description=\"{detail}\""));
        match error {
            auth::Error::Missing => Self {
                challenge: Some("Bearer realm=\"asklake\"".to_owned()),
                ..Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in", detail)
            },
            auth::Error::Refused(_) => {
                tracing::info!(fault = detail, "refused credentials");
                Self {
                    challenge: challenge("invalid_token"),
                    ..Self::new(StatusCode::UNAUTHORIZED, "invalid-credentials", "Credentials not accepted", detail)
                }
            }
            auth::Error::Forbidden => Self {
                challenge: challenge("insufficient_scope"),
                ..Self::new(StatusCode::FORBIDDEN, "insufficient-scope", "Not permitted", detail)
            },
            auth::Error::Unavailable => Self::unavailable("the issuer of the tokens"),
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::BadCursor => Self::bad_request(error.to_string()),
            store::Error::Unavailable(_) => {
                tracing::warn!(%error, "the store failed");
                Self::unavailable("the store")
            }
            store::Error::Throttled { retry_after } => {
                tracing::warn!(%error, "the store is throttled");
                let seconds = seconds(retry_after);
                Self { retry_after: Some(seconds), ..Self::unavailable("the store") }
            }
            store::Error::Exists(_) | store::Error::Conflict(_) | store::Error::TooLarge { .. } | store::Error::Corrupt { .. } => {
                Self::internal(&error)
            }
        }
    }
}

impl From<queue::Error> for Problem {
    fn from(error: queue::Error) -> Self {
        tracing::warn!(%error, "the queue failed");
        Self::unavailable("the queue")
    }
}

impl From<Limited> for Problem {
    fn from(limited: Limited) -> Self {
        let detail = limited.to_string();
        match limited {
            Limited::Reached(standing) => Self {
                retry_after: Some(seconds(standing.resets_after)),
                quota: Some(Box::new(standing)),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, standing.quota.name(), "Quota used up", detail)
            },
            Limited::Busy => Self { detail, ..Self::overloaded() },
            Limited::Unavailable(error) => {
                tracing::warn!(%error, "the ledger of quotas failed; QUOTA_FAILS=open would admit requests");
                Self::unavailable("the ledger of quotas")
            }
        }
    }
}

impl From<BehalfError> for Problem {
    fn from(error: BehalfError) -> Self {
        match &error {
            // A client that can will fetch another.
            BehalfError::EndsSoon => auth::Error::Refused(auth::Fault::Expired).into(),
            BehalfError::NoProof | BehalfError::Refused(_) | BehalfError::Over => {
                Self::new(StatusCode::FORBIDDEN, "not-represented", "Not admitted to the warehouse", error.to_string())
            }
            BehalfError::Unavailable(cause) => {
                tracing::warn!(cause, "the sign-in to the warehouse failed");
                Self::unavailable("the sign-in to the warehouse")
            }
            BehalfError::Misconfigured(cause) => {
                tracing::error!(cause, "the sign-in to the warehouse is not set up");
                Self { detail: error.to_string(), ..Self::unavailable("the sign-in to the warehouse") }
            }
        }
    }
}

/// Whole seconds after which so long has passed.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs().saturating_add(1)).unwrap_or(u32::MAX)
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::IdempotencyMismatch => Self::idempotency_mismatch(&error),
            StartError::Limited(limited) => limited.into(),
            StartError::Behalf(error) => error.into(),
            StartError::Store(error) => error.into(),
            StartError::Queue(error) => error.into(),
        }
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Unknown => Self::no_conversation(),
            RequestError::Declined(Declined::TurnRunning) => Self::conflict("turn-running", "A turn is running", &error),
            RequestError::Declined(Declined::NoTurnLeft(_)) | RequestError::TooLarge => {
                Self::conflict("conversation-full", "The conversation is full", &error)
            }
            RequestError::TurnEnded => Self::conflict("turn-ended", "The turn has ended", &error),
            RequestError::IdempotencyMismatch => Self::idempotency_mismatch(&error),
            RequestError::Limited(limited) => limited.into(),
            RequestError::Behalf(error) => error.into(),
            RequestError::Contended => Self { retry_after: Some(1), ..Self::unavailable("the store") },
            RequestError::Store(error) => error.into(),
            RequestError::Queue(error) => error.into(),
        }
    }
}
