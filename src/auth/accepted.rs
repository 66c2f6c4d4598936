//! Tokens that were accepted a moment ago, so that a client that polls pays for one signature and not for each request.
//!
//! Keeps digests, not tokens. An entry holds as long as its token and as the issuer's keys stay as they were: a key that is withdrawn
//! takes every entry with it. Nothing that was refused is kept.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest;

use crate::conversation::Caller;

/// Tokens kept at most: about 300 bytes each.
const LIMIT: usize = 16 << 10;

/// Identifies a token.
pub(super) type Digest = [u8; digest::SHA256_OUTPUT_LEN];

#[derive(Debug, Default)]
struct Entries {
    /// Which set of keys they were checked with.
    generation: u64,
    entries: HashMap<Digest, (Caller, u64)>,
}

/// The tokens.
#[derive(Debug, Default)]
pub(super) struct Accepted(Mutex<Entries>);

/// The digest of a token.
pub(super) fn digest(token: &str) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}

impl Accepted {
    /// Whose token it is, if it was accepted with these keys and is not over at `now` (seconds since 1970).
    pub(super) fn get(&self, token: &Digest, generation: u64, now: u64) -> Option<Caller> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, until) = kept.entries.get(token)?;
        (kept.generation == generation && now < *until).then(|| caller.clone())
    }

    /// Keeps a token that is accepted until `until`.
    pub(super) fn insert(&self, token: Digest, generation: u64, caller: Caller, until: u64, now: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.generation > generation {
            return;
        }
        if kept.generation < generation {
            *kept = Entries { generation, entries: HashMap::new() };
        }
        if kept.entries.len() >= LIMIT {
            kept.entries.retain(|_, (_, until)| now < *until);
        }
        if kept.entries.len() >= LIMIT {
            kept.entries.clear();
        }
        kept.entries.insert(token, (caller, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_as_long_as_it_and_the_keys_last() {
        let (accepted, token) = (Accepted::default(), digest("a"));
        accepted.insert(token, 1, Caller::Anonymous, 100, 0);
        assert_eq!(accepted.get(&token, 1, 99), Some(Caller::Anonymous));
        assert_eq!(accepted.get(&token, 1, 100), None, "it is over");
        assert_eq!(accepted.get(&token, 2, 99), None, "the keys are others");
        assert_eq!(accepted.get(&digest("b"), 1, 99), None);
        accepted.insert(digest("c"), 2, Caller::Anonymous, 100, 0);
        assert_eq!(accepted.get(&token, 2, 99), None, "checked with the keys before");
        accepted.insert(digest("d"), 1, Caller::Anonymous, 100, 0);
        assert_eq!(accepted.get(&digest("d"), 2, 99), None, "checked with older keys by a request that was slow");
    }

    #[test]
    fn any_number_of_tokens_takes_bounded_memory() {
        let accepted = Accepted::default();
        for n in 0..LIMIT + 10 {
            accepted.insert(digest(&n.to_string()), 1, Caller::Anonymous, 100, 0);
        }
        assert!(accepted.0.lock().is_ok_and(|kept| kept.entries.len() <= LIMIT));
    }
}
