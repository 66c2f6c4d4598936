//! A custom handler that does as it is told, in a process of its own: this test program, started again.

use std::{collections::HashMap, convert::Infallible, fs, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::{
    azurite::Azurite,
    host::{FunctionApp, Launch, Level, Running, Settings, wire},
};

/// Set in the handler's process only.
const IS_TOY: &str = "ASKLAKE_TEST_TOY";

/// Not a test by itself: the handler that the tests of the emulator start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handler() {
    let Ok(_) = std::env::var(IS_TOY) else { return };
    let environment: HashMap<String, String> = std::env::vars().collect();
    // The test runner has begun a line.
    println!("\nenvironment {}", json!(environment));
    eprintln!("a line on standard error");
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", environment["FUNCTIONS_CUSTOMHANDLER_PORT"])).await.unwrap();
    let go = Arc::new(watch::channel(false).0);
    while let Ok((stream, _)) = listener.accept().await {
        let go = Arc::clone(&go);
        let service = service_fn(move |request| {
            let go = Arc::clone(&go);
            async move { Ok::<_, Infallible>(answer(request, &go).await) }
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, go: &watch::Sender<bool>) -> Response<wire::Body> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let header =
        |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    let headers: HashMap<String, String> = head.headers.iter().map(header).collect();
    let seen = json!({"method": head.method.as_str(), "uri": head.uri.to_string(), "headers": headers, "body": body});
    match head.uri.path() {
        "/" => reply(404, "text/plain", "an answer all the same"),
        "/api/stream" => {
            let mut gone = go.subscribe();
            let second = async move {
                gone.wait_for(|gone| *gone).await.unwrap();
                Bytes::from("two")
            };
            Response::new(wire::streamed(stream::iter([Bytes::from("one")]).chain(stream::once(second))))
        }
        "/api/go" => {
            go.send_replace(true);
            reply(200, "text/plain", "gone")
        }
        "/api/die" => std::process::exit(3),
        path if path.starts_with("/api/") => reply(200, "application/json", &seen.to_string()),
        _ => {
            println!("invoked {seen}");
            invoked(&body).await
        }
    }
}

fn reply(status: u16, content_type: &str, body: &str) -> Response<wire::Body> {
    Response::builder().status(status).header("content-type", content_type).body(wire::full(body.to_owned())).unwrap()
}

/// Does what the message says.
async fn invoked(envelope: &str) -> Response<wire::Body> {
    let envelope: Value = serde_json::from_str(envelope).unwrap();
    let text: String = serde_json::from_str(envelope["Data"]["order"].as_str().unwrap()).unwrap();
    let well = || reply(200, "application/json", r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#);
    match text.split_once(' ').unwrap_or((&text, "")) {
        ("well", _) => well(),
        ("fail", _) => reply(500, "application/json", "{}"),
        ("empty", _) => reply(200, "application/json", ""),
        ("die", _) => std::process::exit(3),
        ("quit", _) => std::process::exit(0),
        ("sleep", milliseconds) => {
            tokio::time::sleep(Duration::from_millis(milliseconds.parse().unwrap())).await;
            well()
        }
        other => panic!("what is {other:?}?"),
    }
}

/// A Function App of the toy's.
pub struct Toy {
    folder: TempDir,
    settings: Settings,
}

impl Toy {
    /// Files as a Function App has them, and an account of the tests' Azurite.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = json!({
            "version": "2.0",
            "functionTimeout": "00:00:20",
            "customHandler": {
                "description": {"defaultExecutablePath": "toy", "arguments": ["--exact", "host::toy::handler", "--nocapture"]},
                "enableForwardingHttpRequest": true, "enableProxyingHttpRequest": true,
            },
            "extensions": {"queues": {"maxPollingInterval": "00:00:00.200", "visibilityTimeout": "00:00:00", "batchSize": 16}},
        });
        fs::write(folder.path().join("host.json"), host.to_string()).unwrap();
        let http = |name: &str, route: &str, methods: &[&str]| {
            let trigger = json!({"type": "httpTrigger", "direction": "in", "name": "r", "authLevel": "anonymous", "route": route, "methods": methods});
            function(&folder, name, &json!([trigger, {"type": "http", "direction": "out", "name": "s"}]));
        };
        http("named", "named/{id:guid}", &["get"]);
        http("all", "{*rest}", &["get", "post"]);
        for (name, queue) in [("work", "orders"), ("poison", "orders-poison")] {
            function(&folder, name, &json!([{"type": "queueTrigger", "direction": "in", "name": "order", "queueName": queue}]));
        }
        let app = FunctionApp::read(folder.path());
        let launch = Launch {
            program: std::env::current_exe().unwrap(),
            arguments: app.arguments.clone(),
            settings: vec![(IS_TOY.into(), "1".into()), ("AN_APP_SETTING".into(), "its value".into())],
            root: folder.path().to_owned(),
        };
        let settings = Settings::new(app, launch, &Azurite::shared().account());
        Self { folder, settings }
    }

    /// The settings, to be changed.
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts it. The folder lives as long as the host.
    pub async fn start(self) -> (Running, TempDir) {
        (Running::start(self.settings).await, self.folder)
    }
}

fn function(folder: &TempDir, name: &str, bindings: &Value) {
    fs::create_dir(folder.path().join(name)).unwrap();
    fs::write(folder.path().join(name).join("function.json"), json!({"bindings": bindings}).to_string()).unwrap();
}

/// Envelopes that the toy was called with, and their requests.
pub fn invocations(host: &Running) -> Vec<Value> {
    let lines = host.logs();
    lines.iter().filter_map(|(_, line)| line.strip_prefix("invoked ")).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_handler_has_the_hosts_environment_and_its_app_settings_and_no_other() {
    let (host, folder) = Toy::new().start().await;
    let logs = host.logs();
    let environment = logs.iter().find_map(|(level, line)| Some((level, line.strip_prefix("environment ")?)));
    let (level, environment) = environment.expect("the toy prints it before it listens");
    assert_eq!(*level, Level::Information);
    let mut environment: serde_json::Map<String, Value> = serde_json::from_str(environment).unwrap();
    let mut taken = |name: &str| environment.remove(name).unwrap_or_else(|| panic!("{name} is not set")).as_str().unwrap().to_owned();
    assert_eq!(taken("FUNCTIONS_CUSTOMHANDLER_PORT"), host.live().await.port.to_string());
    assert!(taken("FUNCTIONS_CUSTOMHANDLER_WORKER_ID").parse::<uuid::Uuid>().is_ok());
    assert_eq!(taken("FUNCTIONS_APP_ROOT_PATH"), folder.path().to_str().unwrap());
    assert_eq!(taken("AN_APP_SETTING"), "its value");
    taken("PATH");
    taken(IS_TOY);
    assert!(environment.is_empty(), "{environment:?}");
    assert!(host.logs().contains(&(Level::Error, "a line on standard error".into())));
}

#[tokio::test]
async fn a_handler_that_dies_is_started_again() {
    let (host, _folder) = Toy::new().start().await;
    let first = host.live().await;
    let second = host.restart().await;
    assert!(second.generation == first.generation + 1 && second.pid != first.pid, "{first:?} {second:?}");
    assert!(reqwest::get(format!("{}/api/die", host.base())).await.is_ok());
    assert!(host.live().await.generation > second.generation);
}
