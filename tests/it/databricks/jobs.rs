//! What is particular to a job: one launch for all instances, other notebooks, endings without rows, the limit of parameters.

use asklake::warehouse::{Error, RunState, Statement, databricks::Parameters};
use serde_json::json;

use super::{a_job, job, with_token, workspace};
use crate::support::databricks::{Manner, jobs::Notebook};

const TOKEN: &str = "6f1f0d3c-0000-4000-8000-1234567890ab-1-0";

#[tokio::test]
async fn two_instances_launch_a_token_once_and_both_read_the_run_with_its_limit() {
    let (first, (stand_in, _lake)) = a_job().await;
    let second = job(with_token(&stand_in), Parameters::Notebook);
    let sql = "SELECT id FROM range(10) LIMIT 4";
    let run = first.launch(TOKEN, sql, 3).await;
    assert_eq!(second.launch(TOKEN, sql, 3).await, run);
    assert_eq!(stand_in.state.runs_started(), 1);
    let RunState::Succeeded(result) = second.end(&run).await else { panic!("succeeds") };
    assert_eq!((result.row_count, result.truncated), (3, true));
    assert!(run.page_url.expect("a page").contains("/run/"));
}

#[tokio::test]
async fn an_older_notebook_is_understood_and_so_is_its_error_that_counts_as_success() {
    let (stand_in, _lake) = workspace(Manner { notebook: Notebook::Older, ..Manner::default() }).await;
    let fixture = job(with_token(&stand_in), Parameters::Notebook);
    let result = fixture.rows("SELECT primaryTitle, startYear FROM lake.films ORDER BY tconst LIMIT 3", 2).await;
    assert_eq!(result.rows, [[json!("Metropolis"), json!(1927)], [json!("Amélie"), json!(2001)]]);
    assert!(result.truncated);
    let message = fixture.error("SELECT f.primary_titel FROM lake.films f LIMIT 11").await;
    assert_eq!(message, "column f.primary_titel does not exist; nearest: primaryTitle");
}

#[tokio::test]
async fn a_task_that_fails_tells_its_error() {
    let (stand_in, _lake) = workspace(Manner { notebook: Notebook::Raising, ..Manner::default() }).await;
    let message = job(with_token(&stand_in), Parameters::Job).error("SELECT primaryTitle FROM lake.film LIMIT 11").await;
    assert_eq!(message, "table lake.film does not exist; nearest: lake.films");
}

#[tokio::test]
async fn a_notebook_that_returns_nothing_is_told() {
    let (stand_in, _lake) = workspace(Manner { notebook: Notebook::Silent, ..Manner::default() }).await;
    let message = job(with_token(&stand_in), Parameters::Job).error("SELECT 1").await;
    assert!(message.contains("dbutils.notebook.exit"), "{message}");
}

#[tokio::test]
async fn every_ending_without_rows_is_a_failure_and_none_waits_on() {
    for end in [("INTERNAL_ERROR", "FAILED"), ("SKIPPED", "EXCLUDED"), ("TERMINATED", "TIMEDOUT"), ("TERMINATED", "SOMETHING_NEW")] {
        let (stand_in, _lake) = workspace(Manner { job_end: Some(end), ..Manner::default() }).await;
        let message = job(with_token(&stand_in), Parameters::Job).error("SELECT 1").await;
        assert!(!message.is_empty(), "{end:?}");
    }
}

#[tokio::test]
async fn a_job_that_takes_no_further_run_says_what_to_change() {
    let end = Some(("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED"));
    let (stand_in, _lake) = workspace(Manner { job_end: end, cold_looks: 0, ..Manner::default() }).await;
    let fixture = job(with_token(&stand_in), Parameters::Job);
    let run = fixture.launch(TOKEN, "SELECT 1", 1).await;
    let error = fixture.warehouse.poll(&run.id, std::time::Duration::from_secs(30)).await.expect_err("no room");
    assert!(matches!(&error, Error::Misconfigured(detail) if detail.contains("max_concurrent_runs")), "{error}");
}

#[tokio::test]
async fn a_statement_that_is_too_long_for_a_parameter_is_refused_before_it_is_sent() {
    let (fixture, (stand_in, _lake)) = a_job().await;
    let statement = |bytes: usize| Statement { token: TOKEN.into(), sql: format!("SELECT '{}'", "x".repeat(bytes)), max_rows: 1 };
    let error = fixture.warehouse.launch(&statement(10_000)).await.expect_err("too long");
    assert!(matches!(&error, Error::Refused(detail) if detail.contains("10000")), "{error}");
    assert_eq!(stand_in.count("run-now"), 0);
    fixture.warehouse.launch(&statement(9_900)).await.expect("just fits");
}
