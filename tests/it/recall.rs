//! Answers that are given again: as a client sees them, and as transitions of the machine.

use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering, time::Duration};

use asklake::{
    conversation::{
        Answered, Caller, Conversation, ConversationId, JobStatus, NewConversation, Owner, ResultSet, Stage, Timestamp, effect, recall,
    },
    conversation::{Budgets, Revision},
    service::{Ports, Recall, Scope, Service, Settings},
};
use proptest::prelude::*;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    embedded::{Embedded, lake},
    scripted::{ScriptedModel, ScriptedWarehouse, answer, query, statement},
    server::TestServer,
};

fn recalling(scope: Scope, at_most: Duration) -> Settings {
    Settings { recall: Some(Recall { at_most, scope }), ..Settings::default() }
}

const HOUR: Duration = Duration::from_secs(3600);

struct Asked {
    server: TestServer,
    model: Arc<ScriptedModel>,
    warehouse: Arc<ScriptedWarehouse>,
}

impl Asked {
    async fn of(model: ScriptedModel, settings: Settings) -> Self {
        let (model, warehouse) = (Arc::new(model), Arc::new(ScriptedWarehouse::new(Duration::ZERO)));
        let server = TestServer::start_as(Arc::clone(&model) as _, Arc::clone(&warehouse) as _, settings).await;
        Self { server, model, warehouse }
    }

