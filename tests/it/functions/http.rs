//! The API through both of the host's ways to pass a request on.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::{BOTH, Product, QUESTION};
use crate::support::host::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_with_its_messages_and_rows_in_both_modes() {
    for mode in BOTH {
        let product = Product::start(|settings| settings.mode = mode).await;
        let id = product.ask(QUESTION).await;
        let status = product.ended(&id).await;
        assert_eq!(status["status"], "completed", "{status:#}");
        assert!(status["final_answer"].as_str().unwrap().contains("42"), "{status:#}");
        assert_eq!(status["databricks_jobs"][0]["status"], "completed");
        let messages = product.json(&format!("/api/chat/{id}/messages")).await;
        let roles: Vec<&str> = messages["messages"].as_array().unwrap().iter().map(|said| said["role"].as_str().unwrap()).collect();
        assert_eq!((roles.first(), roles.last()), (Some(&"user"), Some(&"assistant")));
        let rows = product.json(&format!("/api/chat/{id}/results/1")).await;
        assert_eq!(rows["rows"], json!([[42]]));
        let history = product.json("/api/chat/history?user_id=nobody").await;
        assert_eq!(history["conversations"], json!([]));
        assert_eq!(product.warehouse.counts().values().sum::<usize>(), 1, "{:?}", product.warehouse.counts());
        product.host.wait_idle(super::LONG).await;
        assert_eq!(product.host.counts().failures.get(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_is_held_until_something_changes_and_a_known_state_is_not_sent_again() {
    for mode in BOTH {
        let product = Product::start(|settings| settings.mode = mode).await;
        let id = product.ask(QUESTION).await;
        let status = product.ended(&id).await;
        let path = format!("/api/chat/{id}/status");
        let revision = status["revision"].as_u64().unwrap();
        let known = product.request(Method::GET, &path).header("if-none-match", format!("W/\"{revision}\"")).send().await.unwrap();
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{mode:?}");
        let held = product.request(Method::GET, &format!("{path}?wait=1&after={revision}")).send();
        let answer = held.await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["revision"], revision);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_as_they_happen_through_a_host_that_proxies() {
    let product = Product::start_with(Duration::from_secs(3), |settings| settings.mode = Mode::Proxying).await;
    let id = product.ask(QUESTION).await;
    let mut stream = product.request(Method::GET, &format!("/api/chat/{id}/events")).send().await.unwrap();
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut text = String::new();
    while !text.contains("event: status") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    // The warehouse takes its time, and the stream is not whole before that.
    assert_eq!(product.json(&format!("/api/chat/{id}/status")).await["status"], "processing");
    while let Some(chunk) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.contains("\"status\":\"completed\""), "{text}");
    assert!(text.trim_end().rsplit("\n\n").next().unwrap().starts_with("event: done"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_only_forwards_gets_no_stream_and_is_told_so_at_once() {
    let product = Product::start(|settings| settings.mode = Mode::Forwarding).await;
    let id = product.ask(QUESTION).await;
    let refused = product.request(Method::GET, &format!("/api/chat/{id}/events")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains(&format!("/api/chat/{id}/status?wait=")), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_host_passes_a_websocket_on_and_the_answer_names_the_events() {
    for mode in BOTH {
        let product = Product::start(|settings| settings.mode = mode).await;
        let id = product.ask(QUESTION).await;
        let handshake = product
            .request(Method::GET, &format!("/api/chat/{id}/ws"))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        let refused = handshake.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UPGRADE_REQUIRED, "{mode:?}");
        let problem: Value = refused.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(&format!("/api/chat/{id}/events")), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_and_a_foreign_origin_are_answered_by_asklake() {
    for mode in BOTH {
        let product = Product::start(|settings| settings.mode = mode).await;
        for path in ["/api/chat/start", "/api/chat/0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b/status", "/api/health"] {
            let preflight = product
                .request(Method::OPTIONS, path)
                .header("origin", "https://page.example")
                .header("access-control-request-method", "GET")
                .send()
                .await
                .unwrap();
            assert_eq!(preflight.status(), StatusCode::NO_CONTENT, "{path}");
            assert_eq!(preflight.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://page.example", "{mode:?} {path}");
        }
        let foreign = product.request(Method::GET, "/api/health").header("origin", "https://evil.example").send().await.unwrap();
        assert_eq!(foreign.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_and_too_large_ones_are_refused_with_a_problem() {
    for mode in BOTH {
        let product = Product::start(|settings| settings.mode = mode).await;
        let long = json!({"question": format!("{QUESTION}{}", " ".repeat(60_000)), "further": "field"});
        let accepted = product.request(Method::POST, "/api/chat/start").json(&long).send().await.unwrap();
        assert_eq!(accepted.status(), StatusCode::ACCEPTED, "{mode:?}");
        for size in [100_000, 900_000] {
            let too_large = json!({"question": "x".repeat(size)});
            let refused = product.request(Method::POST, "/api/chat/start").json(&too_large).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE, "{mode:?}");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["status"], 413, "{problem:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunked_question_is_lost_by_forwarding_and_that_is_told() {
    for (mode, expected) in [(Mode::Forwarding, StatusCode::BAD_REQUEST), (Mode::Proxying, StatusCode::ACCEPTED)] {
        let product = Product::start(|settings| settings.mode = mode).await;
        let body = reqwest::Body::wrap(crate::support::host::wire::chunked(json!({"question": QUESTION}).to_string().as_bytes()));
        let request = product.request(Method::POST, "/api/chat/start").header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected, "{mode:?}: {}", response.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_cannot_be_reached_from_outside() {
    let product = Product::start(|_| {}).await;
    let envelope = json!({"Data": {"wake": "{}"}, "Metadata": {}});
    for path in ["/worker", "/poison", "/api/worker", "/api/poison", "/api/../worker", "/api/%2e%2e/worker"] {
        let response = product.request(Method::POST, path).json(&envelope).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    // Nor by another page on this machine, whose request names another host.
    let port = product.host.live().await.port;
    let direct = product.client.post(format!("http://127.0.0.1:{port}/worker")).header("host", "evil.example").json(&envelope);
    assert_eq!(direct.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}
