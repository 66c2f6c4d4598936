//! Log lines: for a person on a terminal, as JSON otherwise. The level is set by `ASKLAKE_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To standard output, as JSON: the Functions host takes each line of it for a log entry, and one of standard error for an error.
    Host,
    /// To standard error, which leaves standard output to the results of commands.
    Terminal,
}

/// Starts logging to `output` from `default_level` up, unless `ASKLAKE_LOG` says otherwise. A panic is logged like any error.
pub fn start(output: Output, default_level: &str) {
    let filter = EnvFilter::try_from_env("ASKLAKE_LOG").unwrap_or_else(|_| EnvFilter::new(default_level));
    let (writer, is_terminal) = match output {
        Output::Host => (BoxMakeWriter::new(std::io::stdout), false),
        Output::Terminal => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    if is_terminal {
        lines.with_target(false).init();
    } else {
        lines.json().flatten_event(true).init();
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
    }
}
