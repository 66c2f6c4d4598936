//! Who asks: credentials that are accepted and those that are not, and what is shown to whom.

mod app_service;
mod keys;
mod ownership;
mod provider;
mod start_up;
mod tokens;

use std::{sync::Arc, time::Duration};

use asklake::{auth::Authenticator, http::Settings};
use reqwest::{Method, Response};

use crate::support::{
    scripted::{ScriptedModel, ScriptedWarehouse},
    server::TestServer,
};

/// A path that needs a caller and nothing else.
const HISTORY: &str = "/api/chat/history";

/// A server that asks `authenticator`, with a model that runs one query and answers.
async fn server(authenticator: Arc<Authenticator>) -> TestServer {
    let model = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    TestServer::start_with(model, warehouse, Settings { authenticator, ..Settings::default() }).await
}

/// Asks for the history with a bearer token.
async fn history(server: &TestServer, token: &str) -> Response {
    server.request(Method::GET, HISTORY).header("authorization", format!("Bearer {token}")).send().await.unwrap()
}
