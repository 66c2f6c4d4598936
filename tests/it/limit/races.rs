//! Requests that ask for the same turn at once or once more, and what is seen of a turn that ends meanwhile: every turn is counted, and once.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use asklake::{
    conversation::{Account, Budgets, Caller, Conversation, ConversationId, FollowUp, NewConversation, RequestKey, ResultSet, Timestamp},
    limit::{
        Limits,
        accounts::Accounts,
        book::{Claim, Holder},
    },
    queue::{self, Lane, Sender, Wake},
    service::{Asker, Ports, Quotas, RequestError, Service, Settings, StartError},
    store::{self, ETag, HistoryFilter, HistoryPage, Store, Versioned},
};
use async_trait::async_trait;
use futures_util::future::join_all;
use uuid::Uuid;

use super::{NONE, for_all, left, new};
use crate::support::{
    embedded::{Embedded, lake},
    scripted::{ScriptedModel, ScriptedWarehouse},
};

/// With places and without: they are what tells who is admitted already.
const LIMITS: [Limits; 2] =
    [Limits { at_once: Some(5), questions: Some(100), ..NONE }, Limits { questions: Some(100), tokens: Some(1_000_000), ..NONE }];

/// A queue that takes nothing while it is told so.
struct Deaf {
    sender: Arc<dyn Sender>,
    is_deaf: AtomicBool,
}

#[async_trait]
impl Sender for Deaf {
    fn kind(&self) -> &'static str {
        self.sender.kind()
    }
    async fn send(&self, wake: &Wake, delay: Duration) -> Result<(), queue::Error> {
        if self.is_deaf.load(Ordering::SeqCst) {
            return Err(queue::Error::Unavailable("deaf".into()));
        }
        self.sender.send(wake, delay).await
    }
    async fn probe(&self) -> Result<(), queue::Error> {
        self.sender.probe().await
    }
}

/// A store whose next read shows what it is told to, as a read does that is a moment older than the one after it.
struct Behind {
    store: Arc<dyn Store>,
    shows: Mutex<Option<Versioned>>,
}

#[async_trait]
impl Store for Behind {
    fn kind(&self) -> &'static str {
        self.store.kind()
    }
    async fn create(&self, conversation: &Conversation) -> Result<ETag, store::Error> {
        self.store.create(conversation).await
    }
    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, store::Error> {
        let shown = self.shows.lock().unwrap().take();
        if shown.is_some() { Ok(shown) } else { self.store.load(id).await }
    }
    async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, store::Error> {
        self.store.commit(conversation, expected).await
    }
    async fn remove(&self, conversation: &Conversation, expected: &ETag) -> Result<(), store::Error> {
        self.store.remove(conversation, expected).await
    }
    async fn history(&self, filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, store::Error> {
        self.store.history(filter, limit, cursor).await
    }
    async fn put_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), store::Error> {
        self.store.put_result(id, number, result).await
    }
    async fn result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, store::Error> {
        self.store.result(id, number).await
    }
    async fn probe(&self) -> Result<(), store::Error> {
        self.store.probe().await
    }
}

struct World {
    embedded: Embedded,
    wakes: Arc<Deaf>,
    store: Arc<Behind>,
    service: Service,
    limits: Limits,
}

impl World {
    fn new(limits: Limits) -> Self {
        let embedded = Embedded::open();
        let wakes = Arc::new(Deaf { sender: Arc::clone(&embedded.sender), is_deaf: AtomicBool::new(false) });
        let store = Arc::new(Behind { store: Arc::clone(&embedded.store), shows: Mutex::default() });
        let (model, warehouse) = (ScriptedModel::querying(0, Duration::ZERO), ScriptedWarehouse::new(Duration::ZERO));
        let (model, warehouse) = (Arc::new(model), Arc::new(warehouse));
        let ports = Ports { store: Arc::clone(&store) as _, wakes: Arc::clone(&wakes) as _, model, warehouse };
        let quotas = Quotas::new(Arc::clone(&embedded.ledger), for_all(limits));
        let service = Service::new(ports, lake(), Budgets::default(), Settings::default()).within(quotas);
        Self { embedded, wakes, store, service, limits }
    }

