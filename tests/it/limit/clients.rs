//! Quotas as a client meets them.

use std::{sync::Arc, time::Duration};

use asklake::{http, limit::Limits, runtime::worker, service::Policy};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{NONE, by_address, for_all, within};
use crate::support::{
    embedded::Embedded,
    scripted::{ScriptedModel, ScriptedWarehouse},
    server::TestServer,
};

/// What the scripted model never comes to a reply to.
const HARD: &str = "why?";
/// The tokens of a turn with one query: two calls.
const TOKENS: u64 = 2 * 15;

async fn server(policy: Policy) -> TestServer {
    server_with(ScriptedWarehouse::new(Duration::ZERO), policy).await
}

async fn server_with(warehouse: ScriptedWarehouse, policy: Policy) -> TestServer {
    let embedded = Embedded::open();
    let mut model = ScriptedModel::querying(1, Duration::ZERO);
    model.pondered = Some(HARD.into());
    let ledger = Arc::clone(&embedded.ledger);
    let service = within(&embedded, Arc::new(model), Arc::new(warehouse), ledger, policy);
    let http = http::Settings { trusted_proxies: 1, ..http::Settings::default() };
    TestServer::serve(embedded, service, http, worker::Settings::default()).await
}

/// Asks as a client behind a proxy that saw `address`.
async fn ask_from(server: &TestServer, address: &str, question: &str) -> Response {
    let request = server.request(Method::POST, "/api/chat/start").header("x-forwarded-for", address);
    request.json(&json!({"question": question})).send().await.unwrap()
}

async fn id(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::ACCEPTED, "{}", response.text().await.unwrap());
    response.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

fn retry_after(response: &Response) -> u64 {
    header(response, "retry-after").parse().unwrap()
}

async fn refused(response: Response, quota: &str) -> Value {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["type"], format!("https://asklake.dev/problems/{quota}"));
    body
}

/// Text without what depends on the hour.
fn timeless(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split(", in ").enumerate() {
        out.push_str(if index == 0 { part } else { ", in TIME" });
    }
    out
}

#[tokio::test]
async fn a_question_beyond_the_quota_is_refused_with_a_problem_that_names_it_and_says_when_to_try_again() {
    let server = server(by_address(Limits { questions: Some(2), ..NONE })).await;
    let first = ask_from(&server, "203.0.113.9", "which films?").await;
    assert_eq!(header(&first, "ratelimit-policy"), "\"quota-address-questions-per-day\";q=2;w=86400");
    assert!(header(&first, "ratelimit").starts_with("\"quota-address-questions-per-day\";r=1;t="), "{first:?}");
    let first = id(first).await;
    id(ask_from(&server, "6.6.6.6, 203.0.113.9", "which films?").await).await;

    let third = ask_from(&server, "203.0.113.9", "which films?").await;
    assert!((1..=86_401).contains(&retry_after(&third)));
    assert_eq!(header(&third, "ratelimit-policy"), "\"quota-address-questions-per-day\";q=2;w=86400");
    assert!(header(&third, "ratelimit").starts_with("\"quota-address-questions-per-day\";r=0;t="));
    let mut problem = refused(third, "quota-address-questions-per-day").await;
    for field in ["detail", "error"] {
        problem[field] = timeless(problem[field].as_str().unwrap()).into();
    }
    insta::assert_json_snapshot!(problem);

    // A follow-up is a question too; reads are none, and another address has its own.
    server.ended(&first).await;
    let path = format!("/api/chat/{first}/messages");
    let ask = server.request(Method::POST, &path).header("x-forwarded-for", "203.0.113.9").json(&json!({"question": "and?"}));
    refused(ask.send().await.unwrap(), "quota-address-questions-per-day").await;
    assert!(server.get(&path).await.headers().get("ratelimit").is_none(), "nothing limits it");
    id(ask_from(&server, "203.0.113.10", "which films?").await).await;
    server.stop().await;
}

#[tokio::test]
async fn a_place_among_the_questions_at_once_is_free_again_when_the_turn_ends_in_whatever_way() {
    let server = server(by_address(Limits { at_once: Some(1), ..NONE })).await;
    let ask = |question: &'static str| ask_from(&server, "203.0.113.9", question);
    for end in ["cancel", "delete"] {
        let running = id(ask(HARD).await).await;
        let beside = ask("which films?").await;
        assert_eq!(retry_after(&beside), 6);
        refused(beside, "quota-address-questions-at-once").await;
        let request = match end {
            "cancel" => server.request(Method::POST, &format!("/api/chat/{running}/cancel")),
            _ => server.request(Method::DELETE, &format!("/api/chat/{running}")),
        };
        assert!(request.send().await.unwrap().status().is_success());
    }
    // Whoever sees that the turn has ended may ask at once.
    for _ in 0..3 {
        let asked = id(ask("which films?").await).await;
        assert_eq!(server.ended(&asked).await["status"], "completed");
    }
    // A follow-up is refused while its conversation is at work, and takes no place by that.
    let asked = id(ask("which films?").await).await;
    server.ended(&asked).await;
    let follow_up = |question: &'static str| {
        let request = server.request(Method::POST, &format!("/api/chat/{asked}/messages")).header("x-forwarded-for", "203.0.113.9");
        async move { request.json(&json!({"question": question})).send().await.unwrap() }
    };
    assert_eq!(follow_up(HARD).await.status(), StatusCode::ACCEPTED);
    assert_eq!(follow_up("which films?").await.status(), StatusCode::CONFLICT);
    refused(ask("which films?").await, "quota-address-questions-at-once").await;
    server.stop().await;
}

