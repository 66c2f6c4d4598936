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
use tempfile::TempDir;

use crate::{
    contract::eventually,
    lake::sail_binary,
    support::databricks::{FOREVER, JOB_ID, Manner, StandIn, TOKEN, WAREHOUSE_ID},
};

/// A workspace with the sample lake.
async fn workspace(manner: Manner) -> StandIn {
    let lake = Path::new(env!("CARGO_MANIFEST_DIR")).join("lake");
    assert!(lake.join("imdb").exists(), "these tests need the sample lake; run `make tools`");
    let sail = Sail::new(sail::Config::new(sail_binary(), lake), &Catalog::embedded().expect("catalog"));
    StandIn::start(Arc::new(sail), manner).await
}

/// A conversation on a server of its own.
struct Asked {
    server: Server,
    url: String,
    _data: TempDir,
}

async fn ask(stand_in: &StandIn, variables: &[(&str, &str)]) -> Asked {
    let data = tempfile::tempdir().unwrap();
    let usual = [
        ("ASKLAKE_DATA_DIR", data.path().to_str().unwrap()),
        ("CATALOG_PROFILE", "sample"),
        ("DATABRICKS_HOST", &stand_in.host),
        ("DATABRICKS_TOKEN", TOKEN),
    ];
    let variables = usual.iter().chain(variables);
    let config = Config::from_lookup(|name| variables.clone().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
    let app = App::build(&config.expect("valid"), Settings::default()).expect("built");
    let server = Server::start(app, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let base = format!("http://{}/api/chat", server.address());
    let question = json!({"question": "What are the top 10 science fiction films?"});
    let started = reqwest::Client::new().post(format!("{base}/start")).json(&question).send().await.unwrap();
    let started: Value = started.json().await.unwrap();
    Asked { server, url: format!("{base}/{}/status", started["conversation_id"].as_str().expect("an id")), _data: data }
}

impl Asked {
    /// The first status that `is_it`.
    async fn until(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async {
            let status: Value = reqwest::get(format!("{}?wait=1", self.url)).await.unwrap().json().await.unwrap();
            is_it(&status).then_some(status)
        })
        .await
    }

    async fn end(&self) -> Value {
        self.until("the conversation ends", |status| status["status"] != "processing").await
    }
}

async fn answers(stand_in: &StandIn, variable: (&str, &str)) {
    let asked = ask(stand_in, &[variable]).await;
    let document = asked.end().await;
    assert_eq!(document["status"], "completed", "{document:#}");
    let run = &document["databricks_jobs"][0];
    assert_eq!(run["status"], "completed", "{document:#}");
    assert_eq!(run["row_count"], 10, "{document:#}");
    asked.server.stop().await;
}

const SQL_WAREHOUSE: (&str, &str) = ("DATABRICKS_WAREHOUSE_ID", WAREHOUSE_ID);

fn job() -> (&'static str, String) {
    ("DATABRICKS_JOB_ID", JOB_ID.to_string())
}

#[tokio::test]
async fn a_question_is_answered_from_a_sql_warehouse() {
    let stand_in = workspace(Manner::default()).await;
    answers(&stand_in, SQL_WAREHOUSE).await;
    let submitted = stand_in.state.submitted();
    assert_eq!(submitted.len(), 1);
    let tags: Vec<_> = submitted[0]["query_tags"].as_array().unwrap().iter().map(|tag| tag["key"].as_str().unwrap()).collect();
    assert_eq!(tags, ["application", "conversation", "turn", "query"]);
}

#[tokio::test]
async fn a_question_is_answered_from_a_job() {
    let stand_in = workspace(Manner::default()).await;
    answers(&stand_in, ("DATABRICKS_JOB_ID", &job().1)).await;
    assert_eq!(stand_in.state.runs_started(), 1);
}

#[tokio::test]
async fn a_cold_start_is_shown_until_the_query_executes() {
    let cases = [
        (SQL_WAREHOUSE.0, SQL_WAREHOUSE.1.to_owned(), "STARTING", "waiting for the warehouse to start"),
        (SQL_WAREHOUSE.0, SQL_WAREHOUSE.1.to_owned(), "RUNNING", "queued in the warehouse"),
        (job().0, job().1, "RUNNING", "queued in the warehouse"),
    ];
    for (name, value, state, words) in cases {
        let stand_in = workspace(Manner { cold_looks: FOREVER, ..Manner::default() }).await;
        stand_in.set_warehouse(state);
        let asked = ask(&stand_in, &[(name, &value)]).await;
        let step = format!("Executing Spark SQL (0/1 queries completed): {words}...");
        let waiting = asked.until(&step, |status| status["progress"]["current_step"] == step.as_str()).await;
        let run = &waiting["databricks_jobs"][0];
        assert_eq!((run["status"].as_str(), run["run_id"].is_null()), (Some("pending"), false), "{waiting:#}");
        let revision = waiting["revision"].as_u64();
        let percentage = waiting["progress"]["percentage"].as_u64();
        assert_eq!(percentage, Some(40));
        stand_in.thaw();
        let document = asked.end().await;
        assert_eq!((document["status"].as_str(), &document["databricks_jobs"][0]["status"]), (Some("completed"), &json!("completed")));
        assert!(document["revision"].as_u64() > revision);
        asked.server.stop().await;
    }
}

#[tokio::test]
async fn a_query_that_executes_for_too_long_is_canceled_and_the_model_told() {
    for (name, value) in [(SQL_WAREHOUSE.0, SQL_WAREHOUSE.1.to_owned()), job()] {
        let stand_in = workspace(Manner { is_stuck: true, ..Manner::default() }).await;
        let asked = ask(&stand_in, &[(name, &value), ("QUERY_TIMEOUT_SECONDS", "1")]).await;
        let failed = asked.until("the query is stopped", |status| status["databricks_jobs"][0]["status"] == "failed").await;
        let error = failed["databricks_jobs"][0]["error"].as_str().unwrap();
        assert!(error.starts_with("the query ran for more than 1s and was stopped"), "{error}");
        assert!(stand_in.count("/cancel") >= 1);
        asked.server.stop().await;
    }
}

#[tokio::test]
async fn the_time_in_which_a_query_waits_does_not_count_for_its_limit() {
    let stand_in = workspace(Manner { cold_looks: FOREVER, ..Manner::default() }).await;
    let asked = ask(&stand_in, &[SQL_WAREHOUSE, ("QUERY_TIMEOUT_SECONDS", "1")]).await;
    // Their pauses grow: eight take longer than the limit.
    eventually("eight looks", || async { (stand_in.count("GET /api/2.0/sql/statements") >= 8).then_some(()) }).await;
    assert_eq!(stand_in.count("/cancel"), 0);
    stand_in.thaw();
    assert_eq!(asked.end().await["databricks_jobs"][0]["status"], "completed");
    asked.server.stop().await;
}
