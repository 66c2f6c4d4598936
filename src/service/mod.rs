//! Use cases: start a conversation, take it on (`step`), read it, go on with it or end it (`requests`). Knows the ports, never an adapter, HTTP or a queue's envelope.

mod answers;
mod behalf;
mod changes;
mod charge;
mod draft;
mod fit;
mod observed;
mod perform;
pub mod protocol;
mod quota;
mod read;
mod readiness;
mod recent;
mod recompute;
mod requests;
mod review;
mod rows_alone;
mod start;
mod step;
mod transcript;
mod watch;

use std::{ops::Deref, sync::Arc, time::Duration};

pub use answers::{Recall, Scope};
pub use draft::DraftPiece;
pub use quota::{Asker, Fails, Limited, Policy, Quotas};
pub use read::{Labels, Wait};
pub use readiness::{Dependency, Readiness};
pub use recompute::Recomputed;
pub use requests::{Canceled, RequestError};
pub use start::{StartError, Started};
pub use step::{Advance, StepError};
pub use watch::{News, Watch};

pub use crate::{
    model::Part,
    warehouse::behalf::{Error as BehalfError, Proof},
};

use crate::{
    cache::Cache,
    conversation::{Budgets, Timestamp},
    model::Model,
    queue::{self, Sender, Wake},
    sql::Lake,
    store::Store,
    telemetry::{self, Instruments},
    warehouse::{Warehouse, behalf::OnBehalf},
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
    /// How long a query may execute before it is stopped, for a warehouse that does not see to that itself.
    pub query_time_limit: Option<Duration>,
    /// How long clients may be shown what was read before instead of reading the store again. Zero for a store that costs nothing.
    pub read_interval: Duration,
    /// How long a replica of the store may lag behind what was written elsewhere: for so long a worker that is shown too old a state,
    /// or a client that is shown none, reads again. Zero for a store without replicas.
    pub replica_lag: Duration,
    /// Whether answers from what the model remembers are refused.
    pub data_only: bool,
    /// Whether a model is told how to repair a query, besides its error. Off only where a bare model is measured.
    pub advises: bool,
    /// Whether spans may have the text of questions, SQL, rows and answers.
    pub tells_content: bool,
    /// How overdue a wake must be before a status read sends it again.
    pub wake_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            invocation: Duration::from_secs(25),
            model_timeout: Duration::from_secs(90),
            warehouse_timeout: Duration::from_secs(30),
            query_time_limit: None,
            read_interval: Duration::ZERO,
            replica_lag: Duration::ZERO,
            data_only: false,
            advises: true,
            tells_content: false,
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

/// The use cases over a set of ports. A clone is another handle of the same: every conversation that is waited for has one.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

/// What a service is made of.
#[derive(Clone)]
pub struct Parts {
    ports: Ports,
    lake: Lake,
    budgets: Budgets,
    settings: Settings,
    changes: Arc<changes::Changes>,
    recent: Arc<recent::Recent>,
    answers: Option<Arc<answers::Answers>>,
    quotas: Option<Arc<Quotas>>,
    /// By whom the warehouse is asked in another's name; as asklake where there is nobody.
    behalf: Option<Arc<dyn OnBehalf>>,
    instruments: Arc<Instruments>,
    instructions: Arc<charge::Instructions>,
    probes: Arc<readiness::Probes>,
}

impl Deref for Service {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Service {
    /// A service over `ports` for the questions about `lake`.
    #[must_use]
    pub fn new(ports: Ports, lake: Lake, budgets: Budgets, settings: Settings) -> Self {
        let recent = Arc::new(recent::Recent::new(settings.read_interval));
        Self(Arc::new(Parts {
            ports,
            lake,
            budgets,
            settings,
            changes: Arc::default(),
            recent,
            answers: None,
            quotas: None,
            behalf: None,
            instruments: Arc::default(),
            instructions: Arc::default(),
            probes: Arc::default(),
        }))
    }

    /// The same, with some of its parts changed.
    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The same, but answers are kept in `cache` and given again as `recall` says.
    #[must_use]
    pub fn recalling(self, cache: Arc<dyn Cache>, recall: Recall) -> Self {
        self.with(|parts| parts.answers = Some(Arc::new(answers::Answers::new(cache, recall))))
    }

    /// The name of the model that answers.
    #[must_use]
    pub fn model_name(&self) -> &str {
        self.ports.model.name()
    }

    /// What counts and times this service, for whoever serves it.
    #[must_use]
    pub fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// Sends a wake that a worker has after `delay`, and that goes on with the trace of whoever sends it.
    async fn wake(&self, wake: Wake, delay: Duration) -> Result<(), queue::Error> {
        let traceparent = telemetry::current();
        self.ports.wakes.send(&Wake { traceparent, ..wake }, delay).await
    }

    fn now() -> Timestamp {
        Timestamp::now()
    }
}
