//! Server-sent events, seen by a client.

use std::{sync::Arc, time::Duration};

use asklake::http::Settings;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{Act, Client, server, told_server};
use crate::support::{
    issuer::{Issuer, accepting},
    scripted::{ScriptedModel, ScriptedWarehouse, answer},
    server::TestServer,
};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test]
async fn a_stream_tells_every_state_as_status_does_and_ends_with_the_turn() {
    let server = server().await;
    let id = server.ask("which films?").await;
    let mut client = Client::of(&server, &id).await;
    assert_eq!(client.block().await.as_deref(), Some("retry: 1000"));
    let mut events = client.rest().await;
    let done = events.pop().unwrap();
    let status = server.json(&format!("/api/chat/{id}/status")).await;
    assert_eq!((done.name.as_str(), done.id, &done.data["revision"]), ("done", status["revision"].as_u64(), &status["revision"]));
    assert_eq!(events.last().unwrap().data, status);
    assert!(events.iter().all(|event| event.name == "status" && event.id == event.data["revision"].as_u64()), "{events:#?}");
    let revisions: Vec<u64> = events.iter().map(|event| event.id.unwrap()).collect();
    assert!(revisions.is_sorted() && revisions.len() > 2, "{revisions:?}");
}

#[tokio::test]
async fn a_stream_of_an_ended_turn_tells_the_end_and_what_is_not_known_of_it() {
    let server = server().await;
    let id = server.ask("which films?").await;
    let revision = server.ended(&id).await["revision"].as_u64().unwrap();
    let names = |events: Vec<super::Event>| events.into_iter().map(|event| (event.name, event.id)).collect::<Vec<_>>();
    let both = [("status".to_owned(), Some(revision)), ("done".to_owned(), Some(revision))];
    let path = format!("/api/chat/{id}/events");
    for (query, last_event_id, expected) in [
        (String::new(), None, &both[..]),
        (String::new(), Some("1".to_owned()), &both),
        (String::new(), Some(revision.to_string()), &both[1..]),
        (format!("?after={revision}"), None, &both[1..]),
        (format!("?after={revision}"), Some("1".into()), &both),
        ("?after=1".into(), Some(revision.to_string()), &both[1..]),
        // Of another server, or of nobody: the client is told what there is.
        (String::new(), Some("9000".into()), &both),
        (String::new(), Some("nonsense".into()), &both),
        (String::new(), Some(String::new()), &both),
    ] {
        let mut request = server.request(Method::GET, &format!("{path}{query}"));
        if let Some(last) = &last_event_id {
            request = request.header("Last-Event-ID", last);
        }
        let events = Client::open(request).await.rest().await;
        assert_eq!(names(events), expected, "{query} {last_event_id:?}");
    }
}

