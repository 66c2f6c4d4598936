//! What leaves the process as telemetry: a server in a process of its own, a collector in this one that decodes what it is sent.

#[cfg(feature = "azure")]
mod ingestion;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    metrics::v1::{Metric, metric::Data},
    trace::v1::Span,
};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use warp::{Filter, path::FullPath};

#[cfg(feature = "azure")]
use self::ingestion::Ingestion;
use crate::{
    cli::User,
    openai::fake::{Answer, Fake},
    support::flight::Statements,
};

/// Stand in question, SQL, rows and answer, and nowhere else.
const CANARIES: [&str; 4] = ["questioncanary", "sqlcanary", "rowcanary", "answercanary"];

/// The client's span.
const PARENT: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0e0902b7");

/// A collector that keeps what it is sent, by path.
struct Collector {
    base: String,
    received: Arc<Mutex<Vec<(String, Bytes)>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<(String, Bytes)>>> = Arc::default();
        let keep = Arc::clone(&received);
        let route = warp::post().and(warp::path::full()).and(warp::body::bytes()).map(move |path: FullPath, body: Bytes| {
            keep.lock().unwrap().push((path.as_str().to_owned(), body));
            // An empty message of protobuf: all is accepted.
            String::new()
        });
        let server = tokio::spawn(warp::serve(route).incoming(listener).run());
        Self { base, received, server }
    }

    fn at(&self, path: &str) -> Vec<Bytes> {
        self.received.lock().unwrap().iter().filter(|(other, _)| other == path).map(|(_, body)| body.clone()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.at("/v1/traces").into_iter().map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let requests = self.at("/v1/metrics").into_iter().map(|body| ExportMetricsServiceRequest::decode(body).unwrap());
        let resources = requests.flat_map(|request| request.resource_metrics);
        resources.flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics).collect()
    }

    /// How often a duration was recorded by the end.
    fn recorded(&self, name: &str) -> u64 {
        let of = |metric: &Metric| match &metric.data {
            Some(Data::Histogram(histogram)) => histogram.data_points.iter().map(|point| point.count).sum(),
            _ => 0,
        };
        self.metrics().iter().filter(|metric| metric.name == name).map(of).max().unwrap_or(0)
    }

    /// All that was received, whatever it is.
    fn text(&self) -> String {
        let received = self.received.lock().unwrap();
        received.iter().map(|(_, body)| String::from_utf8_lossy(body)).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Asks a server with these variables a question that has every canary in it, lets it answer and end, and returns what it logged.
async fn conversed(variables: &[(&str, &str)]) -> String {
    let sql = "SELECT concat('row', 'canary') AS sqlcanary FROM imdb.movies_delta LIMIT 1";
    let call = Answer::call("execute_spark_sql", &json!({"sql_query": sql, "reasoning": "to see"}).to_string());
    let answer = Answer::text("It is rowcanary, the answercanary.", "stop");
    let model = Fake::start(vec![call, answer.clone(), answer]).await;
    let user = User::new();
    let base_url = format!("{}/v1", model.base);
    let own = [("OPENAI_BASE_URL", base_url.as_str()), ("OPENAI_MODEL", "m"), ("MODEL_ANSWER_FORMAT", "text")];
    let mut served = tokio::task::block_in_place(|| user.serve_with(&[&own, variables].concat()));
    let client = reqwest::Client::new();
    let start = client.post(format!("{}/api/chat/start", served.base)).json(&json!({"question": "What is the questioncanary?"}));
    let started: Value =
        start.header("traceparent", format!("00-{}-{}-01", PARENT.0, PARENT.1)).send().await.unwrap().json().await.unwrap();
    let status = format!("{}/api/chat/{}/status", served.base, started["conversation_id"].as_str().unwrap());
    let mut body = Value::Null;
    for after in 0..100 {
        let poll = client.get(format!("{status}?wait=20&after={}", body["revision"].as_u64().unwrap_or(after)));
        // The first poll is part of a trace of the client's, the others of none.
        let poll = if after == 0 { poll.header("traceparent", format!("00-{}-{}-01", PARENT.0, PARENT.1)) } else { poll };
        body = poll.send().await.unwrap().json().await.unwrap();
        if body["status"] != "processing" {
            break;
        }
    }
    assert!(body["final_answer"].as_str().is_some_and(|answer| answer.contains("answercanary")), "{body}");
    served.signal("-TERM");
    assert_eq!(tokio::task::block_in_place(|| served.ended()), Some(0));
    std::fs::read_to_string(user.log()).unwrap()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_the_client_through_the_queue_to_model_and_warehouse_and_tells_no_content() {
    let collector = Collector::start().await;
    let log = conversed(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base)]).await;

    let spans = collector.spans();
    let own: Vec<&Span> = spans.iter().filter(|span| hex(&span.trace_id) == PARENT.0).collect();
    let start = named(&spans, "POST /api/chat/start")[0];
    assert_eq!((hex(&start.trace_id), hex(&start.parent_span_id)), (PARENT.0.to_owned(), PARENT.1.to_owned()));
    let polls = named(&spans, "GET /api/chat/{id}/status");
    assert!(polls.len() == 1 && hex(&polls[0].trace_id) == PARENT.0, "only what the client traces has a span of a read: {polls:?}");
    let works = named(&spans, "process conversation-wakes");
    assert!(works.iter().any(|work| work.parent_span_id == start.span_id), "the worker goes on from the request: {works:?}");
    for name in ["chat m", "launch spark", "poll spark"] {
        let calls = named(&spans, name);
        assert!(!calls.is_empty(), "{name} in {spans:?}");
        for call in calls {
            assert!(own.contains(&call), "{name} is in the client's trace");
            assert!(works.iter().any(|work| work.span_id == call.parent_span_id), "{name} is the worker's");
        }
    }
    let metrics = collector.metrics();
    for name in [
        "http.server.request.duration",
        "asklake.wake.age",
        "asklake.turn.duration",
        "asklake.queries",
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "db.client.operation.duration",
    ] {
        assert!(metrics.iter().any(|metric| metric.name == name), "{name} in {metrics:?}");
    }
    for body in collector.at("/v1/logs") {
        ExportLogsServiceRequest::decode(body).unwrap();
    }
    let told = collector.text() + &log;
    for canary in CANARIES {
        assert!(!told.contains(canary), "{canary} left the process");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_in_traces_where_it_is_asked_for() {
    let collector = Collector::start().await;
    conversed(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base), ("TELEMETRY_CONTENT", "1")]).await;
    let traces: String = collector.at("/v1/traces").iter().map(|body| String::from_utf8_lossy(body)).collect();
    for canary in CANARIES {
        assert!(traces.contains(canary), "{canary}");
    }
}

