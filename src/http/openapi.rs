//! `GET /api/openapi.json`: the OpenAPI 3.1 document, kept by hand in `docs/openapi.json` and checked by schemathesis.

use warp::{http::StatusCode, reply::Response};

const DOCUMENT: &str = include_str!("../../docs/openapi.json");

pub(super) fn document() -> Response {
    super::bytes_response(StatusCode::OK, "application/json", DOCUMENT)
}
