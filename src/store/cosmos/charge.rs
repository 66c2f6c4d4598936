//! What operations cost, in request units: a log field and a metric of OpenTelemetry.
//!
//! Names and unit are those of OpenTelemetry's semantic conventions for Cosmos DB. Retries within an operation are part of its charge.
//! Without a meter provider (`opentelemetry::global`) the metric goes nowhere.

use azure_data_cosmos::{CosmosError, diagnostics::DiagnosticsContext, models::ItemResponse};
use opentelemetry::{KeyValue, global, metrics::Histogram};

/// The instrument.
pub(super) struct Charges(Histogram<f64>);

impl Charges {
    /// The instrument of the global meter provider, as it is now.
    pub(super) fn new() -> Self {
        let meter = global::meter("asklake");
        let histogram = meter
            .f64_histogram("azure.cosmosdb.client.operation.request_charge")
            .with_unit("{request_unit}")
            .with_description("Request units that an operation consumed.")
            .with_boundaries(vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0]);
        Self(histogram.build())
    }

    /// Records that `operation` cost `charge` request units.
    pub(super) fn record(&self, operation: &'static str, charge: f64) {
        self.0.record(charge, &[KeyValue::new("db.system.name", "azure.cosmosdb"), KeyValue::new("db.operation.name", operation)]);
        tracing::debug!(cosmos.operation = operation, cosmos.request_charge = charge, "asked Cosmos DB");
    }
}

/// What an operation cost.
pub(super) fn of(response: &ItemResponse) -> f64 {
    total(&response.diagnostics())
}

/// What an operation cost that failed.
pub(super) fn of_failed(error: &CosmosError) -> f64 {
    error.diagnostics().map_or(0.0, |diagnostics| total(&diagnostics))
}

/// What all the requests cost that an operation took.
pub(super) fn total(diagnostics: &DiagnosticsContext) -> f64 {
    diagnostics.total_request_charge().value()
}
