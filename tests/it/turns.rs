//! A conversation that goes on: follow-up turns, cancellation, removal and feedback, seen by a client.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use asklake::{
    conversation::{Budgets, Stage},
    http,
    model::{Entry, Request},
    queue::{self, Sender, Wake},
    runtime::worker,
    service::{Ports, Service, Settings},
};
use async_trait::async_trait;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    embedded::{Embedded, lake},
    scripted::{ScriptedModel, ScriptedWarehouse, answer, query, statement},
    server::TestServer,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A model that runs one query in every turn and remembers what it was shown.
fn model() -> (Arc<ScriptedModel>, Arc<Mutex<Vec<Request>>>) {
    let shown = Arc::<Mutex<Vec<Request>>>::default();
    let book = Arc::clone(&shown);
    let model = ScriptedModel::new(Duration::ZERO, move |request, done| {
        book.lock().unwrap().push(request.clone());
        let is_asked = matches!(request.transcript.last(), Some(Entry::Question(_)));
        Ok(if is_asked { query(&statement(done)) } else { answer("two films") })
    });
    (Arc::new(model), shown)
}

async fn server() -> TestServer {
    TestServer::start(model().0, Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await
}

async fn post(server: &TestServer, path: &str, body: &Value) -> Response {
    server.request(Method::POST, path).json(body).send().await.unwrap()
}

async fn ask_on(server: &TestServer, id: &str, question: &str) -> Response {
    post(server, &format!("/api/chat/{id}/messages"), &json!({"question": question})).await
}

async fn problem(response: Response, status: u16, kind: &str) -> String {
    assert_eq!(response.status().as_u16(), status);
    let body: Value = response.json().await.unwrap();
    assert!(body["type"].as_str().unwrap().ends_with(&format!("/{kind}")), "{body}");
    body["detail"].as_str().unwrap().to_owned()
}

/// Waits until the conversation is in `stage`.
async fn reached(server: &TestServer, id: &str, stage: &str) -> Value {
    let mut after = 0;
    for _ in 0..60 {
        let status = server.json(&format!("/api/chat/{id}/status?wait=10&after={after}")).await;
        if status["stage"] == stage {
            return status;
        }
        after = status["revision"].as_u64().unwrap();
    }
    panic!("conversation {id} never was {stage}");
}

#[tokio::test]
async fn a_follow_up_is_answered_in_the_same_conversation_and_knows_what_was_said() {
    let (model, shown) = model();
    let server = TestServer::start(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let id = server.ask("which films?").await;
    server.ended(&id).await;
    let response = ask_on(&server, &id, "  and of them?  ").await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["location"], format!("/api/chat/{id}/status"));
    let body: Value = response.json().await.unwrap();
    assert_eq!((&body["conversation_id"], &body["processing_status"]), (&json!(id), &json!("started")));
    let status = server.ended(&id).await;
    assert_eq!((&status["status"], &status["turn"], &status["question"]), (&json!("completed"), &json!(2), &json!("and of them?")));
    assert_eq!(status["databricks_jobs"].as_array().unwrap().len(), 2, "both queries stay");
    let messages = server.json(&format!("/api/chat/{id}/messages")).await;
    let said: Vec<(u64, &str)> = (messages["messages"].as_array().unwrap().iter())
        .map(|message| (message["turn"].as_u64().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [(1, "which films?"), (1, ""), (1, "two films"), (2, "and of them?"), (2, ""), (2, "two films")]);
    for number in 1..=2 {
        assert_eq!(server.json(&format!("/api/chat/{id}/results/{number}")).await["row_count"], 2);
    }
    let last = shown.lock().unwrap().last().unwrap().clone();
    let is_kept = |entry: &Entry| matches!(entry, Entry::Query { result: Ok(shown), .. } if shown.result.row_count == 2);
    assert_eq!(last.transcript.iter().filter(|entry| is_kept(entry)).count(), 2, "the rows of both turns: {last:?}");
    assert!(matches!(&last.transcript[2], Entry::Answer(text) if text == "two films"));
}

#[tokio::test]
async fn what_was_known_of_earlier_turns_is_still_told() {
    let model = ScriptedModel::new(Duration::ZERO, |request, done| match request.transcript.last() {
        Some(Entry::Question(question)) if question == "fail" => Err(asklake::model::Error::Refused("no".into())),
        Some(Entry::Question(_)) => Ok(query(&statement(done))),
        _ => Ok(answer("99 films")),
    });
    let server = TestServer::start(Arc::new(model), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let id = server.ask("which films?").await;
    let mut told = vec![];
    for question in ["fail", "and then?"] {
        told.push(server.ended(&id).await);
        assert_eq!(ask_on(&server, &id, question).await.status(), StatusCode::ACCEPTED);
    }
    server.ended(&id).await;
    let messages = server.json(&format!("/api/chat/{id}/messages")).await;
    let ended = messages["ended_turns"].as_array().unwrap();
    assert_eq!(ended.len(), 2);
    for (turn, status) in ended.iter().zip(&told) {
        for (name, value) in turn.as_object().unwrap() {
            assert_eq!(*value, status[name], "{name}");
        }
    }
    assert_eq!(ended[0]["unverified"], json!(["99"]));
    assert_eq!(ended[1]["error_detail"]["code"], "model_refused");
}

#[tokio::test]
async fn the_language_of_a_conversation_holds_until_a_follow_up_names_another() {
    let (model, shown) = model();
    let server = TestServer::start(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let started: Value = server.post_start(&json!({"question": "welche?", "language": "de"})).await.json().await.unwrap();
    let id = started["conversation_id"].as_str().unwrap();
    server.ended(id).await;
    for body in [json!({"question": "und?"}), json!({"question": "and?", "language": "en"}), json!({"question": "more?"})] {
        assert_eq!(post(&server, &format!("/api/chat/{id}/messages"), &body).await.status(), StatusCode::ACCEPTED);
        server.ended(id).await;
    }
    let mut languages: Vec<_> = shown.lock().unwrap().iter().map(|request| request.language.clone().unwrap()).collect();
    languages.dedup();
    assert_eq!(languages, ["de", "en"]);
}

#[tokio::test]
async fn a_running_turn_takes_neither_a_question_nor_feedback() {
    let server = TestServer::start(model().0, Arc::new(ScriptedWarehouse::new(HOUR))).await;
    let id = server.ask("which films?").await;
    let before = reached(&server, &id, "executing").await;
    let detail = problem(ask_on(&server, &id, "and?").await, 409, "turn-running").await;
    assert!(detail.contains("cancel"), "it says what to do: {detail}");
    problem(post(&server, &format!("/api/chat/{id}/feedback"), &json!({"rating": "positive"})).await, 409, "turn-running").await;
    assert_eq!(server.json(&format!("/api/chat/{id}/status")).await["turn"], before["turn"]);
}

#[tokio::test]
async fn bad_requests_get_a_problem_and_change_nothing() {
    let server = server().await;
    let id = server.ask("which films?").await;
    let before = server.ended(&id).await;
    let long = "x".repeat(4001);
    for body in [json!({}), json!({"question": " "}), json!({"question": long}), json!({"question": "q", "language": "no tag"}), json!([])]
    {
        problem(post(&server, &format!("/api/chat/{id}/messages"), &body).await, 400, "invalid-request").await;
    }
    let comment = "x".repeat(2001);
    for body in [json!({}), json!({"rating": "so so"}), json!({"rating": "positive", "comment": comment}), json!({"comment": "good"})] {
        problem(post(&server, &format!("/api/chat/{id}/feedback"), &body).await, 400, "invalid-request").await;
    }
    assert_eq!(server.json(&format!("/api/chat/{id}/status")).await, before);
    let unknown = "00000000-0000-4000-8000-000000000000";
    problem(ask_on(&server, unknown, "and?").await, 404, "not-found").await;
    problem(post(&server, &format!("/api/chat/{unknown}/feedback"), &json!({"rating": "positive"})).await, 404, "not-found").await;
    problem(post(&server, &format!("/api/chat/{unknown}/cancel"), &json!({})).await, 404, "not-found").await;
    let delete = server.request(Method::DELETE, &format!("/api/chat/{unknown}")).send().await.unwrap();
    problem(delete, 404, "not-found").await;
}

#[tokio::test]
async fn a_follow_up_that_is_sent_again_with_its_key_begins_no_second_turn() {
    let server = server().await;
    let id = server.ask("which films?").await;
    server.ended(&id).await;
    let send = |question: &str| {
        let request = server.request(Method::POST, &format!("/api/chat/{id}/messages")).header("Idempotency-Key", "once");
        request.json(&json!({"question": question})).send()
    };
    // Twenty at once, and one more when the turn has ended.
    let responses = futures_util::future::join_all((0..20).map(|_| send("and?"))).await;
    let mut bodies = Vec::new();
    for response in responses {
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        bodies.push(response.json::<Value>().await.unwrap());
    }
    server.ended(&id).await;
    bodies.push(send("and?").await.unwrap().json().await.unwrap());
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the same 202");
    problem(send("something else?").await.unwrap(), 422, "idempotency-mismatch").await;
    assert_eq!(server.ended(&id).await["turn"], 2);
}

#[tokio::test]
async fn of_two_questions_at_once_one_is_asked() {
    let server = TestServer::start(model().0, Arc::new(ScriptedWarehouse::new(HOUR))).await;
    let failing = server.ask("which films?").await;
    assert_eq!(cancel(&server, &failing).await.0, 202);
    reached(&server, &failing, "canceled").await;
    let (one, other) = tokio::join!(ask_on(&server, &failing, "one?"), ask_on(&server, &failing, "other?"));
    let mut statuses = [one.status().as_u16(), other.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
}

/// Posts a cancellation; its status and `processing_status`.
async fn cancel(server: &TestServer, id: &str) -> (u16, String) {
    let response = server.request(Method::POST, &format!("/api/chat/{id}/cancel")).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json::<Value>().await.unwrap()["processing_status"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_running_query_is_canceled_in_the_warehouse_which_confirms_it() {
    let warehouse = Arc::new(ScriptedWarehouse::new(HOUR));
    let server = TestServer::start(model().0, Arc::clone(&warehouse) as _).await;
    let id = server.ask("which films?").await;
    let percentage = reached(&server, &id, "executing").await["progress"]["percentage"].clone();
    assert_eq!(cancel(&server, &id).await, (202, "canceling".into()));
    let status = server.ended(&id).await;
    assert_eq!((&status["status"], &status["error"], &status["stage"]), (&json!("error"), &json!("Canceled"), &json!("canceled")));
    assert_eq!(status["error_detail"], json!({"code": "canceled", "retryable": false}));
    assert_eq!(status["progress"]["percentage"], percentage, "it stays where it was");
    assert_eq!(status["progress"]["current_step"], "Canceled; the warehouse confirmed it");
    let job = &status["databricks_jobs"][0];
    assert_eq!((&job["status"], &job["error"]), (&json!("canceled"), &json!("Canceled; the warehouse confirmed it")));
    assert!(job["cancel_confirmed_at"].is_string() && job["finished_at"].is_string(), "{job}");
    assert_eq!(warehouse.canceled.lock().unwrap().len(), 1);
    assert_eq!(cancel(&server, &id).await, (202, "canceled".into()), "to cancel it again changes nothing");
    assert_eq!(server.json(&format!("/api/chat/{id}/status")).await["revision"], status["revision"]);
    assert_eq!(ask_on(&server, &id, "and now?").await.status(), StatusCode::ACCEPTED, "and the conversation goes on");
}

#[tokio::test]
async fn a_model_that_is_asked_is_not_waited_for() {
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let model = Arc::new(ScriptedModel::querying(0, HOUR));
    let server = TestServer::start(Arc::clone(&model) as _, Arc::clone(&warehouse) as _).await;
    let id = server.ask("which films?").await;
    assert_eq!(cancel(&server, &id).await, (202, "canceled".into()), "no query runs, so nothing is waited for");
    let status = server.ended(&id).await;
    assert_eq!((&status["stage"], &status["progress"]["current_step"]), (&json!("canceled"), &json!("Canceled")));
    assert_eq!(model.calls.load(Ordering::SeqCst), 0);
    // The worker lets go of the call: nothing is left to be waited for when the server stops.
    tokio::time::timeout(Duration::from_secs(8), server.stop()).await.expect("the call was dropped");
}

#[tokio::test]
async fn a_turn_that_has_ended_is_not_canceled() {
    let server = server().await;
    let id = server.ask("which films?").await;
    let before = server.ended(&id).await;
    let response = server.request(Method::POST, &format!("/api/chat/{id}/cancel")).send().await.unwrap();
    problem(response, 409, "turn-ended").await;
    assert_eq!(server.json(&format!("/api/chat/{id}/status")).await, before);
}

#[tokio::test]
async fn a_deleted_conversation_is_gone_and_so_is_its_query() {
    let warehouse = Arc::new(ScriptedWarehouse::new(HOUR));
    let server = TestServer::start(model().0, Arc::clone(&warehouse) as _).await;
    let started: Value = server.post_start(&json!({"question": "which films?", "user_id": "u"})).await.json().await.unwrap();
    let id = started["conversation_id"].as_str().unwrap();
    reached(&server, id, "executing").await;
    let delete = || server.request(Method::DELETE, &format!("/api/chat/{id}")).send();
    let response = delete().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(response.bytes().await.unwrap().is_empty());
    assert_eq!(warehouse.canceled.lock().unwrap().len(), 1);
    problem(delete().await.unwrap(), 404, "not-found").await;
    for path in ["status", "messages", "results/1"] {
        problem(server.get(&format!("/api/chat/{id}/{path}")).await, 404, "not-found").await;
    }
    assert_eq!(server.json("/api/chat/history?user_id=u").await["conversations"], json!([]));
    tokio::time::timeout(Duration::from_secs(8), server.stop()).await.expect("the worker has let go of it");
}

#[tokio::test]
async fn feedback_is_kept_with_its_turn_and_the_last_one_counts() {
    let server = server().await;
    let id = server.ask("which films?").await;
    assert_eq!(server.ended(&id).await["feedback"], Value::Null);
    let rate = |body: Value| {
        let server = &server;
        let path = format!("/api/chat/{id}/feedback");
        async move {
            let response = post(server, &path, &body).await;
            assert_eq!(response.status(), StatusCode::NO_CONTENT);
        }
    };
    rate(json!({"rating": "positive", "comment": "  good  ", "unknown": 1})).await;
    rate(json!({"rating": "negative"})).await;
    let feedback = server.ended(&id).await["feedback"].clone();
    assert_eq!((&feedback["rating"], &feedback["comment"]), (&json!("negative"), &Value::Null));
    ask_on(&server, &id, "and?").await;
    assert_eq!(server.ended(&id).await["feedback"], Value::Null, "the answer of the next turn has none");
    rate(json!({"rating": "positive", "comment": "better"})).await;
    let messages = server.json(&format!("/api/chat/{id}/messages")).await;
    let rated: Vec<&Value> = messages["messages"].as_array().unwrap().iter().map(|message| &message["feedback"]["rating"]).collect();
    let none = &Value::Null;
    assert_eq!(rated, [none, none, &json!("negative"), none, none, &json!("positive")]);
}

#[tokio::test]
async fn the_history_names_a_conversation_by_its_first_question() {
    let server = server().await;
    let started: Value = server.post_start(&json!({"question": "which films?", "user_id": "u"})).await.json().await.unwrap();
    let id = started["conversation_id"].as_str().unwrap();
    server.ended(id).await;
    ask_on(&server, id, "and of them?").await;
    server.ended(id).await;
    let entry = &server.json("/api/chat/history?user_id=u").await["conversations"][0];
    assert_eq!((&entry["title"], &entry["question"]), (&json!("which films?"), &json!("and of them?")));
}

#[tokio::test]
async fn a_conversation_without_room_for_another_turn_says_so() {
    // Of an ended turn, the answer stands in its message and once more as the final answer.
    let kibibytes = [500, 290, 145, 75, 35];
    let model = ScriptedModel::new(Duration::ZERO, move |request, _| {
        let turn = request.transcript.iter().filter(|entry| matches!(entry, Entry::Question(_))).count();
        Ok(answer(&"x".repeat(kibibytes[turn - 1] << 10)))
    });
    let server = TestServer::start(Arc::new(model), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let id = server.ask("tell me everything").await;
    for _ in 1..kibibytes.len() {
        assert_eq!(server.ended(&id).await["status"], "completed");
        assert_eq!(ask_on(&server, &id, "and?").await.status(), StatusCode::ACCEPTED);
    }
    let before = server.ended(&id).await;
    assert_eq!(before["status"], "completed");
    let detail = problem(ask_on(&server, &id, "and?").await, 409, "conversation-full").await;
    assert!(detail.contains("1024 KiB") && detail.contains("start a new one"), "{detail}");
    assert_eq!(server.json(&format!("/api/chat/{id}/status")).await, before);
}

/// A queue that fails when it is told to.
struct Failing {
    sender: Arc<dyn Sender>,
    fails: Mutex<bool>,
}

#[async_trait]
impl Sender for Failing {
    fn kind(&self) -> &'static str {
        "failing"
    }

    async fn send(&self, wake: &Wake, delay: Duration) -> Result<(), queue::Error> {
        if *self.fails.lock().unwrap() {
            return Err(queue::Error::Unavailable("it is down".into()));
        }
        self.sender.send(wake, delay).await
    }

    async fn probe(&self) -> Result<(), queue::Error> {
        self.sender.probe().await
    }
}

/// A server whose queue fails from the start or from when it is told to.
async fn server_over_a_queue_that_fails(fails: bool) -> (TestServer, Arc<Failing>) {
    let mut embedded = Embedded::open();
    let queue = Arc::new(Failing { sender: Arc::clone(&embedded.sender), fails: Mutex::new(fails) });
    embedded.sender = Arc::clone(&queue) as _;
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let (http, worker) = (http::Settings::default(), worker::Settings::default());
    let server = TestServer::start_on(embedded, model().0, warehouse, http, worker, Settings::default()).await;
    (server, queue)
}

#[tokio::test]
async fn a_follow_up_that_nobody_could_be_woken_for_is_withdrawn_and_may_be_sent_again() {
    let (server, queue) = server_over_a_queue_that_fails(false).await;
    let id = server.ask("which films?").await;
    server.ended(&id).await;
    let send = || {
        let request = server.request(Method::POST, &format!("/api/chat/{id}/messages")).header("Idempotency-Key", "k");
        request.json(&json!({"question": "and?"})).send()
    };
    *queue.fails.lock().unwrap() = true;
    let response = send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    problem(response, 503, "dependency-unavailable").await;
    let status = server.ended(&id).await;
    assert_eq!((&status["turn"], &status["error_detail"]["code"]), (&json!(2), &json!("abandoned")));
    *queue.fails.lock().unwrap() = false;
    assert_eq!(send().await.unwrap().status(), StatusCode::ACCEPTED);
    let status = server.ended(&id).await;
    assert_eq!((&status["turn"], &status["status"]), (&json!(3), &json!("completed")));
}

#[tokio::test]
async fn a_start_that_nobody_could_be_woken_for_begins_anew_when_it_is_sent_again() {
    let (server, queue) = server_over_a_queue_that_fails(true).await;
    let send = || {
        let request = server.request(Method::POST, "/api/chat/start").header("Idempotency-Key", "k");
        request.json(&json!({"question": "which films?"})).send()
    };
    problem(send().await.unwrap(), 503, "dependency-unavailable").await;
    *queue.fails.lock().unwrap() = false;
    let accepted = send().await.unwrap();
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    let id = accepted.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned();
    let status = server.ended(&id).await;
    assert_eq!((&status["turn"], &status["status"]), (&json!(1), &json!("completed")), "{status:#}");
}

/// Two processes over one store and one queue: the worker is in the other one than the client.
#[tokio::test]
async fn a_worker_of_another_process_notices_that_its_turn_is_canceled() {
    let embedded = Embedded::open();
    let model: Arc<ScriptedModel> = Arc::new(ScriptedModel::querying(0, HOUR));
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let ports = Ports { store: Arc::clone(&embedded.store), wakes: Arc::clone(&embedded.sender), model, warehouse };
    let service = || Service::new(ports.clone(), lake(), Budgets::default(), Settings::default());
    let (client, worker) = (service(), service());
    let started = client
        .start(asklake::conversation::NewConversation {
            id: asklake::conversation::ConversationId::random(),
            question: "which films?".into(),
            owner: None,
            user_id: None,
            device_id: None,
            language: None,
            request_digest: None,
        })
        .await
        .unwrap();
    let stored = embedded.store.load(started.id).await.unwrap().unwrap();
    let wake = Wake::of(&stored.conversation);
    let work = tokio::spawn(async move { worker.step(wake, 1).await });
    client.cancel(&asklake::conversation::Caller::Anonymous, started.id).await.unwrap();
    let worked = tokio::time::timeout(Duration::from_secs(300), work).await.expect("it does not wait for the model").unwrap();
    assert!(worked.is_ok(), "it acknowledges: {worked:?}");
    assert_eq!(embedded.store.load(started.id).await.unwrap().unwrap().conversation.stage, Stage::Canceled);
}