    async fn start(&self, body: &Value, cache_control: Option<&str>) -> Value {
        let mut request = self.server.request(Method::POST, "/api/chat/start").json(body);
        if let Some(value) = cache_control {
            request = request.header("cache-control", value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let id = response.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned();
        self.server.json(&format!("/api/chat/{id}/status")).await
    }

    fn calls(&self) -> usize {
        self.model.calls.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_question_has_its_whole_answer_by_the_time_of_the_202_and_asks_neither_model_nor_warehouse() {
    let asked = Asked::of(ScriptedModel::querying(2, Duration::ZERO), recalling(Scope::App, HOUR)).await;
    let first = asked.server.ask("Which films?").await;
    let first = asked.server.ended(&first).await;
    assert_eq!((&first["status"], first.get("cached")), (&json!("completed"), None));
    let calls = asked.calls();
    let again = asked.start(&json!({"question": "  which  FILMS ", "user_id": "other"}), None).await;
    assert_eq!(again["status"], "completed", "no wait: {again}");
    for same in ["final_answer", "databricks_jobs", "assumptions", "answer_basis", "answered_by", "suggested_questions", "chart"] {
        assert_eq!(again[same], first[same], "{same}");
    }
    assert_eq!((&again["question"], &again["progress"]["percentage"]), (&json!("which  FILMS"), &json!(100)));
    assert_eq!(again["cached"]["age_seconds"].as_u64().map(|age| age < 3600), Some(true), "{again}");
    assert_eq!((&again["usage"]["model_calls"], &again["usage"]["queries"]), (&json!(0), &json!(0)));
    let id = again["conversation_id"].as_str().unwrap();
    assert_ne!(again["conversation_id"], first["conversation_id"]);
    for number in 1..=2 {
        let of = |id: &str| format!("/api/chat/{id}/results/{number}");
        let rows = asked.server.json(&of(id)).await;
        assert_eq!(rows, asked.server.json(&of(first["conversation_id"].as_str().unwrap())).await);
    }
    let said = asked.server.json(&format!("/api/chat/{id}/messages")).await;
    assert_eq!(said["messages"].as_array().unwrap().len(), 4, "question, two queries, answer: {said}");
    assert_eq!(asked.calls(), calls, "no model");
    assert_eq!(asked.warehouse.launches.lock().unwrap().len(), 2, "no warehouse");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_made_anew_where_the_client_asks_for_it_the_language_differs_or_it_is_a_follow_up() {
    let model = ScriptedModel::new(Duration::ZERO, |request, done| {
        let is_asked = matches!(request.transcript.last(), Some(asklake::model::Entry::Question(_)));
        Ok(if is_asked { query(&statement(done)) } else { answer("two films") })
    });
    let asked = Asked::of(model, recalling(Scope::App, HOUR)).await;
    let question = json!({"question": "which films?"});
    let first = asked.server.ask("which films?").await;
    asked.server.ended(&first).await;
    for (body, header) in [
        (json!({"question": "which films?", "fresh": true}), None),
        (question.clone(), Some("max-age=0, No-Cache")),
        (json!({"question": "which films?", "language": "de"}), None),
        (json!({"question": "which film?"}), None),
    ] {
        let before = asked.calls();
        let started = asked.start(&body, header).await;
        let ended = asked.server.ended(started["conversation_id"].as_str().unwrap()).await;
        assert_eq!((&ended["status"], ended.get("cached")), (&json!("completed"), None), "{body}");
        assert_eq!(asked.calls(), before + 2, "{body}");
    }
    let again = asked.start(&question, None).await;
    assert!(again["cached"].is_object(), "it was kept: {again}");
    let id = again["conversation_id"].as_str().unwrap();
    let path = format!("/api/chat/{id}/messages");
    let taken = asked.server.request(Method::POST, &path).json(&question).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
    let follow_up = asked.server.ended(id).await;
    assert_eq!((&follow_up["turn"], follow_up.get("cached")), (&json!(2), None), "{follow_up}");
    let said = asked.server.json(&path).await;
    assert!(said["ended_turns"][0]["cached"].is_object(), "what the first turn was is still told: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_given_again_that_is_too_old_unsupported_or_an_error() {
    let old = Asked::of(ScriptedModel::querying(1, Duration::ZERO), recalling(Scope::App, Duration::ZERO)).await;
    let unsupported =
        ScriptedModel::new(Duration::ZERO, |_, done| Ok(if done < 1 { query(&statement(0)) } else { answer("it is 4711 films") }));
    let unsupported = Asked::of(unsupported, recalling(Scope::App, HOUR)).await;
    let rowless = Asked::of(ScriptedModel::querying(0, Duration::ZERO), recalling(Scope::App, HOUR)).await;
    let failing = ScriptedModel::new(Duration::ZERO, |_, _| Err(asklake::model::Error::Refused("no".into())));
    let failing = Asked::of(failing, recalling(Scope::App, HOUR)).await;
    for (what, asked) in [("old", old), ("unsupported", unsupported), ("rowless", rowless), ("failing", failing)] {
        let first = asked.server.ask("which films?").await;
        let first = asked.server.ended(&first).await;
        let again = asked.server.ask("which films?").await;
        let again = asked.server.ended(&again).await;
        assert_eq!((&again["status"], again.get("cached")), (&first["status"], None), "{what}");
    }
}

fn new(owner: Option<Owner>) -> NewConversation {
    let (user_id, device_id, language, request_digest) = (None, None, None, None);
    NewConversation { id: ConversationId::random(), question: "which films?".into(), owner, user_id, device_id, language, request_digest }
}

/// Asks as `owner` and works until the queue is empty; returns what is stored then.
async fn asked_by(service: &Service, embedded: &Embedded, owner: &Owner) -> Conversation {
    let id = service.start_or_recall(new(Some(owner.clone()))).await.unwrap().id;
    let lane = asklake::queue::Lane::Work;
    while let Some(message) = embedded.receiver.receive(lane, 1, HOUR, Duration::ZERO).await.unwrap().pop() {
        service.step(serde_json::from_str(&message.body).unwrap(), message.dequeue_count).await.unwrap();
        embedded.receiver.delete(lane, &message.lease).await.unwrap();
    }
    let found = service.read(&Caller::User(owner.clone()), id, None).await.unwrap().unwrap();
    Arc::unwrap_or_clone(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_scope_principal_nobody_is_given_what_was_answered_for_another() {
    for (scope, is_shared) in [(Scope::Principal, false), (Scope::App, true)] {
        let embedded = Embedded::open();
        let (model, warehouse) = (ScriptedModel::querying(1, Duration::ZERO), ScriptedWarehouse::new(Duration::ZERO));
        let (store, wakes) = (Arc::clone(&embedded.store), Arc::clone(&embedded.sender));
        let ports = Ports { store, wakes, model: Arc::new(model), warehouse: Arc::new(warehouse) };
        let service = Service::new(ports, lake(), Budgets::default(), recalling(scope, HOUR));
        let [ann, bob] = ["ann", "bob"].map(|name| Owner::new("https://issuer", name).unwrap());
        assert_eq!(asked_by(&service, &embedded, &ann).await.recalled, None);
        let of_bob = asked_by(&service, &embedded, &bob).await;
        assert_eq!(of_bob.recalled.is_some(), is_shared, "{scope:?}");
        assert_eq!((of_bob.stage, &of_bob.owner), (Stage::Completed, &Some(bob)));
        assert!(asked_by(&service, &embedded, &ann).await.recalled.is_some(), "{scope:?}: her own");
    }
}

/// A turn that was answered from `queries` queries, and its rows.
async fn answered(queries: usize) -> (Conversation, BTreeMap<usize, ResultSet>) {
    let embedded = Embedded::open();
    let (model, warehouse) = (ScriptedModel::querying(queries, Duration::ZERO), ScriptedWarehouse::new(Duration::ZERO));
    let (store, wakes) = (Arc::clone(&embedded.store), Arc::clone(&embedded.sender));
    let ports = Ports { store, wakes, model: Arc::new(model), warehouse: Arc::new(warehouse) };
    let service = Service::new(ports, lake(), Budgets::default(), Settings::default());
    let conversation = asked_by(&service, &embedded, &Owner::new("https://issuer", "ann").unwrap()).await;
    (conversation, (0..queries).map(|index| (index, ScriptedWarehouse::rows())).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_recalled_turn_keeps_the_invariants_of_the_machine_and_tells_nothing_of_who_asked_first(queries in 1_usize..4, age in 0_u64..100_000) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (first, results) = runtime.block_on(answered(queries));
        let kept = Answered::of(&first, results).expect("it may be given again");
        let now = kept.answered_at().plus(Duration::from_secs(age));
        let asked = Conversation::start(new(None), now);
        let transition = recall(asked.clone(), &kept, now).expect("nobody has begun it");
        let next = transition.conversation;
        prop_assert_eq!((next.revision, transition.wake, next.wake_at), (asked.revision.next(), None, None));
        prop_assert_eq!((next.revision, next.stage, next.progress().percentage), (Revision(2), Stage::Completed, 100));
        prop_assert_eq!(effect(&next, &Budgets::default(), now), None);
        prop_assert!(next.databricks_jobs.iter().all(|job| job.status == JobStatus::Completed));
        prop_assert_eq!(next.recalled.map(|recalled| recalled.age_seconds), Some(age));
        prop_assert_eq!((next.id, &next.owner, &next.usage), (asked.id, &None, &asked.usage));
        let stored = serde_json::to_string(&next).unwrap();
        prop_assert!(!stored.contains("issuer"));
        // Neither an ended turn nor one that was recalled is answered so, and none without its rows is kept.
        prop_assert_eq!(recall(next.clone(), &kept, now), None);
        prop_assert_eq!(Answered::of(&next, kept.results().clone()), None);
        prop_assert_eq!(Answered::of(&first, BTreeMap::new()), None);
    }
}

#[test]
fn what_is_stored_of_a_turn_without_a_recalled_answer_is_as_before() {
    let stored = serde_json::to_value(Conversation::start(new(None), Timestamp::from_unix_millis(0))).unwrap();
    assert_eq!(stored.get("recalled"), None);
}
