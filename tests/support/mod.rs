//! What several tests and benches need: scripted adapters, embedded ports in a folder of their own, and the machines of Azure.

pub mod azurite;
#[cfg(feature = "azure")]
pub mod cosmos;
pub mod counted;
#[cfg(feature = "azure")]
pub mod databricks;
pub mod embedded;
pub mod flight;
#[cfg(feature = "azure")]
pub mod handler;
pub mod host;
pub mod issuer;
pub mod log;
pub mod oidc;
pub mod redis;
pub mod scripted;
pub mod seeded;
pub mod server;
