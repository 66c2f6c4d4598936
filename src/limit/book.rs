//! What an account has used, and whether it may use more. Pure: the time is an argument, and nothing is kept here.
//!
//! Minutes and days are those of UTC, so that every instance sees the same ones without asking. A clock that is behind what
//! another instance wrote counts in that one's window; so no window begins twice. In the moment between two windows an account may use
//! what both allow.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Limits, Measure, Quota, Standing};
use crate::conversation::{ConversationId, Scope, Timestamp};

/// The window of requests.
pub const MINUTE: Duration = Duration::from_secs(60);
/// The window of everything else that is counted.
pub const DAY: Duration = Duration::from_secs(86_400);

/// When it is worth another try to have a question answered beside others: nobody knows when one of them ends.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// A turn that is being answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(String);

impl Holder {
    /// The turn `turn` of a conversation.
    #[must_use]
    pub fn new(conversation: ConversationId, turn: u32) -> Self {
        Self(format!("{conversation}/{turn}"))
    }
}

/// The wish of one request to begin a turn. Several may have the same wish, sent at once or once more; only one of them begins the turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    holder: Holder,
    request: Uuid,
}

impl Claim {
    /// That of `request`, which is told apart from all others by it, to begin the turn of `holder`.
    #[must_use]
    pub fn new(holder: Holder, request: Uuid) -> Self {
        Self { holder, request }
    }

    /// The turn that is to begin.
    #[must_use]
    pub fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// A place among the questions that are answered at once. It is over when it was not given back in time: whoever held it is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    holder: Holder,
    /// In milliseconds since 1970.
    until: i64,
    /// The requests that were admitted to it. They share it, and are one question: which of them begins the turn is not known here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requests: Vec<Uuid>,
}

/// What a turn has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens that models read and wrote.
    pub tokens: u64,
    /// Milliseconds that queries ran.
    pub warehouse_ms: u64,
}

/// What an account has used. Windows are numbered from 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    minute: i64,
    requests: u64,
    day: i64,
    questions: u64,
    tokens: u64,
    warehouse_ms: u64,
    places: Vec<Place>,
}

impl Book {
    /// Forgets what is over by `now`.
    fn turn_to(&mut self, now: Timestamp) {
        let (minute, day) = (window(now, MINUTE), window(now, DAY));
        if minute > self.minute {
            (self.minute, self.requests) = (minute, 0);
        }
        if day > self.day {
            (self.day, self.questions, self.tokens, self.warehouse_ms) = (day, 0, 0, 0);
        }
        self.places.retain(|place| place.until > now.unix_millis());
    }

    /// Takes up to `most` requests out of `limit`, and returns how many: none when it is reached.
    pub fn draw(&mut self, most: u64, limit: u64, now: Timestamp) -> u64 {
        self.turn_to(now);
        let drawn = most.min(limit.saturating_sub(self.requests));
        self.requests += drawn;
        drawn
    }

    /// Admits a question, which has a place until it gives it back or `life` is over; a limit that is reached admits none. Tokens and seconds
    /// are known when they are used: a question is admitted while there are any left. One that has its place shares that with whoever asked
    /// it too, and is not counted again.
    ///
    /// # Errors
    /// The first [`Measure`] whose limit is reached; then nothing is counted.
    pub fn admit(&mut self, claim: &Claim, life: Duration, limits: &Limits, now: Timestamp) -> Result<(), Measure> {
        self.turn_to(now);
        let Claim { holder, request } = claim;
        if let Some(place) = self.places.iter_mut().find(|place| place.holder == *holder) {
            if !place.requests.contains(request) {
                place.requests.push(*request);
            }
            return Ok(());
        }
        let reached = |measure: &Measure| limits.of(*measure).is_some_and(|limit| self.used(*measure) >= limit);
        if let Some(measure) = Measure::OF_QUESTIONS.into_iter().find(reached) {
            return Err(measure);
        }
        self.questions += 1;
        if limits.at_once.is_some() {
            self.places.push(Place { holder: holder.clone(), until: now.plus(life).unix_millis(), requests: vec![*request] });
        }
        Ok(())
    }

    /// Takes back that a question was admitted by `limits` on the day of `admitted`. While others share its place it is theirs, and where
    /// its place is gone it was answered, for one of them.
    pub fn withdraw(&mut self, Claim { holder, request }: &Claim, limits: &Limits, admitted: Timestamp) {
        let is_nobodys = match self.places.iter_mut().find(|place| place.holder == *holder) {
            Some(place) => {
                let had = place.requests.len();
                place.requests.retain(|other| other != request);
                place.requests.len() < had && place.requests.is_empty()
            }
            None => limits.at_once.is_none(),
        };
        if !is_nobodys {
            return;
        }
        if window(admitted, DAY) == self.day {
            self.questions = self.questions.saturating_sub(1);
        }
        self.release(holder);
    }

    /// Gives a place back.
    pub fn release(&mut self, holder: &Holder) {
        self.places.retain(|place| place.holder != *holder);
    }

    /// Counts what a question has used, also beyond the limit.
    pub fn charge(&mut self, used: Used, now: Timestamp) {
        self.turn_to(now);
        self.tokens = self.tokens.saturating_add(used.tokens);
        self.warehouse_ms = self.warehouse_ms.saturating_add(used.warehouse_ms);
    }

    /// How the quotas of `scope` for `measures` stand that have a limit.
    #[must_use]
    pub fn standings(&self, scope: Scope, measures: &[Measure], limits: &Limits, now: Timestamp) -> Vec<Standing> {
        let standing = |measure: &Measure| {
            let limit = limits.of(*measure)?;
            let left = limit.saturating_sub(self.used(*measure));
            Some(Standing { quota: Quota { scope, measure: *measure }, limit, left, resets_after: resets_after(*measure, now) })
        };
        measures.iter().filter_map(standing).collect()
    }

    /// Requests that were drawn in the window of the last change.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    fn used(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Requests => self.requests,
            Measure::AtOnce => u64::try_from(self.places.len()).unwrap_or(u64::MAX),
            Measure::Questions => self.questions,
            Measure::Tokens => self.tokens,
            Measure::Warehouse => self.warehouse_ms / 1000,
        }
    }
}

/// The number of the window that `at` lies in.
#[must_use]
pub fn window(at: Timestamp, length: Duration) -> i64 {
    at.unix_millis().div_euclid(millis(length))
}

/// How long it takes from `now` until more may be used.
#[must_use]
pub fn resets_after(measure: Measure, now: Timestamp) -> Duration {
    let Some(length) = measure.window() else { return TRY_AGAIN };
    let left = millis(length) - now.unix_millis().rem_euclid(millis(length));
    Duration::from_millis(left.unsigned_abs())
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}
