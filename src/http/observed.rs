//! A request in traces and metrics: one span, a child of the client's, and one duration, by the names of the semantic conventions for HTTP.
//!
//! Tells the template of a path and never the path or its query, which carry ids and labels of users. What is asked again and again without
//! anybody waiting for it (probes, the page's files) is only counted.

use std::time::Instant;

use tracing::{Span, field::Empty, info_span};
use warp::http::{HeaderMap, Method, StatusCode};

use super::{request::RequestId, route::Route};
use crate::telemetry::{self, Instruments};

/// A request that is being answered.
pub(super) struct Observed {
    began: Instant,
    method: &'static str,
    route: &'static str,
    span: Span,
}

impl Observed {
    pub(super) fn begin(method: &Method, route: Option<Route>, headers: &HeaderMap, id: &RequestId) -> Self {
        let is_traced = matches!(route, Some(Route::Chat(_)));
        let (method, route) = (known(method), route.map_or("unmatched", Route::template));
        let span = if is_traced { span(method, route, headers, id) } else { Span::none() };
        Self { began: Instant::now(), method, route, span }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(super) fn end(self, instruments: &Instruments, status: StatusCode) {
        self.span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            self.span.record("otel.status_code", "ERROR");
        }
        instruments.request(self.method, self.route, status.as_u16(), self.began.elapsed());
    }
}

fn span(method: &'static str, route: &'static str, headers: &HeaderMap, id: &RequestId) -> Span {
    let span = info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request.id = %id,
        trace_id = Empty,
    );
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    telemetry::continue_from(&span, parent);
    span
}

/// The methods that this server answers; a client may invent any other.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
