//! What a model writes, as a stream shows it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use asklake::{
    model::{
        Part,
        openai::{AnswerFormat, Authentication, Config, Endpoint, OpenAi},
    },
    service::Settings,
    sql::{Catalog, prompt::Profile},
};
use futures_util::stream;
use serde_json::json;
use tokio::sync::mpsc;
use warp::Filter as _;

use super::{Act, Client, Typist, told_server};
use crate::support::{
    scripted::{SQL, ScriptedWarehouse, answer, query},
    server::TestServer,
};

/// Reads drafts until what they show of `kind` is `text`.
async fn reads(client: &mut Client, kind: &str, text: &str) {
    let mut shown = String::new();
    while shown != text {
        let event = client.next_of("draft").await;
        assert_eq!((event.id, &event.data["turn"]), (None, &json!(1)));
        if event.data["kind"] == kind {
            if event.data["reset"] == true {
                shown.clear();
            }
            shown.push_str(event.data["text"].as_str().unwrap());
        }
    }
}

#[tokio::test]
async fn a_stream_reads_along_and_the_next_status_voids_it() {
    let (server, tell) = told_server().await;
    let id = server.ask("which films?").await;
    let mut client = Client::of(&server, &id).await;
    assert_eq!(client.next().await.unwrap().id, Some(1));
    tell.send(Act::Write(Part::Reasoning, false, "to see")).unwrap();
    reads(&mut client, "reasoning", "to see").await;
    tell.send(Act::Write(Part::Sql, false, "SELECT")).unwrap();
    reads(&mut client, "sql", "SELECT").await;
    tell.send(Act::Reply(query(SQL))).unwrap();
    tell.send(Act::Write(Part::Answer, false, "There are")).unwrap();
    while client.next_of("status").await.data["stage"] != "answering" {}
    reads(&mut client, "answer", "There are").await;
    tell.send(Act::Write(Part::Answer, true, "Two")).unwrap();
    let event = client.next_of("draft").await;
    assert_eq!(event.data, json!({"turn": 1, "kind": "answer", "reset": true, "text": "Two"}));
    tell.send(Act::Reply(answer("two films"))).unwrap();
    let rest = client.rest().await;
    let names: Vec<&str> = rest.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["status", "done"], "no draft after the answer");
    assert_eq!(rest[0].data["final_answer"], "two films");
}

#[tokio::test]
async fn a_late_reader_is_told_the_whole_and_another_try_replaces_it() {
    let (server, tell) = told_server().await;
    let id = server.ask("which films?").await;
    let mut early = Client::of(&server, &id).await;
    tell.send(Act::Write(Part::Sql, false, "SELECT ")).unwrap();
    tell.send(Act::Write(Part::Sql, false, "1")).unwrap();
    reads(&mut early, "sql", "SELECT 1").await;
    let mut late = Client::of(&server, &id).await;
    assert_eq!(late.next_of("draft").await.data, json!({"turn": 1, "kind": "sql", "reset": true, "text": "SELECT 1"}));
    tell.send(Act::Fail).unwrap();
    assert_eq!(late.next_of("status").await.id, Some(2));
    tell.send(Act::Write(Part::Sql, false, "SELECT 2")).unwrap();
    for client in [&mut early, &mut late] {
        reads(client, "sql", "SELECT 2").await;
    }
}

