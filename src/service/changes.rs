//! Tells waiting readers of this process that a conversation was committed here. A shortcut only: the store is the source,
//! and commits of other processes are found by reading it again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::conversation::ConversationId;

/// Readers that wait, by conversation. An entry lives as long as somebody waits.
#[derive(Debug, Default)]
pub(super) struct Changes {
    waiting: Mutex<HashMap<ConversationId, Weak<Notify>>>,
    nudged: Mutex<HashMap<ConversationId, Instant>>,
}

impl Changes {
    /// What is notified at the next commit of `id` in this process.
    pub(super) fn of(&self, id: ConversationId) -> Arc<Notify> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = waiting.get(&id).and_then(Weak::upgrade) {
            return notify;
        }
        let notify = Arc::new(Notify::new());
        waiting.insert(id, Arc::downgrade(&notify));
        if waiting.len().is_power_of_two() {
            waiting.retain(|_, notify| notify.strong_count() > 0);
        }
        notify
    }

    /// Wakes everybody who waits for `id`.
    pub(super) fn committed(&self, id: ConversationId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.get(&id).map(Weak::upgrade) {
            Some(Some(notify)) => notify.notify_waiters(),
            Some(None) => drop(waiting.remove(&id)),
            None => {}
        }
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
