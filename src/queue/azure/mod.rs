//! The queue in Azure Queue Storage: two queues, of which the Functions host or our own receive loop reads the wakes.
//!
//! Built on `azure_storage_queue`, Microsoft's maintained crate. (`azure_storage_queues`, its abandoned predecessor, would bring a second
//! azure_core, a second reqwest and OpenSSL.) It knows tokens and SAS only; `shared_key` signs for the rest.
//!
//! - Texts are base64, as the host expects by its default `messageEncoding`.
//! - Delays and leases are whole seconds there, and are rounded up.
//! - Messages never expire: a wake that were to vanish would leave its conversation without an end.
//! - A request whose answer was lost is sent again, so a wake may be there twice; wakes are fenced.
//! - A queue that is missing is created. Where the identity may not do that, the deployment has.
//! - The dequeue count, the visibility and the receipts are the service's (REST API, Queue Storage, version 2025-11-05).

mod account;
mod shared_key;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{StatusCode, headers::HeaderName},
};
use azure_storage_queue::{
    QueueClient,
    models::{QueueClientReceiveMessagesOptions, QueueClientSendMessageOptions, QueueMessage, ReceivedMessage},
};
use base64::prelude::{BASE64_STANDARD, Engine as _};

pub use self::account::{Account, BadAccount};
use super::{Delivery, Error, Lane, Lease, Receiver, Sender, Wake};
use crate::azure::describe;

/// How long an operation may take altogether, with what is sent again.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Waits between two looks at an empty queue: doubled from the first to the last, as the host does up to its `maxPollingInterval`.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Most messages that the service gives at once.
const MOST_AT_ONCE: u32 = 32;

/// How long a message is held while it is moved to the poison queue.
const MOVE: Duration = Duration::from_secs(30);

/// The longest delay of the service: seven days.
const LONGEST_DELAY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The receipt of a message after its visibility was changed is told in a header only.
const POP_RECEIPT: HeaderName = HeaderName::from_static("x-ms-popreceipt");

/// Wakes in Azure Queue Storage.
pub struct AzureQueue {
    work: Queue,
    poison: Queue,
}

/// One queue of the account.
struct Queue {
    client: QueueClient,
    name: String,
}

impl AzureQueue {
    /// The queue `name` of `account`, and `{name}-poison` beside it. Reaches nothing yet.
    ///
    /// # Errors
    /// When no address can be made of them, or a token would be sent without TLS.
    pub fn new(account: &Account, name: &str) -> Result<Self, BadAccount> {
        let poison = format!("{name}-poison");
        Ok(Self {
            work: Queue { client: account.client(name)?, name: name.to_owned() },
            poison: Queue { client: account.client(&poison)?, name: poison },
        })
    }

