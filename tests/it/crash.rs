//! The crash matrix: a worker that dies after any port call of a conversation, or after any two, costs neither the answer
//! nor a second launch of a query.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use asklake::{
    conversation::{Budgets, Conversation, ConversationId, NewConversation, Phase, ResultSet, Role, RunId, Stage},
    model::{self, Listener, Model, Reply, Request},
    queue::{self, Lane, Receiver, Sender, Wake},
    service::{Ports, Service, Settings},
    store::{self, ETag, HistoryFilter, HistoryPage, Store, Versioned},
    warehouse::{self, Run, RunState, Statement, Warehouse},
};
use async_trait::async_trait;
use tokio::sync::Notify;

use crate::support::{
    embedded::{Embedded, lake},
    scripted::{ScriptedModel, ScriptedWarehouse},
};

/// Kills the worker after a number of port calls: the call is made, but its caller never hears of it.
#[derive(Default)]
struct Fuse {
    calls: AtomicUsize,
    blows_after: AtomicUsize,
    blown: Notify,
}

impl Fuse {
    async fn burn(&self) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.blows_after.load(Ordering::SeqCst) {
            self.blown.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Lets the worker die after `calls` more port calls; 0 for never.
    fn set(&self, calls: usize) {
        self.calls.store(0, Ordering::SeqCst);
        self.blows_after.store(calls, Ordering::SeqCst);
    }
}

struct Fused<P> {
    inner: P,
    fuse: Arc<Fuse>,
}

#[async_trait]
impl Store for Fused<Arc<dyn Store>> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    async fn create(&self, conversation: &Conversation) -> Result<ETag, store::Error> {
        self.inner.create(conversation).await
    }
    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, store::Error> {
        let loaded = self.inner.load(id).await;
        self.fuse.burn().await;
        loaded
    }
    async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, store::Error> {
        let committed = self.inner.commit(conversation, expected).await;
        self.fuse.burn().await;
        committed
    }
    async fn history(&self, filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, store::Error> {
        self.inner.history(filter, limit, cursor).await
    }
    async fn put_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), store::Error> {
        let put = self.inner.put_result(id, number, result).await;
        self.fuse.burn().await;
        put
    }
    async fn result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, store::Error> {
        let result = self.inner.result(id, number).await;
        self.fuse.burn().await;
        result
    }
    async fn probe(&self) -> Result<(), store::Error> {
        self.inner.probe().await
    }
}

#[async_trait]
impl Sender for Fused<Arc<dyn Sender>> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    async fn send(&self, wake: &Wake, delay: Duration) -> Result<(), queue::Error> {
        let sent = self.inner.send(wake, delay).await;
        self.fuse.burn().await;
        sent
    }
    async fn probe(&self) -> Result<(), queue::Error> {
        self.inner.probe().await
    }
}

#[async_trait]
impl Model for Fused<Arc<ScriptedModel>> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn fingerprint(&self, request: &Request) -> String {
        self.inner.fingerprint(request)
    }
    async fn reply(&self, request: &Request, listener: &Listener<'_>) -> Result<Reply, model::Error> {
        let reply = self.inner.reply(request, listener).await;
        self.fuse.burn().await;
        reply
    }
    async fn probe(&self) -> Result<(), model::Error> {
        self.inner.probe().await
    }
}

#[async_trait]
impl Warehouse for Fused<Arc<ScriptedWarehouse>> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    async fn launch(&self, statement: &Statement) -> Result<Run, warehouse::Error> {
        let launched = self.inner.launch(statement).await;
        self.fuse.burn().await;
        launched
    }
    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, warehouse::Error> {
        let polled = self.inner.poll(run, known, wait).await;
        self.fuse.burn().await;
        polled
    }
    async fn cancel(&self, run: &RunId) -> Result<(), warehouse::Error> {
        self.inner.cancel(run).await
    }
    async fn probe(&self) -> Result<(), warehouse::Error> {
        self.inner.probe().await
    }
}

struct World {
    fuse: Arc<Fuse>,
    embedded: Embedded,
    warehouse: Arc<ScriptedWarehouse>,
    service: Service,
}

