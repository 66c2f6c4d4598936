//! What one client may take of the server, seen from its socket, and that others are served meanwhile.
//!
//! The limits are short here and an hour where they are not what is tested, so that a test without its limit does not end.

use std::{sync::Arc, time::Duration};

use asklake::{conversation::ResultSet, http, runtime::connections::Limits};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    live::{Act, Typist},
    support::{
        scripted::{ScriptedModel, ScriptedWarehouse},
        server::TestServer,
    },
};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(300);

/// Limits that are met by size and number alone.
const PATIENT: Limits = Limits { connections: 100, head: HOUR, stall: HOUR, head_bytes: 64 << 10 };

const HEALTH: &str = "GET /api/health HTTP/1.1\r\nHost: lake\r\n\r\n";

async fn server(limits: Limits) -> TestServer {
    let http = http::Settings { body_timeout: HOUR, ..http::Settings::default() };
    let model = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
    TestServer::start_limited(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), http, limits).await
}

/// A client that does as it likes.
struct Client(TcpStream);

impl Client {
    async fn connect(server: &TestServer) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So that little of what it does not read is taken from the server all the same.
        socket.set_recv_buffer_size(4096).unwrap();
        Self(socket.connect(server.base().strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap())
    }

    async fn sending(server: &TestServer, text: impl AsRef<[u8]>) -> Self {
        let mut client = Self::connect(server).await;
        client.0.write_all(text.as_ref()).await.unwrap();
        client
    }

