//! The composition root: builds the ports from the configuration. The only file that names concrete adapters.

use std::{fmt::Write, path::Path, sync::Arc};

use anyhow::bail;

use crate::{
    config::{self, Config},
    conversation::Budgets,
    http,
    model::{Model, offline::Planner},
    queue::{Receiver, Sender},
    runtime::worker,
    service::{Ports, Service, Settings},
    sql::{Catalog, Guard, catalog::Fault},
    store::Store,
    warehouse::Warehouse,
};

/// Everything a way to run needs.
pub struct App {
    /// The use cases.
    pub service: Service,
    /// Where the standalone server receives wakes.
    pub receiver: Arc<dyn Receiver>,
    /// How it receives them.
    pub worker: worker::Settings,
    /// What HTTP is told.
    pub http: http::Settings,
}

impl App {
    /// Builds the ports that `config` asks for, and the service whose steps take `times`. Opens the embedded file; starts and reaches
    /// nothing else.
    ///
    /// # Errors
    /// When the catalog has faults, an adapter is not in this build, or the embedded file cannot be opened.
    pub fn build(config: &Config, times: Settings) -> anyhow::Result<Self> {
        let catalog = Arc::new(catalog(config)?);
        let guard = Guard::new(&catalog, config.max_rows);
        check_queries(&catalog, &guard)?;
        if config.store != config::Store::Embedded || config.queue != config::Queue::Embedded {
            bail!("the adapters of Azure are not wired yet");
        }
        let embedded = local::embedded(config)?;
        let ports =
            Ports { store: embedded.store, wakes: embedded.sender, model: model(&catalog), warehouse: local::warehouse(config, &catalog)? };
        let service = Service::new(ports, guard, Budgets::default(), times);
        let http = http::Settings {
            cors_allowed_origins: config.cors_allowed_origins.clone(),
            example_questions: catalog.questions.iter().take(6).cloned().collect(),
            lake_title: catalog.name.clone(),
        };
        let worker = worker::Settings { concurrency: config.worker_concurrency, ..worker::Settings::default() };
        Ok(Self { service, receiver: embedded.receiver, worker, http })
    }
}

fn model(catalog: &Arc<Catalog>) -> Arc<dyn Model> {
    Arc::new(Planner::new(Arc::clone(catalog)))
}

/// The catalog with the parameters of the profile that fits the lake.
///
/// # Errors
/// Every fault of the file, or that the profile named does not exist.
fn catalog(config: &Config) -> anyhow::Result<Catalog> {
    let catalog = read_catalog(config.catalog_file.as_deref())?;
    let profile = config.catalog_profile.clone().or_else(|| catalog.profile_for(|table| local::rows(config, table)).map(str::to_owned));
    match profile {
        Some(profile) => catalog.in_profile(&profile).map_err(|error| anyhow::anyhow!("CATALOG_PROFILE: {error}")),
        None => Ok(catalog),
    }
}

/// The catalog in `file`, else the one in the binary.
///
/// # Errors
/// Every fault of the file.
pub fn read_catalog(file: Option<&Path>) -> anyhow::Result<Catalog> {
    file.map_or_else(Catalog::embedded, Catalog::load).map_err(|faults| {
        let name = file.map_or_else(|| "the catalog in the binary".to_owned(), |file| file.display().to_string());
        anyhow::anyhow!("{name} has faults:{}", lines(&faults))
    })
}

/// Refuses a catalog whose own queries and views the guard would not admit.
fn check_queries(catalog: &Catalog, guard: &Guard) -> anyhow::Result<()> {
    let faults = catalog.check_queries(|sql| guard.admit(sql).map(drop).map_err(|refusal| refusal.reason));
    if faults.is_empty() { Ok(()) } else { bail!("the catalog has queries that the guard refuses:{}", lines(&faults)) }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |mut lines, fault| {
        // Writing to a String cannot fail.
        let _ = write!(lines, "\n  {fault}");
        lines
    })
}

/// The store and the queue.
struct Embedded {
    store: Arc<dyn Store>,
    sender: Arc<dyn Sender>,
    receiver: Arc<dyn Receiver>,
}

#[cfg(feature = "local")]
mod local {
    //! The adapters of a laptop.

    use anyhow::Context;

    use super::*;
    use crate::{
        queue::sqlite::SqliteQueue,
        sqlite::{Database, Options},
        store::sqlite::SqliteStore,
        warehouse::{flight, sail},
    };

    pub(super) fn rows(config: &Config, table: &str) -> Option<u64> {
        match &config.warehouse {
            config::Warehouse::Sail { lake, .. } => sail::row_count(lake, table),
            config::Warehouse::FlightSql { .. } => None,
        }
    }

    pub(super) fn embedded(config: &Config) -> anyhow::Result<Embedded> {
        let database = Database::open(&config.data_dir, Options::default()).context("cannot open the embedded store")?;
        let queue = Arc::new(SqliteQueue::new(database.clone())?);
        let store = Arc::new(SqliteStore::new(database, config.conversation_ttl)?);
        Ok(Embedded { store, sender: Arc::clone(&queue) as _, receiver: queue })
    }

    pub(super) fn warehouse(config: &Config, catalog: &Catalog) -> anyhow::Result<Arc<dyn Warehouse>> {
        Ok(match &config.warehouse {
            config::Warehouse::FlightSql { url, token } => {
                let token = token.as_ref().map(|token| token.expose().to_owned());
                let (query_time_limit, max_concurrency) = (config.query_timeout, config.worker_concurrency);
                let endpoint = flight::Config { url: url.clone(), token, query_time_limit, max_concurrency };
                Arc::new(flight::FlightSql::new(endpoint, catalog))
            }
            config::Warehouse::Sail { binary, lake, memory_limit } => {
                let mut sail = sail::Config::new(binary.clone(), lake.clone());
                sail.query_time_limit = config.query_timeout;
                sail.memory_limit = memory_limit.unwrap_or(sail.memory_limit);
                Arc::new(sail::Sail::new(sail, catalog))
            }
        })
    }
}

#[cfg(not(feature = "local"))]
mod local {
    //! A build without the adapters of a laptop says so when one is asked for.

    use super::*;

    pub(super) fn rows(_config: &Config, _table: &str) -> Option<u64> {
        None
    }

    pub(super) fn embedded(_config: &Config) -> anyhow::Result<Embedded> {
        bail!("this build has no embedded store and queue: it was made without the feature `local`")
    }

    pub(super) fn warehouse(_config: &Config, _catalog: &Catalog) -> anyhow::Result<Arc<dyn Warehouse>> {
        bail!("this build has no local warehouse: it was made without the feature `local`")
    }
}
