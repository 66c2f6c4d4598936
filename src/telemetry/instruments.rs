//! Every metric but the request charges of Cosmos DB (`store::cosmos`). `docs/observability.md` lists them, and `deploy/check.py` holds
//! dashboards and alerts to the names here.
//!
//! Attributes have few values: never an id, a question, a statement or a user. Without a meter provider the metrics go nowhere.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter, UpDownCounter},
};

/// Bounds of durations in seconds: those of the semantic conventions, and on to the half hour that a turn may take.
const SECONDS: [f64; 17] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0, 900.0, 1800.0];

/// Bounds of tokens, those of the semantic conventions for generative AI.
const TOKENS: [f64; 10] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0];

/// The instruments of the global meter provider, as it is when they are made.
pub struct Instruments {
    requests: Histogram<f64>,
    streams: UpDownCounter<i64>,
    wake_age: Histogram<f64>,
    turns: Histogram<f64>,
    queries: Counter<u64>,
    repairs: Counter<u64>,
    answers: Counter<u64>,
    uncounted: Counter<u64>,
    model: Histogram<f64>,
    tokens: Histogram<u64>,
    warehouse: Histogram<f64>,
}

/// Who is asked, for the model's metrics.
#[derive(Clone, Copy, Debug)]
pub struct ModelLabels<'a> {
    /// Who runs the model, by the names of the semantic conventions.
    pub provider: &'static str,
    /// Its name.
    pub model: &'a str,
}

impl ModelLabels<'_> {
    fn attributes(self) -> [KeyValue; 3] {
        [
            KeyValue::new("gen_ai.operation.name", "chat"),
            KeyValue::new("gen_ai.provider.name", self.provider),
            KeyValue::new("gen_ai.request.model", self.model.to_owned()),
        ]
    }
}

impl Default for Instruments {
    fn default() -> Self {
        let meter = global::meter("asklake");
        Self {
            requests: seconds(&meter, "http.server.request.duration", "Time until the head of a response."),
            streams: (meter.i64_up_down_counter("asklake.streams.open"))
                .with_unit("{stream}")
                .with_description("Streams of events and WebSockets that are open.")
                .build(),
            wake_age: seconds(&meter, "asklake.wake.age", "Time from when a wake was due until a worker had it."),
            turns: seconds(&meter, "asklake.turn.duration", "Time from a question to the end of its turn."),
            queries: (meter.u64_counter("asklake.queries"))
                .with_unit("{query}")
                .with_description("Queries that ended, by outcome.")
                .build(),
            repairs: (meter.u64_counter("asklake.repairs"))
                .with_unit("{repair}")
                .with_description("Queries that were given back to the model to be repaired.")
                .build(),
            answers: (meter.u64_counter("asklake.cache.lookups"))
                .with_unit("{question}")
                .with_description("Questions that were looked up among the answers that are kept, by outcome.")
                .build(),
            uncounted: (meter.u64_counter("asklake.quota.uncounted"))
                .with_unit("{request}")
                .with_description("Requests that were admitted without being counted, while the ledger of quotas did not answer.")
                .build(),
            model: seconds(&meter, "gen_ai.client.operation.duration", "Time of one call of the model."),
            tokens: (meter.u64_histogram("gen_ai.client.token.usage"))
                .with_unit("{token}")
                .with_description("Tokens of one call of the model.")
                .with_boundaries(TOKENS.to_vec())
                .build(),
            warehouse: seconds(&meter, "db.client.operation.duration", "Time of one call of the warehouse."),
        }
    }
}

fn seconds(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    meter.f64_histogram(name).with_unit("s").with_description(description).with_boundaries(SECONDS.to_vec()).build()
}

impl Instruments {
    /// A request to `route`, a template, was answered with `status`.
    pub fn request(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let attributes = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        self.requests.record(took.as_secs_f64(), &attributes);
    }

    /// A stream is open for as long as what this returns is kept.
    #[must_use]
    pub fn stream(self: &Arc<Self>) -> OpenStream {
        self.streams.add(1, &[]);
        OpenStream(Arc::clone(self))
    }

    /// A worker has a wake that was due for so long.
    pub fn wake(&self, age: Duration) {
        self.wake_age.record(age.as_secs_f64(), &[]);
    }

    /// A turn ended; `outcome` is `completed`, or the code of its error.
    pub fn turn(&self, outcome: &'static str, took: Duration) {
        self.turns.record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
    }

    /// A query ended.
    pub fn query(&self, outcome: &'static str) {
        self.queries.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// A question was looked up among the answers that are kept.
    pub fn lookup(&self, outcome: &'static str) {
        self.answers.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// A request was admitted without being counted; `counts` is what would have counted: the request, or its question.
    pub fn uncounted(&self, counts: &'static str) {
        self.uncounted.add(1, &[KeyValue::new("counts", counts)]);
    }

    /// So many queries were given back to the model.
    pub fn repairs(&self, count: u32) {
        self.repairs.add(u64::from(count), &[]);
    }

    /// The model was asked; `fault` says what kind of error came of it.
    pub fn model(&self, labels: ModelLabels<'_>, fault: Option<&'static str>, took: Duration) {
        let fault = fault.map(|fault| KeyValue::new("error.type", fault));
        let attributes: Vec<KeyValue> = labels.attributes().into_iter().chain(fault).collect();
        self.model.record(took.as_secs_f64(), &attributes);
    }

    /// The model read and wrote so many tokens.
    pub fn tokens(&self, labels: ModelLabels<'_>, read: u64, written: u64) {
        for (kind, count) in [("input", read), ("output", written)] {
            let [operation, provider, model] = labels.attributes();
            self.tokens.record(count, &[operation, provider, model, KeyValue::new("gen_ai.token.type", kind)]);
        }
    }

    /// The warehouse was asked for `operation`.
    pub fn warehouse(&self, system: &'static str, operation: &'static str, fault: Option<&'static str>, took: Duration) {
        let fault = fault.map(|fault| KeyValue::new("error.type", fault));
        let names = [KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", operation)];
        let attributes: Vec<KeyValue> = names.into_iter().chain(fault).collect();
        self.warehouse.record(took.as_secs_f64(), &attributes);
    }
}

/// A stream that is counted as open.
pub struct OpenStream(Arc<Instruments>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.add(-1, &[]);
    }
}