#[cfg(feature = "azure")]
const KEY: &str = "0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b";

#[cfg(feature = "azure")]
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_string_leads_to_application_insights() {
    let ingestion = Ingestion::start().await;
    conversed(&ingestion.variables()).await;
    let received = ingestion.received();
    assert!(received.iter().all(|(authorization, _)| authorization.is_empty()), "the key in the envelopes is enough");
    let envelopes: Vec<&Value> = received.iter().flat_map(|(_, envelopes)| envelopes).collect();
    assert!(envelopes.iter().all(|envelope| envelope["iKey"] == KEY), "{envelopes:?}");
    let of = |kind: &str| envelopes.iter().filter(|envelope| envelope["data"]["baseType"] == kind).copied().collect::<Vec<_>>();
    let start = of("RequestData").into_iter().find(|request| request["data"]["baseData"]["name"] == "POST /api/chat/start");
    let start = start.unwrap_or_else(|| panic!("the request is there: {envelopes:#?}"));
    assert_eq!((&start["tags"]["ai.operation.id"], &start["tags"]["ai.operation.parentId"]), (&json!(PARENT.0), &json!(PARENT.1)));
    for name in ["chat m", "launch spark", "poll spark"] {
        let calls = of("RemoteDependencyData");
        let call = calls.iter().find(|call| call["data"]["baseData"]["name"] == name).unwrap_or_else(|| panic!("{name} in {calls:#?}"));
        assert_eq!(call["tags"]["ai.operation.id"], PARENT.0, "{name} is in the client's trace");
    }
    for name in ["asklake.turn.duration", "asklake.wake.age", "gen_ai.client.operation.duration"] {
        let metrics = of("MetricData");
        let is_told = metrics.iter().any(|metric| metric["data"]["baseData"]["metrics"][0]["name"] == name);
        assert!(is_told, "{name} in {metrics:#?}");
    }
    assert!(!of("MessageData").is_empty(), "log lines, as no Functions host sends them");
    for canary in CANARIES {
        assert!(!format!("{envelopes:?}").contains(canary), "{canary} left the process");
    }
}

