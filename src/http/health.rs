//! `GET /api/health` (the process is up) and `GET /api/ready` (what it cannot answer without answers).

use serde::Serialize;
use warp::{
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::service::{Dependency, Service};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Ready<'a> {
    status: &'static str,
    model: &'a str,
    dependencies: Vec<DependencyView<'a>>,
}

#[derive(Serialize)]
struct DependencyView<'a> {
    name: &'a str,
    kind: &'a str,
    status: &'static str,
    latency_ms: u64,
    detail: Option<&'a str>,
}

fn view(dependency: &Dependency) -> DependencyView<'_> {
    DependencyView {
        name: dependency.name,
        kind: dependency.kind,
        status: if dependency.fault.is_none() { "ok" } else { "unavailable" },
        latency_ms: u64::try_from(dependency.latency.as_millis()).unwrap_or(u64::MAX),
        detail: dependency.fault.as_deref(),
    }
}

pub(super) fn health() -> Response {
    super::json(StatusCode::OK, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// What the dependencies are is for those who may ask; everybody else is told whether the service works.
pub(super) async fn ready(service: &Service, is_detailed: bool) -> Response {
    let readiness = service.readiness().await;
    let is_ready = readiness.dependencies.iter().all(|dependency| dependency.fault.is_none() || !dependency.is_needed);
    let dependencies = readiness.dependencies.iter().filter(|_| is_detailed).map(view).collect();
    let (code, status) = if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    let mut response = super::json(code, &Ready { status, model: &readiness.model, dependencies });
    if !is_ready {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}