#[tokio::test]
async fn where_only_data_may_be_answered_from_no_answer_is_shown_before_there_are_rows() {
    let (model, tell) = Typist::new();
    let settings = Settings { data_only: true, ..Settings::default() };
    let server = TestServer::start_as(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await;
    let id = server.ask("which films?").await;
    let mut client = Client::of(&server, &id).await;
    tell.send(Act::Write(Part::Answer, false, "I remember")).unwrap();
    tell.send(Act::Write(Part::Sql, false, SQL)).unwrap();
    let mut drafts = vec![client.next_of("draft").await.data];
    tell.send(Act::Reply(query(SQL))).unwrap();
    tell.send(Act::Write(Part::Answer, false, "The rows say")).unwrap();
    while drafts.last().unwrap()["kind"] != "answer" {
        drafts.push(client.next_of("draft").await.data);
    }
    let answers: Vec<&str> = drafts.iter().filter(|draft| draft["kind"] == "answer").map(|draft| draft["text"].as_str().unwrap()).collect();
    assert_eq!(answers, ["The rows say"], "{drafts:#?}");
}

/// A language model's server that sends what it is told, when it is told, to one request after the other.
struct Paced {
    base: String,
    replies: mpsc::UnboundedSender<mpsc::UnboundedReceiver<String>>,
    server: tokio::task::JoinHandle<()>,
}

impl Paced {
    async fn start() -> Self {
        let (replies, next) = mpsc::unbounded_channel::<mpsc::UnboundedReceiver<String>>();
        let next = Arc::new(tokio::sync::Mutex::new(next));
        let route = warp::any().and(warp::body::bytes()).then(move |_body| {
            let next = Arc::clone(&next);
            async move {
                let reply = next.lock().await.recv().await.unwrap();
                let pieces = stream::unfold(reply, |mut reply| async move { Some((Ok::<_, Infallible>(reply.recv().await?), reply)) });
                warp::reply::stream(pieces)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let server = tokio::spawn(warp::serve(route).incoming(listener).run());
        Self { base, replies, server }
    }

    /// Begins the next reply.
    fn reply(&self) -> mpsc::UnboundedSender<String> {
        let (tell, told) = mpsc::unbounded_channel();
        self.replies.send(told).unwrap();
        tell
    }

    fn model(&self) -> OpenAi {
        let config = Config {
            endpoint: Endpoint::OpenAi { base_url: self.base.clone(), model: "m".into() },
            timeout: Duration::from_secs(60),
            temperature: 0.0,
            max_tokens: 500,
            answer_format: AnswerFormat::JsonSchema,
            max_rows: 1000,
            profile: Profile::Large,
        };
        OpenAi::new(config, Authentication::None, &Arc::new(Catalog::embedded().unwrap())).unwrap()
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn delta(delta: &serde_json::Value) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}))
}

fn call(arguments: &str) -> String {
    let function = json!({"name": "execute_spark_sql", "arguments": arguments});
    delta(&json!({"tool_calls": [{"index": 0, "id": "c", "function": function}]}))
}

#[tokio::test]
async fn a_stream_reads_along_with_a_language_model_through_its_retries() {
    let paced = Paced::start().await;
    let server = TestServer::start(Arc::new(paced.model()), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let first = paced.reply();
    let id = server.ask("which films?").await;
    let mut client = Client::of(&server, &id).await;
    first.send(call(r#"{"sql_query":"SELECT \u00"#)).unwrap();
    reads(&mut client, "sql", "SELECT ").await;
    first.send(call("e9")).unwrap();
    reads(&mut client, "sql", "é").await;
    // The connection breaks, and the call is made again.
    drop(first);
    let second = paced.reply();
    assert_eq!(client.next_of("draft").await.data["reset"], true);
    second.send(call(&format!(r#"{{"sql_query":"{SQL}","reasoning":"to see them"}}"#))).unwrap();
    reads(&mut client, "reasoning", "to see them").await;
    second.send("data: [DONE]\n\n".into()).unwrap();
    let third = paced.reply();
    while client.next_of("status").await.data["stage"] != "answering" {}
    third.send(delta(&json!({"content": "{\"answer\":\"Two \\ud83c\\udfac"}))).unwrap();
    reads(&mut client, "answer", "Two 🎬").await;
    third.send(delta(&json!({"content": " films.\",\"basis\":\"data\",\"assumptions\":[],\"suggested_questions\":[]}"}))).unwrap();
    reads(&mut client, "answer", " films.").await;
    third.send("data: [DONE]\n\n".into()).unwrap();
    let rest = client.rest().await;
    let last = rest.iter().rfind(|event| event.name == "status").unwrap();
    assert_eq!(last.data["final_answer"], "Two 🎬 films.", "{rest:#?}");
}

#[tokio::test]
async fn a_model_that_does_not_stream_tells_nothing_until_it_replies() {
    let heard = Mutex::new(String::new());
    let paced = Paced::start().await;
    let reply = paced.reply();
    reply.send(json!({"choices": [{"message": {"content": "{\"answer\":\"Two.\"}"}, "finish_reason": "stop"}]}).to_string()).unwrap();
    drop(reply);
    let listener = |piece: asklake::model::Piece<'_>| heard.lock().unwrap().push_str(piece.text);
    let request = asklake::model::Request {
        language: None,
        transcript: vec![asklake::model::Entry::Question("which films?".into())],
        queries_left: 6,
    };
    asklake::model::Model::reply(&paced.model(), &request, &listener).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), "");
}
