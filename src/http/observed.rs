//! A request in traces and metrics: one span, a child of the client's, and one duration, by the names of the semantic conventions for HTTP.
//!
//! Tells the template of a path and never the path or its query, which carry ids and labels of users. What is asked again and again is only
//! counted: probes and the page's files, and reads that are part of no trace of the client's. Polls are most of all requests; a span of each
//! would cost a quarter of their throughput, and tell what the duration tells. In log lines they have one.

use std::time::Instant;

use tracing::{Span, field::Empty, info_span};
use warp::http::{HeaderMap, Method, StatusCode};

use super::{request::RequestId, route::Route};
use crate::{
    conversation::TraceParent,
    telemetry::{self, Instruments},
};

/// A request that is being answered.
pub(super) struct Observed {
    began: Instant,
    method: &'static str,
    route: &'static str,
    span: Span,
}

impl Observed {
    pub(super) fn begin(method: &Method, route: Option<Route>, headers: &HeaderMap, id: &RequestId) -> Self {
        let is_of_chat = matches!(route, Some(Route::Chat(_)));
        let is_read = method.is_safe();
        let (method, route) = (known(method), route.map_or("unmatched", Route::template));
        let span = match traceparent(headers) {
            _ if !is_of_chat => Span::none(),
            None if is_read => {
                info_span!(target: telemetry::UNTRACED, "request", http.request.method = method, http.route = route, request.id = %id)
            }
            parent => span(method, route, parent, id),
        };
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

fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

fn span(method: &'static str, route: &'static str, parent: Option<TraceParent>, id: &RequestId) -> Span {
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
