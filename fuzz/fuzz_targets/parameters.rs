//! Any path, query and header values to the reading side of the API: every answer is one of the contract, none an internal error, and
//! whatever is refused is a problem.
//!
//! An input is up to four lines: which path, the query, `If-None-Match`, `Prefer`.

#![no_main]

use asklake::http::{Front, Settings, routes};
use asklake_fuzz::{KNOWN, Routes, ask, service};
use bytes::Bytes;
use http_body_util::Full;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use warp::Filter;

/// Where a query is read.
fn path(line: &str) -> String {
    let chat = format!("/api/chat/{KNOWN}");
    match line {
        "h" => "/api/chat/history".into(),
        "s" => format!("{chat}/status"),
        "e" => format!("{chat}/events"),
        "w" => format!("{chat}/ws"),
        "r" => format!("{chat}/results/1"),
        "m" => format!("{chat}/messages"),
        other => format!("/{other}"),
    }
}

thread_local!(static ROUTES: Routes =
    routes(service(), Settings::default(), Front::Direct, Default::default()).map(warp::Reply::into_response).boxed());

fuzz_target!(|input: &str| -> Corpus {
    let mut lines = input.splitn(4, '\n');
    let (first, query) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    // A stream lasts for minutes, of which only the start is of interest here: HEAD has that.
    let method = if first == "e" { "HEAD" } else { "GET" };
    let mut request = http::Request::builder().method(method).uri(format!("{}?{query}", path(first)));
    for (name, value) in ["if-none-match", "prefer"].iter().zip(lines) {
        request = request.header(*name, value);
    }
    let Ok(request) = request.body(Full::new(Bytes::new())) else { return Corpus::Reject };
    let answer = ROUTES.with(|routes| ask(routes, request));
    assert!(answer.status < 500, "{}", answer.status);
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    if answer.status >= 400 && method == "GET" {
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(problem["status"], answer.status);
    }
    Corpus::Keep
});
