//! What asklake tells of itself: log lines for a person on a terminal, as JSON otherwise (`ASKLAKE_LOG` sets their level); and, where it
//! is configured, traces, metrics and logs of OpenTelemetry.
//!
//! `docs/observability.md` lists every span and metric. Questions, SQL, rows and answers are in none of them without `TELEMETRY_CONTENT`.

mod context;
mod export;
#[cfg(feature = "azure")]
mod insights;
mod instruments;

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{Targets, filter_fn},
    fmt::writer::BoxMakeWriter,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use self::export::Providers;
pub use self::{
    context::{continue_from, current},
    instruments::{Instruments, ModelLabels, OpenStream},
};
use crate::config;

/// The target of spans that log lines are in and nothing that is exported: it does not begin with `asklake`, by which exporters choose.
pub const UNTRACED: &str = "untraced";

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To standard output, as JSON: the Functions host takes each line of it for a log entry, and one of standard error for an error.
    Host,
    /// To standard error, which leaves standard output to the results of commands.
    Terminal,
}

/// What is exported, until it is flushed.
#[must_use = "what is left must be flushed at the end"]
pub struct Telemetry(Option<Providers>);

impl Telemetry {
    /// Sends what is left. To be called outside of the runtime, whose threads it would hold up.
    pub fn flush(self) {
        if let Some(providers) = self.0 {
            providers.flush();
        }
    }
}

/// Starts logging to `output` from `default_level` up, unless `ASKLAKE_LOG` says otherwise, and exports what `config` asks for. A panic is
/// logged like any error. To be called outside of the runtime. An exporter that cannot be set up is a warning: nobody's question fails over it.
pub fn start(output: Output, default_level: &str, config: &config::Telemetry) -> Telemetry {
    let (providers, fault) = match Providers::build(config, output == Output::Host) {
        Ok(providers) => (providers, None),
        Err(fault) => (None, Some(fault)),
    };
    let traces = providers.as_ref().map(|providers| {
        let tracer = providers.traces.tracer("asklake");
        // Events are exported as log records of their span, and not once more within it.
        let spans =
            filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("asklake") && *metadata.level() <= Level::INFO);
        tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false).with_filter(spans)
    });
    let logs = providers
        .as_ref()
        .map(|providers| OpenTelemetryTracingBridge::new(&providers.logs).with_filter(Targets::new().with_target("asklake", Level::INFO)));
    tracing_subscriber::registry().with(lines(output, default_level)).with(traces).with(logs).init();
    if let Some(fault) = fault {
        tracing::warn!(fault, "telemetry is not exported");
    }
    Telemetry(providers)
}

fn lines<S>(output: Output, default_level: &str) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let filter = EnvFilter::try_from_env("ASKLAKE_LOG").unwrap_or_else(|_| EnvFilter::new(default_level));
    let (writer, is_terminal) = match output {
        Output::Host => (BoxMakeWriter::new(std::io::stdout), false),
        Output::Terminal => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    if is_terminal {
        return lines.with_target(false).with_filter(filter).boxed();
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
    lines.json().flatten_event(true).with_current_span(false).with_filter(filter).boxed()
}
