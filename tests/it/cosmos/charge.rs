//! What the store costs: request charges in metric and log, and requests per conversation.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use asklake::{
    conversation::{Budgets, Conversation, Timestamp},
    queue::Wake,
    service::{Ports, Service, Settings},
    store::{HistoryFilter, Store},
};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, SdkMeterProvider,
    data::{AggregatedMetrics, HistogramDataPoint, Metric, MetricData},
};

use super::Fresh;
use crate::{
    contract::store::{advanced, asked},
    support::{
        cosmos::Emulator,
        embedded::{Embedded, lake},
        log::Log,
        scripted::{ScriptedModel, ScriptedWarehouse},
    },
};

/// The meter provider of this process, and what it exports to.
fn exporter() -> &'static (SdkMeterProvider, InMemoryMetricExporter) {
    static EXPORTER: OnceLock<(SdkMeterProvider, InMemoryMetricExporter)> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        opentelemetry::global::set_meter_provider(provider.clone());
        (provider, exporter)
    })
}

/// Charges by operation: how many, and their sum.
fn charges(metric: &Metric) -> BTreeMap<String, (u64, f64)> {
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else { panic!("{metric:?}") };
    let of = |point: &HistogramDataPoint<f64>| {
        let operation = point.attributes().find(|attribute| attribute.key.as_str() == "db.operation.name");
        (operation.unwrap().value.to_string(), (point.count(), point.sum()))
    };
    histogram.data_points().map(of).collect()
}

#[tokio::test]
async fn every_operation_records_its_charge_as_a_metric() {
    let (provider, exporter) = exporter();
    let fresh = Fresh::new();
    let conversation = asked("q");
    let etag = fresh.store.create(&conversation).await.unwrap();
    fresh.store.commit(&advanced(&conversation), &etag).await.unwrap();
    fresh.store.commit(&advanced(&conversation), &etag).await.unwrap_err();
    fresh.store.put_result(conversation.id, 1, &ScriptedWarehouse::rows()).await.unwrap();
    fresh.store.load(conversation.id).await.unwrap();
    fresh.store.history(&HistoryFilter::default(), 10, None).await.unwrap();
    provider.force_flush().unwrap();
    let exported = exporter.get_finished_metrics().unwrap();
    let metrics = exported.iter().flat_map(|resource| resource.scope_metrics()).flat_map(|scope| scope.metrics());
    let metric = metrics.filter(|metric| metric.name() == "azure.cosmosdb.client.operation.request_charge").last().expect("exported");
    assert_eq!(metric.unit(), "{request_unit}");
    let charges = charges(metric);
    for operation in ["create_item", "read_item", "replace_item", "upsert_item", "query_items"] {
        let (count, sum) = charges.get(operation).unwrap_or_else(|| panic!("{operation} is missing in {charges:?}"));
        assert!(*count > 0 && *sum > 0.0, "{operation}: {count}, {sum}");
    }
}

#[tokio::test]
async fn every_operation_logs_its_charge() {
    let log = Log::by(|lines| tracing_subscriber::fmt().json().with_env_filter("asklake=debug").with_writer(lines).finish());
    let fresh = Fresh::new();
    fresh.store.create(&asked("a question that is nobody's business")).await.unwrap();
    let logged = log.text();
    let line = logged.lines().find(|line| line.contains("create_item")).unwrap_or_else(|| panic!("{logged}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["fields"]["cosmos.operation"], "create_item");
    assert!(line["fields"]["cosmos.request_charge"].as_f64().is_some_and(|charge| charge > 0.0), "{line}");
    assert!(!logged.contains("nobody's business"));
}

#[tokio::test]
async fn a_conversation_with_one_query_takes_at_most_eight_writes() {
    let (fresh, embedded) = (Fresh::new(), Embedded::open());
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let store: Arc<dyn Store> = fresh.store.clone();
    let model = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
    let ports = Ports { store, wakes: Arc::clone(&embedded.sender), model, warehouse };
    let service = Service::new(ports, lake(), Budgets::default(), Settings::default());
    let conversation = Conversation { turn_started_at: Timestamp::now(), ..asked("q") };
    fresh.store.create(&conversation).await.unwrap();
    service.step(Wake::of(&conversation), 1).await.unwrap();
    let ended = fresh.store.load(conversation.id).await.unwrap().unwrap().conversation;
    assert!(ended.stage.is_terminal() && ended.error.is_none(), "{ended:?}");
    let operations = Emulator::shared().operations(&fresh.container).await;
    let writes: u64 = ["create", "replace", "upsert"].iter().map(|kind| operations[kind].as_u64().unwrap_or(0)).sum();
    assert!(writes <= 8, "{operations}");
    assert_eq!(operations["query"], serde_json::Value::Null, "no query: {operations}");
}