impl World {
    /// A world whose model runs `queries` queries on `warehouse`; `invocation` is how long one delivery may go on.
    fn new(queries: usize, warehouse: ScriptedWarehouse, invocation: Duration) -> Self {
        let fuse = Arc::<Fuse>::default();
        let embedded = Embedded::open();
        let warehouse = Arc::new(warehouse);
        let model = Arc::new(ScriptedModel::querying(queries, Duration::ZERO));
        let ports = Ports {
            store: Arc::new(Fused { inner: Arc::clone(&embedded.store), fuse: Arc::clone(&fuse) }),
            wakes: Arc::new(Fused { inner: Arc::clone(&embedded.sender), fuse: Arc::clone(&fuse) }),
            model: Arc::new(Fused { inner: model, fuse: Arc::clone(&fuse) }),
            warehouse: Arc::new(Fused { inner: Arc::clone(&warehouse), fuse: Arc::clone(&fuse) }),
        };
        let service = Service::new(ports, lake(), Budgets::default(), Settings { invocation, ..Settings::default() });
        Self { fuse, embedded, warehouse, service }
    }

    async fn start(&self) -> ConversationId {
        let new = NewConversation {
            id: ConversationId::random(),
            question: "which films?".into(),
            owner: None,
            user_id: None,
            device_id: None,
            language: None,
            request_digest: None,
        };
        self.fuse.set(0);
        self.service.start(new).await.unwrap().id
    }

    /// Plays the host: delivers messages until the queue is empty. A worker that dies has its message delivered again, and
    /// the next one dies after the next entry of `crashes`.
    async fn run(&self, crashes: &[usize]) {
        let mut crashes = crashes.iter().copied();
        self.fuse.set(crashes.next().unwrap_or(0));
        let queue: &dyn Receiver = self.embedded.receiver.as_ref();
        let lease = Duration::from_secs(60);
        for _ in 0..200 {
            let Some(message) = queue.receive(Lane::Work, 1, lease, Duration::ZERO).await.unwrap().pop() else { return };
            let wake: Wake = serde_json::from_str(&message.body).unwrap();
            tokio::select! {
                stepped = self.service.step(wake, message.dequeue_count) => match stepped {
                    Ok(_) => queue.delete(Lane::Work, &message.lease).await.unwrap(),
                    Err(_) => queue.release(Lane::Work, &message.lease, Duration::ZERO).await.unwrap(),
                },
                () = self.fuse.blown.notified() => {
                    self.fuse.set(crashes.next().unwrap_or(0));
                    queue.release(Lane::Work, &message.lease, Duration::ZERO).await.unwrap();
                }
            }
        }
        panic!("the conversation never came to rest");
    }

    async fn check(&self, id: ConversationId, queries: usize, crashes: &[usize]) {
        let conversation = self.embedded.store.load(id).await.unwrap().unwrap().conversation;
        assert_eq!(conversation.stage, Stage::Completed, "crashes {crashes:?}: {conversation:#?}");
        let answers =
            conversation.messages.iter().filter(|message| message.role == Role::Assistant && message.tool_calls.is_empty()).count();
        assert_eq!(answers, 1, "exactly one answer; crashes {crashes:?}");
        let launches = self.warehouse.launches.lock().unwrap().clone();
        assert_eq!(launches.len(), queries, "one token per decision; crashes {crashes:?}");
        assert!(launches.values().all(|count| *count == 1), "one launch per decision; crashes {crashes:?}: {launches:?}");
        assert_eq!(conversation.databricks_jobs.len(), queries);
    }
}

/// Long enough for a whole conversation in one delivery, and so short that every step needs a wake of its own.
const INVOCATIONS: [Duration; 2] = [Duration::from_secs(25), Duration::ZERO];

async fn port_calls(queries: usize, warehouse: ScriptedWarehouse, invocation: Duration) -> usize {
    let world = World::new(queries, warehouse, invocation);
    let id = world.start().await;
    world.run(&[]).await;
    world.check(id, queries, &[]).await;
    world.fuse.calls.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_any_port_call_costs_neither_the_answer_nor_a_second_launch() {
    for invocation in INVOCATIONS {
        let cold = || {
            let mut warehouse = ScriptedWarehouse::new(Duration::ZERO);
            warehouse.waits = true;
            warehouse
        };
        let calls = port_calls(2, cold(), invocation).await;
        assert!(calls >= 22, "a conversation of two queries makes {calls} port calls");
        for call in 1..=calls {
            let world = World::new(2, cold(), invocation);
            let id = world.start().await;
            world.run(&[call]).await;
            world.check(id, 2, &[call]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_crashes_after_any_two_port_calls_cost_neither_the_answer_nor_a_second_launch() {
    for invocation in INVOCATIONS {
        let warm = || ScriptedWarehouse::new(Duration::ZERO);
        let calls = port_calls(1, warm(), invocation).await;
        for first in 1..=calls {
            for second in 1..=calls {
                let world = World::new(1, warm(), invocation);
                let id = world.start().await;
                world.run(&[first, second]).await;
                world.check(id, 1, &[first, second]).await;
            }
        }
    }
}