    fn lane(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Work => &self.work,
            Lane::Poison => &self.poison,
        }
    }
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> i32 {
    let whole = duration.min(LONGEST_DELAY).as_millis().div_ceil(1000);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

/// What a failed request means.
enum Fault {
    /// There is no such queue.
    NoQueue,
    /// There is no such message, or the receipt is not the one of its last delivery.
    NoLease,
    Other(String),
}

impl From<azure_core::Error> for Fault {
    fn from(error: azure_core::Error) -> Self {
        if let ErrorKind::HttpResponse { status, error_code, .. } = error.kind() {
            match (*status, error_code.as_deref()) {
                (StatusCode::NotFound, Some("QueueNotFound")) => return Self::NoQueue,
                (_, Some("MessageNotFound" | "PopReceiptMismatch" | "InvalidQueryParameterValue")) => return Self::NoLease,
                _ => {}
            }
        }
        Self::Other(describe(&error))
    }
}

impl Queue {
    fn unavailable(&self, reason: &str) -> Error {
        Error::Unavailable(format!("{} at {}: {reason}", self.name, self.client.url().host_str().unwrap_or_default()))
    }

    /// Runs one operation within its time, and once more when the queue had to be created for it.
    async fn run<T, F>(&self, operation: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = azure_core::Result<T>>,
    {
        let attempt = async {
            match operation().await.map_err(Fault::from) {
                Err(Fault::NoQueue) => {
                    self.create().await?;
                    operation().await.map_err(Fault::from)
                }
                done => done,
            }
        };
        let late = |_| Fault::Other(format!("no answer within {} s", TIME_LIMIT.as_secs()));
        tokio::time::timeout(TIME_LIMIT, attempt).await.map_err(late)?
    }

    async fn create(&self) -> Result<(), Fault> {
        match self.client.create(None).await {
            Ok(_) => {
                tracing::info!(queue = self.name, "created a queue");
                Ok(())
            }
            // Somebody else was quicker.
            Err(error) if error.http_status() == Some(StatusCode::Conflict) => Ok(()),
            Err(error) => Err(Fault::Other(format!("the queue does not exist and cannot be created: {}", describe(&error)))),
        }
    }

    async fn put(&self, text: &str, delay: Duration) -> Result<(), Error> {
        let message = QueueMessage { message_text: Some(BASE64_STANDARD.encode(text)) };
        let send = || async {
            let options = QueueClientSendMessageOptions {
                message_time_to_live: Some(-1),
                visibility_timeout: Some(seconds(delay)),
                ..Default::default()
            };
            self.client.send_message(message.clone().try_into()?, Some(options)).await
        };
        self.run(send).await.map(drop).map_err(|fault| self.error(fault, ""))
    }

    async fn take(&self, max: u32, lease: Duration) -> Result<Vec<Delivery>, Error> {
        let receive = || async {
            let options = QueueClientReceiveMessagesOptions {
                number_of_messages: i32::try_from(max.clamp(1, MOST_AT_ONCE)).ok(),
                visibility_timeout: Some(seconds(lease).max(1)),
                ..Default::default()
            };
            self.client.receive_messages(Some(options)).await?.into_model()
        };
        let received = self.run(receive).await.map_err(|fault| self.error(fault, ""))?;
        Ok(received.items.unwrap_or_default().into_iter().filter_map(delivery).collect())
    }

    /// Makes a message visible after `delay`, counted from now, and returns the new lease.
    async fn show_after(&self, held: &Lease, delay: Duration) -> Result<Lease, Error> {
        let update = || self.client.update_message(&held.message_id, &held.receipt, seconds(delay), None);
        let updated = self.run(update).await.map_err(|fault| self.error(fault, &held.message_id))?;
        let receipt = updated.headers().get_optional_string(&POP_RECEIPT).ok_or_else(|| self.unavailable("it gave no new receipt"))?;
        Ok(Lease { message_id: held.message_id.clone(), receipt })
    }

    async fn remove(&self, held: &Lease) -> Result<(), Error> {
        let delete = || self.client.delete_message(&held.message_id, &held.receipt, None);
        self.run(delete).await.map(drop).map_err(|fault| self.error(fault, &held.message_id))
    }

    fn error(&self, fault: Fault, message_id: &str) -> Error {
        match fault {
            Fault::NoLease if !message_id.is_empty() => Error::LeaseLost(message_id.to_owned()),
            Fault::NoLease => self.unavailable("it knows no such message"),
            Fault::NoQueue => self.unavailable("the queue does not exist"),
            Fault::Other(reason) => self.unavailable(&reason),
        }
    }
}

/// A message that somebody else wrote as plain text is handed on as it is, so that the worker can drop it.
fn delivery(message: ReceivedMessage) -> Option<Delivery> {
    let text = message.message_text.unwrap_or_default();
    let decoded = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    Some(Delivery {
        body: decoded.unwrap_or(text),
        dequeue_count: message.dequeue_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX),
        lease: Lease { message_id: message.message_id?, receipt: message.pop_receipt? },
    })
}

#[async_trait]
impl Sender for AzureQueue {
    fn kind(&self) -> &'static str {
        "azure queue storage"
    }

    async fn send(&self, wake: &Wake, delay: Duration) -> Result<(), Error> {
        let text = serde_json::to_string(wake).map_err(|error| self.work.unavailable(&error.to_string()))?;
        self.work.put(&text, delay).await
    }

    async fn probe(&self) -> Result<(), Error> {
        let queue = &self.work;
        queue.run(|| queue.client.get_properties(None)).await.map(drop).map_err(|fault| queue.error(fault, ""))
    }
}

#[async_trait]
impl Receiver for AzureQueue {
    async fn receive(&self, lane: Lane, max: u32, lease: Duration, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let until = Instant::now() + wait;
        let [mut pause, longest] = PAUSES;
        loop {
            let deliveries = self.lane(lane).take(max, lease).await?;
            let left = until.saturating_duration_since(Instant::now());
            if !deliveries.is_empty() || left.is_zero() {
                return Ok(deliveries);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn renew(&self, lane: Lane, held: &Lease, lease: Duration) -> Result<Lease, Error> {
        self.lane(lane).show_after(held, lease.max(Duration::from_secs(1))).await
    }

    async fn delete(&self, lane: Lane, held: &Lease) -> Result<(), Error> {
        self.lane(lane).remove(held).await
    }

    async fn release(&self, lane: Lane, held: &Lease, delay: Duration) -> Result<(), Error> {
        self.lane(lane).show_after(held, delay).await.map(drop)
    }

    /// Sent first, deleted then: between the two a crash leaves it in both queues, and never in none. The lease is renewed before, so that
    /// one that is lost poisons nothing.
    async fn poison(&self, delivery: &Delivery) -> Result<(), Error> {
        let held = self.work.show_after(&delivery.lease, MOVE).await?;
        self.poison.put(&delivery.body, Duration::ZERO).await?;
        self.work.remove(&held).await
    }
}
