//! The connections of a server: how many are open, how long a client may take over its part of one, and how they end.
//!
//! HTTP/1.1 only: that is what proxies and the Functions host speak to a server behind them, and a client can do less harm with it. What is
//! asked and answered is for `http`, but for heads that cannot be read: those hyper answers itself, with a bare 400, 414 or 431.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use hyper::{
    Request, Response, Uri,
    body::{Body, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::http::Peer;

/// How long to wait after a connection could not be accepted, as when the process may open no more files.
const PAUSE: Duration = Duration::from_secs(1);

/// What a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted. Those that became WebSockets are counted with the streams of `http` instead.
    pub connections: usize,
    /// How long the head of a request may take, from the end of the answer before it: a connection without requests is closed after it. Longer
    /// than the 60 s after which the clients of nginx, of Azure's gateways and of .NET give up an idle connection, so that none is closed
    /// just as a request comes.
    pub head: Duration,
    /// How long a client may take none of an answer that waits for it.
    pub stall: Duration,
    /// Bytes of the head of a request, at least 8,192; and of an answer that wait for the client in this process.
    pub head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 8192, head: Duration::from_secs(75), stall: Duration::from_secs(60), head_bytes: 64 << 10 }
    }
}

/// Serves what `listener` accepts with `service` until `stop`; then lets the requests that are open end.
pub async fn serve<S, B>(listener: TcpListener, service: S, limits: Limits, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = TaskTracker::new();
    let accepted = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let service = told_of(Peer(peer), service.clone());
                    drop(open.spawn(connection(stream, service, limits, stop.clone(), place)));
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted; where too many files are open, raise the limit (ulimit -n)");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepted).await;
    drop(listener);
    open.close();
    open.wait().await;
}

/// `service`, told of who has connected: it finds them among the extensions of every request. Its work is on the heap, because a connection
/// keeps the room for that of one request for as long as it is open, which with a stream of events is long.
fn told_of<S, B>(
    peer: Peer,
    service: S,
) -> impl Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future = Pin<Box<S::Future>>>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        // That of CONNECT has no path, which warp takes for granted.
        if request.uri().path_and_query().is_none() {
            *request.uri_mut() = Uri::from_static("/");
        }
        Box::pin(service.call(request))
    })
}

/// Whether a connection ended before it was accepted, which says nothing about the next.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

async fn connection<S, B>(stream: TcpStream, service: S, limits: Limits, stop: CancellationToken, place: OwnedSemaphorePermit)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    // An event is small and must not wait for the next one. Where that cannot be had, the connection is as good as gone.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(limits.stall));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // The client's doing, and it could fill the log with it.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
    drop(place);
}
