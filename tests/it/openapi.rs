//! `docs/openapi.json` and the server say the same: by schemathesis, by the routes, and by every kind of response.

use std::{collections::BTreeSet, path::Path, process::Stdio, sync::Arc, time::Duration};

use asklake::{
    http::Settings,
    limit::Limits,
    runtime::worker,
    sql::Catalog,
    warehouse::flight::{self, FlightSql},
};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Map, Value, json};

use crate::{
    limit::{for_all, within},
    support::{
        embedded::Embedded,
        issuer::{Issuer, accepting},
        scripted::{ScriptedModel, ScriptedWarehouse},
        server::TestServer,
    },
};

const SCHEMATHESIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/venv-test/bin/schemathesis");
const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/openapi/schemathesis.toml");
/// Requests per operation and phase.
const EXAMPLES: &str = "100";
/// What the run may take; on two cores it takes about a fifth of this.
const DEADLINE: Duration = Duration::from_secs(1200);

/// What makes the model of [`server`] think for longer than anybody waits.
const HARD: &str = "why?";

async fn server() -> TestServer {
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let mut model = ScriptedModel::querying(1, Duration::ZERO);
    model.pondered = Some(HARD.into());
    TestServer::start(Arc::new(model), warehouse).await
}

async fn canceled(server: &TestServer) -> String {
    let id = server.ask(HARD).await;
    let cancel = server.request(Method::POST, &format!("/api/chat/{id}/cancel")).send().await.unwrap();
    assert_eq!(cancel.status().as_u16(), 202);
    id
}

/// The document, as the server serves it.
struct Document(Value);

impl Document {
    async fn of(server: &TestServer) -> Self {
        Self(server.json("/api/openapi.json").await)
    }

    /// The same, but objects of responses have no fields besides those described. Clients must ignore further ones; this server
    /// must not send any.
    async fn strict(server: &TestServer) -> Self {
        fn close(value: &mut Value) {
            match value {
                Value::Object(fields) => {
                    fields.values_mut().for_each(close);
                    if fields.get("properties").is_some_and(Value::is_object) {
                        fields.insert("additionalProperties".into(), false.into());
                    }
                }
                Value::Array(values) => values.iter_mut().for_each(close),
                _ => {}
            }
        }
        let mut document = Self::of(server).await;
        let schemas = document.0["components"]["schemas"].as_object_mut().unwrap();
        let requests = ["Start", "FollowUp", "GiveFeedback"];
        schemas.iter_mut().filter(|(name, _)| !requests.contains(&name.as_str())).for_each(|(_, schema)| close(schema));
        document
    }

    fn paths(&self) -> &Map<String, Value> {
        self.0["paths"].as_object().unwrap()
    }

