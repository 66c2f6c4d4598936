//! asklake: ask your lakehouse a question in plain language, get an answer you can check.
pub mod conversation;
#[cfg(feature = "local")]
pub mod import;
pub mod model;
pub mod queue;
pub mod sql;
#[cfg(feature = "local")]
pub mod sqlite;
pub mod store;
pub mod warehouse;
