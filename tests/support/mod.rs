//! What several tests and benches need: scripted adapters and embedded ports in a folder of their own.

#[cfg(feature = "azure")]
pub mod databricks;
pub mod embedded;
pub mod scripted;
pub mod server;
