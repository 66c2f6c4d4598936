//! Ways to run: the standalone server. It owns the process's life: listening, receiving wakes, ending cleanly.

pub mod standalone;
pub mod worker;
