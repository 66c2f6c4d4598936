//! Headers of every answer: what keeps a browser from misusing it, and which pages of other origins may read it.

use std::{sync::Arc, time::Duration};

use asklake::http::Settings;
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::support::{
    scripted::{ScriptedModel, ScriptedWarehouse},
    server::TestServer,
};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
const PAGES: [&str; 3] = ["/", "/api", "/api/"];

async fn server(origins: &[&str]) -> TestServer {
    let cors_allowed_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let model = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
    let settings = Settings { cors_allowed_origins, ..Settings::default() };
    TestServer::start_with(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await
}

fn assert_hardened(path: &str, what: &str, headers: &HeaderMap) {
    let value = |name: &str| headers.get(name).unwrap_or_else(|| panic!("{what} has no {name}")).to_str().unwrap();
    for (name, expected) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(value(name), expected, "{what}");
    }
    let policy = value("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(!policy.contains("unsafe"), "{what}: {policy}");
    let is_page = PAGES.contains(&path) || path.starts_with("/api/assets/");
    assert!(is_page || value("cache-control") == "no-store", "{what} may be kept: {headers:?}");
    for leak in ["server", "x-powered-by", "access-control-allow-credentials", "set-cookie"] {
        assert!(!headers.contains_key(leak), "{what} has {leak}");
    }
}

#[tokio::test]
async fn every_answer_of_every_route_is_hardened() {
    let server = server(&[]).await;
    let id = server.ask("which films?").await;
    assert_eq!(server.ended(&id).await["status"], "completed");
    let document: Value = server.json("/api/openapi.json").await;
    let mut answers = 0;
    for path in document["paths"].as_object().unwrap().keys() {
        for id in [&id, UNKNOWN] {
            let url = path.replace("{id}", id).replace("{n}", "1").replace("{asset}", "licenses.md");
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
                // What is deleted would be nothing to any other request.
                if method == "DELETE" && path.ends_with("{id}") && id != UNKNOWN {
                    continue;
                }
                let response = server.request(Method::from_bytes(method.as_bytes()).unwrap(), &url).send().await.unwrap();
                let is_kept = response.status().is_success() && method != "OPTIONS";
                let what = format!("{method} {url}: {}", response.status());
                assert_hardened(if is_kept { path } else { "/problem" }, &what, response.headers());
                answers += 1;
            }
        }
    }
    assert!(answers > 150, "{answers}");
    for url in ["/nothing", "/api/chat/start%00", &format!("/api/{}", "x".repeat(9000))] {
        let response = server.get(url).await;
        assert_hardened("/problem", url, response.headers());
    }
}

#[tokio::test]
async fn a_client_that_came_by_tls_is_told_to_do_so_again() {
    let server = server(&[]).await;
    for (scheme, told) in [(Some("https"), Some("max-age=31536000")), (Some("http"), None), (Some("https, http"), None), (None, None)] {
        let mut request = server.request(Method::GET, "/api/health");
        if let Some(scheme) = scheme {
            request = request.header("X-Forwarded-Proto", scheme);
        }
        let headers = request.send().await.unwrap().headers().clone();
        assert_eq!(headers.get("strict-transport-security").map(|value| value.to_str().unwrap()), told, "{scheme:?}");
    }
}

const ALLOWED: [&str; 2] = ["https://pages.example", "http://localhost:3000"];
const FOREIGN: [&str; 14] = [
    "https://evil.example",
    "null",
    "",
    "*",
    // The end, the beginning, a part of it.
    "https://pages.example.evil.example",
    "https://evilpages.example",
    "https://evil.pages.example",
    "https://pages.exam",
    // Another scheme, another port.
    "http://pages.example",
    "https://pages.example:8443",
    "http://localhost",
    // Nothing that a browser would send.
    "https://pages.example/",
    "HTTPS://PAGES.EXAMPLE",
    "https://pages.example https://evil.example",
];

async fn ask(server: &TestServer, method: Method, origin: &str) -> Response {
    let mut request = server.request(method.clone(), "/api/chat/start").header("Origin", origin);
    if method == Method::OPTIONS {
        request = request.header("Access-Control-Request-Method", "POST").header("Access-Control-Request-Headers", "content-type");
    }
    request.send().await.unwrap()
}

fn permissions(response: &Response) -> Vec<&str> {
    response.headers().keys().map(reqwest::header::HeaderName::as_str).filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn a_page_may_read_if_its_origin_is_allowed_to_the_letter() {
    let server = server(&ALLOWED).await;
    for method in [Method::OPTIONS, Method::GET, Method::POST] {
        for origin in ALLOWED {
            let response = ask(&server, method.clone(), origin).await;
            assert_eq!(response.headers()["access-control-allow-origin"], origin, "{method}");
            assert_eq!(response.headers()["vary"], "origin", "{method}");
        }
        for origin in FOREIGN {
            let response = ask(&server, method.clone(), origin).await;
            assert_eq!(permissions(&response), Vec::<&str>::new(), "{method} {origin:?}");
            assert_eq!(response.headers()["vary"], "origin", "{method} {origin:?}");
        }
    }
    let preflight = ask(&server, Method::OPTIONS, ALLOWED[0]).await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    let methods = preflight.headers()["access-control-allow-methods"].to_str().unwrap();
    assert_eq!(methods, "GET, HEAD, POST, DELETE, OPTIONS");
}

#[tokio::test]
async fn a_page_may_send_and_read_every_header_that_the_contract_has() {
    let server = server(&ALLOWED).await;
    let listed = |response: &Response, name: &str| -> Vec<String> {
        response.headers()[name].to_str().unwrap().split(", ").map(str::to_owned).collect()
    };
    let preflight = ask(&server, Method::OPTIONS, ALLOWED[0]).await;
    let sent = [
        "authorization",
        "cache-control",
        "content-type",
        "idempotency-key",
        "if-none-match",
        "last-event-id",
        "prefer",
        "traceparent",
        "tracestate",
        "x-api-key",
        "x-request-id",
    ];
    assert_eq!(listed(&preflight, "access-control-allow-headers"), sent);
    let read =
        ["content-disposition", "etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "www-authenticate", "x-request-id"];
    assert_eq!(listed(&ask(&server, Method::GET, ALLOWED[0]).await, "access-control-expose-headers"), read);
}

#[tokio::test]
async fn without_allowed_origins_no_page_may_read_and_with_a_star_every_page_but_without_its_session() {
    let closed = server(&[]).await;
    for origin in ALLOWED.iter().chain(&FOREIGN) {
        assert_eq!(permissions(&ask(&closed, Method::OPTIONS, origin).await), Vec::<&str>::new(), "{origin:?}");
    }
    let open = server(&["*"]).await;
    for origin in ["https://evil.example", "null"] {
        let response = ask(&open, Method::OPTIONS, origin).await;
        assert_eq!(response.headers()["access-control-allow-origin"], origin);
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
    }
}
