//! What was read or committed here lately, so that any number of clients cost one read per conversation and interval.
//!
//! For stores that are paid by the read and answered by replicas. It never shows an older revision than it has shown within the
//! interval: a replica may lag behind. It is no source: workers read the store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    conversation::{Conversation, ConversationId},
    store::Error,
};

/// What is known of a conversation; `None` when there is none by that id.
pub(super) type Known = Option<Arc<Conversation>>;

#[derive(Debug)]
struct Entry {
    /// What came of the last read: whoever waited for one that failed does not wait for another of his own.
    outcome: Result<Known, Error>,
    /// What was known before a read that failed.
    last: Known,
    at: Instant,
}

impl Entry {
    fn known(known: Known) -> Self {
        Self { outcome: Ok(known.clone()), last: known, at: Instant::now() }
    }
}

/// Held while the store is read, so that others wait for that read instead of making their own.
type Slot = Arc<tokio::sync::Mutex<Option<Entry>>>;

/// The conversations of the last interval.
#[derive(Debug)]
pub(super) struct Recent {
    interval: Duration,
    slots: Mutex<HashMap<ConversationId, Slot>>,
}

impl Recent {
    /// Keeps what is known for `interval`; with none at all nothing is kept and every read goes to the store.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, slots: Mutex::default() }
    }

    /// What is known of `id`, by `load` where it is not known yet, and when it is worth asking again.
    pub(super) async fn get<F>(&self, id: ConversationId, load: impl FnOnce() -> F) -> Result<(Known, Instant), Error>
    where
        F: Future<Output = Result<Known, Error>>,
    {
        if self.interval.is_zero() {
            return Ok((load().await?, Instant::now()));
        }
        let slot = self.slot(id);
        let mut entry = slot.lock().await;
        if let Some(Entry { outcome, at, .. }) = entry.as_ref().filter(|entry| entry.at.elapsed() < self.interval) {
            return outcome.clone().map(|known| (known, *at + self.interval));
        }
        let read = load().await;
        let last = entry.take().and_then(|entry| entry.last);
        let read = entry.insert(match read {
            Ok(read) => Entry::known(newer(last, read)),
            Err(error) => Entry { outcome: Err(error), last, at: Instant::now() },
        });
        read.outcome.clone().map(|known| (known, read.at + self.interval))
    }

    /// Notes what was committed in this process: its readers see it without a read.
    pub(super) fn committed(&self, conversation: &Conversation) {
        self.note(conversation.id, || Some(Arc::new(conversation.clone())));
    }

    /// Notes that a conversation was removed in this process.
    pub(super) fn removed(&self, id: ConversationId) {
        self.note(id, || None);
    }

    fn note(&self, id: ConversationId, known: impl FnOnce() -> Known) {
        if self.interval.is_zero() {
            return;
        }
        // While the slot is held a read is under way, which may be older; then the next read shows the change.
        if let Ok(mut entry) = self.slot(id).try_lock() {
            *entry = Some(Entry::known(known()));
        }
    }

    fn slot(&self, id: ConversationId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len().is_power_of_two() && !slots.contains_key(&id) {
            slots.retain(|_, slot| self.is_needed(slot));
        }
        Arc::clone(slots.entry(id).or_default())
    }

    fn is_needed(&self, slot: &Slot) -> bool {
        let is_recent = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.at.elapsed() < self.interval);
        Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|entry| is_recent(entry.as_ref()))
    }
}

/// The newer of two reads of the same conversation. One that finds nothing, or another conversation that was given the id of an
/// expired one (by an idempotency key), is believed.
fn newer(before: Known, read: Known) -> Known {
    match (before, read) {
        (Some(before), Some(read)) if before.created_at == read.created_at && before.revision > read.revision => Some(before),
        (_, read) => read,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::conversation::{NewConversation, Revision, Timestamp};

    const HOUR: Duration = Duration::from_secs(3600);

    fn conversation(revision: u64) -> Conversation {
        let new = NewConversation {
            id: "0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b".parse().expect("an id"),
            question: "What can I ask?".into(),
            owner: None,
            user_id: None,
            device_id: None,
            language: None,
            request_digest: None,
        };
        Conversation { revision: Revision(revision), ..Conversation::start(new, Timestamp::from_unix_millis(0)) }
    }

    async fn read(recent: &Recent, reads: &AtomicUsize, revision: u64) -> u64 {
        let id = conversation(revision).id;
        let load = || async {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(Some(Arc::new(conversation(revision))))
        };
        let (known, _) = recent.get(id, load).await.expect("read");
        known.expect("a conversation").revision.0
    }

    #[tokio::test]
    async fn any_number_of_readers_cost_one_read_per_interval() {
        let (recent, reads) = (Recent::new(HOUR), AtomicUsize::new(0));
        let readers = (0..100).map(|_| read(&recent, &reads, 1));
        futures_util::future::join_all(readers).await;
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn readers_that_waited_for_a_read_that_failed_fail_with_it() {
        let (recent, reads) = (Recent::new(HOUR), AtomicUsize::new(0));
        let id = conversation(1).id;
        let fail = || async {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Err(Error::Unavailable("no answer".into()))
        };
        let readers = (0..100).map(|_| recent.get(id, fail));
        let failed = futures_util::future::join_all(readers).await;
        assert!(failed.iter().all(|read| matches!(read, Err(Error::Unavailable(_)))));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn without_an_interval_every_reader_asks_the_store() {
        let (recent, reads) = (Recent::new(Duration::ZERO), AtomicUsize::new(0));
        for revision in 1..=3 {
            assert_eq!(read(&recent, &reads, revision).await, revision);
        }
        assert_eq!(reads.load(Ordering::SeqCst), 3);
        assert!(recent.slots.lock().expect("sound").is_empty());
    }

    #[tokio::test]
    async fn a_commit_of_this_process_is_seen_without_a_read() {
        let (recent, reads) = (Recent::new(HOUR), AtomicUsize::new(0));
        recent.committed(&conversation(4));
        assert_eq!(read(&recent, &reads, 3).await, 4);
        assert_eq!(reads.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_replica_that_lags_behind_takes_nobody_back() {
        let recent = Recent::new(Duration::from_nanos(1));
        let reads = AtomicUsize::new(0);
        assert_eq!(read(&recent, &reads, 5).await, 5);
        assert_eq!(read(&recent, &reads, 4).await, 5);
        assert_eq!(read(&recent, &reads, 6).await, 6);
    }

    #[tokio::test]
    async fn what_is_old_is_forgotten() {
        let recent = Recent::new(Duration::from_nanos(1));
        for _ in 0..1000 {
            recent.committed(&Conversation { id: ConversationId::random(), ..conversation(1) });
        }
        assert!(recent.slots.lock().expect("sound").len() <= 2);
    }
}
