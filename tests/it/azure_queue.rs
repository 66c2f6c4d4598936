//! The queue in Azure Queue Storage, against Azurite: the contract, what is on the wire, how it fails, and a server that consumes it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use asklake::{
    http,
    queue::{
        Error, Lane, Receiver, Sender,
        azure::{Account, AzureQueue},
    },
    runtime::worker,
};
use async_trait::async_trait;
use azure_core::{credentials::Secret, hmac::hmac_sha256};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    contract::{
        eventually,
        queue::{Harness, queue_contract, read, wake},
    },
    support::{
        azurite::{Azurite, KEY},
        embedded::Embedded,
        scripted::{ScriptedModel, ScriptedWarehouse, answer, query},
        server::TestServer,
    },
};

const LEASE: Duration = Duration::from_secs(60);

/// A name for queues; each test has an account of its own.
const NAME: &str = "wakes";

/// An empty queue.
struct Fresh {
    account: String,
    queue: Arc<AzureQueue>,
}

impl Fresh {
    fn new() -> Self {
        let account = Azurite::shared().account();
        Self { queue: Arc::new(open(&account, NAME)), account }
    }

    /// A value of the connection string.
    fn setting(&self, name: &str) -> &str {
        self.account.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap()
    }

    /// What a request to the queue service needs besides its path and query: a signature with `permissions`, made with `key`.
    fn signature(&self, permissions: &str, key: &str) -> String {
        signature(self.setting("AccountName"), permissions, key)
    }

    fn url(&self, path: &str, query: &str, permissions: &str) -> String {
        format!("{}/{path}?{query}&{}", self.setting("QueueEndpoint"), self.signature(permissions, KEY))
    }

    /// The raw answer with the first message that is visible, read without our client.
    async fn peek(&self, name: &str) -> String {
        reqwest::get(self.url(&format!("{name}/messages"), "peekonly=true", "r")).await.unwrap().text().await.unwrap()
    }
}

fn open(connection_string: &str, name: &str) -> AzureQueue {
    AzureQueue::new(&Account::parse(connection_string).unwrap(), name).unwrap()
}

#[async_trait]
impl Harness for Fresh {
    fn sender(&self) -> Arc<dyn Sender> {
        Arc::clone(&self.queue) as _
    }

    fn receiver(&self) -> Arc<dyn Receiver> {
        Arc::clone(&self.queue) as _
    }

    fn unit(&self) -> Duration {
        Duration::from_secs(2)
    }

