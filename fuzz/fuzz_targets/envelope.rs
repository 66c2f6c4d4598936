//! Any bytes as the envelope of a queue message: the Functions host is always answered with a JSON object, as what it hangs on is an answer
//! without one.

#![no_main]

use std::time::Duration;

use asklake::http::worker;
use asklake_fuzz::{Routes, ask, service};
use bytes::Bytes;
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use warp::Filter;

thread_local!(static ROUTES: Routes = worker::routes(service(), Duration::from_secs(2)).boxed());

fuzz_target!(|envelope: &[u8]| {
    for lane in ["worker", "poison"] {
        let request = http::Request::post(format!("http://127.0.0.1/{lane}"))
            .header("host", "127.0.0.1:7071")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(envelope)))
            .expect("a request");
        let answer = ROUTES.with(|routes| ask(routes, request));
        assert!(matches!(answer.status, 200 | 413 | 500), "{}", answer.status);
        assert!(serde_json::from_slice::<Value>(&answer.body).expect("JSON").is_object());
    }
});
