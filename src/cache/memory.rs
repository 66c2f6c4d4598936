//! The cache of one process: bounded in number and bytes, the oldest go first. Refuses to outlive the process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{Cache, Key, MAX_BYTES, Unavailable};
use crate::conversation::{Answered, ConversationId};

/// Answers kept at most.
const MOST: usize = 512;
/// Bytes of JSON that they may have together.
const MOST_BYTES: usize = 64 << 20;

#[derive(Debug)]
struct Entry {
    answered: Arc<Answered>,
    bytes: usize,
    until: Instant,
}

#[derive(Debug)]
struct Lease {
    holder: ConversationId,
    until: Instant,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Key, Entry>,
    leases: HashMap<Key, Lease>,
}

/// Answers and leases of this process.
#[derive(Debug, Default)]
pub struct MemoryCache(Mutex<Kept>);

impl MemoryCache {
    /// What is kept, without what is over.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.answers.retain(|_, entry| entry.until > now);
        kept.leases.retain(|_, lease| lease.until > now);
        kept
    }
}

#[async_trait]
impl Cache for MemoryCache {
    fn kind(&self) -> &'static str {
        "memory"
    }

    async fn get(&self, key: &Key) -> Option<Arc<Answered>> {
        self.kept().answers.get(key).map(|entry| Arc::clone(&entry.answered))
    }

    async fn put(&self, key: &Key, answered: Arc<Answered>, life: Duration) {
        let bytes = answered.bytes();
        if bytes > MAX_BYTES {
            return;
        }
        let answers = &mut self.kept().answers;
        answers.insert(key.clone(), Entry { answered, bytes, until: Instant::now() + life });
        while answers.len() > MOST || answers.values().map(|entry| entry.bytes).sum::<usize>() > MOST_BYTES {
            let oldest = answers.iter().min_by_key(|(_, entry)| entry.answered.answered_at()).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            answers.remove(&oldest);
        }
    }

    async fn lease(&self, key: &Key, holder: ConversationId, life: Duration) -> bool {
        let leases = &mut self.kept().leases;
        if leases.contains_key(key) {
            return false;
        }
        leases.insert(key.clone(), Lease { holder, until: Instant::now() + life });
        true
    }

    async fn is_leased(&self, key: &Key) -> bool {
        self.kept().leases.contains_key(key)
    }

    async fn release(&self, key: &Key, holder: ConversationId) {
        let leases = &mut self.kept().leases;
        if leases.get(key).is_some_and(|lease| lease.holder == holder) {
            leases.remove(key);
        }
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}
