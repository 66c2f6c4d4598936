//! The host's own HTTP port: what clients reach, by the routes of the functions, in either of the two ways to pass a request on.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderName, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{
    Host, Mode,
    wire::{self, Body},
};

/// Tries of a request without a body while proxying. [code]
const TRIES: usize = 10;
/// Pauses between them grow from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

/// Headers between two neighbours only.
const HOP_BY_HOP: [HeaderName; 5] = [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE, header::TRAILER];

/// Serves clients until dropped.
pub(super) async fn serve(listener: TcpListener, host: Arc<Host>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let host = Arc::clone(&host);
        let service = service_fn(move |request| {
            let host = Arc::clone(&host);
            async move { Ok::<_, Infallible>(pass_on(&host, request).await) }
        });
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn pass_on(host: &Host, request: Request<Incoming>) -> Response<Body> {
    if host.app().http_function(request.method().as_str(), request.uri().path()).is_none() {
        return plain(StatusCode::NOT_FOUND, "");
    }
    let passed = async {
        match host.mode() {
            Mode::Forwarding => forward(host, request).await,
            Mode::Proxying => proxy(host, request).await,
        }
    };
    match tokio::time::timeout(host.app().function_timeout, passed).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => plain(StatusCode::BAD_GATEWAY, &error),
        Err(_) => {
            host.timed_out(None).await;
            plain(StatusCode::GATEWAY_TIMEOUT, "functionTimeout")
        }
    }
}

/// Forwarding: method, path and query as they are; the body of a chunked request is lost; the response is read whole first.
async fn forward(host: &Host, request: Request<Incoming>) -> Result<Response<Body>, String> {
    let (parts, body) = request.into_parts();
    let length_is_known = parts.headers.contains_key(header::CONTENT_LENGTH);
    let body = if length_is_known { body.collect().await.map_err(|error| error.to_string())?.to_bytes() } else { Bytes::new() };
    let mut headers = without_hops(&parts.headers);
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent = format!("{agent} Azure-Functions-Host/4.1048").trim_start().to_owned();
    headers.insert(header::USER_AGENT, HeaderValue::from_str(&agent).map_err(|error| error.to_string())?);
    mark(&mut headers);
    let live = host.handler().ready().await?;
    let body = if body.is_empty() { wire::empty() } else { wire::full(body) };
    let response = wire::send(live.port, build(parts.method, &parts.uri, headers, body)).await?;
    let (mut head, body) = response.into_parts();
    head.headers = without_hops(&head.headers);
    Ok(Response::from_parts(head, wire::full(body.collect().await.map_err(|error| error.to_string())?.to_bytes())))
}

/// Proxying: verbatim, streamed both ways. A request without a body is sent again when the handler breaks the connection.
async fn proxy(host: &Host, request: Request<Incoming>) -> Result<Response<Body>, String> {
    let (parts, body) = request.into_parts();
    let mut headers = without_hops(&parts.headers);
    let forwarded_host = headers.get(header::HOST).cloned().unwrap_or(HeaderValue::from_static("localhost"));
    headers.insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
    headers.insert("x-forwarded-host", forwarded_host);
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    mark(&mut headers);
    let mut body = Some(body).filter(|body| !body.is_end_stream());
    let tries = if body.is_some() { 1 } else { TRIES };
    let mut pause = PAUSES.0;
    let mut error = String::new();
    for _ in 0..tries {
        let live = host.handler().ready().await?;
        let body = body.take().map_or_else(wire::empty, Incoming::boxed);
        match wire::send(live.port, build(parts.method.clone(), &parts.uri, headers.clone(), body)).await {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                head.headers = without_hops(&head.headers);
                return Ok(Response::from_parts(head, body.boxed()));
            }
            Err(failed) => error = failed,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
    Err(error)
}

fn build(method: Method, uri: &hyper::Uri, headers: HeaderMap, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri.path_and_query().map_or("/", |path| path.as_str()).parse().unwrap();
    *request.headers_mut() = headers;
    request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("127.0.0.1"));
    request
}

/// What the host adds to every request. A client's own invocation id is replaced while proxying and doubled while forwarding.
fn mark(headers: &mut HeaderMap) {
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).unwrap();
    headers.append("x-azure-functions-invocationid", id);
    headers.insert("x-azure-functions-hostversion", HeaderValue::from_static("4.1048.100.0"));
}

fn without_hops(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in HOP_BY_HOP {
        kept.remove(name);
    }
    kept
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(wire::full(text.to_owned()));
    *response.status_mut() = status;
    response
}