#[tokio::test]
async fn a_client_that_knows_the_present_state_is_told_the_next() {
    let (server, tell) = told_server().await;
    let id = server.ask("which films?").await;
    let request = server.request(Method::GET, &format!("/api/chat/{id}/events")).header("Last-Event-ID", "1");
    let mut client = Client::open(request).await;
    tell.send(Act::Reply(answer("two films"))).unwrap();
    let event = client.next().await.unwrap();
    assert_eq!((event.name.as_str(), event.id), ("status", Some(2)));
    assert_eq!(client.next().await.unwrap().name, "done");
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn what_cannot_be_streamed_is_a_problem() {
    let server = server().await;
    for path in ["events", "ws"] {
        let unknown = server.get(&format!("/api/chat/not-a-uuid/{path}")).await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    }
    let unknown = server.get(&format!("/api/chat/{UNKNOWN}/events")).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.json::<Value>().await.unwrap()["detail"], "there is no conversation with this id, or it has expired");
    for query in ["after=x", "after=-1", "after=1&after=2", "after=9007199254740992"] {
        let bad = server.get(&format!("/api/chat/{UNKNOWN}/events?{query}")).await;
        assert_eq!(bad.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn head_answers_at_once_and_opens_no_stream() {
    let (server, _tell) = told_server().await;
    let id = server.ask("which films?").await;
    let head = server.request(Method::HEAD, &format!("/api/chat/{id}/events")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-type"], "text/event-stream");
    assert!(head.bytes().await.unwrap().is_empty());
    let unknown = server.request(Method::HEAD, &format!("/api/chat/{UNKNOWN}/events")).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_stream_too_many_is_refused_and_a_place_is_free_again_when_a_client_leaves() {
    let model = Arc::new(ScriptedModel::querying(0, Duration::from_secs(3600)));
    let settings = Settings { concurrent_streams: 2, ..Settings::default() };
    let server = TestServer::start_with(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await;
    let id = server.ask("which films?").await;
    let mut first = Client::of(&server, &id).await;
    assert_eq!(first.next().await.unwrap().name, "status");
    let _second = Client::of(&server, &id).await;
    let path = format!("/api/chat/{id}/events");
    let refused = server.get(&path).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(server.json(&format!("/api/chat/{id}/status")).await["revision"], 1, "other requests have places of their own");
    drop(first);
    let opened = async { while server.get(&path).await.status() != StatusCode::OK {} };
    tokio::time::timeout(super::LONG, opened).await.expect("the place is free again");
}

#[tokio::test]
async fn a_principal_has_streams_of_its_own_and_no_more() {
    let issuer = Issuer::start().await;
    let model = Arc::new(ScriptedModel::querying(0, Duration::from_secs(3600)));
    let settings = Settings { streams_per_caller: 1, authenticator: accepting(issuer.settings()), ..Settings::default() };
    let server = TestServer::start_with(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await;
    let started = async |token: &str| {
        let start =
            server.request(Method::POST, "/api/chat/start").bearer_auth(token).json(&serde_json::json!({"question": "which films?"}));
        let started: Value = start.send().await.unwrap().json().await.unwrap();
        format!("/api/chat/{}/events", started["conversation_id"].as_str().unwrap())
    };
    let (ann, bob) = (issuer.token("ann"), issuer.token("bob"));
    let (of_ann, of_bob) = (started(&ann).await, started(&bob).await);
    let open = async |path: &str, token: &str| server.request(Method::GET, path).bearer_auth(token).send().await.unwrap();
    let first = open(&of_ann, &ann).await;
    assert_eq!(first.status(), StatusCode::OK);
    let refused = open(&of_ann, &ann).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(refused.json::<Value>().await.unwrap()["title"], "Too many streams");
    assert_eq!(open(&of_bob, &bob).await.status(), StatusCode::OK, "another principal has room");
    drop(first);
    let opened = async { while open(&of_ann, &ann).await.status() != StatusCode::OK {} };
    tokio::time::timeout(super::LONG, opened).await.expect("the place is free again");
}

#[tokio::test]
async fn a_stream_ends_with_done_when_its_turn_is_canceled_or_its_conversation_deleted() {
    let (server, _tell) = told_server().await;
    let id = server.ask("which films?").await;
    let mut client = Client::of(&server, &id).await;
    assert_eq!(client.next().await.unwrap().name, "status");
    assert!(server.request(Method::POST, &format!("/api/chat/{id}/cancel")).send().await.unwrap().status().is_success());
    let rest = client.rest().await;
    assert_eq!(rest.last().unwrap().name, "done");
    assert_eq!(rest[rest.len() - 2].data["error_detail"]["code"], "canceled", "{rest:#?}");

    let id = server.ask("which films?").await;
    let mut client = Client::of(&server, &id).await;
    assert_eq!(client.next().await.unwrap().name, "status");
    assert_eq!(server.request(Method::DELETE, &format!("/api/chat/{id}")).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let names: Vec<String> = client.rest().await.into_iter().map(|event| event.name).collect();
    assert_eq!(names, ["done"]);
}

#[tokio::test]
async fn the_stream_of_a_follow_up_goes_on_from_the_turn_before() {
    let (server, tell) = told_server().await;
    let id = server.ask("which films?").await;
    tell.send(Act::Reply(answer("two films"))).unwrap();
    let ended = server.ended(&id).await["revision"].as_u64().unwrap();
    let asked = server.request(Method::POST, &format!("/api/chat/{id}/messages")).json(&serde_json::json!({"question": "and series?"}));
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let request = server.request(Method::GET, &format!("/api/chat/{id}/events?after={ended}"));
    let mut client = Client::open(request).await;
    let event = client.next().await.unwrap();
    assert_eq!((event.name.as_str(), &event.data["turn"]), ("status", &serde_json::json!(2)));
    tell.send(Act::Reply(answer("two films"))).unwrap();
    assert_eq!(client.rest().await.last().unwrap().name, "done");
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let (server, _tell) = told_server().await;
    let id = server.ask("which films?").await;
    let mut client = Client::of(&server, &id).await;
    assert_eq!(client.next().await.unwrap().name, "status");
    let (rest, ()) = tokio::join!(client.rest(), async {
        // The model never replies, so the worker is given up at the end of its drain; the stream does not wait for that.
        drop(tokio::spawn(server.stop()));
    });
    assert_eq!(rest, [], "the turn has not ended, and the client is not told that it had");
}

#[tokio::test]
async fn pages_of_allowed_origins_may_resume_a_stream() {
    let settings = Settings { cors_allowed_origins: vec!["https://pages.example".into()], ..Settings::default() };
    let model = Arc::new(ScriptedModel::querying(0, Duration::ZERO));
    let server = TestServer::start_with(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await;
    let id = server.ask("which films?").await;
    let path = format!("/api/chat/{id}/events");
    let preflight = server.request(Method::OPTIONS, &path).header("Origin", "https://pages.example").send().await.unwrap();
    assert!(preflight.headers()["access-control-allow-headers"].to_str().unwrap().contains("last-event-id"));
    let stream = server.request(Method::GET, &path).header("Origin", "https://pages.example");
    assert_eq!(Client::open(stream).await.response.headers()["access-control-allow-origin"], "https://pages.example");
}
