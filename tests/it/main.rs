//! The one integration test crate: every test that needs more than one function lives below here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod crash;
#[cfg(feature = "local")]
mod dialect;
mod http;
#[cfg(feature = "local")]
mod import;
#[cfg(feature = "local")]
mod flight;
#[cfg(feature = "local")]
mod lake;
mod machine;
mod protocol;
mod rows;
#[cfg(feature = "local")]
mod sample;
#[cfg(feature = "local")]
mod warehouse;
mod contract;
#[cfg(feature = "local")]
mod sqlite;
