//! The Flight SQL adapter against a server of our own, for what Sail does not have: a token, several endpoints, cancellation, an end
//! in the middle of the rows.

use std::{sync::Arc, time::Duration};

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
    encode::FlightDataEncoderBuilder,
    flight_service_server::{FlightService, FlightServiceServer},
};
use asklake::{
    conversation::RunId,
    warehouse::{
        Error, RunState,
        flight::{Config, FlightSql},
    },
};
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use crate::{contract::warehouse::Fixture, lake};

const TOKEN: &str = "t0ken";

/// Answers every statement with two endpoints of two rows each, and what the statement asks for at the end of the second.
struct Stub {
    /// Names of the actions that were asked for.
    actions: mpsc::UnboundedSender<String>,
}

fn authorize<T>(request: &Request<T>) -> Result<(), Status> {
    let sent = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    if sent == Some("Bearer t0ken") { Ok(()) } else { Err(Status::unauthenticated("who are you?")) }
}

type Answer<T> = Result<Response<BoxStream<'static, Result<T, Status>>>, Status>;

#[tonic::async_trait]
impl FlightService for Stub {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        authorize(&request)?;
        let statement = String::from_utf8_lossy(&request.get_ref().cmd).into_owned();
        let end = ["hang", "break"].into_iter().find(|end| statement.contains(end)).unwrap_or("end");
        let endpoint = |ticket: &str| FlightEndpoint::new().with_ticket(Ticket::new(ticket.to_owned()));
        Ok(Response::new(FlightInfo::new().with_endpoint(endpoint("end")).with_endpoint(endpoint(end))))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<FlightData> {
        authorize(&request)?;
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]).expect("batch");
        let rows = FlightDataEncoderBuilder::new().build(stream::iter([Ok(batch)])).map_err(Status::from);
        Ok(Response::new(match request.get_ref().ticket.as_ref() {
            b"hang" => rows.chain(stream::pending()).boxed(),
            b"break" => rows.chain(stream::iter([Err(Status::internal("the disk is full"))])).boxed(),
            _ => rows.boxed(),
        }))
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<arrow_flight::Result> {
        authorize(&request)?;
        self.actions.send(request.into_inner().r#type).expect("the test listens");
        Ok(Response::new(stream::iter([Ok(arrow_flight::Result::default())]).boxed()))
    }

    async fn handshake(&self, _: Request<Streaming<HandshakeRequest>>) -> Answer<HandshakeResponse> {
        Err(Status::unimplemented("handshake"))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Answer<FlightInfo> {
        Err(Status::unimplemented("list_flights"))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented("poll_flight_info"))
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented("get_schema"))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Answer<PutResult> {
        Err(Status::unimplemented("do_put"))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Answer<ActionType> {
        Err(Status::unimplemented("list_actions"))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Answer<FlightData> {
        Err(Status::unimplemented("do_exchange"))
    }
}

/// A server on a free port, and the actions it is asked for.
async fn serve() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let (actions, asked) = mpsc::unbounded_channel();
    let incoming = stream::unfold(listener, async |listener| Some((listener.accept().await.map(|(stream, _)| stream), listener)));
    tokio::spawn(async move {
        let incoming = Box::pin(incoming);
        Server::builder().add_service(FlightServiceServer::new(Stub { actions })).serve_with_incoming(incoming).await
    });
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
    assert_eq!(fixture.warehouse.poll(&run.id, Duration::from_millis(200)).await.expect("poll"), RunState::Running);
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
