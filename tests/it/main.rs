//! The one integration test crate: every test that needs more than one function lives below here.
#![cfg(feature = "local")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "azure")]
mod azure_identity;
#[cfg(feature = "azure")]
mod azure_queue;
mod cache;
mod catalog;
mod charts;
mod chat;
// Until a cloud adapter runs it too.
#[cfg(feature = "local")]
mod agent;
mod architecture;
mod auth;
mod cli;
mod contract;
#[cfg(feature = "azure")]
mod cosmos;
mod crash;
#[cfg(feature = "azure")]
mod databricks;
mod dialect;
mod docs;
mod eval;
#[cfg(feature = "azure")]
mod faults;
mod flight;
mod function_app;
#[cfg(feature = "azure")]
mod functions;
mod guard;
mod headers;
mod host;
mod http;
mod import;
mod injection;
mod lake;
mod limit;
mod limits;
mod live;
mod lookup;
mod machine;
mod openai;
mod openapi;
mod page;
mod planner;
mod protocol;
mod recall;
mod redis;
mod replicas;
mod results;
mod rows;
mod sample;
mod secrets;
mod sqlite;
mod suite;
mod telemetry;
mod turns;
mod warehouse;
