//! Where telemetry goes: to an OpenTelemetry collector, to Application Insights, to both, or nowhere.
//!
//! Threads of the SDK send batches, so that nothing here waits for a collector; when one cannot be reached, what does not fit into the
//! queues is dropped. Endpoint, headers, sampler and limits are those of the standard variables (`OTEL_…`), which the SDK reads itself.

use std::time::Duration;

use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::{Resource, logs::SdkLoggerProvider, metrics::SdkMeterProvider, trace::SdkTracerProvider};
use uuid::Uuid;

use crate::config;

/// What may be lost with a process that ends: the time that each signal has to be sent.
const LAST: Duration = Duration::from_secs(2);

/// The providers of traces, metrics and logs.
pub(super) struct Providers {
    pub(super) traces: SdkTracerProvider,
    pub(super) metrics: SdkMeterProvider,
    pub(super) logs: SdkLoggerProvider,
}

impl Providers {
    /// The providers that `config` asks for; none where it asks for nothing. `host_has_logs` says that the Functions host sends the log
    /// lines to Application Insights.
    ///
    /// # Errors
    /// What is wrong with an address or a connection string.
    #[cfg_attr(not(feature = "azure"), expect(unused_variables, reason = "only Application Insights has logs from the host"))]
    pub(super) fn build(config: &config::Telemetry, host_has_logs: bool) -> Result<Option<Self>, String> {
        if !config.otlp && config.application_insights.is_none() {
            return Ok(None);
        }
        let resource = resource(config);
        let mut traces = SdkTracerProvider::builder().with_resource(resource.clone());
        let mut metrics = SdkMeterProvider::builder().with_resource(resource.clone());
        let mut logs = SdkLoggerProvider::builder().with_resource(resource);
        if config.otlp {
            let fault = |error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}");
            traces = traces.with_batch_exporter(SpanExporter::builder().with_http().build().map_err(fault)?);
            metrics = metrics.with_periodic_exporter(MetricExporter::builder().with_http().build().map_err(fault)?);
            logs = logs.with_batch_exporter(LogExporter::builder().with_http().build().map_err(fault)?);
        }
        #[cfg(feature = "azure")]
        if let Some(insights) = &config.application_insights {
            let client = super::insights::Client::new(insights)?;
            traces = traces.with_batch_exporter(client.exporter(insights)?);
            metrics = metrics.with_periodic_exporter(client.exporter(insights)?);
            if !host_has_logs {
                logs = logs.with_batch_exporter(client.exporter(insights)?);
            }
        }
        let providers = Self { traces: traces.build(), metrics: metrics.build(), logs: logs.build() };
        global::set_meter_provider(providers.metrics.clone());
        Ok(Some(providers))
    }

    /// Sends what is left, for a bounded time. What cannot be sent then is lost, as it is with a process that is killed.
    pub(super) fn flush(self) {
        let _ = self.traces.shutdown_with_timeout(LAST);
        let _ = self.metrics.shutdown_with_timeout(LAST);
        let _ = self.logs.shutdown_with_timeout(LAST);
    }
}

fn resource(config: &config::Telemetry) -> Resource {
    Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        ])
        .build()
}
