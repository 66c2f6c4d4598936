//! HTTP: the contract of `docs/openapi.json` over the use cases of `service`. The only place that knows status codes.
//!
//! Every path stands in `route`, so an unknown one is a 404 and a wrong method a 405 before any handler runs. A handler
//! returns a response or a `Problem`; nothing else leaves this module.

mod conversation;
mod cors;
mod credentials;
mod events;
mod feed;
mod feedback;
mod headers;
mod health;
mod history;
mod messages;
mod observed;
mod openapi;
mod page;
mod problem;
mod quota;
mod request;
mod results;
mod route;
mod rows;
mod socket;
mod start;
mod status;
pub mod worker;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use warp::{
    Filter, Rejection, Reply,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
    ws::Ws,
};

use self::{
    observed::Observed,
    problem::Problem,
    request::{Body, Query, RequestId},
    route::{Chat, Route},
};
use crate::{
    auth::Authenticator,
    conversation::Caller,
    service::{Asker, Service},
};

/// What the HTTP server is told besides the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Origins that pages may call from; `*` admits all.
    pub cors_allowed_origins: Vec<String>,
    /// Questions shown on the page.
    pub example_questions: Vec<String>,
    /// What is in the lake, as the page tells it; may be empty.
    pub lake_description: String,
    /// What the lake is called on the page.
    pub lake_title: String,
    /// Who may ask.
    pub authenticator: Arc<Authenticator>,
    /// Streams open at once (server-sent events and WebSockets); further ones get a 503.
    pub concurrent_streams: usize,
    /// Streams that one principal may have open at once; further ones get a 429. Anonymous callers cannot be told apart.
    pub streams_per_caller: usize,
    /// How long a body may take to arrive; then its request gets a 408.
    pub body_timeout: Duration,
    /// Proxies before the server, each of which adds to `X-Forwarded-For` whom it saw. With none, that header is not believed.
    pub trusted_proxies: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cors_allowed_origins: Vec::new(),
            example_questions: Vec::new(),
            lake_description: String::new(),
            lake_title: String::new(),
            authenticator: Arc::default(),
            concurrent_streams: 4096,
            streams_per_caller: 256,
            body_timeout: BODY_TIMEOUT,
            trusted_proxies: 0,
        }
    }
}

/// How clients reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// Directly, or through a proxy that passes everything on.
    Direct,
    /// Through the Functions host.
    FunctionsHost,
}

/// Requests worked on at once; further ones get a 503. A long poll counts, a stream does not: those have a limit of their own.
const CONCURRENT_REQUESTS: usize = 4096;

/// How long a body may take to arrive, unless the settings say otherwise.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// Shared by all requests.
struct Context {
    service: Service,
    settings: Settings,
    front: Front,
    places: Semaphore,
    streams: feed::Streams,
}

/// Who has connected: whatever serves the routes puts it among a request's extensions. Without it no address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A request whose body has not been read.
struct Request {
    method: Method,
    route: Route,
    query: Query,
    headers: HeaderMap,
    peer: Option<Peer>,
    body: Body,
    /// What a WebSocket is made of, where the client asks for one.
    upgrade: Option<Ws>,
}

/// The whole of `/`, as a filter to serve behind `front`. Streams end with `stop`.
pub fn routes(
    service: Service,
    settings: Settings,
    front: Front,
    stop: CancellationToken,
) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone {
    let (places, streams) =
        (Semaphore::new(CONCURRENT_REQUESTS), feed::Streams::new(settings.concurrent_streams, settings.streams_per_caller, stop));
    let context = Arc::new(Context { service, settings, front, places, streams });
    warp::any()
        .map(move || Arc::clone(&context))
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Peer>())
        .and(warp::ws().map(Some).or(warp::any().map(|| None)).unify())
        .and(warp::body::stream())
        .then(|context: Arc<Context>, method: Method, path: warp::path::FullPath, query: String, headers: HeaderMap, peer, upgrade, body| async move {
            let id = RequestId::of(&headers);
            let is_secure = headers::is_secure(&headers);
            let body = Body::new(body, context.settings.body_timeout);
            let origins = &context.settings.cors_allowed_origins;
            let origin = cors::allowed(origins, &headers);
            let route = Route::parse(path.as_str());
            let observed = Observed::begin(&method, route, &headers, &id);
            // On the heap, so that it is gone once there is a response: a connection keeps the room of the filter for as long as it is open,
            // which with a stream of events is long.
            let answer = answer(&context, method.clone(), (path.as_str(), route), &query, (headers, peer), upgrade, body).instrument(observed.span());
            let response = Box::pin(answer).await;
            let mut response = headers::finish(response.unwrap_or_else(|problem| problem.respond(path.as_str(), &id)), &id);
            cors::admit(&mut response, &method, origins, origin);
            if is_secure {
                headers::keep_secure(&mut response);
            }
            observed.end(context.service.instruments(), response.status());
            response
        })
        .recover(rejected)
}

