//! The one integration test crate: every test that needs more than one function lives below here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, missing_docs, unreachable_pub)]

// Until a cloud adapter runs it too.
#[cfg(feature = "local")]
mod contract;
#[cfg(feature = "local")]
mod sqlite;
