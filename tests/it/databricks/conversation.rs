//! Whole conversations over both adapters, from the environment to the answer: the offline planner, the guard, the worker, HTTP.

use std::{net::SocketAddr, path::Path, sync::Arc};

use asklake::{
    app::App,
    config::Config,
    runtime::standalone::Server,
    service::Settings,
    sql::Catalog,
    warehouse::sail::{self, Sail},
};
use serde_json::{Value, json};

use crate::{
    contract::eventually,
    lake::sail_binary,
    support::databricks::{JOB_ID, Manner, StandIn, TOKEN, WAREHOUSE_ID},
};

/// A workspace with the sample lake.
async fn workspace() -> StandIn {
    let lake = Path::new(env!("CARGO_MANIFEST_DIR")).join("lake");
    assert!(lake.join("imdb").exists(), "these tests need the sample lake; run `make tools`");
    let sail = Sail::new(sail::Config::new(sail_binary(), lake), &Catalog::embedded().expect("catalog"));
    StandIn::start(Arc::new(sail), Manner::default()).await
}

async fn answers(stand_in: &StandIn, variable: (&str, &str)) {
    let data = tempfile::tempdir().unwrap();
    let variables = [
        ("ASKLAKE_DATA_DIR", data.path().to_str().unwrap()),
        ("CATALOG_PROFILE", "sample"),
        ("DATABRICKS_HOST", &stand_in.host),
        ("DATABRICKS_TOKEN", TOKEN),
        variable,
    ];
    let config = Config::from_lookup(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
    let app = App::build(&config.expect("valid"), Settings::default()).expect("built");
    let server = Server::start(app, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let base = format!("http://{}/api/chat", server.address());
    let http = reqwest::Client::new();

    let question = json!({"question": "What are the top 10 science fiction films?"});
    let started: Value = http.post(format!("{base}/start")).json(&question).send().await.unwrap().json().await.unwrap();
    let id = started["conversation_id"].as_str().expect("an id");
    let document = eventually("the conversation ends", || async {
        let status: Value = http.get(format!("{base}/{id}/status?wait=5")).send().await.unwrap().json().await.unwrap();
        (status["status"] != "processing").then_some(status)
    })
    .await;
    assert_eq!(document["status"], "completed", "{document:#}");
    let run = &document["databricks_jobs"][0];
    assert_eq!(run["status"], "completed", "{document:#}");
    assert_eq!(run["row_count"], 10, "{document:#}");
    server.stop().await;
}

#[tokio::test]
async fn a_question_is_answered_from_a_sql_warehouse() {
    let stand_in = workspace().await;
    answers(&stand_in, ("DATABRICKS_WAREHOUSE_ID", WAREHOUSE_ID)).await;
    assert_eq!(stand_in.state.submitted().len(), 1);
}

#[tokio::test]
async fn a_question_is_answered_from_a_job() {
    let stand_in = workspace().await;
    answers(&stand_in, ("DATABRICKS_JOB_ID", &JOB_ID.to_string())).await;
    assert_eq!(stand_in.state.runs_started(), 1);
}