/// Every request is answered above; whatever warp itself may refuse gets a problem too.
async fn rejected(_rejection: Rejection) -> Result<Response, Infallible> {
    let id = RequestId::random();
    Ok(headers::finish(Problem::bad_request("the request cannot be read").respond("/", &id), &id))
}

async fn answer(
    context: &Context,
    method: Method,
    (path, route): (&str, Option<Route>),
    query: &str,
    (headers, peer): (HeaderMap, Option<Peer>),
    upgrade: Option<Ws>,
    body: Body,
) -> Result<Response, Problem> {
    request::check_head(path, query, &headers)?;
    let route = route.ok_or_else(Problem::not_found)?;
    if method == Method::OPTIONS {
        return Ok(options(&route));
    }
    if !route.allows(&method) {
        return Err(Problem::method_not_allowed(&method, route.allow()));
    }
    let Ok(_place) = context.places.try_acquire() else { return Err(Problem::overloaded()) };
    let request = Request { method, route, query: Query::parse(query)?, headers, peer, body, upgrade };
    dispatch(context, request).await
}

async fn dispatch(context: &Context, request: Request) -> Result<Response, Problem> {
    let Context { service, settings, .. } = context;
    match request.route {
        Route::Page => Ok(page::page(settings).await),
        Route::PageAsset(asset) => Ok(page::asset(asset, &request.headers)),
        Route::Health => Ok(health::health()),
        Route::Ready => Ok(health::ready(service, credentials::caller(context, &request.method, &request.headers).await.is_ok()).await),
        Route::OpenApi => Ok(openapi::document()),
        Route::Chat(chat) => match credentials::caller(context, &request.method, &request.headers).await {
            Ok(caller) => admit(context, &caller, chat, request).await,
            Err(problem) => {
                request::discard(request.body).await;
                Err(problem)
            }
        },
    }
}

/// Counts the request, and has it answered where it is admitted.
async fn admit(context: &Context, caller: &Caller, chat: Chat, request: Request) -> Result<Response, Problem> {
    let asker = quota::asker(context, caller, &request);
    match context.service.admit_request(&asker).await {
        Ok(standings) => quota::telling(standings, dispatch_chat(context, &asker, chat, request)).await,
        Err(limited) => {
            request::discard(request.body).await;
            Err(limited.into())
        }
    }
}

/// Whatever belongs to somebody. The service answers none of it without being told who asks.
async fn dispatch_chat(context: &Context, asker: &Asker<'_>, chat: Chat, request: Request) -> Result<Response, Problem> {
    let caller = asker.caller;
    let service = &context.service;
    let Request { method, query, headers, body, upgrade, .. } = request;
    match chat {
        Chat::Start => start::start(service, asker, &headers, body).await,
        Chat::Status(id) => status::status(service, caller, id, &query, &headers).await,
        Chat::Events(id) => events::events(context, caller, id, &method, &query, &headers).await,
        Chat::Socket(id) => socket::open(context, caller, id, &query, &headers, upgrade).await,
        Chat::Conversation(id) => conversation::delete(service, caller, id).await,
        Chat::Messages(id) if method == Method::POST => messages::follow_up(service, asker, id, &headers, body).await,
        Chat::Messages(id) => messages::messages(service, caller, id).await,
        Chat::Cancel(id) => conversation::cancel(service, caller, id).await,
        Chat::Feedback(id) => feedback::feedback(service, caller, id, &headers, body).await,
        Chat::Result(id, number) if method == Method::POST => results::recompute(service, asker, id, number).await,
        Chat::Result(id, number) => results::result(service, caller, id, number, &query).await,
        Chat::History => history::history(service, caller, &query).await,
    }
}

fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn options(route: &Route) -> Response {
    let mut response = no_content();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(route.allow()));
    response
}

/// A JSON response.
fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => bytes_response(status, "application/json", bytes),
        Err(error) => Problem::internal(&error).respond("", &RequestId::random()),
    }
}

fn bytes_response(status: StatusCode, content_type: &'static str, bytes: impl Into<bytes::Bytes>) -> Response {
    let mut response = Response::new(bytes.into().into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
