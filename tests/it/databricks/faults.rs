//! What goes wrong between us and a workspace: throttling, lost answers, web pages, nobody there.

use std::time::Duration;

use asklake::warehouse::{
    Error, RunState, Statement,
    databricks::{Credential, Parameters, Workspace},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{a_job, a_sql_warehouse, job, sql_warehouse, with_token, workspace};
use crate::support::databricks::{Fault, Manner};

const TOKEN: &str = "6f1f0d3c-0000-4000-8000-1234567890ab-1-0";
const BUSY: &str = r#"{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow down"}"#;

#[tokio::test]
async fn a_request_that_is_turned_away_is_sent_again() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    stand_in.fail("POST /api/2.0/sql/statements", Fault::Instead(429, Some(0), BUSY));
    stand_in.fail("POST /api/2.0/sql/statements", Fault::Instead(503, Some(0), ""));
    stand_in.fail("GET /api/2.0/sql/statements", Fault::Instead(503, Some(1), "<html><title>Down</title></html>"));
    assert_eq!(fixture.rows("SELECT 1", 1).await.row_count, 1);
    assert_eq!(stand_in.state.submitted().len(), 1);
}

#[tokio::test]
async fn without_a_word_about_the_pause_a_request_is_sent_again_too() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    stand_in.fail("GET", Fault::Instead(429, None, BUSY));
    fixture.warehouse.probe().await.expect("the second time");
    assert_eq!(stand_in.count("GET"), 2);
}

#[tokio::test]
async fn a_broken_connection_is_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let host = format!("http://{}", listener.local_addr().expect("address"));
    let server = tokio::spawn(async move {
        drop(listener.accept().await.expect("a first connection"));
        let (mut second, _) = listener.accept().await.expect("a second connection");
        let mut request = [0; 4096];
        let _ = second.read(&mut request).await.expect("a request");
        second.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"state\":\"RUNNING\"}").await.expect("an answer");
    });
    let fixture = sql_warehouse(Workspace { host, credential: Credential::Token("t".into()) });
    fixture.warehouse.probe().await.expect("the second time");
    server.await.expect("two connections");
}

#[tokio::test]
async fn a_workspace_that_wants_a_long_pause_gets_it_from_the_wake() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    stand_in.fail("GET", Fault::Instead(429, Some(60), BUSY));
    let error = fixture.warehouse.probe().await.expect_err("busy");
    let Error::Unavailable { detail, retry_after } = error else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs(60)));
    assert!(detail.contains("slow down"), "{detail}");
    assert_eq!(stand_in.count("GET"), 1);
}

#[tokio::test]
async fn a_run_whose_answer_was_lost_is_not_started_twice() {
    let (fixture, (stand_in, _lake)) = a_job().await;
    stand_in.fail("run-now", Fault::AnswerLost);
    let run = fixture.launch(TOKEN, "SELECT 1", 1).await;
    assert!(matches!(fixture.end(&run).await, RunState::Succeeded(_)));
    assert_eq!((stand_in.count("run-now"), stand_in.state.runs_started()), (2, 1));
}

#[tokio::test]
async fn a_statement_whose_answer_was_lost_is_submitted_again() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    stand_in.fail("POST /api/2.0/sql/statements", Fault::AnswerLost);
    assert_eq!(fixture.rows("SELECT 1", 1).await.row_count, 1);
    assert_eq!(stand_in.state.submitted().len(), 2, "there is no idempotency key");
}

#[tokio::test]
async fn a_plain_500_is_not_sent_again_here() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    stand_in.fail("GET", Fault::Instead(500, None, r#"{"error_code":"INTERNAL_ERROR","message":"oops"}"#));
    let error = fixture.warehouse.probe().await.expect_err("broken");
    assert!(matches!(&error, Error::Unavailable { detail, .. } if detail.contains("INTERNAL_ERROR: oops")), "{error}");
    assert_eq!(stand_in.count("GET"), 1);
}

#[tokio::test]
async fn a_web_page_in_place_of_the_api_is_a_wrong_address() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    for status in [200, 302] {
        stand_in.fail("GET", Fault::Instead(status, None, "<!doctype html><title>Sign in</title>"));
        let error = fixture.warehouse.probe().await.expect_err("a web page");
        assert!(matches!(&error, Error::Misconfigured(detail) if detail.contains("DATABRICKS_HOST")), "{error}");
    }
}

#[tokio::test]
async fn a_warehouse_or_a_job_that_is_not_there_is_a_configuration_to_put_right() {
    let (stand_in, _lake) = workspace(Manner::default()).await;
    let adapters = [("warehouses", sql_warehouse(with_token(&stand_in))), ("jobs/get", job(with_token(&stand_in), Parameters::Job))];
    for (path, fixture) in adapters {
        stand_in.fail(path, Fault::Instead(404, None, r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no"}"#));
        let error = fixture.warehouse.probe().await.expect_err("not there");
        assert!(matches!(&error, Error::Misconfigured(detail) if detail.contains("_ID")), "{error}");
    }
}

#[tokio::test]
async fn a_launch_that_is_not_taken_at_all_is_no_fault_of_the_statement() {
    let (stand_in, _lake) = workspace(Manner::default()).await;
    let adapters = [("sql/statements", sql_warehouse(with_token(&stand_in))), ("run-now", job(with_token(&stand_in), Parameters::Job))];
    for (path, fixture) in adapters {
        stand_in.fail(path, Fault::Instead(400, None, r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"7 is not there"}"#));
        let error = fixture.warehouse.launch(&Statement::new(TOKEN, "SELECT 1", 1)).await.expect_err("not taken");
        assert!(matches!(&error, Error::Misconfigured(detail) if detail.contains("7 is not there") && detail.contains("_ID")), "{error}");
    }
}

#[tokio::test]
async fn a_warehouse_that_the_principal_may_not_start_says_what_to_grant() {
    let (fixture, (stand_in, _lake)) = a_sql_warehouse().await;
    let forbidden = r#"{"error_code":"PERMISSION_DENIED","message":"You are not authorized to start the SQL warehouse."}"#;
    stand_in.fail("POST /api/2.0/sql/statements", Fault::Instead(403, None, forbidden));
    let error = fixture.warehouse.launch(&Statement::new(TOKEN, "SELECT 1", 1)).await.expect_err("forbidden");
    assert!(matches!(&error, Error::Misconfigured(detail) if detail.contains("CAN USE") && detail.contains("not authorized")), "{error}");
    assert_eq!(stand_in.count("POST"), 1, "and is not asked again");
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_the_variable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("port").local_addr().expect("address");
    let fixture = sql_warehouse(Workspace { host: format!("http://{closed}"), credential: Credential::Token("t".into()) });
    let error = fixture.warehouse.probe().await.expect_err("nobody there");
    assert!(
        matches!(&error, Error::Unavailable { detail, .. } if detail.contains("http://127.0.0.1") && detail.contains("DATABRICKS_HOST")),
        "{error}"
    );
}
