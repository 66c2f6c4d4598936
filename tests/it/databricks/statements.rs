//! What is particular to a SQL warehouse: chunks, tags, limits, what a statement waits for, and results that are gone.

use std::{sync::Arc, time::Duration};

use asklake::{
    conversation::{Phase, RunId},
    warehouse::{Origin, RunState, Statement},
};
use serde_json::json;

use super::{a_sql_warehouse, sql_warehouse, with_token, workspace};
use crate::{
    contract::warehouse::SLOW,
    support::databricks::{FOREVER, Fault, Manner},
};

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
    let conversation = "6f1f0d3c-0000-4000-8000-1234567890ab".parse().unwrap();
    let origin = Some(Origin { conversation, turn: 2, query: 3 });
    fixture.launch_statement(&Statement { origin, ..Statement::new(TOKEN, "SELECT 1", 7) }).await;
    let submitted = stand_in.state.submitted().remove(0);
    assert_eq!((&submitted["row_limit"], &submitted["wait_timeout"]), (&json!(7), &json!("0s")));
    assert_eq!((&submitted["disposition"], &submitted["format"]), (&json!("INLINE"), &json!("JSON_ARRAY")));
    assert_eq!(submitted["parameters"], json!(null));
    let tag = |key: &str| submitted["query_tags"].as_array().unwrap().iter().find(|tag| tag["key"] == key).unwrap()["value"].clone();
    let tags = ["application", "conversation", "turn", "query"].map(tag);
    assert_eq!(json!(tags), json!(["asklake", "6f1f0d3c-0000-4000-8000-1234567890ab", "2", "3"]));
}

#[tokio::test]
async fn a_pending_statement_tells_whether_the_warehouse_starts_or_others_are_before_it() {
    let (stand_in, _lake) = workspace(Manner { cold_looks: FOREVER, ..Manner::default() }).await;
    let fixture = sql_warehouse(with_token(&stand_in));
    let run = fixture.launch(TOKEN, SLOW, 1).await;
    assert_eq!(run.phase, Phase::Queued);
    let poll = |known, seconds| {
        let (warehouse, id) = (Arc::clone(&fixture.warehouse), run.id.clone());
        async move { warehouse.poll(&id, known, Duration::from_secs(seconds)).await.expect("poll") }
    };
    let asked = || stand_in.count("GET /api/2.0/sql/warehouses");
    assert_eq!(poll(Phase::Queued, 60).await, RunState::Running(Phase::Starting));
    assert_eq!(asked(), 1);
    assert_eq!(poll(Phase::Starting, 0).await, RunState::Running(Phase::Starting), "without asking");
    assert_eq!(poll(Phase::Starting, 1).await, RunState::Running(Phase::Starting));
    assert_eq!(asked(), 2, "once in a poll");
    stand_in.set_warehouse("RUNNING");
    assert_eq!(poll(Phase::Starting, 60).await, RunState::Running(Phase::Queued));
    stand_in.thaw();
    assert_eq!(poll(Phase::Queued, 60).await, RunState::Running(Phase::Executing));
    fixture.warehouse.cancel(&run.id).await.expect("cancel");
}

