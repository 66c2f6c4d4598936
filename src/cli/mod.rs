//! The subcommands that a person runs in a terminal. They print to standard output; whatever is not the result goes to
//! standard error.

#[cfg(feature = "local")]
pub mod ask;
pub mod check;
