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
    conversation::{
        Budgets, Caller, Conversation, ConversationId, FollowUp, JobStatus, NewConversation, Phase, RequestKey, ResultSet, Role, RunId,
        Stage,
    },
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
    scripted::{Gate, ScriptedModel, ScriptedWarehouse},
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
    async fn remove(&self, conversation: &Conversation, expected: &ETag) -> Result<(), store::Error> {
        self.inner.remove(conversation, expected).await
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

    /// Delivers messages until the worker dies after its port call number `calls`. What happens `meanwhile` is over before its message
    /// is delivered again.
    async fn run_to(&self, calls: usize, meanwhile: impl Future<Output = ()>) {
        self.fuse.set(calls);
        let queue: &dyn Receiver = self.embedded.receiver.as_ref();
        while let Some(message) = queue.receive(Lane::Work, 1, Duration::from_secs(60), Duration::ZERO).await.unwrap().pop() {
            let wake: Wake = serde_json::from_str(&message.body).unwrap();
            tokio::select! {
                stepped = self.service.step(wake, message.dequeue_count) => {
                    stepped.unwrap();
                    queue.delete(Lane::Work, &message.lease).await.unwrap();
                }
                () = self.fuse.blown.notified() => {
                    meanwhile.await;
                    return queue.release(Lane::Work, &message.lease, Duration::ZERO).await.unwrap();
                }
            }
        }
        panic!("the worker did not make {calls} port calls");
    }

    /// A client's request whose process dies after its port call number `dies_after`; 0 for never.
    async fn request(&self, dies_after: usize, request: impl Future<Output = ()>) {
        self.fuse.set(dies_after);
        tokio::select! {
            () = request => {}
            () = self.fuse.blown.notified() => {}
        }
        self.fuse.set(0);
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

/// Port calls of a request that changes a conversation: it loads, commits, and wakes a worker.
const REQUEST: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_is_canceled_between_any_two_port_calls_ends_although_the_client_dies_as_well() {
    for invocation in INVOCATIONS {
        let calls = port_calls(2, ScriptedWarehouse::new(Duration::ZERO), invocation).await;
        for (call, dies_after) in (1..=calls).flat_map(|call| (0..=REQUEST).map(move |dies_after| (call, dies_after))) {
            let world = World::new(2, ScriptedWarehouse::new(Duration::ZERO), invocation);
            let id = world.start().await;
            let cancel = async {
                let _ = world.service.cancel(&Caller::Anonymous, id).await;
            };
            Box::pin(world.run_to(call, world.request(dies_after, cancel))).await;
            world.run(&[]).await;
            let what = format!("canceled after {call} calls, the client died after {dies_after}");
            let conversation = world.embedded.store.load(id).await.unwrap().unwrap().conversation;
            // A client that died before its commit has canceled nothing.
            let is_canceled = conversation.stage == Stage::Canceled;
            assert!(is_canceled || conversation.stage == Stage::Completed, "{what}: {conversation:#?}");
            assert!(is_canceled || dies_after == 1 || call == calls, "{what}: {:?}", conversation.stage);
            let canceled = world.warehouse.canceled.lock().unwrap().clone();
            for job in &conversation.databricks_jobs {
                let run = job.run_id.as_ref().map(ToString::to_string).filter(|_| job.status == JobStatus::Canceled);
                assert!(run.is_none_or(|run| canceled.contains(&run)), "{what}: {job:?}");
                assert!(job.status.is_over(), "{what}: {job:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follow_up_whose_first_request_died_anywhere_is_answered_once_when_it_is_sent_again() {
    for (invocation, dies_after) in INVOCATIONS.into_iter().flat_map(|invocation| (1..=REQUEST).map(move |dies| (invocation, dies))) {
        let world = World::new(1, ScriptedWarehouse::new(Duration::ZERO), invocation);
        let id = world.start().await;
        world.run(&[]).await;
        let key = RequestKey { key: "k".into(), body: "b".into() };
        let asked = FollowUp { question: "and?".into(), language: None, key: Some(key) };
        let send = async {
            world.service.follow_up(&Caller::Anonymous, id, &asked).await.unwrap();
        };
        world.request(dies_after, send).await;
        world.service.follow_up(&Caller::Anonymous, id, &asked).await.unwrap();
        world.run(&[]).await;
        let conversation = world.embedded.store.load(id).await.unwrap().unwrap().conversation;
        assert_eq!((conversation.stage, conversation.turn), (Stage::Completed, 2), "died after {dies_after}");
        let questions = conversation.messages.iter().filter(|message| message.role == Role::User).count();
        assert_eq!(questions, 2, "died after {dies_after}");
    }
}

#[tokio::test]
async fn a_query_that_was_launched_while_its_turn_was_canceled_is_stopped() {
    let gate = Arc::new(Gate::default());
    let mut warehouse = ScriptedWarehouse::new(Duration::from_secs(3600));
    warehouse.gate = Some(Arc::clone(&gate));
    let world = World::new(1, warehouse, Duration::ZERO);
    let id = world.start().await;
    let worker = tokio::spawn({
        let (service, queue) = (world.service.clone(), Arc::clone(&world.embedded.receiver));
        async move {
            // The worker of the launch is slow: it hears of its run only after the turn was canceled.
            while let Some(message) = queue.receive(Lane::Work, 1, Duration::from_secs(60), Duration::ZERO).await.unwrap().pop() {
                service.step(serde_json::from_str(&message.body).unwrap(), message.dequeue_count).await.unwrap();
                queue.delete(Lane::Work, &message.lease).await.unwrap();
            }
        }
    });
    gate.reached.notified().await;
    world.service.cancel(&Caller::Anonymous, id).await.unwrap();
    gate.opened.notify_one();
    worker.await.unwrap();
    let conversation = world.embedded.store.load(id).await.unwrap().unwrap().conversation;
    assert_eq!((conversation.stage, &conversation.databricks_jobs[0].run_id), (Stage::Canceled, &None));
    assert_eq!(world.warehouse.canceled.lock().unwrap().len(), 1, "the run that nobody wants");
}
