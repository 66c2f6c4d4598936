//! HTTP through the emulator, in both ways.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::toy::Toy;
use crate::support::host::{FunctionApp, Mode, Running};

async fn toy(mode: Mode) -> (Running, tempfile::TempDir) {
    Toy::new().with(|settings| settings.mode = mode).start().await
}

const SOON: Duration = Duration::from_secs(300);
const BOTH: [Mode; 2] = [Mode::Forwarding, Mode::Proxying];

fn body() -> reqwest::Body {
    reqwest::Body::from("all at once")
}

fn chunked_body() -> reqwest::Body {
    reqwest::Body::wrap(crate::support::host::wire::chunked(b"in chunks"))
}

async fn seen(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

#[tokio::test]
async fn requests_reach_the_handler_as_the_mode_has_it() {
    for mode in BOTH {
        let (host, _folder) = toy(mode).await;
        let url = format!("{}/api/a/b?c=d&e", host.base());
        let post = |body| Client::new().post(&url).header("user-agent", "me/1").header("x-own", "mine").body(body);
        let whole = seen(post(body())).await;
        assert_eq!((whole["method"].as_str(), whole["uri"].as_str()), (Some("POST"), Some("/api/a/b?c=d&e")));
        assert_eq!((whole["body"].as_str(), whole["headers"]["x-own"].as_str()), (Some("all at once"), Some("mine")));
        assert!(whole["headers"]["x-azure-functions-invocationid"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
        let agent = whole["headers"]["user-agent"].as_str().unwrap().to_owned();
        let chunked = seen(post(chunked_body())).await["body"].clone();
        match mode {
            Mode::Forwarding => {
                assert!(agent.starts_with("me/1 Azure-Functions-Host/"), "{agent}");
                assert_eq!(chunked, "", "a chunked body is lost");
                assert_eq!(whole["headers"].get("x-forwarded-for"), None);
            }
            Mode::Proxying => {
                assert_eq!(agent, "me/1");
                assert_eq!(chunked, "in chunks");
                assert_eq!(whole["headers"]["x-forwarded-host"].as_str().unwrap(), host.base().trim_start_matches("http://"));
            }
        }
    }
}

#[tokio::test]
async fn a_response_is_streamed_by_proxying_and_kept_whole_by_forwarding() {
    for mode in BOTH {
        let (host, _folder) = toy(mode).await;
        let client = Client::new();
        let mut stream = Box::pin(client.get(format!("{}/api/stream", host.base())).send());
        let go = async || client.get(format!("{}/api/go", host.base())).send().await.unwrap();
        let text = match mode {
            Mode::Forwarding => {
                assert!(tokio::time::timeout(Duration::from_millis(300), &mut stream).await.is_err(), "not even the head");
                go().await;
                stream.await.unwrap().text().await.unwrap()
            }
            Mode::Proxying => {
                let mut response = stream.await.unwrap();
                assert_eq!(response.chunk().await.unwrap().unwrap(), "one");
                go().await;
                format!("one{}", String::from_utf8_lossy(&response.chunk().await.unwrap().unwrap()))
            }
        };
        assert_eq!(text, "onetwo");
    }
}

#[tokio::test]
async fn a_request_without_a_body_outlives_the_handler_while_proxying() {
    for mode in BOTH {
        let (host, _folder) = toy(mode).await;
        let stream = tokio::spawn(reqwest::get(format!("{}/api/die", host.base())));
        // The toy that answers `/api/die` dies each time: what counts is how often it was asked.
        assert_eq!(stream.await.unwrap().unwrap().status(), StatusCode::BAD_GATEWAY);
        let lives = if mode == Mode::Proxying { 11 } else { 2 };
        host.wait_for_life(lives, SOON).await;
        let posted = Client::new().post(format!("{}/api/die", host.base())).body(body()).send().await.unwrap();
        assert_eq!(posted.status(), StatusCode::BAD_GATEWAY);
        // A request with a body is sent once.
        host.wait_for_life(lives + 1, SOON).await;
    }
}

#[tokio::test]
async fn the_host_itself_answers_where_there_is_no_route() {
    let (host, _folder) = toy(Mode::Proxying).await;
    for (method, path) in [(Method::GET, "/"), (Method::POST, "/work"), (Method::POST, "/poison"), (Method::PUT, "/api/a")] {
        let response = Client::new().request(method.clone(), format!("{}{path}", host.base())).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(response.text().await.unwrap(), "");
    }
}

#[test]
fn named_routes_of_this_repository_are_found_before_the_catch_all() {
    let app = FunctionApp::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")));
    let found = |method: &str, path: &str| app.http_function(method, path).map_or("none", |function| function.name.as_str());
    let id = "0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b";
    assert_eq!(found("POST", "/api/chat/start"), "start");
    assert_eq!(found("OPTIONS", "/api/chat/start"), "start");
    assert_eq!(found("GET", &format!("/api/chat/{id}/status")), "status");
    assert_eq!(found("GET", &format!("/api/chat/{id}/messages")), "messages");
    assert_eq!(found("POST", &format!("/api/chat/{id}/messages")), "messages");
    for path in ["/api", "/api/", "/api/health", "/api/assets/page.js", "/api/chat/history", "/api/worker"] {
        assert_eq!(found("GET", path), "api", "{path}");
    }
    for path in ["/", "/worker", "/poison", "/admin"] {
        assert_eq!(found("POST", path), "none", "{path}");
    }
}
