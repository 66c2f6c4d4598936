//! The host's listener on one queue: fetches, leases, renews, and deletes, releases or poisons by what became of the invocation.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    Host,
    app::Queues,
    reply::Verdict,
    storage::{Message, decode},
};

/// The first pause on an empty queue; doubled up to `maxPollingInterval`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A queue function.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) host: Arc<Host>,
    pub(super) function: String,
    pub(super) binding: String,
    pub(super) queue: String,
}

impl Listener {
    /// Listens until dropped.
    pub(super) async fn run(self) {
        let Queues { batch_size, new_batch_threshold, max_polling_interval, .. } = self.host.app().queues;
        let places = Arc::new(Semaphore::new(batch_size + new_batch_threshold));
        let mut running = JoinSet::new();
        let mut pause = FIRST_PAUSE;
        loop {
            // A further batch only while at most `newBatchThreshold` are being worked on, so that there is room for a whole one.
            let room = u32::try_from(batch_size).unwrap();
            drop(places.acquire_many(room).await.unwrap());
            let fetched = self.host.storage().receive(&self.queue, batch_size, self.host.lease()).await.unwrap_or_default();
            if fetched.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(max_polling_interval);
                continue;
            }
            pause = FIRST_PAUSE;
            for message in fetched {
                let place = Arc::clone(&places).acquire_owned().await.unwrap();
                let listener = self.clone();
                running.spawn(async move {
                    listener.handle(message).await;
                    drop(place);
                });
            }
            while running.try_join_next().is_some() {}
        }
    }

    async fn handle(&self, mut message: Message) {
        if message.dequeue_count > self.host.app().queues.max_dequeue_count {
            return self.poison(&message).await;
        }
        // [code]: what is not base64 is not delivered at all.
        let Some(text) = decode(&message.text) else { return self.poison(&message).await };
        let renewal = self.host.lease() / 2;
        let invoked = message.clone();
        let invocation = self.host.deliver(&self.function, &self.binding, &invoked, &text);
        tokio::pin!(invocation);
        let verdict = loop {
            match tokio::time::timeout(renewal, &mut invocation).await {
                Ok(verdict) => break verdict,
                // A renewal that fails is tried again at the next turn; the work goes on.
                Err(_) => drop(self.host.storage().update(&self.queue, &mut message, self.host.lease()).await),
            }
        };
        self.settle(message, verdict).await;
    }

    async fn settle(&self, mut message: Message, verdict: Verdict) {
        let Queues { max_dequeue_count, visibility_timeout, .. } = self.host.app().queues;
        // Whatever the queue refuses here leaves the message to its lease.
        match verdict {
            Verdict::Success => drop(self.host.storage().delete(&self.queue, &message).await),
            // [code]: a poison queue has none of its own: a failed message there is left invisible until its lease ends.
            _ if self.is_poison() => {}
            _ if message.dequeue_count >= max_dequeue_count => self.poison(&message).await,
            _ => drop(self.host.storage().update(&self.queue, &mut message, visibility_timeout).await),
        }
    }

    async fn poison(&self, message: &Message) {
        if self.is_poison() {
            return;
        }
        self.host.counts().poisoned.add();
        let poison = format!("{}-poison", self.queue);
        let storage = self.host.storage();
        let _ = storage.create(&poison).await;
        if storage.send_as_is(&poison, &message.text).await.is_ok() {
            let _ = storage.delete(&self.queue, message).await;
        }
    }

    fn is_poison(&self) -> bool {
        self.queue.ends_with("-poison")
    }
}
