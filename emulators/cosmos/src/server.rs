//! HTTP: the account at every path, but for the two of the emulator itself, and the faults in between.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::net::TcpListener;
use warp::{
    Filter,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE},
    path::FullPath,
};

use crate::{
    account::{Account, Request, answer},
    faults::{Fault, Faults, Kind},
    operation::{self, Operation, Tally},
};

/// Serves `account` on `listener` for ever.
pub(crate) async fn run(listener: TcpListener, account: Account) {
    let server = Arc::new(Server { account, faults: Faults::default(), tally: Tally::default(), previous: Mutex::default() });
    let route = warp::method()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::body::bytes())
        .then(move |method: Method, path: FullPath, query: String, headers: HeaderMap, body: Bytes| {
            let server = Arc::clone(&server);
            let request = Request { method, path: path.as_str().to_owned(), query, headers, body };
            async move { server.answer(request).await }
        });
    warp::serve(route).incoming(listener).run().await;
}

/// How many items are remembered as they were: stale reads are of what was just written, and the process may run for days.
const REMEMBERED: usize = 1000;

struct Server {
    account: Account,
    faults: Faults,
    tally: Tally,
    /// Items by path as they were before their last write, as a read would have told.
    previous: Mutex<HashMap<String, Response<Bytes>>>,
}

impl Server {
    async fn answer(&self, request: Request) -> Response<Bytes> {
        match (request.path.as_str(), &request.method) {
            ("/_faults", &Method::GET) => json(&self.faults.left()),
            ("/_faults", &Method::POST) => self.order(&request.body),
            ("/_faults", &Method::DELETE) => {
                self.faults.clear();
                json(&self.faults.left())
            }
            ("/_operations", &Method::GET) => json(&self.tally.to_json()),
            _ => self.on_account(&request).await,
        }
    }

    fn order(&self, body: &[u8]) -> Response<Bytes> {
        match serde_json::from_slice::<Fault>(body) {
            Ok(fault) => {
                self.faults.order(fault);
                json(&self.faults.left())
            }
            Err(error) => answer(StatusCode::BAD_REQUEST, format!("not a fault: {error}")),
        }
    }

    async fn on_account(&self, request: &Request) -> Response<Bytes> {
        let Some(operation) = Operation::of(request) else { return self.account.execute(request).await };
        self.tally.add(&operation);
        let fault = self.faults.meeting(request, &operation);
        match fault.as_ref().map(|fault| fault.kind) {
            None => self.execute(request, &operation).await,
            Some(Kind::Timeout) => pending().await,
            Some(Kind::Stale) => self.stale(request).await,
            Some(Kind::Lost) => {
                self.execute(request, &operation).await;
                fault.map(|fault| fault.response()).unwrap_or_default()
            }
            Some(Kind::Throttled | Kind::Unavailable | Kind::PreconditionFailed) => fault.map(|fault| fault.response()).unwrap_or_default(),
        }
    }

    async fn execute(&self, request: &Request, operation: &Operation) -> Response<Bytes> {
        if operation.kind != operation::Kind::Replace {
            return self.account.execute(request).await;
        }
        let mut read = Request { method: Method::GET, body: Bytes::new(), ..request.clone() };
        read.headers.remove("if-match");
        let before = self.account.execute(&read).await;
        let response = self.account.execute(request).await;
        if response.status().is_success() {
            let mut previous = self.previous.lock().unwrap_or_else(PoisonError::into_inner);
            if previous.len() >= REMEMBERED {
                previous.clear();
            }
            previous.insert(request.path.clone(), before);
        }
        response
    }

    async fn stale(&self, request: &Request) -> Response<Bytes> {
        let previous = self.previous.lock().unwrap_or_else(PoisonError::into_inner).get(&request.path).cloned();
        match previous {
            Some(previous) => previous,
            // Written once: before that it was not there, and the account says how it answers then.
            None => self.account.execute(&Request { path: format!("{}-not-there", request.path), ..request.clone() }).await,
        }
    }
}

fn json(value: &impl serde::Serialize) -> Response<Bytes> {
    let mut response = answer(StatusCode::OK, serde_json::to_vec(value).unwrap_or_default());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