    /// `value`, or what it refers to.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{reference} is nowhere")),
            None => value,
        }
    }

    fn assert_valid(&self, schema: &Value, value: &Value, what: &str) {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
        let faults: Vec<String> = validator.iter_errors(value).map(|error| format!("{} at {}", error, error.instance_path())).collect();
        assert!(faults.is_empty(), "{what}: {faults:#?} in {value:#}");
    }

    fn assert_headers(&self, described: &Value, headers: &HeaderMap, what: &str) {
        for (name, header) in described.as_object().unwrap_or_else(|| panic!("{what} describes its headers")) {
            let header = self.resolve(header);
            let Some(value) = headers.get(name) else {
                assert_eq!(header["required"], false, "{what} has no {name}: {headers:?}");
                continue;
            };
            let text = value.to_str().unwrap();
            let is_number = header["schema"]["type"] == "integer";
            let value = if is_number { text.parse::<i64>().map_or(Value::Null, Value::from) } else { text.into() };
            self.assert_valid(&header["schema"], &value, &format!("{what}, header {name}"));
        }
        let usual = ["connection", "content-type", "content-length", "date", "transfer-encoding", "vary"];
        for name in headers.keys().map(reqwest::header::HeaderName::as_str).filter(|name| !usual.contains(name)) {
            let is_described = described.as_object().unwrap().keys().any(|described| described.eq_ignore_ascii_case(name));
            assert!(is_described, "{what}: the header {name} is not described");
        }
    }

    /// Sends `request` and checks all of its response against the operation.
    async fn assert_conforms(&self, path: &str, request: RequestBuilder, status: u16) {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let method = request.method().as_str().to_lowercase();
        let what = format!("{method} {} answering {status}", request.url());
        let response = client.execute(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{what}");
        let described = self.resolve(&self.paths()[path][&method]["responses"][status.to_string()]);
        assert!(described.is_object(), "{what} is not described");
        self.assert_headers(&described["headers"], response.headers(), &what);
        let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let body = response.bytes().await.unwrap();
        let Some(content_type) = content_type else {
            return assert!(described.get("content").is_none() && body.is_empty(), "{what} has no content");
        };
        let media = content_type.split(';').next().unwrap();
        let schema = &described["content"][media]["schema"];
        assert!(schema.is_object(), "{what}: {media} is not described");
        if media == "text/event-stream" {
            return self.assert_events(schema, std::str::from_utf8(&body).unwrap(), &what);
        }
        let body = if media.ends_with("json") && media != "application/x-ndjson" {
            serde_json::from_slice(&body).unwrap()
        } else {
            Value::from(std::str::from_utf8(&body).unwrap())
        };
        self.assert_valid(schema, &body, &what);
    }

    /// Gives the operations of `path` a conversation of their own.
    fn set_conversation(&mut self, path: &str, id: &str) {
        let mut parameter = self.0["components"]["parameters"]["ConversationId"].clone();
        parameter["example"] = id.into();
        for operation in self.0["paths"][path].as_object_mut().unwrap().values_mut() {
            operation["parameters"][0] = parameter.clone();
        }
    }

    /// Every event of a stream has its schema, and so have its data.
    fn assert_events(&self, schema: &Value, stream: &str, what: &str) {
        for block in stream.split("\n\n").filter(|block| block.contains("event: ")) {
            let fields = block.lines().map(|line| line.split_once(": ").unwrap());
            let event: Value = fields.map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>().into();
            self.assert_valid(schema, &event, what);
            let kinds = self.resolve(schema)["oneOf"].as_array().unwrap();
            let kind = kinds.iter().find(|kind| kind["properties"]["event"]["const"] == event["event"]).unwrap();
            let data = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
            self.assert_valid(&kind["properties"]["data"]["contentSchema"], &data, what);
        }
    }

    /// Gives parameters examples that exist, so that most requests meet a conversation.
    fn set_examples(&mut self, examples: &[(&str, Value)]) {
        fn set(value: &mut Value, examples: &[(&str, Value)]) {
            match value {
                Value::Object(fields) => {
                    if fields.contains_key("in")
                        && let Some((_, example)) = examples.iter().find(|(name, _)| fields["name"] == *name)
                    {
                        fields.insert("example".into(), example.clone());
                    }
                    fields.values_mut().for_each(|value| set(value, examples));
                }
                Value::Array(values) => values.iter_mut().for_each(|value| set(value, examples)),
                _ => {}
            }
        }
        set(&mut self.0, examples);
    }
}

async fn completed(server: &TestServer) -> String {
    let start = json!({"question": "which films?", "user_id": "u", "device_id": "d", "language": "en"});
    let started: Value = server.post_start(&start).await.json().await.unwrap();
    let id = started["conversation_id"].as_str().unwrap().to_owned();
    assert_eq!(server.ended(&id).await["status"], "completed");
    id
}

