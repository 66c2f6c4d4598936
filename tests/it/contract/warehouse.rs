//! The warehouse contract. An adapter's tests hand in a [`Fixture`] over any Spark SQL engine that has the table `lake.films`
//! (`tconst string, primaryTitle string, startYear int, genres array<string>`).

use std::{sync::Arc, time::Duration};

use asklake::{
    conversation::{Phase, ResultSet, RunId},
    warehouse::{self, Parameter, Run, RunState, Statement, Warehouse},
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Longer than any query of this suite takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Computes for minutes, and stops soon when told to.
pub const SLOW: &str = "SELECT sum(a.id * b.id) FROM range(1000000) a, range(1000000) b";

/// A warehouse under test.
#[derive(Clone)]
pub struct Fixture {
    pub warehouse: Arc<dyn Warehouse>,
    /// Name of a run that this warehouse has never launched.
    pub unknown_run: RunId,
}

impl Fixture {
    pub async fn launch(&self, token: &str, sql: &str, max_rows: u64) -> Run {
        self.launch_statement(&Statement::new(token, sql, max_rows)).await
    }

    pub async fn launch_statement(&self, statement: &Statement) -> Run {
        let sql = &statement.sql;
        self.warehouse.launch(statement).await.unwrap_or_else(|error| panic!("launch of {sql}: {error}"))
    }

    pub async fn end(&self, run: &Run) -> RunState {
        let (until, mut known) = (Instant::now() + PATIENCE, run.phase);
        loop {
            match self.warehouse.poll(&run.id, known, PATIENCE).await.expect("poll") {
                RunState::Running(phase) => known = phase,
                end => return end,
            }
            assert!(Instant::now() < until, "not ended within {PATIENCE:?}");
        }
    }

    /// Waits until a run executes; panics if it ends.
    pub async fn executes(&self, run: &Run) {
        let mut known = run.phase;
        while known != Phase::Executing {
            let state = self.warehouse.poll(&run.id, known, PATIENCE).await.expect("poll");
            let RunState::Running(phase) = state else { panic!("{state:?}") };
            known = phase;
        }
    }

    /// How a run is doing after `wait`, whatever its phase.
    pub async fn after(&self, run: &Run, wait: Duration) -> RunState {
        self.executes(run).await;
        self.warehouse.poll(&run.id, Phase::Executing, wait).await.expect("poll")
    }

    pub async fn run(&self, sql: &str, max_rows: u64) -> RunState {
        let run = self.launch(sql.get(..60).unwrap_or(sql), sql, max_rows).await;
        self.end(&run).await
    }

    pub async fn rows(&self, sql: &str, max_rows: u64) -> ResultSet {
        match self.run(sql, max_rows).await {
            RunState::Succeeded(result) => result,
            other => panic!("{sql}: {other:?}"),
        }
    }

    pub async fn error(&self, sql: &str) -> String {
        match self.run(sql, 10).await {
            RunState::Failed(message) => message,
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// Makes a test of every case. `$fresh` makes a fixture and what has to be kept for as long as it is used.
macro_rules! warehouse_contract {
    ($fresh:path) => {
        $crate::contract::warehouse::warehouse_contract! {
            $fresh:
            rows_are_typed,
            an_empty_result_has_its_columns,
            one_row_more_than_wanted_tells_of_truncation,
            a_token_launches_once,
            a_failed_statement_says_why,
            unknown_names_come_with_the_nearest,
            names_ignore_case,
            cancel_ends_a_run_and_is_idempotent,
            cancel_leaves_an_ended_run_as_it_is,
            an_unknown_run_is_lost,
            poll_returns_at_the_end_of_the_run_or_of_the_wait,
            poll_returns_at_once_when_the_phase_is_not_the_known_one,
            parameters_are_values,
            a_probe_answers,
        }
    };
    ($fresh:path: $($name:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            let (fixture, _kept) = $fresh().await;
            $crate::contract::warehouse::$name(fixture).await;
        })*
    };
}
pub(crate) use warehouse_contract;

pub async fn rows_are_typed(fixture: Fixture) {
    let cases: [(&str, &str, Value); 16] = [
        ("true", "boolean", json!(true)),
        ("CAST(1 AS TINYINT)", "tinyint", json!(1)),
        ("42", "int", json!(42)),
        ("9007199254740993", "bigint", json!(9_007_199_254_740_993_i64)),
        ("CAST(1.5 AS DOUBLE)", "double", json!(1.5)),
        ("CAST(0.1 AS FLOAT)", "float", json!(0.1)),
        ("CAST('NaN' AS DOUBLE)", "double", json!("NaN")),
        ("CAST(12.50 AS DECIMAL(10,2))", "decimal(10,2)", json!(12.5)),
        ("CAST('12345678901234567.89' AS DECIMAL(20,2))", "decimal(20,2)", json!("12345678901234567.89")),
        ("'Amélie'", "string", json!("Amélie")),
        ("DATE'2001-04-25'", "date", json!("2001-04-25")),
        ("CAST('2001-04-25T10:11:12Z' AS TIMESTAMP)", "timestamp", json!("2001-04-25T10:11:12Z")),
        ("array('a', NULL)", "array<string>", json!(["a", null])),
        ("map('k', 1)", "map<string,int>", json!({"k": 1})),
        ("named_struct('x', 1, 'y', array(2))", "struct<x:int,y:array<int>>", json!({"x": 1, "y": [2]})),
        ("CAST(NULL AS INT)", "int", json!(null)),
    ];
    let columns: Vec<_> = cases.iter().enumerate().map(|(n, (sql, ..))| format!("{sql} AS c{n}")).collect();
    let result = fixture.rows(&format!("SELECT {}", columns.join(", ")), 10).await;
    assert_eq!((result.row_count, result.truncated, result.rows.len()), (1, false, 1));
    for (n, (sql, data_type, value)) in cases.into_iter().enumerate() {
        let column = &result.columns[n];
        assert_eq!((column.name.as_str(), column.data_type.as_str()), (format!("c{n}").as_str(), data_type), "{sql}");
        assert_eq!(result.rows[0][n], value, "{sql}");
    }
}

pub async fn an_empty_result_has_its_columns(fixture: Fixture) {
    let result = fixture.rows("SELECT primaryTitle, startYear FROM lake.films WHERE startYear < 0 LIMIT 11", 10).await;
    let columns: Vec<_> = result.columns.iter().map(|column| (column.name.as_str(), column.data_type.as_str())).collect();
    assert_eq!(columns, [("primaryTitle", "string"), ("startYear", "int")]);
    assert_eq!((result.row_count, result.truncated), (0, false));
}

pub async fn one_row_more_than_wanted_tells_of_truncation(fixture: Fixture) {
    let result = fixture.rows("SELECT id FROM range(1000) ORDER BY id LIMIT 6", 5).await;
    assert_eq!((result.row_count, result.truncated), (5, true));
    assert_eq!(result.rows, (0..5).map(|id| vec![json!(id)]).collect::<Vec<_>>());
    let result = fixture.rows("SELECT id FROM range(5) ORDER BY id LIMIT 6", 5).await;
    assert_eq!((result.row_count, result.truncated), (5, false));
}

pub async fn a_token_launches_once(fixture: Fixture) {
    let first = fixture.launch("one-token", "SELECT 1 AS first", 10).await;
    let second = fixture.launch("one-token", "SELECT 2 AS second", 10).await;
    assert_eq!(first.id, second.id);
    let RunState::Succeeded(result) = fixture.end(&second).await else { panic!("succeeds") };
    assert_eq!(result.columns[0].name, "first");
    // A poll can be repeated, and so can a launch after the end.
    assert_eq!(fixture.end(&first).await, RunState::Succeeded(result));
    assert_eq!(fixture.launch("one-token", "SELECT 3 AS third", 10).await.id, first.id);
    assert_ne!(fixture.launch("other-token", "SELECT 1 AS first", 10).await.id, first.id);
}

pub async fn a_failed_statement_says_why(fixture: Fixture) {
    let message = fixture.error("SELECT raise_error('the reel tore')").await;
    assert!(message.contains("the reel tore"), "{message}");
    let message = fixture.error("SELECT CAST('Amélie' AS INT)").await;
    assert!(message.contains("Amélie") && !message.contains("DataFusion"), "{message}");
}

pub async fn unknown_names_come_with_the_nearest(fixture: Fixture) {
    let message = fixture.error("SELECT f.primary_titel FROM lake.films f LIMIT 11").await;
    assert_eq!(message, "column f.primary_titel does not exist; nearest: primaryTitle");
    let message = fixture.error("SELECT primaryTitle FROM lake.film LIMIT 11").await;
    assert_eq!(message, "table lake.film does not exist; nearest: lake.films");
}

pub async fn names_ignore_case(fixture: Fixture) {
    let result = fixture.rows("SELECT F.PRIMARYTITLE FROM Lake.FILMS f WHERE TCONST = 'tt2' LIMIT 11", 10).await;
    assert_eq!(result.rows, [[json!("Amélie")]]);
}

pub async fn cancel_ends_a_run_and_is_idempotent(fixture: Fixture) {
    let run = fixture.launch("slow", SLOW, 10).await;
    assert_eq!(fixture.after(&run, Duration::from_millis(200)).await, RunState::Running(Phase::Executing));
    fixture.warehouse.cancel(&run.id).await.expect("cancel");
    fixture.warehouse.cancel(&run.id).await.expect("cancel again");
    assert_eq!(fixture.end(&run).await, RunState::Canceled);
    assert_eq!(fixture.end(&run).await, RunState::Canceled);
    assert_eq!(fixture.rows("SELECT 1", 10).await.row_count, 1);
}

pub async fn cancel_leaves_an_ended_run_as_it_is(fixture: Fixture) {
    let run = fixture.launch("quick", "SELECT 1", 10).await;
    let end = fixture.end(&run).await;
    fixture.warehouse.cancel(&run.id).await.expect("cancel");
    assert_eq!(fixture.end(&run).await, end);
}

pub async fn an_unknown_run_is_lost(fixture: Fixture) {
    let began = Instant::now();
    assert_eq!(fixture.warehouse.poll(&fixture.unknown_run, Phase::Executing, PATIENCE).await.expect("poll"), RunState::Lost);
    assert!(began.elapsed() < PATIENCE);
    fixture.warehouse.cancel(&fixture.unknown_run).await.expect("cancel");
}

pub async fn poll_returns_at_the_end_of_the_run_or_of_the_wait(fixture: Fixture) {
    let quick = fixture.launch("quick", "SELECT 1", 10).await;
    let began = Instant::now();
    assert!(matches!(fixture.end(&quick).await, RunState::Succeeded(_)));
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());

    let slow = fixture.launch("slow", SLOW, 10).await;
    fixture.executes(&slow).await;
    let (began, wait) = (Instant::now(), Duration::from_millis(300));
    assert_eq!(fixture.warehouse.poll(&slow.id, Phase::Executing, wait).await.expect("poll"), RunState::Running(Phase::Executing));
    assert!(began.elapsed() >= wait && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    fixture.warehouse.cancel(&slow.id).await.expect("cancel");
}

pub async fn poll_returns_at_once_when_the_phase_is_not_the_known_one(fixture: Fixture) {
    let slow = fixture.launch("slow", SLOW, 10).await;
    fixture.executes(&slow).await;
    let began = Instant::now();
    let state = fixture.warehouse.poll(&slow.id, Phase::Starting, PATIENCE).await.expect("poll");
    assert_eq!(state, RunState::Running(Phase::Executing));
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    fixture.warehouse.cancel(&slow.id).await.expect("cancel");
}

pub async fn parameters_are_values(fixture: Fixture) {
    use warehouse::Value as Is;
    let text = "L'\\été \\' \"x\" `y`\n'; DROP TABLE lake.films -- \u{1f3ac} ${env:HOME} :number";
    let parameters = vec![
        Parameter::new("text", Is::Text(text.into())),
        Parameter::new("empty", Is::Text(String::new())),
        Parameter::new("null_word", Is::Text("null".into())),
        Parameter::new("nothing", Is::Null),
        Parameter::new("number", Is::Integer(-42)),
        Parameter::new("large", Is::Integer(9_007_199_254_740_993)),
        Parameter::new("share", Is::Double(0.1)),
        Parameter::new("yes", Is::Boolean(true)),
        Parameter::new("day", Is::Date("2001-04-25".into())),
        Parameter::new("instant", Is::Timestamp("2001-04-25T10:11:12Z".into())),
    ];
    let sql = "SELECT :text AS a, :empty AS b, :null_word AS c, :nothing AS d, :number AS e, 1-:number AS f, :large AS g, :share AS h, \
               :yes AS i, :day AS j, :instant AS k, ':text' AS l FROM lake.films WHERE startYear > :number AND tconst = 'tt2' LIMIT 11";
    let run = fixture.launch_statement(&Statement { parameters, ..Statement::new("parameters", sql, 10) }).await;
    let end = fixture.end(&run).await;
    let RunState::Succeeded(result) = end else { panic!("{end:?}") };
    let row = json!([text, "", "null", null, -42, 43, 9_007_199_254_740_993_i64, 0.1, true, "2001-04-25", "2001-04-25T10:11:12Z", ":text"]);
    assert_eq!(json!(result.rows), json!([row]));
    let types: Vec<_> = result.columns.iter().map(|column| column.data_type.as_str()).collect();
    assert_eq!(types[4..], ["int", "int", "bigint", "double", "boolean", "date", "timestamp", "string"]);
}

pub async fn a_probe_answers(fixture: Fixture) {
    fixture.warehouse.probe().await.expect("probe");
}
