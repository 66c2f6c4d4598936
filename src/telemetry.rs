//! Log lines: for a person on a terminal, as JSON otherwise. The level is set by `ASKLAKE_LOG` (default `info`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error, which leaves standard output to the results of commands.
pub fn start(default_level: &str) {
    // A connection that its client broke off is no error of ours.
    let default = format!("{default_level},warp::server::run=off");
    let filter = EnvFilter::try_from_env("ASKLAKE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.with_target(false).init();
    } else {
        lines.json().flatten_event(true).init();
    }
}
