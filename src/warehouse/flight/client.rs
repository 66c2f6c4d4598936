//! One Flight SQL endpoint: runs a statement to its end and reads its rows.
//!
//! Owns the connection and the reading limits. Knows nothing of runs; dropping a query's future ends the query.
//!
//! Tried with Sail 0.7.2: `execute` only plans (a few ms) and shows unknown names; the work is done while the `do_get` stream is read.
//! Dropping the stream stops most work within a second, but not a nested-loop join, which computes on until its operator next yields
//! (seen: more than 5 s). `CancelFlightInfo` is not implemented there; other servers need it, because they work before they are read.

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_flight::{
    CancelFlightInfoRequest, FlightClient, FlightInfo, decode::FlightRecordBatchStream, error::FlightError,
    flight_service_client::FlightServiceClient, sql::client::FlightSqlServiceClient,
};
use arrow_schema::{ArrowError, Schema};
use futures_util::TryStreamExt;
use serde_json::Value;
use tonic::{
    Code,
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::cells;
use crate::conversation::{Column, ResultSet};

/// Time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// One message of a result; a wide row group of long strings is far below.
const MESSAGE_BYTES: usize = 64 << 20;
/// Time for a server to take note of a cancellation.
const CANCEL: Duration = Duration::from_secs(5);

/// Why a statement has no rows.
#[derive(Debug)]
pub(in crate::warehouse) enum Failure {
    /// The engine ran into an error of the statement: its message.
    Statement(String),
    /// The connection broke or the server is unavailable.
    Connection(String),
}

/// What is read of a result at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::warehouse) struct Bounds {
    /// Rows kept.
    pub(in crate::warehouse) rows: u64,
    /// Memory of the kept rows, in bytes.
    pub(in crate::warehouse) bytes: usize,
}

/// A connection to an endpoint. Cloning it shares the connection.
#[derive(Clone, Debug)]
pub(in crate::warehouse) struct Client {
    channel: Channel,
    token: Option<String>,
}

impl Client {
    /// Connects to `url` (`http://` or `https://`), authorized by `token`.
    ///
    /// # Errors
    /// What is wrong with the address, or why nobody answers there.
    pub(in crate::warehouse) async fn connect(url: &str, token: Option<String>) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| causes(&error))?;
        let endpoint = if url.starts_with("https:") {
            endpoint.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(|error| causes(&error))?
        } else {
            endpoint
        };
        let endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true).http2_keep_alive_interval(Duration::from_secs(30));
        let channel = endpoint.connect().await.map_err(|error| causes(&error))?;
        Ok(Self { channel, token })
    }

    /// Runs `sql` and reads its rows within `bounds`. Dropping the future ends the query.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(in crate::warehouse) async fn query(&self, sql: &str, bounds: Bounds) -> Result<ResultSet, Failure> {
        let mut service = self.service();
        let info = service.execute(sql.to_owned(), None).await?;
        let schema = info.clone().try_decode_schema().ok();
        let tickets: Vec<_> = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.clone()).collect();
        let unread = Unread { client: self.clone(), info: Some(info) };
        let mut reader = Reader::new(bounds, schema);
        for ticket in tickets {
            let stream = service.do_get(ticket).await?;
            if reader.read(stream).await? == Progress::Full {
                return Ok(reader.finish());
            }
        }
        unread.defuse();
        Ok(reader.finish())
    }

    async fn cancel(&self, info: FlightInfo) -> Result<(), FlightError> {
        let mut client = FlightClient::new(self.channel.clone());
        if let Some(token) = &self.token {
            client.add_header("authorization", &format!("Bearer {token}"))?;
        }
        client.cancel_flight_info(CancelFlightInfoRequest::new(info)).await.map(drop)
    }

    fn service(&self) -> FlightSqlServiceClient<Channel> {
        let inner = FlightServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES);
        let mut service = FlightSqlServiceClient::new_from_inner(inner);
        if let Some(token) = &self.token {
            service.set_token(token.clone());
        }
        service
    }
}

/// A query whose rows were not read to the end. Dropped, it tells the server that nobody will.
struct Unread {
    client: Client,
    info: Option<FlightInfo>,
}

impl Unread {
    fn defuse(mut self) {
        self.info = None;
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let (Some(info), Ok(runtime)) = (self.info.take(), tokio::runtime::Handle::try_current()) else { return };
        let client = self.client.clone();
        runtime.spawn(async move {
            let answer = tokio::time::timeout(CANCEL, client.cancel(info)).await;
            tracing::debug!(?answer, "asked the Flight SQL server to cancel a query");
        });
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// There may be more to read.
    Open,
    /// A bound is reached.
    Full,
}

/// Collects rows until a bound is reached.
struct Reader {
    bounds: Bounds,
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    bytes: usize,
    truncated: bool,
}

impl Reader {
    fn new(bounds: Bounds, schema: Option<Schema>) -> Self {
        let columns = schema.as_ref().map(columns).unwrap_or_default();
        Self { bounds, columns, rows: Vec::new(), bytes: 0, truncated: false }
    }

    async fn read(&mut self, mut stream: FlightRecordBatchStream) -> Result<Progress, Failure> {
        while let Some(batch) = stream.try_next().await? {
            self.columns = columns(batch.schema_ref());
            if self.keep(&batch).map_err(|error| Failure::Statement(error.to_string()))? == Progress::Full {
                return Ok(Progress::Full);
            }
        }
        if let Some(schema) = stream.schema() {
            self.columns = columns(schema);
        }
        Ok(Progress::Open)
    }

    fn keep(&mut self, batch: &RecordBatch) -> Result<Progress, ArrowError> {
        let room = self.bounds.rows.saturating_sub(self.rows.len() as u64);
        let wanted = batch.num_rows().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.truncated |= wanted < batch.num_rows();
        let batch = batch.slice(0, wanted);
        let cells = batch.columns().iter().map(|column| cells::cells(column)).collect::<Result<Vec<_>, _>>()?;
        let mut cells: Vec<_> = cells.into_iter().map(Vec::into_iter).collect();
        for _ in 0..wanted {
            let row: Vec<Value> = cells.iter_mut().filter_map(Iterator::next).collect();
            self.bytes += row.iter().map(cells::size).sum::<usize>();
            // The first row is kept whatever its size: no row at all would look like an empty result.
            if self.bytes > self.bounds.bytes && !self.rows.is_empty() {
                self.truncated = true;
                break;
            }
            self.rows.push(row);
        }
        Ok(if self.truncated { Progress::Full } else { Progress::Open })
    }

    fn finish(self) -> ResultSet {
        let row_count = self.rows.len() as u64;
        ResultSet { columns: self.columns, rows: self.rows, row_count, truncated: self.truncated, limit_source: None }
    }
}

fn columns(schema: &Schema) -> Vec<Column> {
    schema.fields().iter().map(|field| Column { name: field.name().clone(), data_type: cells::spark_type(field.data_type()) }).collect()
}

impl From<FlightError> for Failure {
    fn from(error: FlightError) -> Self {
        let FlightError::Tonic(status) = error else { return Self::Statement(error.to_string()) };
        // A status with a source was made on this side: the connection broke. Servers send none.
        if status.code() == Code::Unavailable || std::error::Error::source(&*status).is_some() {
            Self::Connection(causes(&*status))
        } else if status.message().is_empty() {
            Self::Statement(format!("the warehouse answered {}", status.code()))
        } else {
            Self::Statement(status.message().to_owned())
        }
    }
}

/// An error with what caused it: "transport error" alone tells nobody anything.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
