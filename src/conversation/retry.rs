//! Budgets, backoff and deadlines: every loop of a turn is bounded here.

use std::time::Duration;

use super::model::{Conversation, Timestamp};

/// What a turn may use at most. A turn that needs more ends with an error that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Refused or failed queries that are given back to the model for repair.
    pub repairs: u32,
    /// Answers that are given back to the model because rows do not support them.
    pub rewrites: u32,
    /// Queries decided on.
    pub queries: u32,
    /// Answered calls of the model.
    pub model_calls: u32,
    /// Failures in a row of a model or warehouse that may be passing.
    pub failures: u32,
    /// Launches of one query again after the warehouse lost its run.
    pub relaunches: u32,
    /// Times the warehouse is asked to cancel a query.
    pub cancels: u32,
    /// From the wish to cancel to the end of the turn, also when the warehouse has not confirmed it.
    pub cancellation: Duration,
    /// From the question to the end of the turn.
    pub turn: Duration,
    /// Turns of one conversation.
    pub turns: u32,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            repairs: 2,
            rewrites: 1,
            queries: 6,
            model_calls: 12,
            failures: 6,
            relaunches: 4,
            cancels: 8,
            cancellation: Duration::from_secs(60),
            turn: Duration::from_secs(30 * 60),
            turns: 50,
        }
    }
}

impl Budgets {
    /// Whether the turn of `conversation` has used up its time.
    #[must_use]
    pub fn is_past_deadline(&self, conversation: &Conversation, now: Timestamp) -> bool {
        now.since(conversation.turn_started_at) >= self.turn
    }
}

/// Delay before poll or retry number `attempt` (from 1): 1, 2, 4, 8, 15, 15, … seconds.
#[must_use]
pub fn backoff(attempt: u32) -> Duration {
    let seconds = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
    Duration::from_secs(if attempt > 4 { 15 } else { seconds.min(15) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_fifteen_seconds() {
        let seconds: Vec<u64> = (1..=7).map(|attempt| backoff(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 15, 15, 15]);
        assert_eq!(backoff(u32::MAX).as_secs(), 15);
    }
}