#[tokio::test]
async fn a_warehouse_that_does_not_tell_its_state_leaves_a_statement_queued() {
    let (stand_in, _lake) = workspace(Manner { cold_looks: FOREVER, ..Manner::default() }).await;
    let fixture = sql_warehouse(with_token(&stand_in));
    stand_in.fail("warehouses", Fault::Instead(403, None, r#"{"error_code":"PERMISSION_DENIED","message":"no"}"#));
    let run = fixture.launch(TOKEN, "SELECT 1", 1).await;
    let state = fixture.warehouse.poll(&run.id, Phase::Queued, Duration::from_secs(1)).await.expect("poll");
    assert_eq!((state, stand_in.count("warehouses")), (RunState::Running(Phase::Queued), 1));
}

#[tokio::test]
async fn a_quick_statement_does_not_ask_for_the_warehouse() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    fixture.rows("SELECT 1", 1).await;
    assert_eq!(stand_in.count("warehouses"), 0);
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
    let statement = Statement::new(TOKEN, "SELECT 1", 1);
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
    assert_ne!(fixture.launch(TOKEN, "SELECT 1", 1).await.id, run.id);
}

#[tokio::test]
async fn a_job_run_is_not_looked_for_among_statements() {
    let (fixture, _kept) = a_sql_warehouse().await;
    assert_eq!(fixture.warehouse.poll(&RunId::Number(7), Phase::Executing, Duration::ZERO).await.expect("poll"), RunState::Lost);
}

/// Lets the next look at a statement find `answer`.
async fn seen(answer: &'static str) -> RunState {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    let run = fixture.launch(TOKEN, "SELECT 1", 10).await;
    stand_in.fail("GET /api/2.0/sql/statements", Fault::Instead(200, None, answer));
    fixture.warehouse.poll(&run.id, Phase::Executing, Duration::ZERO).await.expect("poll")
}

#[tokio::test]
async fn a_closed_statement_and_one_that_the_workspace_dropped_are_lost() {
    assert_eq!(seen(r#"{"statement_id":"s","status":{"state":"CLOSED"}}"#).await, RunState::Lost);
    let dropped = r#"{"statement_id":"s","status":{"state":"FAILED","error":{"error_code":"TEMPORARILY_UNAVAILABLE","message":"m"}}}"#;
    assert_eq!(seen(dropped).await, RunState::Lost);
}

#[tokio::test]
async fn what_the_workspace_says_of_a_statement_that_it_dropped_is_not_logged() {
    let log = crate::support::log::Log::begin();
    let dropped =
        r#"{"statement_id":"s","status":{"state":"FAILED","error":{"error_code":"TEMPORARILY_UNAVAILABLE","message":"near 'a secret'"}}}"#;
    assert_eq!(seen(dropped).await, RunState::Lost);
    let logged = log.text();
    assert!(logged.contains("TEMPORARILY_UNAVAILABLE") && !logged.contains("a secret"), "{logged}");
}

#[tokio::test]
async fn a_chunk_that_is_gone_loses_the_statement() {
    let (stand_in, _lake) = workspace(Manner { chunk_rows: 4, ..Manner::default() }).await;
    let fixture = sql_warehouse(with_token(&stand_in));
    stand_in.fail("result/chunks", Fault::Instead(404, None, r#"{"error_code":"NOT_FOUND","message":"expired"}"#));
    let run = fixture.launch(TOKEN, "SELECT id FROM range(10) LIMIT 11", 10).await;
    assert_eq!(fixture.end(&run).await, RunState::Lost);
}

#[tokio::test]
async fn a_failure_without_words_and_a_state_that_is_not_known_are_understood() {
    let failed = seen(r#"{"statement_id":"s","status":{"state":"FAILED","error":{"error_code":"RESOURCE_EXHAUSTED"}}}"#).await;
    assert!(matches!(&failed, RunState::Failed(message) if message.contains("RESOURCE_EXHAUSTED")), "{failed:?}");
    assert!(matches!(seen(r#"{"statement_id":"s","status":{"state":"FAILED"}}"#).await, RunState::Failed(_)));
    assert_eq!(seen(r#"{"statement_id":"s","status":{"state":"SOMETHING_NEW"}}"#).await, RunState::Running(Phase::Executing));
}

#[tokio::test]
async fn cells_that_only_databricks_writes_are_read() {
    let answer = r#"{"statement_id":"s","status":{"state":"SUCCEEDED"},
        "manifest":{"format":"JSON_ARRAY","truncated":false,"total_row_count":2,"schema":{"column_count":9,"columns":[
            {"name":"n","position":1,"type_name":"LONG","type_text":"BIGINT"},
            {"name":"s","position":0,"type_name":"STRING","type_text":"STRING"},
            {"name":"d","position":2,"type_name":"DECIMAL","type_text":"DECIMAL(38,2)","type_precision":38,"type_scale":2},
            {"name":"t","position":3,"type_name":"TIMESTAMP","type_text":"TIMESTAMP"},
            {"name":"i","position":4,"type_name":"INTERVAL","type_text":"INTERVAL DAY TO SECOND","type_interval_type":"DAY TO SECOND"},
            {"name":"a","position":5,"type_name":"ARRAY","type_text":"ARRAY<BIGINT>"},
            {"name":"m","position":6,"type_name":"MAP","type_text":"MAP<STRING, BOOLEAN>"},
            {"name":"r","position":7,"type_name":"STRUCT","type_text":"STRUCT<x: INT NOT NULL, y: STRING>"},
            {"name":"v","position":8,"type_name":"NEW_TYPE","type_text":"NEW_TYPE"}]}},
        "result":{"chunk_index":0,"row_offset":0,"row_count":2,"data_array":[
            ["null","9223372036854775807","12345678901234567890.12","2001-04-25T10:11:12.123Z","1 02:03:04.000000000","[\"1\",null]",
             "{\"k\":\"true\"}","{\"x\":\"1\",\"y\":\"null\"}","as it came"],
            [null,null,null,null,null,null,null,null,null]]}}"#;
    let RunState::Succeeded(result) = seen(answer).await else { panic!("succeeds") };
    let types: Vec<_> = result.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    let expected = "s string, n bigint, d decimal(38,2), t timestamp, i interval day to second, a array<bigint>, m map<string,boolean>, \
                    r struct<x:int,y:string>, v new_type";
    assert_eq!(types.join(", "), expected);
    let first = json!([
        "null",
        i64::MAX,
        "12345678901234567890.12",
        "2001-04-25T10:11:12.123Z",
        "1 02:03:04.000000000",
        [1, null],
        {"k": true},
        {"x": 1, "y": "null"},
        "as it came"
    ]);
    assert_eq!(json!(result.rows), json!([first, [null, null, null, null, null, null, null, null, null]]));
}

#[tokio::test]
async fn a_result_without_rows_or_columns_is_empty() {
    let empty = [
        r#"{"statement_id":"s","status":{"state":"SUCCEEDED"},"manifest":{"schema":{"column_count":0}},"result":{"row_count":0}}"#,
        r#"{"statement_id":"s","status":{"state":"SUCCEEDED"},"manifest":{"format":"JSON_ARRAY"}}"#,
    ];
    for answer in empty {
        let RunState::Succeeded(result) = seen(answer).await else { panic!("succeeds: {answer}") };
        assert_eq!((result.columns.len(), result.row_count, result.truncated), (0, 0, false));
    }
}