#[tokio::test]
async fn a_question_that_was_sent_again_or_not_taken_is_counted_once_or_not_at_all() {
    let server = server(by_address(Limits { questions: Some(3), ..NONE })).await;
    let keyed = async |key: &str, question: &str| {
        let request = server.request(Method::POST, "/api/chat/start").header("idempotency-key", key);
        request.header("x-forwarded-for", "203.0.113.9").json(&json!({"question": question})).send().await.unwrap()
    };
    let first = id(keyed("a", "which films?").await).await;
    for _ in 0..5 {
        assert_eq!(id(keyed("a", "which films?").await).await, first);
    }
    assert_eq!(keyed("a", "another").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    for question in ["", " "] {
        assert_eq!(ask_from(&server, "203.0.113.9", question).await.status(), StatusCode::BAD_REQUEST);
    }
    id(keyed("b", "which films?").await).await;
    id(keyed("c", "which films?").await).await;
    refused(keyed("d", "which films?").await, "quota-address-questions-per-day").await;
    assert_eq!(id(keyed("a", "which films?").await).await, first, "what was taken is still there for whoever sends it again");
    server.stop().await;
}

#[tokio::test]
async fn tokens_that_were_used_refuse_the_next_question_of_anybody() {
    let server = server(for_all(Limits { tokens: Some(TOKENS + 1), ..NONE })).await;
    for left in [TOKENS + 1, 1] {
        let asked = ask_from(&server, "203.0.113.9", "which films?").await;
        assert_eq!(header(&asked, "ratelimit-policy"), format!("\"quota-app-tokens-per-day\";q={};w=86400;qu=\"tokens\"", TOKENS + 1));
        assert!(header(&asked, "ratelimit").contains(&format!(";r={left};")), "{asked:?}");
        server.ended(&id(asked).await).await;
    }
    refused(ask_from(&server, "203.0.113.10", "which films?").await, "quota-app-tokens-per-day").await;
    server.stop().await;
}

#[tokio::test]
async fn seconds_that_queries_ran_refuse_the_next_question_of_the_address() {
    let warehouse = ScriptedWarehouse::new(Duration::from_millis(1100));
    let server = server_with(warehouse, by_address(Limits { warehouse: Some(1), ..NONE })).await;
    let asked = ask_from(&server, "203.0.113.9", "which films?").await;
    assert_eq!(header(&asked, "ratelimit-policy"), "\"quota-address-warehouse-seconds-per-day\";q=1;w=86400;qu=\"seconds\"");
    server.ended(&id(asked).await).await;
    refused(ask_from(&server, "203.0.113.9", "which films?").await, "quota-address-warehouse-seconds-per-day").await;
    id(ask_from(&server, "203.0.113.10", "which films?").await).await;
    server.stop().await;
}

#[tokio::test]
async fn requests_beyond_the_quota_of_a_minute_are_refused_whatever_they_ask_for() {
    let limit = 20;
    let server = server(by_address(Limits { requests: Some(limit), ..NONE })).await;
    let path = format!("/api/chat/{}/status", uuid::Uuid::new_v4());
    let read = async || server.request(Method::GET, &path).header("x-forwarded-for", "203.0.113.9").send().await.unwrap();
    let mut admitted = 0;
    let mut refusals = 0;
    // Enough for a refusal also where a minute ends in between.
    for _ in 0..=2 * limit {
        let response = read().await;
        if response.status() == StatusCode::NOT_FOUND {
            admitted += 1;
        } else {
            assert!((1..=61).contains(&retry_after(&response)));
            refused(response, "quota-address-requests-per-minute").await;
            refusals += 1;
        }
    }
    assert!(refusals > 0 && admitted >= limit && admitted <= 2 * limit, "{admitted} {refusals}");
    let other = server.json("/api/health").await;
    assert_eq!(other["status"], "ok", "no request to the API of conversations");
    server.stop().await;
}

#[tokio::test]
async fn readiness_tells_of_the_ledger() {
    let server = server(for_all(Limits { questions: Some(1), ..NONE })).await;
    let ready = server.json("/api/ready").await;
    let ledger = ready["dependencies"].as_array().unwrap().iter().find(|dependency| dependency["name"] == "quotas").unwrap();
    assert_eq!((&ledger["kind"], &ledger["status"]), (&json!("sqlite"), &json!("ok")));
    server.stop().await;
}
