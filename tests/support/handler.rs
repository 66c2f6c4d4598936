//! asklake's custom handler with a model of fixed time and a warehouse that counts launches, in a process of its own: the program that
//! includes this file, started again. Everything else in it is the product: runtime, HTTP, service, embedded store, the queue.

use std::{path::Path, sync::Arc, time::Duration};

use asklake::{
    app::App,
    conversation::Budgets,
    http,
    model::Entry,
    queue::{
        self,
        azure::{Account, AzureQueue},
    },
    runtime::{connections::Limits, functions, worker},
    service::{Ports, Service, Settings},
    sqlite::{Database, Options},
    store::{
        Store,
        cosmos::{self, CosmosStore},
        sqlite::SqliteStore,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    counted::Remote,
    embedded::{Embedded, lake},
    scripted::{ScriptedModel, answer, query, statement},
};

/// Holds the [`Script`] in the handler's process, and is set nowhere else.
pub const VARIABLE: &str = "ASKLAKE_TEST_HANDLER";

/// Life of a conversation after its last update: a day, as by default.
pub const TTL: Duration = Duration::from_secs(86_400);

/// What a question says that kills the process which works on it.
pub const DEADLY: &str = "deadly";

/// Where conversations are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Kept {
    /// In the embedded store.
    Embedded {
        /// Its folder.
        folder: String,
    },
    /// In Cosmos DB, by the product's adapter.
    Cosmos {
        /// Address of the emulator.
        endpoint: String,
        /// Name of the container.
        container: String,
    },
}

impl Kept {
    /// Opens it.
    pub fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded { folder } => {
                Arc::new(SqliteStore::new(Database::open(Path::new(folder), Options::default()).unwrap(), TTL).unwrap())
            }
            Self::Cosmos { endpoint, container } => {
                let credential = cosmos::Credential::Key("YW55IGtleQ==".into());
                let (endpoint, container) = (endpoint.clone(), container.clone());
                let config = cosmos::Config { endpoint, credential, database: "faults".into(), container, ttl: TTL };
                Arc::new(CosmosStore::new(config).unwrap())
            }
        }
    }

    /// What `app` sets for such a store.
    fn settings(&self, times: Settings) -> Settings {
        match self {
            Self::Embedded { .. } => times,
            Self::Cosmos { .. } => Settings { read_interval: Duration::from_secs(1), replica_lag: Duration::from_millis(500), ..times },
        }
    }
}

/// What the handler is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Script {
    /// Where conversations are kept.
    pub store: Kept,
    /// Connection string of the queue's account.
    pub storage: String,
    /// Where the warehouse is.
    pub warehouse: String,
    /// Time of every reply of the model, in milliseconds.
    pub model_ms: u64,
    /// Queries of every conversation, one after the other.
    pub queries: usize,
    /// The `functionTimeout` that it reckons with, in milliseconds.
    pub function_timeout_ms: u64,
}

/// In the handler's process serves until killed; elsewhere returns at once.
pub async fn run_if_asked() {
    let Ok(script) = std::env::var(VARIABLE) else { return };
    let script: Script = serde_json::from_str(&script).unwrap();
    let listener = functions::bind(std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT").unwrap().parse().unwrap()).await.unwrap();
    let times = functions::Times::within(Duration::from_millis(script.function_timeout_ms));
    let ports = Ports {
        store: script.store.open(),
        wakes: Arc::new(AzureQueue::new(&Account::parse(&script.storage).unwrap(), queue::NAME).unwrap()),
        model: Arc::new(model(&script)),
        warehouse: Arc::new(Remote::new(script.warehouse)),
    };
    let service = Service::new(ports, lake(), Budgets::default(), script.store.settings(times.parts));
    // Nobody receives: the host does.
    let receiver = Embedded::open().receiver;
    let app = App { service, receiver, worker: worker::Settings::default(), http: http::Settings::default(), limits: Limits::default() };
    functions::serve(app, listener, times.deadline).await.unwrap();
}

/// Queries and then answers; a question with [`DEADLY`] in it is the end of the process.
fn model(script: &Script) -> ScriptedModel {
    let queries = script.queries;
    ScriptedModel::new(Duration::from_millis(script.model_ms), move |request, done| {
        let is_deadly = |entry: &Entry| matches!(entry, Entry::Question(question) if question.contains(DEADLY));
        if request.transcript.iter().any(is_deadly) {
            std::process::abort();
        }
        Ok(if done < queries { query(&statement(done)) } else { answer("two films") })
    })
}
