//! The Flight SQL adapter against a server of our own, for what Sail does not have: a token, several endpoints, cancellation, an end
//! in the middle of the rows.

use std::{sync::Arc, time::Duration};

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use arrow_flight::FlightData;
use asklake::{
    conversation::{Phase, RunId},
    warehouse::{
        Error, RunState,
        flight::{Config, FlightSql},
    },
};
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::sync::mpsc;
use tonic::{Status, metadata::MetadataMap};

use crate::{
    contract::warehouse::Fixture,
    lake,
    support::flight::{Answers, Parts, encoded},
};

const TOKEN: &str = "t0ken";

/// Answers every statement with two endpoints of two rows each, and what the statement asks for at the end of the second.
struct Stub {
    /// Names of the actions that were asked for.
    actions: mpsc::UnboundedSender<String>,
}

impl Answers for Stub {
    fn admit(&self, headers: &MetadataMap) -> Result<(), Status> {
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        if sent == Some("Bearer t0ken") { Ok(()) } else { Err(Status::unauthenticated("who are you?")) }
    }

    fn tickets(&self, statement: &str) -> Vec<&'static str> {
        vec!["end", ["hang", "break"].into_iter().find(|end| statement.contains(end)).unwrap_or("end")]
    }

    fn rows(&self, ticket: &[u8]) -> Parts<FlightData> {
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]).expect("batch");
        let rows = encoded(async { batch });
        match ticket {
            b"hang" => rows.chain(stream::pending()).boxed(),
            b"break" => rows.chain(stream::iter([Err(Status::internal("the disk is full"))])).boxed(),
            _ => rows,
        }
    }

    fn act(&self, action: &str) {
        self.actions.send(action.to_owned()).expect("the test listens");
    }
}

/// A server on a free port, and the actions it is asked for.
async fn serve() -> (String, mpsc::UnboundedReceiver<String>) {
    let (actions, asked) = mpsc::unbounded_channel();
    let (url, _) = crate::support::flight::serve(Stub { actions }).await;
    (url, asked)
}

fn adapter(url: String, token: &str, query_time_limit: Duration) -> Fixture {
    let config = Config { url, token: Some(token.to_owned()), query_time_limit, max_concurrency: 2 };
    Fixture { warehouse: Arc::new(FlightSql::new(config, &lake::catalog())), unknown_run: RunId::Number(0) }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_rows_of_all_endpoints_are_read_in_order() {
    let (url, _asked) = serve().await;
    let fixture = adapter(url, TOKEN, LONG);
    fixture.warehouse.probe().await.expect("probe");
    let result = fixture.rows("SELECT n", 10).await;
    assert_eq!(result.rows, [[json!(1)], [json!(2)], [json!(1)], [json!(2)]]);
    assert!(!result.truncated);
    let result = fixture.rows("SELECT n LIMIT 4", 3).await;
    assert_eq!((result.row_count, result.truncated), (3, true));
}

#[tokio::test]
async fn a_wrong_token_is_told() {
    let (url, _asked) = serve().await;
    let fixture = adapter(url, "wrong", LONG);
    let Err(Error::Unavailable { detail, .. }) = fixture.warehouse.probe().await else { panic!("refused") };
    assert!(detail.contains("who are you?"), "{detail}");
}

#[tokio::test]
async fn an_end_in_the_middle_of_the_rows_is_a_failure() {
    let (url, _asked) = serve().await;
    assert_eq!(adapter(url, TOKEN, LONG).error("SELECT break").await, "the disk is full");
}

#[tokio::test]
async fn the_server_is_told_of_a_cancellation() {
    let (url, mut asked) = serve().await;
    let fixture = adapter(url, TOKEN, LONG);
    let run = fixture.launch("hang", "SELECT hang", 10).await;
    assert_eq!(fixture.after(&run, Duration::from_millis(200)).await, RunState::Running(Phase::Executing));
    fixture.warehouse.cancel(&run.id).await.expect("cancel");
    assert_eq!(fixture.end(&run).await, RunState::Canceled);
    assert_eq!(asked.recv().await.as_deref(), Some("CancelFlightInfo"));
}

#[tokio::test]
async fn the_server_is_told_of_a_query_past_its_time_limit() {
    let (url, mut asked) = serve().await;
    let message = adapter(url, TOKEN, Duration::from_millis(300)).error("SELECT hang").await;
    assert!(message.contains("ran for more than 300ms"), "{message}");
    assert_eq!(asked.recv().await.as_deref(), Some("CancelFlightInfo"));
}

#[tokio::test]
async fn https_to_a_server_without_tls_is_unavailable() {
    let (url, _asked) = serve().await;
    let fixture = adapter(url.replace("http:", "https:"), TOKEN, LONG);
    let Err(Error::Unavailable { detail, .. }) = fixture.warehouse.probe().await else { panic!("no TLS there") };
    assert!(detail.contains("https://127.0.0.1") && detail.contains("FLIGHT_SQL_URL"), "{detail}");
}
