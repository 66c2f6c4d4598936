//! The receive loop of the standalone server: the queue semantics of the Functions host (lease with renewal, redelivery
//! after a delay, dequeue count, poison queue) over any queue.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    queue::{Delivery, Error, Lane, Receiver, Wake},
    service::{Advance, Service, StepError},
};

/// How messages are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Messages worked on at once.
    pub concurrency: usize,
    /// How long a message is leased; renewed three times within. After a kill it is how long the next process waits.
    pub lease: Duration,
    /// How long a message stays invisible after a failure (`visibilityTimeout` of the host).
    pub retry_delay: Duration,
    /// Deliveries after which a message is poisoned (`maxDequeueCount` of the host).
    pub max_dequeue_count: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { concurrency: 64, lease: Duration::from_secs(15), retry_delay: Duration::from_secs(3), max_dequeue_count: 5 }
    }
}

/// Deliveries after which even the poison queue gives a message up.
const MAX_POISON_DEQUEUE_COUNT: u32 = 20;

/// How long one receive waits for a message.
const WAIT: Duration = Duration::from_secs(20);

/// Receives and handles wakes of both lanes until `stop`, then lets what is being worked on end.
pub async fn run(service: Service, queue: Arc<dyn Receiver>, settings: Settings, stop: CancellationToken) {
    let work = lane(service.clone(), Arc::clone(&queue), Lane::Work, settings, stop.clone());
    let poison = lane(service, queue, Lane::Poison, settings, stop);
    tokio::join!(work, poison);
}

async fn lane(service: Service, queue: Arc<dyn Receiver>, lane: Lane, settings: Settings, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(settings.concurrency));
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let Some(place) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await else { break };
        let Ok(place) = place else { break };
        let free = u32::try_from(places.available_permits() + 1).unwrap_or(u32::MAX).min(32);
        let Some(received) = stop.run_until_cancelled(queue.receive(lane, free, settings.lease, WAIT)).await else { break };
        let mut place = Some(place);
        for delivery in received_or_pause(received, &stop).await {
            let Some(place) = take_place(&mut place, &places).await else { break };
            let handler = Handler { service: service.clone(), queue: Arc::clone(&queue), lane, settings };
            running.spawn(async move {
                handler.handle(delivery).await;
                drop(place);
            });
        }
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

async fn received_or_pause(received: Result<Vec<Delivery>, Error>, stop: &CancellationToken) -> Vec<Delivery> {
    match received {
        Ok(deliveries) => deliveries,
        Err(error) => {
            tracing::warn!(%error, "could not receive wakes");
            stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await;
            Vec::new()
        }
    }
}

async fn take_place(held: &mut Option<OwnedSemaphorePermit>, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    match held.take() {
        Some(place) => Some(place),
        None => Arc::clone(places).acquire_owned().await.ok(),
    }
}

struct Handler {
    service: Service,
    queue: Arc<dyn Receiver>,
    lane: Lane,
    settings: Settings,
}

impl Handler {
    async fn handle(&self, mut delivery: Delivery) {
        let Ok(wake) = serde_json::from_str::<Wake>(&delivery.body) else {
            tracing::error!(message.id = %delivery.lease.message_id, "dropped a message that is not a wake");
            return self.settled(&delivery, self.queue.delete(self.lane, &delivery.lease).await);
        };
        let outcome = self.step_under_lease(wake, &mut delivery).await;
        let settled = match outcome {
            Ok(_) => self.queue.delete(self.lane, &delivery.lease).await,
            Err(error) => self.failed(wake, &error, &delivery).await,
        };
        self.settled(&delivery, settled);
    }

    /// Works on the wake, in a task of its own so that a panic is a failure like any other, and renews the lease meanwhile.
    async fn step_under_lease(&self, wake: Wake, delivery: &mut Delivery) -> Result<Advance, String> {
        let (service, count, lane) = (self.service.clone(), delivery.dequeue_count, self.lane);
        let mut work = tokio::spawn(async move {
            let step = match lane {
                Lane::Work => service.step(wake, count).await,
                Lane::Poison => service.abandon(wake, count).await,
            };
            step.map_err(|error: StepError| error.to_string())
        });
        loop {
            match tokio::time::timeout(self.settings.lease / 3, &mut work).await {
                Ok(ended) => return ended.unwrap_or_else(|panic| Err(format!("the worker panicked: {panic}"))),
                Err(_) => self.renew(delivery).await,
            }
        }
    }

    async fn renew(&self, delivery: &mut Delivery) {
        match self.queue.renew(self.lane, &delivery.lease, self.settings.lease).await {
            Ok(lease) => delivery.lease = lease,
            // The work goes on: its commits are fenced, so a second delivery does no harm.
            Err(error) => tracing::warn!(message.id = %delivery.lease.message_id, %error, "could not renew a lease"),
        }
    }

    async fn failed(&self, wake: Wake, error: &str, delivery: &Delivery) -> Result<(), Error> {
        let count = delivery.dequeue_count;
        tracing::warn!(conversation.id = %wake.conversation_id, dequeue_count = count, error, "a wake failed");
        match self.lane {
            Lane::Work if count >= self.settings.max_dequeue_count => self.queue.poison(delivery).await,
            Lane::Poison if count >= MAX_POISON_DEQUEUE_COUNT => {
                tracing::error!(conversation.id = %wake.conversation_id, "gave up a poisoned wake: its conversation cannot be ended");
                self.queue.delete(self.lane, &delivery.lease).await
            }
            Lane::Work | Lane::Poison => self.queue.release(self.lane, &delivery.lease, self.settings.retry_delay).await,
        }
    }

    fn settled(&self, delivery: &Delivery, settled: Result<(), Error>) {
        if let Err(error) = settled {
            tracing::warn!(message.id = %delivery.lease.message_id, %error, "could not settle a message; it will be delivered again");
        }
    }
}
