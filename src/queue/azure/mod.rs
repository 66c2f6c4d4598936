//! The queue in Azure Queue Storage, or in its emulator Azurite.
//!
//! Owns the two queues of a name (`NAME` and `NAME-poison`, as the Functions host names them), their messages' encoding and how long an
//! operation may take. Refuses to interpret a text: whatever stands in the queue is delivered, so that a worker can drop it.
//!
//! The client is the crate `azure_storage_queue`. `azure_storage_queues` is its abandoned predecessor: it brings a second `azure_core`, a
//! second `reqwest` and OpenSSL. The crate knows tokens and signatures in addresses only; keys are this module's (`shared_key`).
//!
//! A request is sent again after a failure, so a message may be in the queue twice: the port allows that. Facts about the service are
//! from <https://learn.microsoft.com/rest/api/storageservices/queue-service-rest-api>.

mod account;
mod shared_key;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{ClientOptions, headers::HeaderName},
};
use azure_storage_queue::{
    QueueClient, QueueClientOptions,
    models::{QueueClientReceiveMessagesOptions, QueueClientSendMessageOptions, QueueMessage, ReceivedMessage},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{sync::Notify, time::Instant};

use self::account::Access;
pub use self::account::{Account, AccountError};
use super::{Delivery, Error, Lane, Lease, Receiver, Sender, Wake};
use crate::azure;

/// The version of the protocol. The crate's own default is newer than what Azurite and some clouds of their own know.
const VERSION: &str = "2025-11-05";

/// How long an operation may take with all its tries: less than a lease of the receive loop lasts.
const OPERATION: Duration = Duration::from_secs(10);

/// The pauses between two looks into an empty queue: as the host's queue trigger, which begins with 100 ms
/// (`QueuePollingIntervals.Minimum` of the Azure WebJobs SDK) and doubles up to `maxPollingInterval`, in our `host.json` 1 s.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// The most messages that one request gives.
const MAX_BATCH: u32 = 32;

/// The longest that a message can be invisible.
const MAX_INVISIBLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Messages never expire. The service's default of 7 days would lose the wakes of an app that stood still for so long, and their
/// conversations would never end; and it would refuse the longest delay, which must be shorter than the life.
const NEVER_EXPIRES: i32 = -1;

/// How long a message that is being poisoned is held: the rest of the move.
const POISONING: Duration = Duration::from_secs(30);

const POP_RECEIPT: HeaderName = HeaderName::from_static("x-ms-popreceipt");

/// The queue of a name and its poison queue. Both are created when they turn out to be missing.
pub struct AzureQueue {
    work: QueueClient,
    poison: QueueClient,
    /// What this process sends wakes who waits here; what others send is found by looking.
    sent: Notify,
}

impl AzureQueue {
    /// The queue `name` in `account`, with the poison queue `{name}-poison`. Reaches nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the client cannot be made.
    pub fn new(account: &Account, name: &str) -> Result<Self, Error> {
        Self::with_options(account, name, &azure::client_options())
    }

    fn with_options(account: &Account, name: &str, options: &ClientOptions) -> Result<Self, Error> {
        let poison = format!("{name}{}", super::POISON_SUFFIX);
        Ok(Self { work: client(account, name, options)?, poison: client(account, &poison, options)?, sent: Notify::new() })
    }

    fn lane(&self, lane: Lane) -> &QueueClient {
        match lane {
            Lane::Work => &self.work,
            Lane::Poison => &self.poison,
        }
    }

    async fn put(&self, lane: Lane, text: &str, delay: Duration) -> Result<(), Error> {
        let client = self.lane(lane);
        let text = STANDARD.encode(text);
        within(
            async || {
                let message = QueueMessage { message_text: Some(text.clone()) };
                let options = QueueClientSendMessageOptions {
                    message_time_to_live: Some(NEVER_EXPIRES),
                    visibility_timeout: Some(seconds(delay)),
                    ..Default::default()
                };
                client.send_message(message.try_into()?, Some(options)).await.map(drop)
            },
            client,
            None,
        )
        .await
    }

    /// Looks once.
    async fn take(&self, lane: Lane, max: u32, lease: Duration) -> Result<Vec<Delivery>, Error> {
        let client = self.lane(lane);
        let messages = within(
            async || {
                let options = QueueClientReceiveMessagesOptions {
                    number_of_messages: i32::try_from(max.min(MAX_BATCH)).ok(),
                    visibility_timeout: Some(seconds(lease).max(1)),
                    ..Default::default()
                };
                client.receive_messages(Some(options)).await?.into_model()
            },
            client,
            None,
        )
        .await?;
        Ok(messages.items.unwrap_or_default().into_iter().filter_map(delivery).collect())
    }

    /// Makes a held message invisible for `time` from now on and returns the new receipt, which is only in a header.
    async fn hide(&self, lane: Lane, held: &Lease, time: Duration) -> Result<Lease, Error> {
        let client = self.lane(lane);
        let receipt = within(
            async || {
                // Without a text the message keeps the one it has.
                let response = client.update_message(&held.message_id, &held.receipt, seconds(time), None).await?;
                response.headers().get_str(&POP_RECEIPT).map(str::to_owned)
            },
            client,
            Some(held),
        )
        .await?;
        Ok(Lease { message_id: held.message_id.clone(), receipt })
    }
}

impl fmt::Debug for AzureQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the query, which may be a signature.
        f.debug_struct("AzureQueue").field("path", &self.work.url().path()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sender for AzureQueue {
    fn kind(&self) -> &'static str {
        "azure queue storage"
    }

    /// A delay of more than 7 days becomes 7 days, the longest that there is: a wake that comes early is better than none.
    async fn send(&self, wake: &Wake, delay: Duration) -> Result<(), Error> {
        let text = serde_json::to_string(wake).map_err(|error| Error::Unavailable(error.to_string()))?;
        self.put(Lane::Work, &text, delay).await?;
        // Also for a delayed message: one look more costs less than to know when it is due.
        self.sent.notify_waiters();
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        within(async || self.work.get_properties(None).await.map(drop), &self.work, None).await
    }
}

#[async_trait]
impl Receiver for AzureQueue {
    async fn receive(&self, lane: Lane, max: u32, lease: Duration, wait: Duration) -> Result<Vec<Delivery>, Error> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + wait.min(MAX_INVISIBLE);
        let mut pause = FIRST_PAUSE;
        loop {
            // Made before looking, so that a send between looking and waiting is not missed.
            let sent = self.sent.notified();
            let deliveries = self.take(lane, max, lease).await?;
            let now = Instant::now();
            if !deliveries.is_empty() || now >= deadline {
                return Ok(deliveries);
            }
            pause = match tokio::time::timeout_at(deadline.min(now + pause), sent).await {
                Ok(()) => FIRST_PAUSE,
                Err(_) => (pause * 2).min(LAST_PAUSE),
            };
        }
    }

    async fn renew(&self, lane: Lane, held: &Lease, lease: Duration) -> Result<Lease, Error> {
        self.hide(lane, held, lease.max(Duration::from_secs(1))).await
    }

    async fn delete(&self, lane: Lane, held: &Lease) -> Result<(), Error> {
        let client = self.lane(lane);
        within(async || client.delete_message(&held.message_id, &held.receipt, None).await.map(drop), client, Some(held)).await
    }

    async fn release(&self, lane: Lane, held: &Lease, delay: Duration) -> Result<(), Error> {
        self.hide(lane, held, delay).await?;
        self.sent.notify_waiters();
        Ok(())
    }

    /// There is no transaction over two queues. The lease is renewed first, so that a lost one poisons nothing. Then the message is put
    /// into the poison queue and only then deleted: between the two it may be in both queues, but it is never in none.
    async fn poison(&self, delivery: &Delivery) -> Result<(), Error> {
        let held = self.hide(Lane::Work, &delivery.lease, POISONING).await?;
        self.put(Lane::Poison, &delivery.body, Duration::ZERO).await?;
        self.sent.notify_waiters();
        match self.delete(Lane::Work, &held).await {
            // The move took longer than the lease. It is poisoned, and the other one who has it will settle it.
            Err(Error::LeaseLost(_)) => Ok(()),
            deleted => deleted,
        }
    }
}

