//! asklake: ask your lakehouse a question in plain language, get an answer you can check.
pub mod conversation;
pub mod http;
#[cfg(feature = "local")]
pub mod import;
pub mod model;
pub mod queue;
pub mod service;
pub mod sql;
pub mod store;
pub mod warehouse;
