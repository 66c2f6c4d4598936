//! Readiness: whether what is asked to answer questions answers itself.
//!
//! Anybody may ask for it, without credentials, and each probe calls every dependency: so there is one at a time, whoever asks meanwhile or
//! within the next seconds has its result, and it goes on when whoever asked for it first has gone.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::Service;

/// How one dependency is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Which port.
    pub name: &'static str,
    /// Which kind of adapter.
    pub kind: &'static str,
    /// How long the answer took.
    pub latency: Duration,
    /// What is wrong; absent when it answers.
    pub fault: Option<String>,
    /// Whether no question can be answered without it.
    pub is_needed: bool,
}

/// How all dependencies are doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Store, queue, model and warehouse, and the cache and the ledger of quotas where there is one.
    pub dependencies: Vec<Dependency>,
    /// The name of the model that answers.
    pub model: String,
    /// What that model cannot do here, for whoever set it up.
    pub caveat: Option<String>,
}

/// How long one dependency has to answer a readiness probe. Sail may have to be started for it.
const PROBE: Duration = Duration::from_secs(15);

/// How long a result is that of whoever asks.
const KEPT: Duration = Duration::from_secs(5);

/// A result, and when it came.
#[derive(Debug)]
struct Found {
    readiness: Arc<Readiness>,
    at: Instant,
}

/// A probe: none while it is under way.
type Probe = watch::Receiver<Option<Found>>;

/// The last probe.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<Option<Probe>>);

impl Probes {
    /// The last probe while it serves, else one that is begun now.
    fn serving(&self, begin: impl FnOnce() -> Probe) -> Probe {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let probe = last.take().filter(serves).unwrap_or_else(begin);
        last.insert(probe).clone()
    }
}

fn serves(probe: &Probe) -> bool {
    let is_under_way = probe.has_changed().is_ok();
    probe.borrow().as_ref().map_or(is_under_way, |found| found.at.elapsed() < KEPT)
}

impl Service {
    /// Whether every dependency answers, or did a moment ago.
    pub async fn readiness(&self) -> Arc<Readiness> {
        let mut probe = self.probes.serving(|| self.begin_probe());
        let found = probe.wait_for(Option::is_some).await.ok().and_then(|found| Some(Arc::clone(&found.as_ref()?.readiness)));
        match found {
            Some(readiness) => readiness,
            // Its task has died, with the runtime or by a fault.
            None => Arc::new(self.probe().await),
        }
    }

    fn begin_probe(&self) -> Probe {
        let (result, probe) = watch::channel(None);
        let service = self.clone();
        tokio::spawn(async move {
            let readiness = Arc::new(service.probe().await);
            result.send_replace(Some(Found { readiness, at: Instant::now() }));
        });
        probe
    }

    /// Asks every dependency whether it answers, all at once.
    async fn probe(&self) -> Readiness {
        let ports = &self.ports;
        let cache = async {
            let cache = &self.answers.as_ref()?.cache;
            Some(Dependency { is_needed: false, ..dependency("cache", cache.kind(), cache.probe()).await })
        };
        let ledger = async {
            let ledger = self.quotas.as_ref()?.ledger();
            Some(Dependency { is_needed: false, ..dependency("quotas", ledger.kind(), ledger.probe()).await })
        };
        let (store, queue, model, warehouse, cache, ledger) = tokio::join!(
            dependency("store", ports.store.kind(), ports.store.probe()),
            dependency("queue", ports.wakes.kind(), ports.wakes.probe()),
            dependency("model", ports.model.kind(), ports.model.probe()),
            dependency("warehouse", ports.warehouse.kind(), ports.warehouse.probe()),
            cache,
            ledger,
        );
        Readiness {
            dependencies: [store, queue, model, warehouse].into_iter().chain(cache).chain(ledger).collect(),
            model: ports.model.name().to_owned(),
            caveat: ports.model.caveat(),
        }
    }
}

async fn dependency<E: fmt::Display>(name: &'static str, kind: &'static str, probe: impl Future<Output = Result<(), E>>) -> Dependency {
    let began = Instant::now();
    let fault = match timeout(PROBE, probe).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", PROBE.as_secs())),
    };
    Dependency { name, kind, latency: began.elapsed(), fault, is_needed: true }
}