fn client(account: &Account, name: &str, options: &ClientOptions) -> Result<QueueClient, Error> {
    let mut options = QueueClientOptions { client_options: options.clone(), version: VERSION.to_owned() };
    let credential = match &account.access {
        Access::Key(key) => {
            options.client_options.per_try_policies.push(Arc::clone(key) as _);
            None
        }
        Access::Signature(_) => None,
        Access::Identity(credential) => Some(Arc::clone(credential)),
    };
    QueueClient::new(account.queue_url(name), credential, Some(options)).map_err(|error| Error::Unavailable(azure::error_text(&error)))
}

/// Runs an operation on the queue of `client`, within [`OPERATION`] and once more after creating the queue if that is missing.
async fn within<T, F: Future<Output = azure_core::Result<T>>>(
    mut operation: impl FnMut() -> F,
    client: &QueueClient,
    held: Option<&Lease>,
) -> Result<T, Error> {
    let creating = async {
        match operation().await {
            Err(error) if is(&error, 404, &["QueueNotFound"]) => {
                create(client).await?;
                operation().await
            }
            outcome => outcome,
        }
    };
    let outcome = tokio::time::timeout(OPERATION, creating).await;
    let place = || format!("{}{}", client.url().authority(), client.url().path());
    match (outcome, held) {
        (Ok(Ok(value)), _) => Ok(value),
        (Ok(Err(error)), Some(held)) if is_lost(&error) => Err(Error::LeaseLost(held.message_id.clone())),
        (Ok(Err(error)), _) => Err(Error::Unavailable(format!("{}: {}", place(), explained(&error)))),
        (Err(_), _) => Err(Error::Unavailable(format!("{}: no answer within {OPERATION:?}", place()))),
    }
}

