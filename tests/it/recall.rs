//! Answers that are given again: as a client sees them, and as transitions of the machine.

use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering, time::Duration};

use asklake::{
    cache::{Cache, Key, Unavailable, memory::MemoryCache, redis::RedisCache},
    conversation::{
        Answered, Caller, Conversation, ConversationId, JobStatus, NewConversation, Owner, ResultSet, Stage, Timestamp, effect, recall,
    },
    conversation::{Budgets, Revision},
    http,
    queue::{Lane, Wake},
    redis::Redis,
    runtime::worker,
    service::{Asker, Ports, Recall, Scope, Service, Settings},
};
use async_trait::async_trait;
use proptest::prelude::*;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    embedded::{Embedded, lake},
    redis::RedisServer,
    scripted::{Gate, ScriptedModel, ScriptedWarehouse, answer, query, statement},
    server::TestServer,
};

fn recall_for(scope: Scope, at_most: Duration) -> Recall {
    Recall { at_most, scope, made_from: "the lake".into() }
}

/// A service over `embedded` that gives answers in `cache` again.
fn recalling(
    embedded: &Embedded,
    model: Arc<ScriptedModel>,
    warehouse: Arc<ScriptedWarehouse>,
    cache: Arc<dyn Cache>,
    recall: Recall,
) -> Service {
    let ports = Ports { store: Arc::clone(&embedded.store), wakes: Arc::clone(&embedded.sender), model, warehouse };
    Service::new(ports, lake(), Budgets::default(), Settings::default()).recalling(cache, recall)
}

const HOUR: Duration = Duration::from_secs(3600);

struct Asked {
    server: TestServer,
    model: Arc<ScriptedModel>,
    warehouse: Arc<ScriptedWarehouse>,
}

impl Asked {
    async fn of(model: ScriptedModel, at_most: Duration) -> Self {
        Self::with(model, ScriptedWarehouse::new(Duration::ZERO), Arc::new(MemoryCache::default()), at_most).await
    }

    async fn with(model: ScriptedModel, warehouse: ScriptedWarehouse, cache: Arc<dyn Cache>, at_most: Duration) -> Self {
        let (embedded, model, warehouse) = (Embedded::open(), Arc::new(model), Arc::new(warehouse));
        let service = recalling(&embedded, Arc::clone(&model), Arc::clone(&warehouse), cache, recall_for(Scope::App, at_most));
        let server = TestServer::serve(embedded, service, http::Settings::default(), worker::Settings::default()).await;
        Self { server, model, warehouse }
    }

