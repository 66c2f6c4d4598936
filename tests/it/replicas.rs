//! A store whose replicas lag behind, and that is paid by the read: what workers and clients see of it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use asklake::{
    conversation::{Budgets, Caller, Conversation, ConversationId, NewConversation, ResultSet, Revision},
    queue::Wake,
    service::{Advance, Ports, Service, Settings, StepError, Wait},
    store::{ETag, Error, HistoryFilter, HistoryPage, Store, Versioned},
};
use async_trait::async_trait;

use crate::support::{
    embedded::{Embedded, lake},
    scripted::{self, ScriptedModel, ScriptedWarehouse},
};

/// Shows of each conversation what was stored before the last write, as often as it is told.
pub struct Lagging {
    store: Arc<dyn Store>,
    before: Mutex<HashMap<ConversationId, Option<Versioned>>>,
    pub stale_reads: AtomicUsize,
    pub reads: AtomicUsize,
}

impl Lagging {
    async fn remember(&self, id: ConversationId) -> Result<(), Error> {
        let stored = self.store.load(id).await?;
        self.before.lock().unwrap().insert(id, stored);
        Ok(())
    }
}

#[async_trait]
impl Store for Lagging {
    fn kind(&self) -> &'static str {
        "lagging"
    }

    async fn create(&self, conversation: &Conversation) -> Result<ETag, Error> {
        self.remember(conversation.id).await?;
        self.store.create(conversation).await
    }

    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, Error> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let is_stale = self.stale_reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let before = self.before.lock().unwrap().get(&id).cloned();
        match before {
            Some(before) if is_stale => Ok(before),
            _ => self.store.load(id).await,
        }
    }

    async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, Error> {
        self.remember(conversation.id).await?;
        self.store.commit(conversation, expected).await
    }

    async fn remove(&self, conversation: &Conversation, expected: &ETag) -> Result<(), Error> {
        self.store.remove(conversation, expected).await
    }

    async fn history(&self, filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, Error> {
        self.store.history(filter, limit, cursor).await
    }

    async fn put_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), Error> {
        self.store.put_result(id, number, result).await
    }

    async fn result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, Error> {
        self.store.result(id, number).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.store.probe().await
    }
}

pub struct World {
    pub store: Arc<Lagging>,
    pub service: Service,
    pub embedded: Embedded,
}

impl World {
    pub fn new(model: ScriptedModel, settings: Settings) -> Self {
        let embedded = Embedded::open();
        let store = Lagging {
            store: Arc::clone(&embedded.store),
            before: Mutex::default(),
            stale_reads: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
        };
        let store = Arc::new(store);
        let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
        let ports = Ports { store: Arc::clone(&store) as _, wakes: Arc::clone(&embedded.sender), model: Arc::new(model), warehouse };
        let service = Service::new(ports, lake(), Budgets::default(), settings);
        Self { store, service, embedded }
    }

    pub async fn start(&self) -> Wake {
        let new = NewConversation {
            id: ConversationId::random(),
            question: "Which films are there?".into(),
            owner: None,
            user_id: None,
            device_id: None,
            language: None,
            request_digest: None,
        };
        let conversation_id = self.service.start(new).await.unwrap().id;
        Wake::at(conversation_id, Revision(1))
    }
}

pub fn settings(read_interval: Duration, replica_lag: Duration) -> Settings {
    Settings { read_interval, replica_lag, ..Settings::default() }
}

const HOUR: Duration = Duration::from_secs(3600);
const LAG: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_worker_that_is_shown_too_old_a_state_reads_again_before_it_gives_the_message_back() {
    let world = World::new(ScriptedModel::querying(1, Duration::ZERO), settings(Duration::ZERO, LAG));
    let wake = world.start().await;
    world.store.stale_reads.store(2, Ordering::SeqCst);
    assert_eq!(world.service.step(wake, 1).await.unwrap(), Advance::Ended);
}

#[tokio::test]
async fn a_worker_that_is_shown_too_old_a_state_for_too_long_gives_the_message_back() {
    let world = World::new(ScriptedModel::querying(1, Duration::ZERO), settings(Duration::ZERO, LAG));
    let wake = world.start().await;
    world.store.stale_reads.store(100, Ordering::SeqCst);
    assert!(matches!(world.service.step(wake, 1).await, Err(StepError::StaleRead { .. })));
}

#[tokio::test]
async fn a_client_of_another_instance_finds_what_has_just_been_started() {
    let world = World::new(ScriptedModel::querying(1, Duration::ZERO), settings(Duration::ZERO, LAG));
    let wake = world.start().await;
    world.store.stale_reads.store(1, Ordering::SeqCst);
    assert!(world.service.read(&Caller::Anonymous, wake.conversation_id, None).await.unwrap().is_some());
}

#[tokio::test]
async fn a_waiting_client_is_never_told_of_an_older_revision() {
    let world = World::new(ScriptedModel::querying(1, Duration::ZERO), settings(Duration::ZERO, LAG));
    let wake = world.start().await;
    world.service.step(wake, 1).await.unwrap();
    let ended = world.service.read(&Caller::Anonymous, wake.conversation_id, None).await.unwrap().unwrap().revision;
    world.store.stale_reads.store(1, Ordering::SeqCst);
    let wait = Wait { after: ended, at_most: Duration::from_millis(50) };
    let seen = world.service.read(&Caller::Anonymous, wake.conversation_id, Some(wait)).await.unwrap().unwrap();
    assert_eq!(seen.revision, ended);
}

#[tokio::test]
async fn however_many_clients_poll_a_conversation_costs_one_read_per_interval() {
    let world = World::new(ScriptedModel::querying(1, Duration::ZERO), settings(HOUR, LAG));
    let wake = world.start().await;
    world.service.step(wake, 1).await.unwrap();
    let reads = world.store.reads.load(Ordering::SeqCst);
    for _ in 0..100 {
        assert!(world.service.read(&Caller::Anonymous, wake.conversation_id, None).await.unwrap().unwrap().stage.is_terminal());
    }
    assert_eq!(world.store.reads.load(Ordering::SeqCst), reads, "what this process committed is known without a read");
}
#[tokio::test]
async fn a_turn_that_would_make_its_conversation_too_large_ends_with_an_error_that_says_so() {
    let answer = "x".repeat(asklake::store::document::MAX_BYTES + (1 << 17));
    let model = ScriptedModel::new(Duration::ZERO, move |_, _| Ok(scripted::answer(&answer)));
    let world = World::new(model, Settings::default());
    let wake = world.start().await;
    assert_eq!(world.service.step(wake, 1).await.unwrap(), Advance::Ended);
    let ended = world.service.read(&Caller::Anonymous, wake.conversation_id, None).await.unwrap().unwrap();
    assert_eq!(serde_json::to_value(&ended.error_detail).unwrap()["code"], "conversation_too_large");
    assert!(ended.error.as_ref().unwrap().contains("1024 KiB"), "{:?}", ended.error);
    assert_eq!(ended.final_answer, None);
}
