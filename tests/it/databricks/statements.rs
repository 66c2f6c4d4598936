//! What is particular to a SQL warehouse: chunks, tags, limits, and results that are gone.

use asklake::{
    conversation::RunId,
    warehouse::{RunState, Statement},
};
use serde_json::json;

use super::{a_sql_warehouse, sql_warehouse, with_token, workspace};
use crate::support::databricks::Manner;

const TOKEN: &str = "6f1f0d3c-0000-4000-8000-1234567890ab-1-0";

#[tokio::test]
async fn the_chunks_of_a_result_are_read_in_order() {
    let (stand_in, _lake) = workspace(Manner { chunk_rows: 4, ..Manner::default() }).await;
    let fixture = sql_warehouse(with_token(&stand_in));
    let result = fixture.rows("SELECT id FROM range(10) ORDER BY id LIMIT 11", 10).await;
    assert_eq!(result.rows, (0..10).map(|id| vec![json!(id)]).collect::<Vec<_>>());
    assert_eq!(stand_in.count("result/chunks"), 2);
}

#[tokio::test]
async fn a_statement_carries_its_conversation_its_limit_and_no_wait() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    fixture.launch(TOKEN, "SELECT 1", 7).await;
    let submitted = stand_in.state.submitted().remove(0);
    assert_eq!((&submitted["row_limit"], &submitted["wait_timeout"]), (&json!(7), &json!("0s")));
    let tag = |key: &str| submitted["query_tags"].as_array().unwrap().iter().find(|tag| tag["key"] == key).unwrap()["value"].clone();
    assert_eq!((tag("conversation"), tag("query")), (json!("6f1f0d3c-0000-4000-8000-1234567890ab"), json!("1")));
}

#[tokio::test]
async fn another_instance_reads_the_run_with_its_limit() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    let run = fixture.launch(TOKEN, "SELECT id FROM range(10) LIMIT 4", 3).await;
    let RunState::Succeeded(result) = sql_warehouse(with_token(&stand_in)).end(&run).await else { panic!("succeeds") };
    assert_eq!((result.row_count, result.truncated), (3, true));
}

#[tokio::test]
async fn two_launches_of_a_token_at_once_submit_one_statement() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    let statement = Statement { token: TOKEN.into(), sql: "SELECT 1".into(), max_rows: 1 };
    let (first, second) = tokio::join!(fixture.warehouse.launch(&statement), fixture.warehouse.launch(&statement));
    assert_eq!(first.expect("launch"), second.expect("launch"));
    assert_eq!(stand_in.state.submitted().len(), 1);
}

#[tokio::test]
async fn a_result_that_is_gone_is_lost_and_its_token_launches_anew() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    let run = fixture.launch(TOKEN, "SELECT 1", 1).await;
    assert!(matches!(fixture.end(&run).await, RunState::Succeeded(_)));
    stand_in.forget_everything();
    assert_eq!(fixture.end(&run).await, RunState::Lost);
    assert_ne!(fixture.launch(TOKEN, "SELECT 1", 1).await, run);
}

#[tokio::test]
async fn a_job_run_is_not_looked_for_among_statements() {
    let (fixture, _kept) = a_sql_warehouse().await;
    assert_eq!(fixture.warehouse.poll(&RunId::Number(7), std::time::Duration::ZERO).await.expect("poll"), RunState::Lost);
}