#[cfg(feature = "azure")]
#[tokio::test(flavor = "multi_thread")]
async fn application_insights_without_keys_is_sent_tokens_of_the_managed_identity() {
    let ingestion = Ingestion::start().await;
    let (identity, asked) = crate::azure_identity::endpoint(3600);
    let own = [
        ("IDENTITY_ENDPOINT", identity.as_str()),
        ("IDENTITY_HEADER", "the-secret"),
        ("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "ClientId=the-client;Authorization=AAD"),
    ];
    let log = conversed(&[&ingestion.variables()[..], &own].concat()).await;
    let received = ingestion.received();
    assert!(!received.is_empty() && received.iter().all(|(authorization, _)| authorization == "Bearer the-token"), "{received:?}");
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "all signals share a token: {asked:?}");
    for part in ["resource=https%3A%2F%2Fmonitor.azure.com", "client_id=the-client"] {
        assert!(asked[0].contains(part), "{part}: {asked:?}");
    }
    assert!(!log.contains("the-token") && !log.contains("the-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_cannot_be_reached_keeps_nobody_waiting() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let ended = tokio::time::timeout(Duration::from_secs(300), conversed(&variables));
    ended.await.expect("the question is answered and the server ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_admitted_without_being_counted_are_told_of() {
    let collector = Collector::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let redis = format!("redis://{closed}");
    let log = conversed(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base),
        ("REDIS_URL", &redis),
        ("QUOTA_FAILS", "open"),
        ("QUOTA_APP_QUESTIONS_PER_DAY", "1"),
        ("QUOTA_APP_REQUESTS_PER_MINUTE", "1"),
    ])
    .await;
    let metrics = collector.metrics();
    let uncounted: Vec<&Metric> = metrics.iter().filter(|metric| metric.name == "asklake.quota.uncounted").collect();
    assert!(!uncounted.is_empty(), "{metrics:?}");
    let told = format!("{uncounted:?}");
    assert!(told.contains("request") && told.contains("question"), "{told}");
    assert!(log.contains("admitted a request without counting it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_for_the_answer_to_the_same_question_is_no_late_wake() {
    let (collector, warehouse) = (Collector::start().await, Statements::start(Duration::from_secs(4)).await);
    let call = Answer::call(
        "execute_spark_sql",
        &json!({"sql_query": "SELECT count(*) AS number FROM imdb.movies_delta", "reasoning": "to see"}).to_string(),
    );
    let answer = Answer::text("It is 42.", "stop");
    let model = Fake::start(vec![call, answer.clone(), answer.clone(), answer]).await;
    let user = User::new();
    let base_url = format!("{}/v1", model.base);
    let mut served = tokio::task::block_in_place(|| {
        user.serve_with(&[
            ("OPENAI_BASE_URL", &base_url),
            ("OPENAI_MODEL", "m"),
            ("MODEL_ANSWER_FORMAT", "text"),
            ("FLIGHT_SQL_URL", warehouse.url()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base),
        ])
    });
    let client = reqwest::Client::new();
    let mut asked = Vec::new();
    for question in ["How many films?", "how many films"] {
        let start = client.post(format!("{}/api/chat/start", served.base)).json(&json!({"question": question}));
        let started: Value = start.send().await.unwrap().json().await.unwrap();
        asked.push(started["conversation_id"].as_str().unwrap().to_owned());
    }
    for id in &asked {
        crate::contract::eventually("it is answered", async || {
            let status = client.get(format!("{}/api/chat/{id}/status?wait=5", served.base)).send().await.unwrap();
            (status.json::<Value>().await.unwrap()["status"] != "processing").then_some(())
        })
        .await;
    }
    served.signal("-TERM");
    assert_eq!(tokio::task::block_in_place(|| served.ended()), Some(0));
    assert_eq!(collector.recorded("asklake.wake.age"), 1, "that of the one which was answered, not those that looked for it");
}