/// The name of a file that the page names.
async fn asset(server: &TestServer) -> String {
    let page = server.get("/").await.text().await.unwrap();
    page.split_once("/api/assets/").and_then(|(_, rest)| rest.split('"').next()).expect("the page has files").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_no_fault() {
    assert!(Path::new(SCHEMATHESIS).exists(), "there is no {SCHEMATHESIS}: run `make test`, which installs it");
    let server = server().await;
    let id = completed(&server).await;
    let mut document = Document::strict(&server).await;
    let asset = asset(&server).await;
    document.set_examples(&[
        ("id", id.into()),
        ("asset", asset.into()),
        ("n", 1.into()),
        ("user_id", "u".into()),
        ("device_id", "d".into()),
    ]);
    // Without that conversation nothing else would be found, and only what is canceled already is canceled at any time.
    document.set_conversation("/api/chat/{id}", &completed(&server).await);
    document.set_conversation("/api/chat/{id}/cancel", &canceled(&server).await);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("openapi.json"), document.0.to_string()).unwrap();
    let run = tokio::process::Command::new(SCHEMATHESIS)
        .args(["--config-file", SETTINGS, "run", "openapi.json", "--url", server.base(), "--checks", "all", "--max-examples", EXAMPLES])
        // The same requests in every run, and all faults of a run at once.
        .args(["--generation-deterministic", "--continue-on-failure", "--no-color"])
        // It speaks no WebSocket.
        .args(["--exclude-operation-id", "ws"])
        .args(["--report", "json", "--report-json-path", "report.json"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, run).await.expect("schemathesis ends in time").unwrap();
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert_run_was_complete(&std::fs::read(folder.path().join("report.json")).unwrap(), document.paths());
    // No request of thousands is left hanging: the server ends without waiting for its drain to run out.
    let stop = tokio::time::timeout(Duration::from_secs(8), server.stop());
    stop.await.expect("the server stops at once");
}

/// Every operation was tested, and not only with what it refuses.
fn assert_run_was_complete(report: &[u8], paths: &Map<String, Value>) {
    let report: Value = serde_json::from_slice(report).unwrap();
    assert_eq!(report["complete"], true, "{report:#}");
    for (path, operations) in paths {
        let is_http = |operation: &Value| operation["responses"].get("101").is_none();
        for (method, _) in operations.as_object().unwrap().iter().filter(|(_, operation)| is_http(operation)) {
            let operation = format!("{} {path}", method.to_uppercase());
            let phases = report["valid_rates"][&operation].as_object().unwrap_or_else(|| panic!("{operation} was not tested: {report:#}"));
            let accepted: u64 = phases.values().map(|phase| phase["accepted"].as_u64().unwrap()).sum();
            assert!(accepted > 0, "{operation} never succeeded: {phases:?}");
        }
    }
    println!("schemathesis: {} requests in {} s", report["test_cases"]["generated"], report["running_time"]);
}

/// The paths in the patterns of `src/http/route.rs`, with `{}` for each name.
fn routes() -> BTreeSet<String> {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/route.rs")).unwrap();
    let arms = source.lines().filter_map(|line| line.split_once("=> Self::").map(|(pattern, _)| pattern.trim()));
    let path = |pattern: &str| {
        let segments = pattern.trim_matches(['[', ']']).split(", ");
        segments
            .map(|segment| segment.strip_prefix('"').map_or("{}", |text| text.trim_end_matches('"')))
            .fold(String::new(), |path, segment| path + "/" + segment)
    };
    arms.filter(|pattern| pattern.starts_with('[')).flat_map(|pattern| pattern.split(" | ")).map(path).collect()
}

fn without_names(path: &str) -> String {
    path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let server = server().await;
    let document = Document::of(&server).await;
    let described: BTreeSet<String> = document.paths().keys().map(|path| without_names(path)).collect();
    assert_eq!(described, routes());
}

#[tokio::test]
async fn every_path_takes_the_methods_of_the_document_and_no_other() {
    let server = server().await;
    let asset = asset(&server).await;
    for (path, operations) in Document::of(&server).await.paths() {
        let id = completed(&server).await;
        let url = path.replace("{id}", &id).replace("{n}", "1").replace("{asset}", &asset);
        assert!(!url.contains('{'), "{url}: say here what stands for its parameter");
        let mut allowed: Vec<String> = operations.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if allowed.iter().any(|method| method == "GET") {
            allowed.push("HEAD".into());
        }
        allowed.push("OPTIONS".into());
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"] {
            let response = server.request(Method::from_bytes(method.as_bytes()).unwrap(), &url).send().await.unwrap();
            let (status, allow) = (response.status().as_u16(), response.headers().get("allow").cloned());
            let what = format!("{method} {url}: {status}");
            let is_gone = method != "DELETE" && allowed.iter().any(|allowed| allowed == "DELETE");
            assert!(status != 404 || is_gone, "{what}");
            assert_eq!(status == 405, !allowed.iter().any(|allowed| allowed == method), "{what}");
            assert_eq!(status == 204, matches!((method, path.as_str()), ("OPTIONS", _) | ("DELETE", "/api/chat/{id}")), "{what}");
            if status == 405 || method == "OPTIONS" {
                assert_eq!(allow.unwrap().to_str().unwrap(), allowed.join(", "), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn what_quotas_add_to_responses_is_in_the_document() {
    let embedded = Embedded::open();
    let (model, warehouse) = (ScriptedModel::querying(1, Duration::ZERO), ScriptedWarehouse::new(Duration::ZERO));
    let policy = for_all(Limits { requests: Some(1000), questions: Some(1), ..Limits::default() });
    let service = within(&embedded, Arc::new(model), Arc::new(warehouse), Arc::clone(&embedded.ledger), policy);
    let server = TestServer::serve(embedded, service, Settings::default(), worker::Settings::default()).await;
    let document = Document::strict(&server).await;
    let start = || server.request(Method::POST, "/api/chat/start").json(&json!({"question": "which films?"}));
    document.assert_conforms("/api/chat/start", start(), 202).await;
    document.assert_conforms("/api/chat/start", start(), 429).await;
    document.assert_conforms("/api/chat/history", server.request(Method::GET, "/api/chat/history?user_id=u"), 200).await;
    document.assert_conforms("/api/ready", server.request(Method::GET, "/api/ready"), 200).await;
}

#[tokio::test]
async fn the_responses_of_a_conversation_are_those_of_the_document() {
    let server = server().await;
    let document = Document::strict(&server).await;
    let get = |path: &str| server.request(Method::GET, path);
    let start = |body: &Value| server.request(Method::POST, "/api/chat/start").json(body);
    document.assert_conforms("/api/chat/start", start(&json!({"question": "which films?", "user_id": "u"})), 202).await;
    let id = completed(&server).await;
    let status = format!("/api/chat/{id}/status");
    document.assert_conforms("/api/chat/{id}/status", get(&status), 200).await;
    document.assert_conforms("/api/chat/{id}/status", get(&status).header("If-None-Match", "*"), 304).await;
    document.assert_conforms("/api/chat/{id}/events", get(&format!("/api/chat/{id}/events")), 200).await;
    document.assert_conforms("/api/chat/{id}/ws", get(&format!("/api/chat/{id}/ws")), 426).await;
    document.assert_conforms("/api/chat/{id}/messages", get(&format!("/api/chat/{id}/messages")), 200).await;
    for format in ["json", "csv", "ndjson"] {
        let rows = get(&format!("/api/chat/{id}/results/1?format={format}"));
        document.assert_conforms("/api/chat/{id}/results/{n}", rows, 200).await;
    }
    let recompute = server.request(Method::POST, &format!("/api/chat/{id}/results/1"));
    document.assert_conforms("/api/chat/{id}/results/{n}", recompute, 202).await;
    document.assert_conforms("/api/chat/history", get("/api/chat/history?user_id=u&limit=1"), 200).await;
    let post = |path: &str| server.request(Method::POST, path);
    let feedback = format!("/api/chat/{id}/feedback");
    let rating = json!({"rating": "negative", "comment": "which year?"});
    document.assert_conforms("/api/chat/{id}/feedback", post(&feedback).json(&rating), 204).await;
    document.assert_conforms("/api/chat/{id}/status", get(&status), 200).await;
    document.assert_conforms("/api/chat/{id}/messages", get(&format!("/api/chat/{id}/messages")), 200).await;
    document.assert_conforms("/api/chat/{id}/cancel", post(&format!("/api/chat/{id}/cancel")), 409).await;
    let follow_up = post(&format!("/api/chat/{id}/messages")).json(&json!({"question": HARD, "language": "en"}));
    document.assert_conforms("/api/chat/{id}/messages", follow_up, 202).await;
    let another = post(&format!("/api/chat/{id}/messages")).json(&json!({"question": "and?"}));
    document.assert_conforms("/api/chat/{id}/messages", another, 409).await;
    document.assert_conforms("/api/chat/{id}/feedback", post(&feedback).json(&rating), 409).await;
    document.assert_conforms("/api/chat/{id}/cancel", post(&format!("/api/chat/{id}/cancel")), 202).await;
    document.assert_conforms("/api/chat/{id}/status", get(&status), 200).await;
    let delete = || server.request(Method::DELETE, &format!("/api/chat/{id}"));
    document.assert_conforms("/api/chat/{id}", delete(), 204).await;
    document.assert_conforms("/api/chat/{id}", delete(), 404).await;
    for path in ["/", "/api", "/api/", "/api/health", "/api/ready", "/api/openapi.json"] {
        document.assert_conforms(path, get(path), 200).await;
    }
    for asset in [asset(&server).await, "licenses.md".into()] {
        document.assert_conforms("/api/assets/{asset}", get(&format!("/api/assets/{asset}")), 200).await;
    }
    document.assert_conforms("/api/assets/{asset}", get("/api/assets/none.js"), 404).await;
}

#[tokio::test]
async fn a_conversation_that_waits_or_has_failed_is_as_in_the_document() {
    let waiting = TestServer::start(
        Arc::new(ScriptedModel::querying(1, Duration::ZERO)),
        Arc::new(ScriptedWarehouse::new(Duration::from_secs(3600))),
    )
    .await;
    let document = Document::strict(&waiting).await;
    let id = waiting.ask("which films?").await;
    let mut status = json!({"revision": 0});
    while status["stage"] != "executing" {
        status = waiting.json(&format!("/api/chat/{id}/status?wait=20&after={}", status["revision"])).await;
    }
    let get = |path: &str| waiting.request(Method::GET, path);
    document.assert_conforms("/api/chat/{id}/status", get(&format!("/api/chat/{id}/status")), 200).await;
    document.assert_conforms("/api/chat/{id}/messages", get(&format!("/api/chat/{id}/messages")), 200).await;
    document.assert_conforms("/api/chat/{id}/results/{n}", get(&format!("/api/chat/{id}/results/1")), 404).await;
    let cancel = waiting.request(Method::POST, &format!("/api/chat/{id}/cancel"));
    document.assert_conforms("/api/chat/{id}/cancel", cancel, 202).await;
    assert_eq!(waiting.ended(&id).await["stage"], "canceled");
    document.assert_conforms("/api/chat/{id}/status", get(&format!("/api/chat/{id}/status")), 200).await;

    let refusing = ScriptedModel::new(Duration::ZERO, |_, _| Ok(crate::support::scripted::query("DROP TABLE imdb.movies_delta")));
    let failing = TestServer::start(Arc::new(refusing), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let id = failing.ask("delete everything").await;
    assert_eq!(failing.ended(&id).await["status"], "error");
    let get = |path: &str| failing.request(Method::GET, path);
    document.assert_conforms("/api/chat/{id}/status", get(&format!("/api/chat/{id}/status")), 200).await;
    document.assert_conforms("/api/chat/{id}/messages", get(&format!("/api/chat/{id}/messages")), 200).await;
}

#[tokio::test]
async fn what_is_refused_is_refused_as_in_the_document() {
    let server = server().await;
    let document = Document::strict(&server).await;
    let path = "/api/chat/start";
    let start = || server.request(Method::POST, path).header("Content-Type", "application/json");
    document.assert_conforms(path, start().body("{"), 400).await;
    document.assert_conforms(path, start().body("x".repeat(70_000)), 413).await;
    document.assert_conforms(path, server.request(Method::POST, path).body("{}"), 415).await;
    document.assert_conforms(path, start().header("Idempotency-Key", "k").body(r#"{"question":"a"}"#), 202).await;
    document.assert_conforms(path, start().header("Idempotency-Key", "k").body(r#"{"question":"b"}"#), 422).await;
    let unknown = "/api/chat/00000000-0000-4000-8000-000000000000";
    let get = |path: &str| server.request(Method::GET, path);
    document.assert_conforms("/api/chat/{id}/status", get(&format!("{unknown}/status")), 404).await;
    document.assert_conforms("/api/chat/{id}/status", get(&format!("{unknown}/status?after=9007199254740992")), 400).await;
    document.assert_conforms("/api/chat/{id}/events", get(&format!("{unknown}/events")), 404).await;
    document.assert_conforms("/api/chat/{id}/events", get(&format!("{unknown}/events?after=x")), 400).await;
    let foreign = get(&format!("{unknown}/ws")).header("Origin", "https://evil.example");
    document.assert_conforms("/api/chat/{id}/ws", foreign, 403).await;
    document.assert_conforms("/api/chat/{id}/messages", get(&format!("{unknown}/messages")), 404).await;
    document.assert_conforms("/api/chat/{id}/results/{n}", get(&format!("{unknown}/results/1")), 404).await;
    document.assert_conforms("/api/chat/history", get("/api/chat/history"), 400).await;
    document.assert_conforms("/api/health", get(&format!("/api/health?{}", "x".repeat(9000))), 414).await;
    document.assert_conforms("/api/health", get("/api/health").header("X-Long", "x".repeat(40_000)), 431).await;
    document.assert_conforms("/api/health", get("/api/health").header("X-Forwarded-Proto", "https"), 200).await;
    let post = |path: &str| server.request(Method::POST, path).header("Content-Type", "application/json");
    for (path, own) in [("/api/chat/{id}/messages", "messages"), ("/api/chat/{id}/feedback", "feedback")] {
        let url = format!("{unknown}/{own}");
        document.assert_conforms(path, post(&url).body(r#"{"question":"q","rating":"positive"}"#), 404).await;
        document.assert_conforms(path, post(&url).body("{}"), 400).await;
        document.assert_conforms(path, post(&url).body("x".repeat(70_000)), 413).await;
        document.assert_conforms(path, server.request(Method::POST, &url).body("{}"), 415).await;
    }
    document.assert_conforms("/api/chat/{id}/cancel", post(&format!("{unknown}/cancel")), 404).await;
}

#[tokio::test]
async fn who_is_not_signed_in_or_not_permitted_is_told_as_in_the_document() {
    let issuer = Issuer::start().await;
    let authenticator = accepting(asklake::auth::jwt::Settings { required: vec!["ask".into()], ..issuer.settings() });
    let model = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
    let settings = Settings { authenticator, streams_per_caller: 0, ..Settings::default() };
    let server = TestServer::start_with(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await;
    let document = Document::strict(&server).await;
    let scope = |scope: &str| {
        let mut claims = issuer.claims("ann");
        claims["scope"] = scope.into();
        issuer.keys.rs256(r#"{"alg":"RS256","kid":"rsa"}"#, &claims.to_string())
    };
    let without_scope = scope("other");
    let id = "00000000-0000-4000-8000-000000000000";
    for (path, operations) in document.paths().iter().filter(|(path, _)| path.starts_with("/api/chat/")) {
        for method in operations.as_object().unwrap().keys() {
            let url = path.replace("{id}", id).replace("{n}", "1");
            let request = || server.request(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), &url);
            document.assert_conforms(path, request(), 401).await;
            document.assert_conforms(path, request().bearer_auth("x.y.z"), 401).await;
            if !path.ends_with("/ws") {
                document.assert_conforms(path, request().bearer_auth(&without_scope), 403).await;
            }
        }
    }
    document.assert_conforms("/api/ready", server.request(Method::GET, "/api/ready"), 200).await;
    let stream = server.request(Method::GET, &format!("/api/chat/{id}/events")).bearer_auth(scope("ask"));
    document.assert_conforms("/api/chat/{id}/events", stream, 429).await;
}

#[tokio::test]
async fn a_dependency_that_does_not_answer_is_named_as_in_the_document() {
    let endpoint = flight::Config {
        // Nobody listens on the discard port of this machine.
        url: "http://127.0.0.1:9".into(),
        token: None,
        query_time_limit: Duration::from_secs(1),
        max_concurrency: 1,
    };
    let warehouse = Arc::new(FlightSql::new(endpoint, &Catalog::embedded().unwrap()));
    let server = TestServer::start_with(Arc::new(ScriptedModel::querying(1, Duration::ZERO)), warehouse, Settings::default()).await;
    let document = Document::strict(&server).await;
    document.assert_conforms("/api/ready", server.request(Method::GET, "/api/ready"), 503).await;
}
