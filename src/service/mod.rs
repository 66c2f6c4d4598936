//! Use cases: start a conversation, take it on (`step`), read it. Knows the ports, never an adapter, HTTP or a queue's envelope.

mod changes;
mod perform;
pub mod protocol;
mod read;
mod start;
mod step;
mod transcript;

use std::{sync::Arc, time::Duration};

pub use read::{Dependency, Readiness, Wait};
pub use start::{StartError, Started};
pub use step::{Advance, StepError};

use crate::{
    conversation::{Budgets, Timestamp},
    model::Model,
    queue::Sender,
    sql::Guard,
    store::Store,
    warehouse::Warehouse,
};

/// Times that bound what a worker does in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long one delivery may go on to further effects. Far below the host's `functionTimeout`.
    pub invocation: Duration,
    /// How long one call of the model may take.
    pub model_timeout: Duration,
    /// How long one call of the warehouse may take, the wait of a poll not counted.
    pub warehouse_timeout: Duration,
    /// How overdue a wake must be before a status read sends it again.
    pub wake_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            invocation: Duration::from_secs(25),
            model_timeout: Duration::from_secs(90),
            warehouse_timeout: Duration::from_secs(30),
            wake_grace: Duration::from_secs(180),
        }
    }
}

/// The ports a service works with.
#[derive(Clone)]
pub struct Ports {
    /// Where conversations are kept.
    pub store: Arc<dyn Store>,
    /// Where wakes are sent.
    pub wakes: Arc<dyn Sender>,
    /// Who decides and answers.
    pub model: Arc<dyn Model>,
    /// Who runs statements.
    pub warehouse: Arc<dyn Warehouse>,
}

/// The use cases over a set of ports. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    ports: Ports,
    guard: Guard,
    budgets: Budgets,
    settings: Settings,
    changes: Arc<changes::Changes>,
}

impl Service {
    /// A service over `ports` that admits statements by `guard`.
    #[must_use]
    pub fn new(ports: Ports, guard: Guard, budgets: Budgets, settings: Settings) -> Self {
        Self { ports, guard, budgets, settings, changes: Arc::default() }
    }

    /// The name of the model that answers.
    #[must_use]
    pub fn model_name(&self) -> &str {
        self.ports.model.name()
    }

    fn now() -> Timestamp {
        Timestamp::now()
    }
}
