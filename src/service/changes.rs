//! One hub for everybody in this process who waits for a conversation: long polls and streams.
//!
//! What is committed here reaches them at once and without a read. What other processes commit is found by reading the store, which
//! stays the source: one task per conversation that somebody waits for, one read per interval, however many wait. It also holds what a
//! model is writing in this process; of that, nothing is stored.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::{Service, draft::Draft, recent::Known};
use crate::{
    conversation::{Conversation, ConversationId},
    store::Error,
};

/// How often a conversation that somebody waits for is read where reads are not shared.
pub(super) const REREAD: Duration = Duration::from_secs(1);

/// What is known of a conversation that somebody waits for.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Nothing yet.
    Unread,
    /// What is stored. Never followed by an older one.
    Stored(Arc<Conversation>),
    /// There is none by that id (any more).
    Gone,
    /// The first read failed.
    Unreadable(Error),
}

/// A conversation that somebody waits for, or that a model writes for.
#[derive(Debug)]
pub(super) struct Topic {
    state: watch::Sender<State>,
    pub(super) draft: watch::Sender<Draft>,
    /// Told of every commit and removal here: for a worker, which looks for itself and is nobody to read for.
    pub(super) touched: Notify,
    /// Whether a task reads it. Held while that is decided, so that the last one who leaves and the next one who comes agree.
    is_read: Mutex<bool>,
}

/// The topics of this process.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// An entry lives as long as somebody holds its topic.
    topics: Mutex<HashMap<ConversationId, Weak<Topic>>>,
    nudged: Mutex<HashMap<ConversationId, Instant>>,
}

impl Changes {
    /// The topic of `id`. From now on, what is committed here is told there.
    pub(super) fn topic(&self, id: ConversationId) -> Arc<Topic> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(&id).and_then(Weak::upgrade) {
            return topic;
        }
        let topic = Arc::new(Topic {
            state: watch::Sender::new(State::Unread),
            draft: watch::Sender::default(),
            touched: Notify::new(),
            is_read: Mutex::default(),
        });
        topics.insert(id, Arc::downgrade(&topic));
        if topics.len().is_power_of_two() {
            topics.retain(|_, topic| topic.strong_count() > 0);
        }
        topic
    }

    /// Tells everybody who waits for it what was committed.
    pub(super) fn committed(&self, conversation: &Conversation) {
        let Some(topic) = self.existing(conversation.id) else { return };
        if topic.state.receiver_count() > 0 {
            topic.offer(Arc::new(conversation.clone()));
        }
        topic.touched.notify_waiters();
    }

    /// Tells everybody who waits for `id` that it was removed.
    pub(super) fn removed(&self, id: ConversationId) {
        let Some(topic) = self.existing(id) else { return };
        topic.state.send_replace(State::Gone);
        topic.touched.notify_waiters();
    }

    /// The topic of `id`, if somebody holds it.
    fn existing(&self, id: ConversationId) -> Option<Arc<Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).get(&id)?.upgrade()
    }

    /// Whether an overdue wake of `id` may be sent again: at most once per `every` in this process.
    pub(super) fn may_nudge(&self, id: ConversationId, every: Duration) -> bool {
        let mut nudged = self.nudged.lock().unwrap_or_else(PoisonError::into_inner);
        nudged.retain(|_, at| at.elapsed() < every);
        let is_first = !nudged.contains_key(&id);
        nudged.entry(id).or_insert_with(Instant::now);
        is_first
    }
}

impl Topic {
    /// What is known from now on, as it changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Takes over what was read or committed, unless something newer is known. An id may be given to another conversation once the
    /// first has expired (by an idempotency key): the later one is the newer.
    pub(super) fn offer(&self, found: Arc<Conversation>) {
        let age = |conversation: &Conversation| (conversation.created_at, conversation.revision);
        self.state.send_if_modified(|state| {
            let is_newer = if let State::Stored(known) = state { age(&found) > age(known) } else { true };
            if is_newer {
                *state = State::Stored(found);
            }
            is_newer
        });
    }

    fn read(&self, read: Result<Known, Error>) {
        match read {
            Ok(Some(found)) => self.offer(found),
            Ok(None) => drop(self.state.send_replace(State::Gone)),
            Err(error) => {
                tracing::warn!(%error, "could not read a conversation that is waited for");
                self.state.send_if_modified(|state| {
                    let is_first = matches!(state, State::Unread);
                    if is_first {
                        *state = State::Unreadable(error);
                    }
                    is_first
                });
            }
        }
    }

    /// Whether the caller is the one to read it from now on.
    fn claim(&self) -> bool {
        let mut is_read = self.is_read.lock().unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut *is_read, true)
    }

    /// Gives the claim back if nobody waits any more.
    fn release(&self) -> bool {
        let mut is_read = self.is_read.lock().unwrap_or_else(PoisonError::into_inner);
        *is_read = self.state.receiver_count() > 0;
        if !*is_read {
            self.state.send_if_modified(|state| {
                if !matches!(state, State::Stored(_)) {
                    *state = State::Unread;
                }
                false
            });
        }
        !*is_read
    }
}

impl Service {
    /// Has the topic read from `at` on, as long as somebody waits. `true` when nobody had.
    pub(super) fn keep_reading(&self, id: ConversationId, topic: &Arc<Topic>, at: Instant) -> bool {
        let is_first = topic.claim();
        if is_first {
            tokio::spawn(self.clone().reading(id, Arc::clone(topic), at));
        }
        is_first
    }

    async fn reading(self, id: ConversationId, topic: Arc<Topic>, first_at: Instant) {
        let mut at = first_at;
        loop {
            tokio::select! {
                () = sleep_until(at) => {}
                () = topic.state.closed() => {
                    if topic.release() {
                        return;
                    }
                    // Somebody came at that moment. The next read stays when it was due.
                    sleep_until(at).await;
                }
            }
            // On the heap, so that it takes no room while it is waited for the next: there is one of these for each conversation.
            at = match Box::pin(self.read_once(id)).await {
                Ok((found, again_at)) => {
                    topic.read(Ok(found));
                    again_at
                }
                Err(error) => {
                    topic.read(Err(error));
                    Instant::now() + REREAD
                }
            };
        }
    }
}