    async fn elapse(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

async fn fresh() -> Option<Fresh> {
    Some(Fresh::new())
}

mod contract {
    super::queue_contract!(super::fresh);
}

/// A shared access signature of the whole account for queues and messages, as the service describes it:
/// <https://learn.microsoft.com/rest/api/storageservices/create-account-sas>.
fn signature(account: &str, permissions: &str, key: &str) -> String {
    let (version, expiry) = ("2022-11-02", "2099-01-01T00:00:00Z");
    let text = format!("{account}\n{permissions}\nq\nsco\n\n{expiry}\n\nhttp,https\n{version}\n\n");
    let signed = hmac_sha256(&text, &Secret::from(key.to_owned())).unwrap();
    let signed = serde_urlencoded::to_string([("sig", signed)]).unwrap();
    format!("sv={version}&ss=q&srt=sco&sp={permissions}&se={expiry}&spr=http,https&{signed}")
}

#[tokio::test]
async fn both_queues_are_created_when_they_are_first_used() {
    let fresh = Fresh::new();
    for lane in [Lane::Work, Lane::Poison] {
        assert_eq!(fresh.queue.receive(lane, 32, LEASE, Duration::ZERO).await.unwrap(), []);
    }
    for name in [NAME, "wakes-poison"] {
        assert!(fresh.peek(name).await.contains("<QueueMessagesList"), "{name} is there");
    }
}

#[tokio::test]
async fn many_may_create_a_queue_at_once() {
    let account = Fresh::new().account;
    let sent = (0..8).map(|n| {
        let queue = open(&account, NAME);
        tokio::spawn(async move { queue.send(&wake(n), Duration::ZERO).await })
    });
    for sent in sent.collect::<Vec<_>>() {
        sent.await.unwrap().unwrap();
    }
    let queue = open(&account, NAME);
    assert_eq!(queue.receive(Lane::Work, 100, LEASE, Duration::ZERO).await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_text_is_base64_on_the_wire_as_the_functions_host_expects() {
    let fresh = Fresh::new();
    let wake = wake(3);
    fresh.queue.send(&wake, Duration::ZERO).await.unwrap();
    let encoded = STANDARD.encode(serde_json::to_string(&wake).unwrap());
    let raw = fresh.peek(NAME).await;
    assert!(raw.contains(&format!("<MessageText>{encoded}</MessageText>")), "{raw}");
    assert!(raw.contains("<ExpirationTime>Fri, 31 Dec 9999"), "it never expires: {raw}");
    let delivery = fresh.queue.receive(Lane::Work, 1, LEASE, Duration::ZERO).await.unwrap().remove(0);
    fresh.queue.poison(&delivery).await.unwrap();
    let raw = fresh.peek("wakes-poison").await;
    assert!(raw.contains(&format!("<MessageText>{encoded}</MessageText>")), "encoded once: {raw}");
}

#[tokio::test]
async fn a_text_that_is_not_ours_is_delivered_and_can_be_deleted() {
    let fresh = Fresh::new();
    fresh.queue.probe().await.unwrap();
    let url = fresh.url("wakes/messages", "timeout=5", "a");
    let body = "<QueueMessage><MessageText>not base64 &amp; no JSON</MessageText></QueueMessage>";
    let put = reqwest::Client::new().post(url).header("content-type", "application/xml").body(body).send().await.unwrap();
    assert_eq!(put.status().as_u16(), 201);
    let delivery = fresh.queue.receive(Lane::Work, 1, LEASE, Duration::ZERO).await.unwrap().remove(0);
    assert_eq!(delivery.body, "not base64 & no JSON");
    let renewed = fresh.queue.renew(Lane::Work, &delivery.lease, LEASE).await.unwrap();
    assert!(fresh.peek(NAME).await.contains("<QueueMessagesList/>"), "leased");
    fresh.queue.delete(Lane::Work, &renewed).await.unwrap();
}

#[tokio::test]
async fn a_shared_access_signature_opens_the_queue() {
    let fresh = Fresh::new();
    let with = |signature: &str| format!("QueueEndpoint={};SharedAccessSignature={signature}", fresh.setting("QueueEndpoint"));
    let queue = open(&with(&fresh.signature("rwdlacup", KEY)), NAME);
    let sent = wake(1);
    queue.send(&sent, Duration::ZERO).await.unwrap();
    let delivery = queue.receive(Lane::Work, 1, LEASE, Duration::ZERO).await.unwrap().remove(0);
    assert_eq!(read(&delivery), sent);
    let renewed = queue.renew(Lane::Work, &delivery.lease, LEASE).await.unwrap();
    queue.delete(Lane::Work, &renewed).await.unwrap();
    let wrong = fresh.signature("rwdlacup", &STANDARD.encode("another key"));
    let secret = wrong.split("sig=").nth(1).unwrap().to_owned();
    let queue = open(&with(&wrong), NAME);
    let error = queue.probe().await.unwrap_err();
    let text = format!("{error} {error:?} {queue:?}");
    assert!(text.contains("HTTP 403") && !text.contains(&secret) && !text.contains("sig="), "{text}");
}

#[tokio::test]
async fn a_wrong_key_is_said_without_the_key() {
    let wrong = STANDARD.encode("another key");
    let queue = open(&Fresh::new().account.replace(KEY, &wrong), NAME);
    let error = queue.send(&wake(1), Duration::ZERO).await.unwrap_err();
    let text = format!("{error} {error:?} {queue:?}");
    assert!(text.contains("HTTP 403 AuthorizationFailure") || text.contains("HTTP 403 AuthenticationFailed"), "{text}");
    assert!(text.contains("Check the key") && !text.contains(&wrong) && !text.contains(KEY), "{text}");
}

#[tokio::test]
async fn a_dead_endpoint_is_unavailable_within_a_bounded_time() {
    let signed = signature("a", "r", KEY);
    let secret = signed.split("sig=").nth(1).unwrap().to_owned();
    // Nobody listens on the first one, and on the second one nobody accepts.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let queue = open(&format!("QueueEndpoint=http://{address}/a;SharedAccessSignature={signed}"), "q");
        let begun = Instant::now();
        let error = queue.send(&wake(1), Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "not the 82 s of the client alone: {:?}", begun.elapsed());
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && !text.contains(&secret) && !text.contains("sig="), "{text}");
    }
}

#[tokio::test]
async fn what_was_sent_outlives_a_restart_of_the_service() {
    let azurite = Azurite::start();
    let queue = open(&azurite.account(), "wakes");
    let sent = wake(1);
    queue.send(&sent, Duration::ZERO).await.unwrap();
    azurite.stop();
    assert!(matches!(queue.probe().await, Err(Error::Unavailable(_))));
    azurite.resume();
    let delivery = queue.receive(Lane::Work, 1, LEASE, Duration::ZERO).await.unwrap().remove(0);
    assert_eq!(read(&delivery), sent);
}

/// A server over the queue in Azurite and the embedded store, with the worker's times short.
async fn server(model: Arc<ScriptedModel>, warehouse: Arc<ScriptedWarehouse>) -> (TestServer, Fresh) {
    let fresh = Fresh::new();
    let mut ports = Embedded::open();
    (ports.sender, ports.receiver) = (fresh.sender(), fresh.receiver());
    let worker = worker::Settings {
        lease: Duration::from_secs(3),
        retry_delay: Duration::from_secs(1),
        max_dequeue_count: 2,
        ..worker::Settings::default()
    };
    (TestServer::start_on(ports, model, warehouse, http::Settings::default(), worker, asklake::service::Settings::default()).await, fresh)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_answers_over_the_queue_and_keeps_its_lease_while_it_works() {
    // Each step takes longer than the lease: without renewal a wake would be delivered again, and the model asked again.
    let model = Arc::new(ScriptedModel::querying(1, Duration::from_secs(5)));
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::from_secs(2)));
    let (server, fresh) = server(Arc::clone(&model), Arc::clone(&warehouse)).await;
    let id = server.ask("Which films are there?").await;
    let status = server.ended(&id).await;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(model.calls.load(std::sync::atomic::Ordering::SeqCst), 2, "once for the query, once for the answer");
    assert_eq!(warehouse.launches.lock().unwrap().values().copied().collect::<Vec<_>>(), [1]);
    eventually("the wakes are deleted", async || fresh.peek(NAME).await.contains("<QueueMessagesList/>").then_some(())).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_step_is_tried_again_and_a_hopeless_one_is_poisoned() {
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let model = ScriptedModel::new(Duration::ZERO, move |_, done| {
        // The first wake fails once; the worker takes a panic as a failure like any other.
        assert!(failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0, "the first time");
        Ok(if done == 0 { query(crate::support::scripted::SQL) } else { answer("two films") })
    });
    let (retrying, _fresh) = server(Arc::new(model), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let id = retrying.ask("Which films are there?").await;
    let status = retrying.ended(&id).await;
    assert_eq!(status["status"], "completed", "{status}");
    retrying.stop().await;

    let model = ScriptedModel::new(Duration::ZERO, |_, _| panic!("each time"));
    let (hopeless, fresh) = server(Arc::new(model), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let id = hopeless.ask("Which films are there?").await;
    let status = hopeless.ended(&id).await;
    assert_eq!(status["status"], "error", "{status}");
    for name in [NAME, "wakes-poison"] {
        eventually("both queues are empty", async || fresh.peek(name).await.contains("<QueueMessagesList/>").then_some(())).await;
    }
    hopeless.stop().await;
}
