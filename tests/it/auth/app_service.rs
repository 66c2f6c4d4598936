//! App Service's own authentication, and API keys.

use std::sync::Arc;

use asklake::{
    auth::{ApiKeys, AppService, Authenticator, SignIn, api_key},
    conversation::Owner,
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{HISTORY, server};
use crate::support::server::TestServer;

fn api_keys(lines: &[&str]) -> ApiKeys {
    ApiKeys::new(lines.iter().map(|line| api_key::HashedKey::parse(line).unwrap()).collect())
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

fn signed_in(server: &TestServer, method: Method, path: &str) -> RequestBuilder {
    server.request(method, path).header("x-ms-client-principal-id", "7").header("x-ms-client-principal-idp", "aad")
}

#[tokio::test]
async fn the_platform_says_who_asks_and_a_foreign_page_cannot_use_its_session() {
    let sign_in = SignIn::AppService(AppService::default());
    let server = server(Arc::new(Authenticator::Required { sign_in, api_keys: ApiKeys::default() })).await;
    assert_eq!(status(server.request(Method::GET, HISTORY)).await, 401);
    assert_eq!(status(signed_in(&server, Method::GET, HISTORY)).await, 200);
    assert_eq!(status(signed_in(&server, Method::GET, HISTORY).header("x-ms-client-principal-id", "8")).await, 401, "two of them");
    assert_eq!(status(server.request(Method::GET, HISTORY).header("x-ms-client-principal-id", "7")).await, 401, "half of it");
    let ask = |origin: &str| signed_in(&server, Method::POST, "/api/chat/start").header("origin", origin).json(&json!({"question": "q"}));
    assert_eq!(status(ask("https://evil.example")).await, 403);
    assert_eq!(status(ask("null")).await, 403);
    assert_eq!(status(ask(server.base())).await, 202);
    server.stop().await;
}

#[tokio::test]
async fn scripts_ask_with_their_key() {
    let (key, line) = api_key::generate("nightly").unwrap();
    let (other, _) = api_key::generate("nightly").unwrap();
    let server = server(Arc::new(Authenticator::Required { sign_in: SignIn::ApiKeysOnly, api_keys: api_keys(&[&line]) })).await;
    let get = || server.request(Method::GET, HISTORY);
    assert_eq!(status(get().header("x-api-key", &key)).await, 200);
    assert_eq!(status(get().bearer_auth(&key)).await, 200);
    for wrong in [other.as_str(), "ak_", "x", line.split(':').nth(1).unwrap(), &key[..20]] {
        assert_eq!(status(get().header("x-api-key", wrong)).await, 401, "{wrong}");
        assert_eq!(status(get().bearer_auth(wrong)).await, 401, "{wrong}");
    }
    assert_eq!(status(get()).await, 401);
    server.stop().await;
}

#[test]
fn principals_of_different_kinds_are_different_owners() {
    let owners = ["api-key", "app-service:aad", "https://login.example"].map(|issuer| Owner::new(issuer, "ann").unwrap());
    assert!(owners[0] != owners[1] && owners[1] != owners[2] && owners[0] != owners[2]);
}