    /// All that comes until the server closes.
    async fn rest(mut self) -> String {
        let mut bytes = vec![];
        tokio::time::timeout(LONG, self.0.read_to_end(&mut bytes)).await.expect("the server closes").unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

/// Status and problem of an answer.
fn problem(answer: &str) -> (&str, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer:?}")))
}

/// On a connection of its own: one that a pool has kept may just be ended, where heads may not take long.
async fn assert_serves(server: &TestServer) {
    let other = Client::sending(server, HEALTH.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    let answer = other.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "others are served: {answer:?}");
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_its_connection() {
    let server = server(Limits { head: SHORT, ..PATIENT }).await;
    for start in ["", "GET /api/hea", "GET /api/health HTTP/1.1\r\nHost: lake\r\nX-Slow: "] {
        let client = Client::sending(&server, start).await;
        assert_serves(&server).await;
        assert_eq!(client.rest().await, "", "{start:?}");
    }
    let kept = Client::sending(&server, HEALTH).await;
    assert!(kept.rest().await.starts_with("HTTP/1.1 200 OK\r\n"), "and so does a connection that is used no more");
}

#[tokio::test]
async fn a_body_that_does_not_come_gets_a_408() {
    let http = http::Settings { body_timeout: SHORT, ..http::Settings::default() };
    let model = Arc::new(ScriptedModel::querying(0, Duration::ZERO));
    let server = TestServer::start_limited(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), http, PATIENT).await;
    for (length, body) in [("Content-Length: 100", "{\"question\":"), ("Transfer-Encoding: chunked", "c\r\n{\"question\":\r\n")] {
        let head = format!("POST /api/chat/start HTTP/1.1\r\nHost: lake\r\nContent-Type: application/json\r\n{length}\r\n\r\n");
        let client = Client::sending(&server, head + body).await;
        assert_serves(&server).await;
        let answer = client.rest().await;
        let (status, problem) = problem(&answer);
        assert_eq!((status, problem["title"].as_str()), ("408", Some("Request timeout")));
    }
}

#[tokio::test]
async fn a_head_that_is_larger_than_any_request_needs_is_refused() {
    let server = server(PATIENT).await;
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: lake\r\nConnection: close\r\n{fields}\r\n");
    let long = "x".repeat(9 << 10);
    for (request, status) in [
        (get(&format!("/api/{long}"), ""), "414"),
        (get(&format!("/api/chat/history?user_id={long}"), ""), "414"),
        (get("/api/health", &format!("X-Long: {}\r\n", "x".repeat(40 << 10))), "431"),
        (get("/api/health", &(0..90).map(|number| format!("X-{number}: {}\r\n", "x".repeat(500))).collect::<String>()), "431"),
    ] {
        let answer = Client::sending(&server, request).await.rest().await;
        let (given, problem) = problem(&answer);
        assert_eq!((given, problem["status"].to_string().as_str()), (status, status));
    }
    // What hyper does not hand on it answers itself, without a body.
    let many = get("/api/health", &"X-Many: x\r\n".repeat(200));
    // Not one byte more than is read: what is not would reset the connection, and with it the answer.
    let endless = format!("GET /api/health HTTP/1.1\r\nX-Long: {}", "x".repeat(PATIENT.head_bytes));
    for request in [many.as_bytes(), &endless.as_bytes()[..PATIENT.head_bytes]] {
        let answer = Client::sending(&server, request).await.rest().await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_request_without_a_path_is_answered() {
    let server = server(PATIENT).await;
    let answer = Client::sending(&server, "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\nConnection: close\r\n\r\n").await.rest().await;
    assert_eq!(problem(&answer).0, "405");
    assert_serves(&server).await;
}

#[tokio::test]
async fn what_is_no_http_ends_its_connection_after_the_answers_before_it() {
    let server = server(PATIENT).await;
    for garbage in ["\u{16}\u{3}\u{1}\0\0", "GARBAGE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /api/health HTTP/1.1\r\nno field\r\n\r\n"] {
        let answers = Client::sending(&server, format!("{HEALTH}{HEALTH}{garbage}")).await.rest().await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers:?}");
        assert_eq!(answers.matches("HTTP/1.1 400 Bad Request\r\n").count(), 1, "{answers:?}");
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn no_more_connections_are_served_than_may_be_open_and_idle_ones_give_way() {
    let server = server(Limits { connections: 2, ..PATIENT }).await;
    let (first, _second) = (Client::connect(&server).await, Client::connect(&server).await);
    let mut third = Client::sending(&server, HEALTH).await;
    let mut byte = [0];
    assert!(tokio::time::timeout(SHORT, third.0.read(&mut byte)).await.is_err(), "there is no room for it");
    drop(first);
    tokio::time::timeout(LONG, third.0.read_exact(&mut byte)).await.expect("now there is").unwrap();

    let server = self::server(Limits { connections: 2, head: SHORT, ..PATIENT }).await;
    let mut idle = vec![];
    for _ in 0..20 {
        idle.push(Client::connect(&server).await);
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_download_is_left() {
    let rows = (0..2000).map(|number| vec![json!(format!("{number:0>200}"))]).collect();
    let result = ResultSet { row_count: 2000, rows, ..ScriptedWarehouse::rows() };
    let mut warehouse = ScriptedWarehouse::new(Duration::ZERO);
    warehouse.result = result;
    let limits = Limits { connections: 2, stall: SHORT, ..PATIENT };
    let model = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
    let server = TestServer::start_limited(model, Arc::new(warehouse), http::Settings::default(), limits).await;
    let id = server.ask("which films?").await;
    assert_eq!(server.ended(&id).await["status"], "completed");
    let download = format!("GET /api/chat/{id}/results/1?format=csv HTTP/1.1\r\nHost: lake\r\n\r\n");
    // More than the system takes off the server's hands. One place is that of the client above, which is kept.
    let _unread = Client::sending(&server, download.repeat(40)).await;
    let mut other = Client::sending(&server, HEALTH).await;
    let mut byte = [0];
    tokio::time::timeout(LONG, other.0.read_exact(&mut byte)).await.expect("there is room for another").unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_its_events_loses_its_place() {
    let (model, tell) = Typist::new();
    let http = http::Settings { concurrent_streams: 1, ..http::Settings::default() };
    let limits = Limits { stall: SHORT, ..PATIENT };
    let server = TestServer::start_limited(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), http, limits).await;
    let id = server.ask("which films?").await;
    let path = format!("/api/chat/{id}/events");
    let mut unread = Client::sending(&server, format!("GET {path} HTTP/1.1\r\nHost: lake\r\n\r\n")).await;
    let mut byte = [0];
    unread.0.read_exact(&mut byte).await.unwrap();
    assert_eq!(server.get(&path).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let text: &'static str = "x".repeat(60 << 10).leak();
    let opened = async {
        while server.get(&path).await.status() != StatusCode::OK {
            tell.send(Act::Write(asklake::model::Part::Answer, true, text)).unwrap();
        }
    };
    tokio::time::timeout(LONG, opened).await.expect("the place is free again");
}