    async fn start(&self, new: NewConversation) -> Result<ConversationId, StartError> {
        self.service.start_for(&ASKER, new, true).await.map(|(started, _)| started.id)
    }

    async fn follow_up(&self, id: ConversationId, key: Option<&str>) -> Result<(), RequestError> {
        let key = key.map(|key| RequestKey { key: key.into(), body: "b".into() });
        self.service.follow_up(&ASKER, id, &FollowUp { question: "and?".into(), language: None, key }).await.map(drop)
    }

    /// Works until the queue is empty.
    async fn work(&self) {
        let queue = &self.embedded.receiver;
        while let Some(message) = queue.receive(Lane::Work, 1, Duration::from_secs(60), Duration::ZERO).await.unwrap().pop() {
            self.service.step(serde_json::from_str(&message.body).unwrap(), message.dequeue_count).await.unwrap();
            queue.delete(Lane::Work, &message.lease).await.unwrap();
        }
    }

    async fn stored(&self, id: ConversationId) -> Versioned {
        self.embedded.store.load(id).await.unwrap().unwrap()
    }

    /// Holds the book to `questions` asked in all, and no place held when nothing is worked on.
    async fn assert_counted(&self, questions: u64, held: u64, what: &str) {
        let left = left(&*self.embedded.ledger, &self.limits).await;
        let expected = match self.limits.at_once {
            Some(places) => vec![places - held, 100 - questions],
            None => vec![100 - questions],
        };
        assert_eq!(left[..expected.len()], expected, "{what}");
    }
}

const ASKER: Asker<'static> = Asker { caller: &Caller::Anonymous, network: None, proof: None };

fn keyed(id: ConversationId, digest: &str) -> NewConversation {
    NewConversation { id, request_digest: Some(digest.into()), ..new(&Caller::Anonymous) }
}

#[tokio::test]
async fn of_follow_ups_at_once_one_begins_and_is_counted_whoever_of_them_it_is() {
    for (limits, key) in LIMITS.into_iter().flat_map(|limits| [(limits, None), (limits, Some("k"))]) {
        let world = World::new(limits);
        let id = world.start(new(&Caller::Anonymous)).await.unwrap();
        world.work().await;
        for turn in 2..=5 {
            let key = key.map(|key| format!("{key}{turn}"));
            let asked = join_all((0..8).map(|_| world.follow_up(id, key.as_deref()))).await;
            let begun = asked.iter().filter(|asked| asked.is_ok()).count();
            assert_eq!(begun, if key.is_some() { 8 } else { 1 }, "one turn, which those with its key find: {asked:?}");
            world.assert_counted(turn, 1, "while it runs").await;
            world.work().await;
            world.assert_counted(turn, 0, "when it has ended").await;
        }
        let stored = world.stored(id).await.conversation;
        assert_eq!((stored.turn, stored.accounts.len()), (5, 1));
    }
}