    fn launches(&self) -> usize {
        self.warehouse.launches.lock().unwrap().len()
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
    let asked = Asked::of(ScriptedModel::querying(2, Duration::ZERO), HOUR).await;
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
    assert_eq!(asked.launches(), 2, "no warehouse");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_made_anew_where_the_client_asks_for_it_the_language_differs_or_it_is_a_follow_up() {
    let model = ScriptedModel::new(Duration::ZERO, |request, done| {
        let is_asked = matches!(request.transcript.last(), Some(asklake::model::Entry::Question(_)));
        Ok(if is_asked { query(&statement(done)) } else { answer("two films") })
    });
    let asked = Asked::of(model, HOUR).await;
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
    let old = Asked::of(ScriptedModel::querying(1, Duration::ZERO), Duration::ZERO).await;
    let unsupported =
        ScriptedModel::new(Duration::ZERO, |_, done| Ok(if done < 1 { query(&statement(0)) } else { answer("it is 4711 films") }));
    let unsupported = Asked::of(unsupported, HOUR).await;
    let rowless = Asked::of(ScriptedModel::querying(0, Duration::ZERO), HOUR).await;
    let failing = ScriptedModel::new(Duration::ZERO, |_, _| Err(asklake::model::Error::Refused("no".into())));
    let failing = Asked::of(failing, HOUR).await;
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
    let id = service.start_for(&Asker::local(&Caller::Anonymous), new(Some(owner.clone())), false).await.unwrap().0.id;
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
        let cache = Arc::new(MemoryCache::default());
        let service = recalling(&embedded, Arc::new(model), Arc::new(warehouse), cache, recall_for(scope, HOUR));
        let [ann, bob] = ["ann", "bob"].map(|name| Owner::new("https://issuer", name).unwrap());
        assert_eq!(asked_by(&service, &embedded, &ann).await.recalled, None);
        let of_bob = asked_by(&service, &embedded, &bob).await;
        assert_eq!(of_bob.recalled.is_some(), is_shared, "{scope:?}");
        assert_eq!((of_bob.stage, &of_bob.owner), (Stage::Completed, &Some(bob)));
        assert!(asked_by(&service, &embedded, &ann).await.recalled.is_some(), "{scope:?}: her own");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_answers_through_redis_if_they_are_made_from_the_same() {
    let redis = RedisServer::start();
    let instance = |embedded: &Embedded, made_from: &str, scope| {
        let cache = Arc::new(RedisCache::new(Arc::new(Redis::new(&redis.url()).unwrap())));
        let recall = Recall { made_from: made_from.into(), ..recall_for(scope, HOUR) };
        let (model, warehouse) = (ScriptedModel::querying(1, Duration::ZERO), ScriptedWarehouse::new(Duration::ZERO));
        recalling(embedded, Arc::new(model), Arc::new(warehouse), cache, recall)
    };
    let [here, there] = [Embedded::open(), Embedded::open()];
    let [ann, bob] = ["ann", "bob"].map(|name| Owner::new("https://issuer", name).unwrap());
    let first = asked_by(&instance(&here, "the lake", Scope::App), &here, &ann).await;
    let again = asked_by(&instance(&there, "the lake", Scope::App), &there, &bob).await;
    assert_eq!((first.recalled, again.recalled.is_some()), (None, true));
    assert_eq!((&again.final_answer, &again.owner), (&first.final_answer, &Some(bob.clone())));
    assert_eq!(asked_by(&instance(&there, "another lake", Scope::App), &there, &bob).await.recalled, None);
    let (mine, theirs) = (instance(&here, "the lake", Scope::Principal), instance(&there, "the lake", Scope::Principal));
    assert_eq!(asked_by(&mine, &here, &ann).await.recalled, None, "what was kept for everybody is not hers");
    assert_eq!(asked_by(&theirs, &there, &bob).await.recalled, None, "hers is not his");
    assert!(asked_by(&theirs, &there, &ann).await.recalled.is_some(), "her own, from the other instance");
}

/// A warehouse whose every launch has to pass `gate`.
fn gated(gate: &Arc<Gate>) -> ScriptedWarehouse {
    let mut warehouse = ScriptedWarehouse::new(Duration::ZERO);
    warehouse.gate = Some(Arc::clone(gate));
    warehouse
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_question_asked_at_once_is_answered_once() {
    let gate = Arc::new(Gate::default());
    let warehouse = gated(&gate);
    let model = ScriptedModel::querying(1, Duration::ZERO);
    let asked = Asked::with(model, warehouse, Arc::new(MemoryCache::default()), HOUR).await;
    let leader = asked.server.ask("which films?").await;
    gate.reached.notified().await;
    let followers = [asked.server.ask("Which films").await, asked.server.ask("which films?").await];
    for follower in &followers {
        assert_eq!(asked.server.json(&format!("/api/chat/{follower}/status")).await["status"], "processing");
    }
    gate.opened.notify_one();
    let first = asked.server.ended(&leader).await;
    assert_eq!((&first["status"], first.get("cached")), (&json!("completed"), None));
    for follower in followers {
        let ended = asked.server.ended(&follower).await;
        assert_eq!((&ended["status"], ended["cached"].is_object()), (&json!("completed"), true), "{ended}");
        assert_eq!(ended["final_answer"], first["final_answer"]);
    }
    assert_eq!((asked.calls(), asked.launches()), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_an_answer_that_does_not_come_is_answered_by_itself() {
    let gate = Arc::new(Gate::default());
    let warehouse = gated(&gate);
    let tries = std::sync::atomic::AtomicUsize::new(0);
    // Its first answer is one that no row supports, and so is not kept.
    let model = ScriptedModel::new(Duration::ZERO, move |_, done| {
        let is_first = done > 0 && tries.fetch_add(1, Ordering::SeqCst) < 2;
        Ok(if done < 1 { query(&statement(0)) } else { answer(if is_first { "it is 4711 films" } else { "two films" }) })
    });
    let asked = Asked::with(model, warehouse, Arc::new(MemoryCache::default()), HOUR).await;
    let leader = asked.server.ask("which films?").await;
    gate.reached.notified().await;
    let follower = asked.server.ask("which films?").await;
    gate.opened.notify_one();
    asked.server.ended(&leader).await;
    gate.opened.notify_one();
    let ended = asked.server.ended(&follower).await;
    assert_eq!((&ended["status"], ended.get("cached")), (&json!("completed"), None), "{ended}");
    assert_eq!(asked.launches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_one_that_is_canceled_or_deleted_is_answered_by_itself_and_soon() {
    for end in [Method::POST, Method::DELETE] {
        let gate = Arc::new(Gate::default());
        let asked = Asked::with(ScriptedModel::querying(1, Duration::ZERO), gated(&gate), Arc::new(MemoryCache::default()), HOUR).await;
        let leader = asked.server.ask("which films?").await;
        gate.reached.notified().await;
        let follower = asked.server.ask("Which films").await;
        let began = std::time::Instant::now();
        let path = if end == Method::POST { format!("/api/chat/{leader}/cancel") } else { format!("/api/chat/{leader}") };
        assert!(asked.server.request(end.clone(), &path).send().await.unwrap().status().is_success());
        gate.opened.notify_one();
        gate.reached.notified().await;
        gate.opened.notify_one();
        let ended = asked.server.ended(&follower).await;
        assert_eq!((&ended["status"], ended.get("cached")), (&json!("completed"), None), "{ended}");
        assert!(began.elapsed() < Duration::from_secs(45), "the lease would be over after 60 s: {:?}", began.elapsed());
        assert_eq!(asked.launches(), 2);
    }
}

/// A cache whose leases are over soon.
#[derive(Default)]
struct Fleeting(MemoryCache);

#[async_trait]
impl Cache for Fleeting {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    async fn get(&self, key: &Key) -> Option<Arc<Answered>> {
        self.0.get(key).await
    }
    async fn put(&self, key: &Key, answered: Arc<Answered>, life: Duration) {
        self.0.put(key, answered, life).await;
    }
    async fn lease(&self, key: &Key, holder: ConversationId, _life: Duration) -> bool {
        self.0.lease(key, holder, Duration::from_millis(1500)).await
    }
    async fn is_leased(&self, key: &Key) -> bool {
        self.0.is_leased(key).await
    }
    async fn release(&self, key: &Key, holder: ConversationId) {
        self.0.release(key, holder).await;
    }
    async fn probe(&self) -> Result<(), Unavailable> {
        self.0.probe().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_one_that_died_is_answered_when_its_lease_is_over() {
    let embedded = Embedded::open();
    let (model, warehouse) = (ScriptedModel::querying(1, Duration::ZERO), ScriptedWarehouse::new(Duration::ZERO));
    let cache = Arc::new(Fleeting::default());
    let service = recalling(&embedded, Arc::new(model), Arc::new(warehouse), cache, recall_for(Scope::App, HOUR));
    service.start_for(&Asker::local(&Caller::Anonymous), new(None), false).await.unwrap();
    let dead = embedded.receiver.receive(Lane::Work, 1, HOUR, HOUR).await.unwrap().pop().unwrap();
    embedded.receiver.delete(Lane::Work, &dead.lease).await.unwrap();
    let id = service.start_for(&Asker::local(&Caller::Anonymous), new(None), false).await.unwrap().0.id;
    let mut waits = 0;
    loop {
        let message = embedded.receiver.receive(Lane::Work, 1, HOUR, HOUR).await.unwrap().pop().unwrap();
        let wake: Wake = serde_json::from_str(&message.body).unwrap();
        assert_eq!(wake.conversation_id, id);
        waits += usize::from(wake.follows);
        service.step(wake, message.dequeue_count).await.unwrap();
        embedded.receiver.delete(Lane::Work, &message.lease).await.unwrap();
        let found = embedded.store.load(id).await.unwrap().unwrap().conversation;
        if found.stage.is_terminal() {
            assert_eq!((found.stage, found.recalled), (Stage::Completed, None));
            break;
        }
    }
    assert!(waits > 0, "it followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_killed_in_the_middle_of_a_turn_costs_no_answer() {
    let redis = RedisServer::start();
    let cache = Arc::new(RedisCache::new(Arc::new(Redis::new(&redis.url()).unwrap())));
    let gate = Arc::new(Gate::default());
    let warehouse = gated(&gate);
    let asked = Asked::with(ScriptedModel::querying(1, Duration::ZERO), warehouse, cache, HOUR).await;
    let leader = asked.server.ask("which films?").await;
    gate.reached.notified().await;
    let follower = asked.server.ask("which films?").await;
    redis.kill();
    // Alone now, the follower comes to the gate too.
    gate.reached.notified().await;
    let late = asked.server.ask("which films?").await;
    gate.reached.notified().await;
    let ready = asked.server.json("/api/ready").await;
    let of_cache = ready["dependencies"].as_array().unwrap().iter().find(|dependency| dependency["name"] == "cache").unwrap();
    assert_eq!((&ready["status"], &of_cache["status"], &of_cache["kind"]), (&json!("ready"), &json!("unavailable"), &json!("redis")));
    let opens = tokio::spawn(async move {
        loop {
            gate.opened.notify_one();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    for id in [leader, follower, late] {
        let ended = asked.server.ended(&id).await;
        assert_eq!((&ended["status"], ended.get("cached")), (&json!("completed"), None), "{ended}");
    }
    redis.resume();
    crate::contract::eventually("answers are given again", async || {
        let id = asked.server.ask("which films?").await;
        asked.server.ended(&id).await["cached"].is_object().then_some(())
    })
    .await;
    opens.abort();
}

/// A turn that was answered from `queries` queries, and its rows.
pub async fn answered(queries: usize) -> (Conversation, BTreeMap<usize, ResultSet>) {
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
