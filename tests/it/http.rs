//! The HTTP contract, seen by a client: a server on a port of its own, driven by HTTP only.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use asklake::{conversation::Timestamp, http::Settings, model};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    scripted::{ScriptedModel, ScriptedWarehouse, query},
    server::TestServer,
};

async fn server() -> TestServer {
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::from_millis(20)));
    TestServer::start(Arc::new(ScriptedModel::querying(1, Duration::from_millis(5))), warehouse).await
}

/// A server whose conversations stay in their first stage until the test ends.
async fn stuck_server() -> TestServer {
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    TestServer::start(Arc::new(ScriptedModel::querying(0, Duration::from_secs(3600))), warehouse).await
}

/// Replaces what differs from run to run, so that the rest can be compared to the letter.
fn normalised(mut value: Value) -> Value {
    fn walk(key: &str, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| walk(key, value)),
            Value::Array(values) => values.iter_mut().for_each(|value| walk(key, value)),
            Value::String(text) if key.ends_with("_at") || key == "timestamp" => {
                assert!(text.len() == 24 && text.ends_with('Z'), "{key} has milliseconds and Z: {text}");
                *text = "TIME".into();
            }
            Value::String(text) if text.len() >= 36 && text.matches('-').count() >= 4 => *text = "ID".into(),
            Value::Number(_) if key.ends_with("_ms") => *value = json!("MS"),
            _ => {}
        }
    }
    walk("", &mut value);
    value
}

