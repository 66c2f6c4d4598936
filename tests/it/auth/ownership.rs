//! What belongs to somebody is shown to nobody else: every operation of `docs/openapi.json`, so that a new one without the check fails here.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::server;
use crate::support::{
    issuer::{Issuer, accepting},
    server::TestServer,
};

/// Operations that belong to nobody, and are answered without credentials.
const OPEN: &[&str] = &["/", "/api", "/api/", "/api/health", "/api/ready", "/api/openapi.json", "/api/assets/{asset}"];

/// A method and path of the document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    method: String,
    path: String,
    has_body: bool,
}

impl Operation {
    /// Every operation of the document, HEAD beside GET.
    fn all() -> Vec<Self> {
        let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
                let has_body = operation.get("requestBody").is_some();
                let mut add = |method: &str| all.push(Self { method: method.to_uppercase(), path: path.clone(), has_body });
                add(method);
                if method == "get" {
                    add("head");
                }
            }
        }
        all
    }

    fn is_open(&self) -> bool {
        OPEN.contains(&self.path.as_str())
    }

    fn is_of_a_conversation(&self) -> bool {
        self.path.contains("{id}")
    }

    /// The operation on conversation `id`, well formed in all but who asks.
    fn request(&self, server: &TestServer, id: &str, token: Option<&str>) -> RequestBuilder {
        let path = self.path.replace("{id}", id).replace("{n}", "1").replace("{asset}", "licenses.md");
        assert!(!path.contains('{'), "{path}: say here what stands there");
        let mut request = server.request(Method::from_bytes(self.method.as_bytes()).unwrap(), &path);
        if self.path.ends_with("/ws") {
            let headers = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
            request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
            request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        }
        if self.has_body {
            // One body for all: what an operation does not know of it, it ignores.
            request = request.json(&json!({"question": "And now?", "rating": "positive"}));
        }
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn status(&self, server: &TestServer, id: &str, token: Option<&str>) -> u16 {
        self.request(server, id, token).send().await.unwrap().status().as_u16()
    }
}

async fn asked(server: &TestServer, token: &str) -> String {
    let start =
        server.request(Method::POST, "/api/chat/start").bearer_auth(token).json(&json!({"question": "Which films?", "user_id": "u"}));
    let started: Value = start.send().await.unwrap().json().await.unwrap();
    let id = started["conversation_id"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned();
    loop {
        let status = read(server, &format!("/api/chat/{id}/status?wait=10"), token).await;
        if status["status"] != "processing" {
            assert_eq!(status["status"], "completed", "{status}");
            return id;
        }
    }
}

async fn read(server: &TestServer, path: &str, token: &str) -> Value {
    server.request(Method::GET, path).bearer_auth(token).send().await.unwrap().json().await.unwrap()
}

/// All that there is of a conversation.
async fn whole(server: &TestServer, id: &str, token: &str) -> [Value; 3] {
    let paths = ["status", "messages", "results/1"].map(|part| format!("/api/chat/{id}/{part}"));
    [read(server, &paths[0], token).await, read(server, &paths[1], token).await, read(server, &paths[2], token).await]
}

#[tokio::test]
async fn every_operation_on_what_belongs_to_another_is_a_404_and_without_credentials_a_401() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    let (ann, bob) = (issuer.token("ann"), issuer.token("bob"));
    let id = asked(&server, &ann).await;
    let before = whole(&server, &id, &ann).await;
    let unknown = "7f8a3f9e-33f4-4b53-9a1f-7b6b1c2d3e4f";
    let operations = Operation::all();
    let mut seen = BTreeSet::new();
    for operation in operations.iter().filter(|operation| !operation.is_open()) {
        assert_eq!(operation.status(&server, &id, None).await, 401, "{operation:?} without credentials");
        assert_eq!(operation.status(&server, &id, Some("x.y.z")).await, 401, "{operation:?} with a bad token");
        if operation.is_of_a_conversation() {
            let foreign = operation.request(&server, &id, Some(&bob)).send().await.unwrap();
            let none = operation.request(&server, unknown, Some(&bob)).send().await.unwrap();
            assert_eq!((foreign.status().as_u16(), none.status().as_u16()), (404, 404), "{operation:?} by another");
            let text = |body: String| body.replace(&id, unknown);
            assert_eq!(text(foreign.text().await.unwrap()), none.text().await.unwrap(), "{operation:?}: as if there were none");
            seen.insert(operation.clone());
        }
    }
    assert_eq!(whole(&server, &id, &ann).await, before, "nothing of it has changed");
    println!("{} operations on conversations", seen.len());

    for operation in &seen {
        let own = asked(&server, &ann).await;
        let status = operation.status(&server, &own, Some(&ann)).await;
        assert!(status != 401 && status != 404, "{operation:?} by its owner: {status}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_belongs_to_nobody_needs_no_credentials_and_tells_no_details() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    for operation in Operation::all().iter().filter(|operation| operation.is_open()) {
        assert_eq!(operation.status(&server, "", None).await, 200, "{operation:?}");
    }
    let ready = |token: Option<String>| {
        let request = server.request(Method::GET, "/api/ready");
        async { token.into_iter().fold(request, RequestBuilder::bearer_auth).send().await.unwrap().json::<Value>().await.unwrap() }
    };
    assert_eq!(ready(None).await["dependencies"], json!([]));
    assert_eq!(ready(Some("x.y.z".into())).await["dependencies"], json!([]));
    assert_eq!(ready(Some(issuer.token("ann"))).await["dependencies"].as_array().unwrap().len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn a_history_is_the_callers_own_whatever_labels_it_names() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    let (ann, bob) = (issuer.token("ann"), issuer.token("bob"));
    let id = asked(&server, &ann).await;
    let listed = |token: String, query: &'static str| {
        let server = &server;
        async move {
            let page = read(server, &format!("/api/chat/history{query}"), &token).await;
            page["conversations"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(listed(ann.clone(), "").await, std::slice::from_ref(&id));
    assert_eq!(listed(ann, "?user_id=u").await, [id]);
    assert!(listed(bob.clone(), "").await.is_empty());
    assert!(listed(bob, "?user_id=u").await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn an_idempotency_key_is_its_callers_own() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    let start = |token: String| {
        let request = server.request(Method::POST, "/api/chat/start").header("idempotency-key", "k").json(&json!({"question": "q"}));
        async move { request.bearer_auth(token).send().await.unwrap().json::<Value>().await.unwrap()["conversation_id"].clone() }
    };
    let (first, again, other) = (start(issuer.token("ann")).await, start(issuer.token("ann")).await, start(issuer.token("bob")).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    server.stop().await;
}

#[tokio::test]
async fn support_reads_everything_and_changes_nothing() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    let ann = issuer.token("ann");
    let mut claims = issuer.claims("sue");
    claims["roles"] = json!(["support"]);
    let support = issuer.keys.rs256(r#"{"alg":"RS256","kid":"rsa"}"#, &claims.to_string());
    let id = asked(&server, &ann).await;
    let before = whole(&server, &id, &ann).await;
    for operation in Operation::all().iter().filter(|operation| operation.is_of_a_conversation()) {
        let status = operation.status(&server, &id, Some(&support)).await;
        let is_read = ["GET", "HEAD"].contains(&operation.method.as_str());
        assert_eq!(status != 404, is_read, "{operation:?}: {status}");
    }
    assert_eq!(whole(&server, &id, &ann).await, before);
    server.stop().await;
}
