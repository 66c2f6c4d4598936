//! Flight SQL servers of tests: [`serve`] gives the protocol to what [`Answers`] statements; [`Statements`] is one that counts them.

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
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap, transport::Server};

/// What a server streams.
pub type Parts<T> = BoxStream<'static, Result<T, Status>>;

/// What a server of Flight SQL does with statements; all else of the protocol is refused.
pub trait Answers: Send + Sync + 'static {
    /// Whether a request with these headers is let in.
    fn admit(&self, _headers: &MetadataMap) -> Result<(), Status> {
        Ok(())
    }

    /// The tickets under which the rows of `statement` are.
    fn tickets(&self, statement: &str) -> Vec<&'static str>;

    /// The rows under a ticket.
    fn rows(&self, ticket: &[u8]) -> Parts<FlightData>;

    /// Does what an action such as a cancellation asks for.
    fn act(&self, _action: &str) {}
}

/// The rows of `batch` as a stream.
pub fn encoded(batch: impl Future<Output = RecordBatch> + Send + 'static) -> Parts<FlightData> {
    FlightDataEncoderBuilder::new().build(stream::once(async move { Ok(batch.await) })).map_err(Status::from).boxed()
}

/// Serves on a free port; the address, and the task to abort.
pub async fn serve(answers: impl Answers) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let incoming = stream::unfold(listener, async |listener| Some((listener.accept().await.map(|(stream, _)| stream), listener)));
    let server = tokio::spawn(async move {
        let service = FlightServiceServer::new(Service(answers));
        Server::builder().add_service(service).serve_with_incoming(Box::pin(incoming)).await.unwrap();
    });
    (url, server)
}

/// A server of one answer: every statement takes a set time and returns one row, and is counted by its text. Dropped, it ends.
#[derive(Debug)]
pub struct Statements {
    url: String,
    counts: Counts,
    server: JoinHandle<()>,
}

type Counts = Arc<Mutex<BTreeMap<String, usize>>>;

impl Statements {
    /// Starts a server whose statements take `time`.
    pub async fn start(time: Duration) -> Self {
        let counts = Counts::default();
        let (url, server) = serve(Counting { time, counts: Arc::clone(&counts) }).await;
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

struct Counting {
    time: Duration,
    counts: Counts,
}

impl Answers for Counting {
    fn tickets(&self, statement: &str) -> Vec<&'static str> {
        // The statement is the last field of the message, and begins with one of these.
        let at = ["SELECT", "WITH"].into_iter().filter_map(|word| statement.find(word)).min().unwrap_or(0);
        *self.counts.lock().unwrap().entry(statement[at..].to_owned()).or_default() += 1;
        vec!["rows"]
    }

    fn rows(&self, _ticket: &[u8]) -> Parts<FlightData> {
        let time = self.time;
        encoded(async move {
            tokio::time::sleep(time).await;
            RecordBatch::try_from_iter([("number", Arc::new(Int64Array::from(vec![42])) as ArrayRef)]).expect("batch")
        })
    }
}

struct Service<A>(A);

type Answer<T> = Result<Response<Parts<T>>, Status>;

#[tonic::async_trait]
impl<A: Answers> FlightService for Service<A> {
    type HandshakeStream = Parts<HandshakeResponse>;
    type ListFlightsStream = Parts<FlightInfo>;
    type DoGetStream = Parts<FlightData>;
    type DoPutStream = Parts<PutResult>;
    type DoActionStream = Parts<arrow_flight::Result>;
    type ListActionsStream = Parts<ActionType>;
    type DoExchangeStream = Parts<FlightData>;

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        self.0.admit(request.metadata())?;
        let tickets = self.0.tickets(&String::from_utf8_lossy(&request.get_ref().cmd));
        let with = |info: FlightInfo, ticket| info.with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new(ticket)));
        Ok(Response::new(tickets.into_iter().fold(FlightInfo::new(), with)))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<FlightData> {
        self.0.admit(request.metadata())?;
        Ok(Response::new(self.0.rows(&request.get_ref().ticket)))
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<arrow_flight::Result> {
        self.0.admit(request.metadata())?;
        self.0.act(&request.get_ref().r#type);
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
