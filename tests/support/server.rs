//! A server in this process on a port of its own, with scripted model and warehouse, driven by HTTP only.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use asklake::{
    app::App,
    conversation::Budgets,
    http,
    model::Model,
    runtime::{connections::Limits, standalone::Server, worker},
    service::{Ports, Service, Settings},
    warehouse::Warehouse,
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::embedded::{Embedded, lake};

/// A running server.
pub struct TestServer {
    base: String,
    client: reqwest::Client,
    server: Server,
    _embedded: Embedded,
}

impl TestServer {
    /// Starts a server over `model` and `warehouse`.
    pub async fn start(model: Arc<dyn Model>, warehouse: Arc<dyn Warehouse>) -> Self {
        Self::start_with(model, warehouse, http::Settings::default()).await
    }

    /// Starts a server with settings for HTTP.
    pub async fn start_with(model: Arc<dyn Model>, warehouse: Arc<dyn Warehouse>, http: http::Settings) -> Self {
        Self::start_on(Embedded::open(), model, warehouse, http, worker::Settings::default(), Settings::default()).await
    }

    /// Starts a server whose clients may take no more than `limits`.
    pub async fn start_limited(model: Arc<dyn Model>, warehouse: Arc<dyn Warehouse>, http: http::Settings, limits: Limits) -> Self {
        let embedded = Embedded::open();
        let ports = Ports { store: Arc::clone(&embedded.store), wakes: Arc::clone(&embedded.sender), model, warehouse };
        let service = Service::new(ports, lake(), Budgets::default(), Settings::default());
        Self::limited(embedded, service, http, worker::Settings::default(), limits).await
    }

    /// Starts a server whose service works by `settings`.
    pub async fn start_as(model: Arc<dyn Model>, warehouse: Arc<dyn Warehouse>, settings: Settings) -> Self {
        Self::start_on(Embedded::open(), model, warehouse, http::Settings::default(), worker::Settings::default(), settings).await
    }

    /// Starts a server over other ports than the embedded ones.
    pub async fn start_on(
        embedded: Embedded,
        model: Arc<dyn Model>,
        warehouse: Arc<dyn Warehouse>,
        http: http::Settings,
        worker: worker::Settings,
        settings: Settings,
    ) -> Self {
        let ports = Ports { store: Arc::clone(&embedded.store), wakes: Arc::clone(&embedded.sender), model, warehouse };
        Self::serve(embedded, Service::new(ports, lake(), Budgets::default(), settings), http, worker).await
    }

    /// Starts a server of `service`, whose queue and store are those of `embedded`.
    pub async fn serve(embedded: Embedded, service: Service, http: http::Settings, worker: worker::Settings) -> Self {
        Self::limited(embedded, service, http, worker, Limits::default()).await
    }

    async fn limited(embedded: Embedded, service: Service, http: http::Settings, worker: worker::Settings, limits: Limits) -> Self {
        let app = App { service, receiver: Arc::clone(&embedded.receiver), worker, http, limits };
        let server = Server::start(app, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        Self { base: format!("http://{}", server.address()), client: reqwest::Client::new(), server, _embedded: embedded }
    }

    /// The address without a path.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Stops it.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// A request for `path`.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Gets `path`.
    pub async fn get(&self, path: &str) -> Response {
        self.request(reqwest::Method::GET, path).send().await.unwrap()
    }

    /// Gets the JSON at `path`, which must be there.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}: {}", response.text().await.unwrap());
        self.get(path).await.json().await.unwrap()
    }

    /// Posts `body` to `/api/chat/start`.
    pub async fn post_start(&self, body: &Value) -> Response {
        self.request(reqwest::Method::POST, "/api/chat/start").json(body).send().await.unwrap()
    }

    /// Starts a conversation and returns its id.
    pub async fn ask(&self, question: &str) -> String {
        let response = self.post_start(&json!({"question": question})).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        response.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned()
    }

    /// Long-polls until the turn has ended and returns the last status.
    pub async fn ended(&self, id: &str) -> Value {
        let mut after = 0;
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while std::time::Instant::now() < until {
            let status = self.json(&format!("/api/chat/{id}/status?wait=10&after={after}")).await;
            if status["status"] != "processing" {
                return status;
            }
            after = status["revision"].as_u64().unwrap();
        }
        panic!("conversation {id} did not end");
    }
}
