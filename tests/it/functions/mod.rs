//! `asklake functions` under the emulated host: the built program, the Function App's own files, a real queue, the embedded store, the
//! offline planner, and a Flight SQL server of this process.

mod http;
mod kills;
mod messages;

use std::{path::Path, time::Duration};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    azurite::Azurite,
    flight::Statements,
    host::{Mode, Running, Settings},
};

const BOTH: [Mode; 2] = [Mode::Forwarding, Mode::Proxying];
const QUESTION: &str = "How many comedies came out in 1994?";
const LONG: Duration = Duration::from_secs(600);

/// The program, with what it needs.
struct Product {
    host: Running,
    warehouse: Statements,
    client: Client,
    folder: TempDir,
}

impl Product {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with(Duration::from_millis(200), change).await
    }

    /// Starts it over a warehouse whose statements take `time`.
    async fn start_with(time: Duration, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Statements::start(time).await;
        let storage = Azurite::shared().account();
        let environment = [
            ("AzureWebJobsStorage", storage.as_str()),
            ("ASKLAKE_DATA_DIR", folder.path().to_str().unwrap()),
            ("FLIGHT_SQL_URL", warehouse.url()),
            ("CORS_ALLOWED_ORIGINS", "https://page.example"),
        ];
        let mut settings = Settings::of_this_repository(&storage, &environment);
        settings.app.queues.visibility_timeout = Duration::from_secs(1);
        change(&mut settings);
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(300)).build().unwrap();
        Self { host: Running::start(settings).await, warehouse, client, folder }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.host.base()))
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}: {}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    async fn ask(&self, question: &str) -> String {
        let response = self.request(Method::POST, "/api/chat/start").json(&json!({"question": question})).send().await.unwrap();
        assert_eq!(
            response.status(),
            StatusCode::ACCEPTED,
            "{}; the handler wrote {:#?}",
            response.text().await.unwrap(),
            self.host.logs()
        );
        response.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, id: &str) -> Value {
        let began = std::time::Instant::now();
        let mut after = 0;
        loop {
            let status = self.json(&format!("/api/chat/{id}/status?wait=10&after={after}")).await;
            if status["status"] != "processing" {
                return status;
            }
            assert!(began.elapsed() < LONG, "{id} has not ended: {status:#}; the handler wrote {:#?}", self.host.logs());
            after = status["revision"].as_u64().unwrap();
        }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }
}
