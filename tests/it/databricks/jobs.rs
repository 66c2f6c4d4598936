//! What is particular to a job: one launch for all instances, other notebooks, endings without rows, the limit of parameters.

use std::time::Duration;

use asklake::{
    conversation::Phase,
    warehouse::{Error, Origin, Parameter, RunState, Statement, Value, databricks::Parameters},
};
use serde_json::json;

use super::{a_job, job, with_token, workspace};
use crate::{
    contract::warehouse::SLOW,
    support::databricks::{Fault, Manner, jobs::Notebook},
};

const TOKEN: &str = "6f1f0d3c-0000-4000-8000-1234567890ab-1-0";

#[tokio::test]
async fn two_instances_launch_a_token_once_and_both_read_the_run_with_its_limit() {
    let (first, (stand_in, _lake)) = a_job().await;
    let second = job(with_token(&stand_in), Parameters::Notebook);
    let sql = "SELECT id FROM range(10) LIMIT 4";
    let run = first.launch(TOKEN, sql, 3).await;
    assert_eq!(second.launch(TOKEN, sql, 3).await.id, run.id);
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
    let ends = [
        ("INTERNAL_ERROR", "FAILED"),
        ("SKIPPED", "EXCLUDED"),
        ("SKIPPED", "DISABLED"),
        ("TERMINATED", "TIMEDOUT"),
        ("TERMINATED", "UPSTREAM_FAILED"),
        ("TERMINATED", "UPSTREAM_CANCELED"),
        ("TERMINATED", "SOMETHING_NEW"),
    ];
    for end in ends {
        let (stand_in, _lake) = workspace(Manner { job_end: Some(end), ..Manner::default() }).await;
        let message = job(with_token(&stand_in), Parameters::Job).error("SELECT 1").await;
        assert!(!message.is_empty(), "{end:?}");
    }
}

#[tokio::test]
async fn a_job_that_takes_no_further_run_turns_it_away_and_says_what_to_change() {
    let end = Some(("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED"));
    let (stand_in, _lake) = workspace(Manner { job_end: end, cold_looks: 0, ..Manner::default() }).await;
    let fixture = job(with_token(&stand_in), Parameters::Job);
    let run = fixture.launch(TOKEN, "SELECT 1", 1).await;
    let state = fixture.warehouse.poll(&run.id, run.phase, Duration::from_secs(30)).await.expect("told");
    assert!(matches!(&state, RunState::TurnedAway(detail) if detail.contains("max_concurrent_runs")), "{state:?}");
}

#[tokio::test]
async fn a_statement_that_is_too_long_for_a_parameter_is_refused_before_it_is_sent() {
    let (fixture, (stand_in, _lake)) = a_job().await;
    let statement = |bytes: usize| Statement::new(TOKEN, format!("SELECT '{}'", "x".repeat(bytes)), 1);
    let error = fixture.warehouse.launch(&statement(10_000)).await.expect_err("too long");
    assert!(matches!(&error, Error::Refused(detail) if detail.contains("10000")), "{error}");
    assert_eq!(stand_in.count("run-now"), 0);
    fixture.warehouse.launch(&statement(9_900)).await.expect("just fits");
}

#[tokio::test]
async fn what_a_run_waits_for_is_told_as_it_changes() {
    let (stand_in, _lake) = workspace(Manner { cold_looks: 6, ..Manner::default() }).await;
    let fixture = job(with_token(&stand_in), Parameters::Job);
    let run = fixture.launch(TOKEN, SLOW, 1).await;
    let mut seen = vec![run.phase];
    while *seen.last().unwrap() != Phase::Executing {
        let state = fixture.warehouse.poll(&run.id, *seen.last().unwrap(), Duration::from_secs(60)).await.expect("poll");
        let RunState::Running(phase) = state else { panic!("{state:?}") };
        seen.push(phase);
    }
    assert_eq!(seen, [Phase::Queued, Phase::Starting, Phase::Executing]);
    fixture.warehouse.cancel(&run.id).await.expect("cancel");
}

#[tokio::test]
async fn a_run_carries_its_conversation_before_its_statement_and_nothing_that_the_job_may_not_declare() {
    for (place, parameters) in [("job_parameters", Parameters::Job), ("notebook_params", Parameters::Notebook)] {
        let (stand_in, _lake) = workspace(Manner::default()).await;
        let conversation = "6f1f0d3c-0000-4000-8000-1234567890ab".parse().unwrap();
        let origin = Some(Origin { conversation, turn: 2, query: 3 });
        let fixture = job(with_token(&stand_in), parameters);
        let run = fixture.launch_statement(&Statement { origin, ..Statement::new(TOKEN, "SELECT 1", 7) }).await;
        assert!(matches!(fixture.end(&run).await, RunState::Succeeded(_)));
        let sent = "/* asklake max_rows=7 conversation=6f1f0d3c-0000-4000-8000-1234567890ab turn=2 query=3 */ SELECT 1";
        assert_eq!(stand_in.state.requested()[0][place], json!({"sql_text": sent}));
    }
}

#[tokio::test]
async fn parameters_are_sent_as_json_and_count_for_the_limit() {
    let (fixture, (stand_in, _lake)) = a_job().await;
    let statement =
        |text: String| Statement { parameters: vec![Parameter::new("t", Value::Text(text))], ..Statement::new(TOKEN, "SELECT :t", 1) };
    let error = fixture.warehouse.launch(&statement("\"".repeat(4_000))).await.expect_err("too long");
    assert!(matches!(&error, Error::Refused(detail) if detail.contains("10000")), "{error}");
    fixture.launch_statement(&statement("it's".into())).await;
    let sent = stand_in.state.requested()[0]["job_parameters"]["sql_args"].clone();
    assert_eq!(sent, json!(r#"[{"name":"t","type":"STRING","value":"it's"}]"#));
}

#[tokio::test]
async fn an_output_that_databricks_cut_is_a_failure_that_says_what_to_do() {
    let (fixture, (stand_in, _lake)) = a_job().await;
    let cut = r#"{"metadata":{},"notebook_output":{"result":"{\"columns\":[{\"na","truncated":true}}"#;
    stand_in.fail("get-output", Fault::Instead(200, None, cut));
    let message = fixture.error("SELECT 1").await;
    assert!(message.contains("5 MB"), "{message}");
}

#[tokio::test]
async fn a_run_that_is_gone_is_lost() {
    let (fixture, (stand_in, _lake)) = a_job().await;
    let run = fixture.launch(TOKEN, "SELECT 1", 1).await;
    stand_in.forget_everything();
    assert_eq!(fixture.end(&run).await, RunState::Lost);
}