async fn problem(response: reqwest::Response, status: u16) -> Value {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.headers().contains_key("x-request-id"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    assert_eq!(body["error"], body["detail"]);
    assert!(body["type"].as_str().unwrap().starts_with("https://"), "{body}");
    assert!(body["detail"].as_str().unwrap().len() > 10, "{body}");
    body
}

#[tokio::test]
async fn start_answers_202_at_once_with_the_published_body() {
    let server = stuck_server().await;
    let response = server.post_start(&json!({"question": "  which films?  ", "unknown": {"is": "ignored"}})).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    let id = body["conversation_id"].as_str().unwrap();
    assert_eq!(location, format!("/api/chat/{id}/status"));
    assert_eq!(
        body,
        json!({"status": "success", "conversation_id": id, "processing_status": "started",
            "message": "Conversation started. Poll /chat/{id}/status for updates.",
            "poll_url": location, "events_url": format!("/api/chat/{id}/events")})
    );
    assert_eq!(server.json(&location).await["question"], "which films?");
}

#[tokio::test]
async fn a_conversation_ends_without_anybody_polling_and_polling_calls_neither_model_nor_warehouse() {
    let model = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let server = TestServer::start(model.clone(), warehouse.clone()).await;
    let id = server.ask("which films?").await;
    let watch = async {
        while model.calls.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(300), watch).await.expect("the worker runs by itself");
    assert_eq!(server.ended(&id).await["status"], "completed");
    let before = (model.calls.load(Ordering::SeqCst), warehouse.polls.load(Ordering::SeqCst));
    for _ in 0..50 {
        server.json(&format!("/api/chat/{id}/status")).await;
        server.json(&format!("/api/chat/{id}/messages")).await;
    }
    assert_eq!(before, (model.calls.load(Ordering::SeqCst), warehouse.polls.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn status_of_a_completed_conversation_has_the_published_shape() {
    let server = server().await;
    let id = server.ask("which films?").await;
    insta::assert_json_snapshot!(normalised(server.ended(&id).await));
}

#[tokio::test]
async fn messages_have_the_published_shape() {
    let server = server().await;
    let id = server.ask("which films?").await;
    server.ended(&id).await;
    insta::assert_json_snapshot!(normalised(server.json(&format!("/api/chat/{id}/messages")).await));
}

#[tokio::test]
async fn results_come_as_json_csv_and_ndjson() {
    let server = server().await;
    let id = server.ask("which films?").await;
    server.ended(&id).await;
    let path = format!("/api/chat/{id}/results/1");
    insta::assert_json_snapshot!(normalised(server.json(&path).await));
    let csv = server.get(&format!("{path}?format=csv")).await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(csv.text().await.unwrap(), "primaryTitle\r\n\"'=One, \"\"two\"\"\"\r\n\"\"\r\n", "formulas are made text");
    let ndjson = server.get(&format!("{path}?format=ndjson")).await;
    assert_eq!(ndjson.headers()["content-type"], "application/x-ndjson");
    assert_eq!(ndjson.text().await.unwrap(), "{\"primaryTitle\":\"=One, \\\"two\\\"\"}\n{\"primaryTitle\":null}\n");
    problem(server.get(&format!("{path}?format=xml")).await, 400).await;
    problem(server.get(&format!("/api/chat/{id}/results/2")).await, 404).await;
}

#[tokio::test]
async fn an_unchanged_status_is_304_and_a_changed_one_is_not() {
    let server = server().await;
    let id = server.ask("which films?").await;
    server.ended(&id).await;
    let path = format!("/api/chat/{id}/status");
    let etag = server.get(&path).await.headers()["etag"].to_str().unwrap().to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    for known in [etag.clone(), format!("\"other\", {etag}"), "*".to_owned()] {
        let response = server.request(Method::GET, &path).header("If-None-Match", known).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(response.headers()["etag"].to_str().unwrap(), etag);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    let stale = server.request(Method::GET, &path).header("If-None-Match", "W/\"1\"").send().await.unwrap();
    assert_eq!(stale.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_long_poll_answers_at_the_next_commit() {
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::from_millis(300)));
    let server = TestServer::start(Arc::new(ScriptedModel::querying(1, Duration::from_millis(100))), warehouse).await;
    let id = server.ask("which films?").await;
    let mut revisions = vec![];
    let began = Instant::now();
    while revisions.len() < 5 {
        let after = revisions.last().copied().unwrap_or(1);
        let status = server.json(&format!("/api/chat/{id}/status?wait=30&after={after}")).await;
        revisions.push(status["revision"].as_u64().unwrap());
        if status["status"] == "completed" {
            break;
        }
    }
    assert!(revisions.windows(2).all(|pair| pair[0] < pair[1]), "{revisions:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "no poll waited for its full time");
}

#[tokio::test]
async fn a_long_poll_without_news_ends_after_its_time() {
    let server = stuck_server().await;
    let id = server.ask("which films?").await;
    let path = format!("/api/chat/{id}/status");
    let began = Instant::now();
    let response = server.request(Method::GET, &format!("{path}?wait=1")).header("If-None-Match", "W/\"1\"").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let preferred = server.request(Method::GET, &path).header("If-None-Match", "W/\"1\"").header("Prefer", "respond-async, wait=1");
    let began = Instant::now();
    assert_eq!(preferred.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    assert!(began.elapsed() >= Duration::from_secs(1), "Prefer: wait is honoured");
}

#[tokio::test]
async fn bad_starts_get_a_problem_and_change_nothing() {
    let server = stuck_server().await;
    let long = "x".repeat(4001);
    let label = "x".repeat(129);
    let bodies = [
        (400, r#"{"question":"#.to_owned()),
        (400, "[]".into()),
        (400, "null".into()),
        (400, r#"["which films?", null, null, null, false]"#.into()),
        (400, r#"{"user_id":"u"}"#.into()),
        (400, r#"{"question":null}"#.into()),
        (400, r#"{"question":7}"#.into()),
        (400, r#"{"question":"   "}"#.into()),
        (400, json!({"question": long}).to_string()),
        (400, json!({"question": "q", "user_id": label}).to_string()),
        (400, json!({"question": "q", "device_id": 4}).to_string()),
        (400, json!({"question": "q", "language": "not a tag"}).to_string()),
        (413, json!({"question": "q", "padding": "x".repeat(70_000)}).to_string()),
    ];
    for (status, body) in bodies {
        let request = server.request(Method::POST, "/api/chat/start").header("content-type", "application/json");
        problem(request.body(body).send().await.unwrap(), status).await;
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let request = server.request(Method::POST, "/api/chat/start").header("content-type", content_type).body(r#"{"question":"q"}"#);
        problem(request.send().await.unwrap(), 415).await;
    }
    problem(server.request(Method::POST, "/api/chat/start").body(r#"{"question":"q"}"#).send().await.unwrap(), 415).await;
    let invalid = server.request(Method::POST, "/api/chat/start").header("content-type", "application/json").body(vec![b'"', 0xff, b'"']);
    problem(invalid.send().await.unwrap(), 400).await;
    let key = server
        .request(Method::POST, "/api/chat/start")
        .header("Idempotency-Key", "k".repeat(129))
        .json(&json!({"question": "q", "user_id": "u"}));
    problem(key.send().await.unwrap(), 400).await;
    problem(
        server
            .request(Method::POST, "/api/chat/start")
            .header("Idempotency-Key", "a b")
            .json(&json!({"question": "q"}))
            .send()
            .await
            .unwrap(),
        400,
    )
    .await;
    assert_eq!(server.json("/api/chat/history?user_id=u").await["conversations"], json!([]));
}

#[tokio::test]
async fn the_longest_allowed_question_and_labels_are_taken() {
    let server = stuck_server().await;
    let question = "ü".repeat(4000);
    let label = "ß".repeat(128);
    let response = server.post_start(&json!({"question": question, "user_id": label, "device_id": "", "language": "zh-Hant-TW"})).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_same_conversation_for_the_same_body_only() {
    let server = stuck_server().await;
    let start = |question: &str| {
        let body = json!({"question": question, "user_id": "u"});
        server.request(Method::POST, "/api/chat/start").header("Idempotency-Key", "once").json(&body).send()
    };
    let first: Value = start("which films?").await.unwrap().json().await.unwrap();
    let again = start("which films?").await.unwrap();
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    problem(start("other films?").await.unwrap(), 422).await;
    let anew = json!({"question": "which films?", "user_id": "u", "fresh": true});
    let anew = server.request(Method::POST, "/api/chat/start").header("Idempotency-Key", "once").json(&anew).send();
    problem(anew.await.unwrap(), 422).await;
    let same = json!({"question": "which films?", "user_id": "u", "fresh": null});
    let same = server.request(Method::POST, "/api/chat/start").header("Idempotency-Key", "once").json(&same).send();
    assert_eq!(same.await.unwrap().json::<Value>().await.unwrap(), first);
    assert_eq!(server.json("/api/chat/history?user_id=u").await["conversations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn twenty_equal_starts_at_once_make_one_conversation() {
    let server = stuck_server().await;
    let body = json!({"question": "which films?", "user_id": "u"});
    let start = || server.request(Method::POST, "/api/chat/start").header("Idempotency-Key", "burst").json(&body).send();
    let responses = futures_util::future::join_all((0..20).map(|_| start())).await;
    assert!(responses.into_iter().all(|response| response.unwrap().status() == StatusCode::ACCEPTED));
    assert_eq!(server.json("/api/chat/history?user_id=u").await["conversations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn unknown_ids_are_404_and_wrong_methods_405_with_allow() {
    let server = stuck_server().await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    for path in [
        "/api/nothing".to_owned(),
        "/api/chat/not-a-uuid/status".into(),
        format!("/api/chat/{unknown}/status"),
        format!("/api/chat/{unknown}/status?wait=60"),
        format!("/api/chat/{unknown}/messages"),
        format!("/api/chat/{unknown}/results/1"),
        format!("/api/chat/{unknown}/results/0"),
        format!("/api/chat/{unknown}/results/-1"),
        format!("/api/chat/{unknown}/status/"),
        "/worker".into(),
    ] {
        let body = problem(server.get(&path).await, 404).await;
        assert_eq!(body["instance"], path.split('?').next().unwrap());
    }
    for (method, path, allow) in [
        (Method::GET, "/api/chat/start".to_owned(), "POST, OPTIONS"),
        (Method::DELETE, format!("/api/chat/{unknown}/status"), "GET, HEAD, OPTIONS"),
        (Method::POST, "/api/health".into(), "GET, HEAD, OPTIONS"),
        (Method::from_bytes(b"BREW").unwrap(), "/api/health".into(), "GET, HEAD, OPTIONS"),
    ] {
        let response = server.request(method, &path).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow);
        problem(response, 405).await;
    }
}

#[tokio::test]
async fn bad_parameters_get_a_problem() {
    let server = stuck_server().await;
    let id = server.ask("which films?").await;
    for query in ["wait=61", "wait=-1", "wait=x", "wait=1&wait=2", "wait=%FF", "after=x&wait=1", "after=-1"] {
        problem(server.get(&format!("/api/chat/{id}/status?{query}")).await, 400).await;
    }
    for query in
        ["", "limit=5", "user_id=u&limit=0", "user_id=u&limit=101", "user_id=u&cursor=nonsense", "user_id=u&user_id=v", "user_id=%FF"]
    {
        problem(server.get(&format!("/api/chat/history?{query}")).await, 400).await;
    }
}

#[tokio::test]
async fn history_is_newest_first_by_user_or_device_and_pages_without_gaps() {
    let server = stuck_server().await;
    for number in 0..7 {
        let body = json!({"question": format!("question {number}"), "user_id": "u", "device_id": format!("d{}", number % 2)});
        server.post_start(&body).await;
        // Those of one millisecond have no order in time.
        let now = Timestamp::now();
        while Timestamp::now() <= now {
            tokio::task::yield_now().await;
        }
    }
    server.post_start(&json!({"question": "somebody else's", "user_id": "v"})).await;
    let mut questions = vec![];
    let mut cursor = String::new();
    loop {
        let page = server.json(&format!("/api/chat/history?user_id=u&limit=3&cursor={cursor}")).await;
        questions.extend(page["conversations"].as_array().unwrap().iter().map(|entry| entry["question"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        next.clone_into(&mut cursor);
    }
    let expected: Vec<String> = (0..7).rev().map(|number| format!("question {number}")).collect();
    assert_eq!(questions, expected);
    let device = server.json("/api/chat/history?user_id=u&device_id=d1").await;
    assert_eq!(device["conversations"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_failed_turn_is_an_error_status_not_an_http_error() {
    let model = ScriptedModel::new(Duration::ZERO, |_, _| Err(model::Error::Refused("content filter".into())));
    let server = TestServer::start(Arc::new(model), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let id = server.ask("which films?").await;
    let status = server.ended(&id).await;
    assert_eq!(status["status"], "error");
    assert_eq!(status["error"], "The model refused the request: content filter");
    assert_eq!(status["error_detail"], json!({"code": "model_refused", "retryable": false}));
    assert_eq!(status["final_answer"], Value::Null);
    assert_eq!(status["progress"]["percentage"], 10, "on error it stays where it was");
}

#[tokio::test]
async fn a_refused_statement_is_given_back_twice_and_never_reaches_the_warehouse() {
    let model = ScriptedModel::new(Duration::ZERO, |_, _| Ok(query("DROP TABLE imdb.movies_delta")));
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let server = TestServer::start(Arc::new(model), warehouse.clone()).await;
    let id = server.ask("delete everything").await;
    let status = server.ended(&id).await;
    assert_eq!(status["error_detail"]["code"], "query_failed");
    assert_eq!(status["databricks_jobs"].as_array().unwrap().len(), 3);
    assert!(warehouse.launches.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call_and_another_may_not() {
    let settings = Settings { cors_allowed_origins: vec!["https://pages.example".into()], ..Settings::default() };
    let model = Arc::new(ScriptedModel::querying(0, Duration::ZERO));
    let server = TestServer::start_with(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await;
    let preflight = |origin: &str| {
        let request = server.request(Method::OPTIONS, "/api/chat/start").header("Origin", origin);
        request
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type,idempotency-key")
            .send()
    };
    let allowed = preflight("https://pages.example").await.unwrap();
    assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://pages.example");
    assert!(allowed.headers()["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
    let other = preflight("https://evil.example").await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"), "the browser keeps it from the page");
    let read = server.request(Method::GET, "/api/health").header("Origin", "https://pages.example").send().await.unwrap();
    assert_eq!(read.headers()["access-control-allow-origin"], "https://pages.example");
    assert!(read.headers()["access-control-expose-headers"].to_str().unwrap().contains("etag"));
}

#[tokio::test]
async fn our_own_page_may_post_although_its_browser_sends_an_origin() {
    let server = server().await;
    let request = server.request(Method::POST, "/api/chat/start").header("Origin", "http://127.0.0.1:7071").json(&json!({"question": "q"}));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn health_ready_and_openapi_answer() {
    let server = server().await;
    assert_eq!(server.json("/api/health").await["status"], "ok");
    let ready = server.json("/api/ready").await;
    assert_eq!(ready["model"], "scripted model");
    assert_eq!(ready["dependencies"].as_array().unwrap().len(), 4);
    assert_eq!(server.json("/api/openapi.json").await["openapi"], "3.1.0");
    let head = server.request(Method::HEAD, "/api/health").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    let echoed = server.request(Method::GET, "/api/health").header("X-Request-Id", "my-id-1").send().await.unwrap();
    assert_eq!(echoed.headers()["x-request-id"], "my-id-1");
}

#[tokio::test]
async fn a_hundred_questions_whether_it_is_ready_ask_the_dependencies_once() {
    let mut model = ScriptedModel::querying(0, Duration::ZERO);
    model.probe_time = Duration::from_millis(300);
    let model = Arc::new(model);
    let server = TestServer::start(Arc::clone(&model) as _, Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    // The first one is gone before there is an answer, and costs those after it nothing.
    let gone = tokio::time::timeout(Duration::from_millis(100), server.get("/api/ready")).await;
    assert!(gone.is_err());
    let asked = futures_util::future::join_all((0..100).map(|_| server.get("/api/ready"))).await;
    assert!(asked.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(server.get("/api/ready").await.status(), StatusCode::OK, "nor is it asked again a moment later");
    assert_eq!(model.probes.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(server.get("/api/ready").await.status(), StatusCode::OK);
    assert_eq!(model.probes.load(Ordering::SeqCst), 2, "a result is not kept for long");
}
