//! Log lines: for a person on a terminal, as JSON otherwise. The level is set by `ASKLAKE_LOG` (default `info`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error, which leaves standard output to the results of commands.
pub fn start(default_level: &str) {
    let filter = EnvFilter::try_from_env("ASKLAKE_LOG").unwrap_or_else(|_| EnvFilter::new(default_level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.with_target(false).init();
    } else {
        lines.json().flatten_event(true).init();
    }
}
