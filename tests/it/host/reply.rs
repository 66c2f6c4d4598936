//! What the host makes of a reply, case by case.

use crate::support::host::reply::{Verdict, judge};

const JSON: Option<&str> = Some("application/json");

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Success,
    Failure,
    Hang,
}
use Expected::{Failure, Hang, Success};

type Case = (u16, Option<&'static str>, &'static str, Expected);

const CASES: &[Case] = &[
    (200, JSON, r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#, Success),
    (200, Some("application/json; charset=utf-8"), r#"{"Outputs":{"a":"b"},"Logs":["line"],"ReturnValue":"x"}"#, Success),
    (200, Some("Text/JSON"), r#"{"outputs":null,"logs":null,"returnValue":{"a":1}}"#, Success),
    (201, JSON, "{}", Success),
    (200, JSON, r#"{"other":1}"#, Success),
    // Nobody completes these: the process is killed at functionTimeout.
    (200, JSON, "", Hang),
    (200, None, "", Hang),
    (200, Some("text/plain"), "", Hang),
    (204, None, "", Hang),
    (202, JSON, "", Hang),
    (200, JSON, "null", Hang),
    (200, JSON, " \r\n", Hang),
    // What the host's reader refuses.
    (200, Some("text/plain"), "ok", Failure),
    (200, Some("text/plain"), "{}", Failure),
    (200, Some("text/html"), "<p>", Failure),
    (200, None, "{}", Failure),
    (200, Some("application/octet-stream"), "{}", Failure),
    (200, Some("application/problem+json"), "{}", Failure),
    (200, JSON, "{", Failure),
    (200, JSON, "ok", Failure),
    (200, JSON, "[]", Failure),
    (200, JSON, "[null,null,null]", Failure),
    (200, JSON, "\"ok\"", Failure),
    (200, JSON, "true", Failure),
    (200, JSON, r#"{"Outputs":[]}"#, Failure),
    (200, JSON, r#"{"Logs":"a line"}"#, Failure),
    // Any other status, whatever the body.
    (301, JSON, "{}", Failure),
    (304, None, "", Failure),
    (400, JSON, "{}", Failure),
    (404, Some("application/problem+json"), "{}", Failure),
    (500, JSON, r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#, Failure),
    (500, None, "", Failure),
    (503, Some("text/plain"), "busy", Failure),
];

#[test]
fn every_reply_ends_an_invocation_as_the_host_ends_it() {
    for (status, content_type, body, expected) in CASES {
        let judged = match judge(*status, *content_type, body.as_bytes()) {
            Verdict::Success => Success,
            Verdict::Failure(_) => Failure,
            Verdict::Hang => Hang,
        };
        assert_eq!(judged, *expected, "{status} {content_type:?} {body:?}");
    }
}
