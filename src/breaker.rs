//! A circuit breaker: who failed is not asked for a moment, so that where a service is away one caller in many waits for it.
//!
//! It knows no service and asks nobody: who holds it says what a failure is.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long it stays open.
const REST: Duration = Duration::from_secs(1);

/// Closed, or open until a time.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<Option<Instant>>);

impl Breaker {
    /// Whether there was a failure a moment ago, so that nobody is to be asked.
    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }

    /// Opens it after a failure. Failures of those who had asked already do not hold it open for longer.
    pub(crate) fn trip(&self) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_none_or(|until| Instant::now() >= until) {
            *until = Some(Instant::now() + REST);
        }
    }
}
