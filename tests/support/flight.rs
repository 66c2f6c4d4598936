//! A Flight SQL server of one answer: every statement takes a set time and returns one row, and is counted by its text.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
    encode::FlightDataEncoderBuilder,
    flight_service_server::{FlightService, FlightServiceServer},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, Streaming, transport::Server};

/// The server. Dropped, it ends.
#[derive(Debug)]
pub struct Statements {
    url: String,
    counts: Counts,
    server: tokio::task::JoinHandle<()>,
}

type Counts = Arc<Mutex<BTreeMap<String, usize>>>;

impl Statements {
    /// Starts a server whose statements take `time`.
    pub async fn start(time: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let counts = Counts::default();
        let service = FlightServiceServer::new(Service { time, counts: Arc::clone(&counts) });
        let incoming = stream::unfold(listener, async |listener| Some((listener.accept().await.map(|(stream, _)| stream), listener)));
        let server = tokio::spawn(async move {
            Server::builder().add_service(service).serve_with_incoming(Box::pin(incoming)).await.unwrap();
        });
        Self { url, counts, server }
    }

    /// For `FLIGHT_SQL_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often each statement was sent.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.counts.lock().unwrap().clone()
    }
}

impl Drop for Statements {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Service {
    time: Duration,
    counts: Counts,
}

type Answer<T> = Result<Response<BoxStream<'static, Result<T, Status>>>, Status>;

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let command = String::from_utf8_lossy(&request.get_ref().cmd).into_owned();
        // The statement is the last field of the message, and begins with one of these.
        let at = ["SELECT", "WITH"].into_iter().filter_map(|word| command.find(word)).min().unwrap_or(0);
        *self.counts.lock().unwrap().entry(command[at..].to_owned()).or_default() += 1;
        Ok(Response::new(FlightInfo::new().with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new("rows")))))
    }

    async fn do_get(&self, _: Request<Ticket>) -> Answer<FlightData> {
        let number = Arc::new(Int64Array::from(vec![42])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("number", number)]).expect("batch");
        let time = self.time;
        let rows = stream::once(async move {
            tokio::time::sleep(time).await;
            Ok(batch)
        });
        Ok(Response::new(FlightDataEncoderBuilder::new().build(rows).map_err(Status::from).boxed()))
    }

    async fn do_action(&self, _: Request<Action>) -> Answer<arrow_flight::Result> {
        Err(Status::unimplemented("do_action"))
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