/// Creates the queue of `client`. That another process was quicker (409) is as good.
async fn create(client: &QueueClient) -> azure_core::Result<()> {
    match client.create(None).await {
        Err(error) if is(&error, 409, &["QueueAlreadyExists"]) => Ok(()),
        created => created.map(|_| tracing::info!(queue = client.url().path(), "created a queue")),
    }
}

/// Whether `error` is an answer with `status` and one of `codes`.
fn is(error: &azure_core::Error, status: u16, codes: &[&str]) -> bool {
    matches!(error.kind(), ErrorKind::HttpResponse { status: answered, error_code: Some(code), .. }
        if u16::from(*answered) == status && codes.contains(&code.as_str()))
}

/// A receipt that does not fit is a conflict or, for one that the service never gave, a bad request.
fn is_lost(error: &azure_core::Error) -> bool {
    is(error, 404, &["MessageNotFound"]) || is(error, 400, &["PopReceiptMismatch", "InvalidQueryParameterValue"])
}

/// What went wrong, and what to do when somebody has to do something.
fn explained(error: &azure_core::Error) -> String {
    let text = azure::error_text(error);
    match error.http_status().map(u16::from) {
        Some(401 | 403) => format!(
            "{text}: access is denied. Check the key or the signature, or give the identity the role Storage Queue Data Contributor"
        ),
        _ => text,
    }
}

/// Whole seconds, at least `time`: nothing becomes visible too early.
fn seconds(time: Duration) -> i32 {
    let time = time.min(MAX_INVISIBLE);
    i32::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(i32::MAX)
}

/// A message with its lease; `None` for an answer without one, which becomes visible again.
fn delivery(message: ReceivedMessage) -> Option<Delivery> {
    let lease = Lease { message_id: message.message_id?, receipt: message.pop_receipt? };
    let count = message.dequeue_count.unwrap_or(1);
    let body = decoded(message.message_text.unwrap_or_default());
    Some(Delivery { body, dequeue_count: u32::try_from(count).unwrap_or(u32::MAX), lease })
}

/// The text that was sent. What is not base64 of a text was put there by somebody else, and stays as it is.
fn decoded(text: String) -> String {
    STANDARD.decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(text)
}

#[cfg(test)]
mod tests;