#[tokio::test]
async fn of_starts_at_once_with_one_key_one_begins_and_is_counted_whether_their_bodies_differ_or_not() {
    for (limits, digests) in LIMITS.into_iter().flat_map(|limits| [(limits, ["a", "b", "c", "d"]), (limits, ["a"; 4])]) {
        let world = World::new(limits);
        for round in 1..=4 {
            let id = ConversationId::random();
            let asked = join_all(digests.map(|digest| world.start(keyed(id, digest)))).await;
            assert!(asked.iter().any(Result::is_ok), "{asked:?}");
            let is_told = |asked: &Result<_, StartError>| matches!(asked, Ok(_) | Err(StartError::IdempotencyMismatch));
            assert!(asked.iter().all(is_told), "{asked:?}");
            world.assert_counted(round, 1, "while it runs").await;
            world.work().await;
            world.assert_counted(round, 0, "when it has ended").await;
            assert_eq!(world.stored(id).await.conversation.accounts.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_turn_that_was_seen_running_and_has_ended_by_the_next_look_does_not_begin_uncounted() {
    for limits in LIMITS {
        let world = World::new(limits);
        let id = world.start(new(&Caller::Anonymous)).await.unwrap();
        let running = world.stored(id).await;
        world.work().await;
        world.store.shows.lock().unwrap().replace(running);
        match world.follow_up(id, None).await {
            Ok(()) => assert_eq!(world.stored(id).await.conversation.accounts.len(), 1, "it counts"),
            Err(error) => assert!(matches!(error, RequestError::Declined(_)), "{error}"),
        }
        world.work().await;
        let asked = u64::from(world.stored(id).await.conversation.turn);
        world.assert_counted(asked, 0, "every turn").await;
    }
}

#[tokio::test]
async fn a_conversation_that_was_seen_and_is_gone_by_the_next_look_does_not_begin_uncounted() {
    for limits in LIMITS {
        let world = World::new(limits);
        let id = ConversationId::random();
        world.start(keyed(id, "a")).await.unwrap();
        world.work().await;
        let seen = world.stored(id).await;
        world.service.delete(&Caller::Anonymous, id).await.unwrap();
        world.store.shows.lock().unwrap().replace(seen);
        world.start(keyed(id, "a")).await.unwrap();
        // It was there when the request came, or it begins and counts.
        let begun = world.embedded.store.load(id).await.unwrap();
        assert!(begun.is_none_or(|begun| begun.conversation.accounts.len() == 1));
    }
}

#[tokio::test]
async fn what_nobody_could_be_woken_for_is_not_counted_until_it_begins_anew() {
    for limits in LIMITS {
        let world = World::new(limits);
        let id = ConversationId::random();
        world.wakes.is_deaf.store(true, Ordering::SeqCst);
        assert!(matches!(world.start(keyed(id, "a")).await, Err(StartError::Queue(_))));
        world.assert_counted(0, 0, "nobody was woken").await;
        world.wakes.is_deaf.store(false, Ordering::SeqCst);
        world.start(keyed(id, "a")).await.unwrap();
        world.assert_counted(1, 1, "it has begun anew").await;
        assert_eq!(world.stored(id).await.conversation.accounts.len(), 1);
        world.work().await;
        world.wakes.is_deaf.store(true, Ordering::SeqCst);
        assert!(matches!(world.follow_up(id, Some("k")).await, Err(RequestError::Queue(_))));
        world.assert_counted(1, 0, "nobody was woken for the next question").await;
        world.wakes.is_deaf.store(false, Ordering::SeqCst);
        world.follow_up(id, Some("k")).await.unwrap();
        world.work().await;
        world.assert_counted(2, 0, "it has been answered").await;
    }
}

#[tokio::test]
async fn a_request_whose_first_try_died_after_it_was_admitted_has_the_place_of_that() {
    let world = World::new(Limits { at_once: Some(1), questions: Some(100), ..NONE });
    let id = world.start(new(&Caller::Anonymous)).await.unwrap();
    world.work().await;
    // It is admitted, and nobody hears of it again.
    let (claim, life) = (Claim::new(Holder::new(id, 2), Uuid::new_v4()), Duration::from_secs(3600));
    let accounts = Accounts::new(Arc::clone(&world.embedded.ledger));
    let app = Account::of_app();
    let admitted = accounts.change(&app, |book| book.admit(&claim, life, &world.limits, Timestamp::now()));
    admitted.await.unwrap().unwrap();
    world.follow_up(id, None).await.unwrap();
    let left = left(&*world.embedded.ledger, &world.limits).await;
    assert_eq!(left, [0, 98], "one place, one question");
}
