//! asklake: ask your lakehouse a question in plain language, get an answer you can check.
//!
//! A question becomes a conversation document in a store. A wake on a queue makes a worker take the conversation as far as it
//! goes: the model decides on Spark SQL, the guard admits it, the warehouse runs it, the model reads the rows and answers.
//! Every step is committed before the next one starts; clients read the stored state and never drive the work.
//!
//! Dependencies point one way: `main` → `runtime` → `http` → `service` → {`conversation`, `sql`, the ports}. Adapters know
//! their port, `conversation` and the catalog, never each other; only `http` knows status codes; only `app` names a concrete
//! adapter. `http` and `service` tell `telemetry` what they do. Exceptions: the embedded store, queue and ledger share `sqlite`, the
//! adapters of Azure and the way to Application Insights share `azure`, what asks Redis shares `redis`, the ledger in Cosmos DB has its
//! items beside those of `store::cosmos`, Sail is spoken to through `warehouse::flight`, and Databricks tells of types and unknown
//! names as that does.
//! `tests/it/architecture.rs` holds the code to these sentences; `docs/architecture.md` is the map.

pub mod app;
pub mod auth;
#[cfg(feature = "azure")]
pub mod azure;
mod breaker;
pub mod cache;
pub mod cli;
pub mod config;
pub mod conversation;
#[cfg(feature = "local")]
pub mod eval;
pub mod http;
#[cfg(feature = "local")]
pub mod import;
pub mod limit;
pub mod model;
pub mod queue;
pub mod redis;
pub mod runtime;
pub mod service;
pub mod sql;
#[cfg(feature = "local")]
pub mod sqlite;
pub mod store;
#[cfg(feature = "local")]
pub mod tape;
pub mod telemetry;
pub mod warehouse;
