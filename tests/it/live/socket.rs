//! The WebSocket, seen by a client.

use std::{sync::Arc, time::Duration};

use asklake::http::Settings;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

use super::{Act, LONG, server, told_server};
use crate::support::{
    scripted::{ScriptedModel, ScriptedWarehouse, answer},
    server::TestServer,
};

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(server: &TestServer, path: &str, origin: Option<&str>) -> Result<Self, tungstenite::Error> {
        let mut request = format!("{}{path}", server.base().replace("http://", "ws://")).into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    /// The status of a refused handshake.
    async fn refused(server: &TestServer, path: &str, origin: Option<&str>) -> u16 {
        match Self::open(server, path, origin).await {
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            Ok(_) => panic!("{path} is open to {origin:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    async fn message(&mut self) -> Message {
        tokio::time::timeout(LONG, self.0.next()).await.expect("a message").expect("no end").unwrap()
    }

    async fn event(&mut self) -> Value {
        serde_json::from_str(self.message().await.to_text().unwrap()).unwrap()
    }

    async fn closed(&mut self) -> Option<CloseFrame> {
        let Message::Close(frame) = self.message().await else { panic!("a close frame") };
        frame
    }
}

#[tokio::test]
async fn a_socket_tells_what_events_tell_and_closes_with_the_turn() {
    let (server, tell) = told_server().await;
    let id = server.ask("which films?").await;
    let mut socket = Socket::open(&server, &format!("/api/chat/{id}/ws"), None).await.unwrap();
    let first = socket.event().await;
    assert_eq!(first, json!({"event": "status", "id": 1, "data": server.json(&format!("/api/chat/{id}/status")).await}));
    socket.0.send(Message::text("ignored")).await.unwrap();
    tell.send(Act::Write(asklake::model::Part::Answer, false, "Two")).unwrap();
    let draft = json!({"event": "draft", "data": {"turn": 1, "kind": "answer", "reset": true, "text": "Two"}});
    assert_eq!(socket.event().await, draft);
    tell.send(Act::Reply(answer("two films"))).unwrap();
    let status = socket.event().await;
    assert_eq!((&status["event"], &status["id"], &status["data"]["final_answer"]), (&json!("status"), &json!(2), &json!("two films")));
    assert_eq!(socket.event().await, json!({"event": "done", "id": 2, "data": {"revision": 2}}));
    assert_eq!(u16::from(socket.closed().await.unwrap().code), 1000);
}

#[tokio::test]
async fn a_socket_is_resumed_after_a_revision() {
    let server = server().await;
    let id = server.ask("which films?").await;
    let revision = server.ended(&id).await["revision"].as_u64().unwrap();
    let mut socket = Socket::open(&server, &format!("/api/chat/{id}/ws?after={revision}"), None).await.unwrap();
    assert_eq!(socket.event().await["event"], "done");
}

#[tokio::test]
async fn what_is_no_handshake_or_has_no_conversation_is_refused() {
    let server = server().await;
    let id = server.ask("which films?").await;
    let plain = server.get(&format!("/api/chat/{id}/ws")).await;
    assert_eq!(plain.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(plain.headers()["upgrade"], "websocket");
    let problem: Value = plain.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains(&format!("/api/chat/{id}/events")), "{problem}");
    let unknown = "/api/chat/00000000-0000-4000-8000-000000000000/ws";
    assert_eq!(Socket::refused(&server, unknown, None).await, 404);
    assert_eq!(Socket::refused(&server, &format!("/api/chat/{id}/ws?after=x"), None).await, 400);
}

#[tokio::test]
async fn a_socket_opens_to_our_own_pages_and_to_those_of_allowed_origins() {
    let settings = Settings { cors_allowed_origins: vec!["https://pages.example".into()], ..Settings::default() };
    let model = Arc::new(ScriptedModel::querying(0, Duration::ZERO));
    let server = TestServer::start_with(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await;
    let path = format!("/api/chat/{}/ws", server.ask("which films?").await);
    for origin in [server.base(), "https://pages.example"] {
        assert!(Socket::open(&server, &path, Some(origin)).await.is_ok(), "{origin}");
    }
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "https://pages.example.evil.example"] {
        assert_eq!(Socket::refused(&server, &path, Some(origin)).await, 403, "{origin}");
    }
}

#[tokio::test]
async fn a_socket_is_closed_when_the_server_stops() {
    let (server, _tell) = told_server().await;
    let id = server.ask("which films?").await;
    let mut socket = Socket::open(&server, &format!("/api/chat/{id}/ws"), None).await.unwrap();
    assert_eq!(socket.event().await["event"], "status");
    drop(tokio::spawn(server.stop()));
    assert_eq!(u16::from(socket.closed().await.unwrap().code), 1001);
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_socket() {
    let (server, _tell) = told_server().await;
    let id = server.ask("which films?").await;
    let mut socket = Socket::open(&server, &format!("/api/chat/{id}/ws"), None).await.unwrap();
    assert_eq!(socket.event().await["event"], "status");
    socket.0.send(Message::text("x".repeat(100_000))).await.unwrap();
    let end = tokio::time::timeout(LONG, socket.0.next()).await.expect("an end");
    assert!(!matches!(end, Some(Ok(Message::Text(_)))), "{end:?}");
}
