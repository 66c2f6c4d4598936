//! The local warehouses: the contract, against Sail and against Flight SQL, and what Sail does when things go wrong.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use asklake::{
    conversation::{Budgets, Phase, RunId},
    service::{Ports, Service, Settings},
    sql::{Catalog, Lake},
    warehouse::{
        Error, RunState, Warehouse,
        flight::{self, FlightSql},
        recorded::Recorded,
        sail::{self, Sail},
    },
};
use serde_json::json;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    contract::warehouse::{self as contract, Fixture},
    lake,
    support::{
        embedded::Embedded,
        scripted::{ScriptedModel, ScriptedWarehouse},
    },
};

/// Computes for minutes in an operator that does not yield: closing its stream does not stop it.
const STUBBORN: &str = "SELECT count(*) FROM range(1000000) a JOIN range(1000000) b ON a.id % 7 <> b.id % 11 AND a.id * b.id % 1000003 = 5";
/// Takes memory without end that Sail's own pool does not see.
const UNSEEN_RUNAWAY: &str = "SELECT max(length(repeat('a', 1000000000)))";
/// Takes memory without end that Sail's own pool sees.
const SEEN_RUNAWAY: &str = "SELECT size(collect_list(id)) FROM range(300000000)";

fn fixture(warehouse: impl Warehouse + 'static) -> Fixture {
    Fixture { warehouse: Arc::new(warehouse), unknown_run: RunId::Text("never launched".into()) }
}

fn sail(lake: &TempDir) -> Sail {
    Sail::new(lake::config(lake), &lake::catalog())
}

fn flight_config(url: String) -> flight::Config {
    flight::Config { url, token: None, query_time_limit: Duration::from_secs(600), max_concurrency: 2 }
}

async fn over_sail() -> (Fixture, TempDir) {
    let lake = lake::write();
    (fixture(sail(&lake)), lake)
}

async fn over_flight_sql() -> (Fixture, (TempDir, Sail)) {
    let lake = lake::write();
    let sail = sail(&lake);
    let url = sail.url().await.expect("Sail starts");
    (fixture(FlightSql::new(flight_config(url), &lake::catalog())), (lake, sail))
}

mod sail_keeps_the_contract {
    crate::contract::warehouse::warehouse_contract!(super::over_sail);
}

mod flight_sql_keeps_the_contract {
    crate::contract::warehouse::warehouse_contract!(super::over_flight_sql);
}

/// Sail behind a tape that plays nothing.
async fn over_a_tape() -> (Fixture, TempDir) {
    let lake = lake::write();
    (fixture(Recorded::new(Arc::new(sail(&lake)), Arc::default())), lake)
}

mod what_a_tape_passes_through_keeps_the_contract {
    crate::contract::warehouse::warehouse_contract!(super::over_a_tape);
}

#[tokio::test]
async fn sail_shows_files_folders_and_views_of_the_lake() {
    let lake = lake::write();
    let fixture = fixture(sail(&lake));
    let result = fixture.rows("SELECT primaryTitle, numVotes FROM lake.rated ORDER BY numVotes DESC NULLS LAST LIMIT 11", 10).await;
    assert_eq!(result.rows, [[json!("Amélie"), json!(800_000)], [json!("Metropolis"), json!(190_000)], [json!("Untitled"), json!(null)]]);
    let result = fixture.rows("SELECT genres FROM lake.films ORDER BY tconst LIMIT 11", 10).await;
    assert_eq!(result.rows, [[json!(["Drama", "Sci-Fi"])], [json!(["Comedy", "Romance"])], [json!(null)]]);
}

#[test]
fn row_counts_come_from_the_footers() {
    let lake = lake::write();
    assert_eq!(sail::row_count(lake.path(), "lake.films"), Some(3));
    assert_eq!(sail::row_count(lake.path(), "lake.ratings"), Some(2));
    assert_eq!(sail::row_count(lake.path(), "lake.nowhere"), None);
}

#[tokio::test]
async fn wide_rows_are_cut_off_at_the_memory_of_a_result() {
    let lake = lake::write();
    let fixture = fixture(sail(&lake));
    let result = fixture.rows("SELECT repeat('x', 1000000) FROM range(100) LIMIT 101", 100).await;
    assert!(result.truncated);
    let most = flight::RESULT_BYTES / 1_000_000;
    assert!(result.rows.len() <= most && result.rows.len() + 1 >= most, "{}", result.rows.len());
}

fn unavailable(result: Result<(), Error>) -> String {
    match result {
        Err(Error::Unavailable { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

/// Waiting does not help: a turn ends at once with this.
fn misconfigured(result: Result<(), Error>) -> String {
    match result {
        Err(Error::Misconfigured(detail)) => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_missing_binary_or_lake_or_table_says_what_to_do() {
    let lake = lake::write();
    let config = sail::Config { binary: "/nowhere/sail".into(), ..lake::config(&lake) };
    let detail = misconfigured(Sail::new(config, &lake::catalog()).probe().await);
    assert!(["/nowhere/sail", "make tools", "SAIL_BIN"].iter().all(|part| detail.contains(part)), "{detail}");

    let nowhere = || sail::Config { lake: "/nowhere/lake".into(), ..lake::config(&lake) };
    let detail = misconfigured(Sail::new(nowhere(), &Catalog::embedded().expect("valid")).probe().await);
    assert!(["/nowhere/lake", "make tools", "asklake import DIR --lake"].iter().all(|part| detail.contains(part)), "{detail}");
    let detail = misconfigured(Sail::new(nowhere(), &lake::catalog()).probe().await);
    assert!(["/nowhere/lake", "LAKE_DIR"].iter().all(|part| detail.contains(part)) && !detail.contains("make tools"), "{detail}");

    let detail = misconfigured(Sail::new(lake::config(&lake), &Catalog::embedded().expect("valid")).probe().await);
    assert!(detail.contains("lacks imdb.movies_delta") && detail.contains("asklake import DIR --lake"), "{detail}");
}

#[tokio::test]
async fn a_missing_table_of_ones_own_is_told_with_where_it_was_looked_for() {
    let lake = lake::write();
    fs::remove_file(lake.path().join("lake/films.parquet")).expect("remove");
    let detail = misconfigured(sail(&lake).probe().await);
    let path = lake.path().join("lake/films").display().to_string();
    assert!(detail.contains(&format!("lacks lake.films (there is neither {path}.parquet nor a *.parquet in {path}/)")), "{detail}");
    // Neither of them can make this table.
    assert!(!detail.contains("make tools") && !detail.contains("asklake import"), "{detail}");
}

#[tokio::test]
async fn a_file_that_is_no_parquet_is_named_by_the_view_and_the_query_that_meet_it() {
    let lake = lake::write();
    fs::write(lake.path().join("lake/ratings/b.parquet"), "no Parquet").expect("write");
    let named = "files of the lake that are no Parquet: lake/ratings/b.parquet";
    // A view over it cannot be made.
    let detail = unavailable(sail(&lake).probe().await);
    assert!(detail.contains("`lake`.`rated`") && detail.ends_with(named), "{detail}");
    let catalog = Catalog { views: vec![], ..lake::catalog() };
    let fixture = fixture(Sail::new(lake::config(&lake), &catalog));
    let message = fixture.error("SELECT tconst FROM lake.ratings LIMIT 11").await;
    assert!(message.ends_with(named), "{message}");
    assert_eq!(fixture.rows("SELECT count(*) FROM lake.films", 10).await.rows, [[json!(3)]]);
}

#[tokio::test]
async fn what_a_warehouse_lacks_of_the_catalog_is_asked_for_where_that_is_free_and_nowhere_else() {
    let lake = lake::write();
    let mut catalog = lake::catalog();
    catalog.tables[0].columns[2].data_type = "string".into();
    let embedded = Embedded::open();
    let service = |warehouse: Arc<dyn Warehouse>| {
        let model = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
        let ports = Ports { store: embedded.store.clone(), wakes: embedded.sender.clone(), model, warehouse };
        Service::new(ports, Lake::new(Arc::new(catalog.clone()), 1000), Budgets::default(), Settings::default())
    };
    let wrong = Some(vec!["lake.films.startYear is int, but string in the catalog".to_owned()]);
    let sail = Arc::new(sail(&lake));
    let url = sail.url().await.expect("Sail starts");
    assert_eq!(service(sail.clone()).misfits().await, wrong);
    assert_eq!(service(Arc::new(FlightSql::new(flight_config(url), &catalog))).misfits().await, wrong);
    let paid_for = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    assert_eq!(service(paid_for.clone()).misfits().await, None);
    assert!(paid_for.statements.lock().expect("statements").is_empty());
}

#[tokio::test]
async fn a_view_that_is_wrong_is_named() {
    let lake = lake::write();
    let mut catalog = lake::catalog();
    catalog.views[0].sql = "SELECT nothing FROM lake.films".into();
    let detail = unavailable(Sail::new(lake::config(&lake), &catalog).probe().await);
    assert!(detail.contains("`lake`.`rated`") && detail.contains("nothing"), "{detail}");
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable() {
    let adapter = FlightSql::new(flight_config("http://127.0.0.1:1".into()), &lake::catalog());
    let detail = unavailable(adapter.probe().await);
    assert!(["http://127.0.0.1:1", "FLIGHT_SQL_URL"].iter().all(|part| detail.contains(part)), "{detail}");
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill").success());
}

#[tokio::test]
async fn the_runs_of_a_killed_sail_are_lost_and_the_next_ones_work() {
    let lake = lake::write();
    let sail = Arc::new(sail(&lake));
    let fixture = Fixture { warehouse: sail.clone(), unknown_run: RunId::Number(0) };
    let run = fixture.launch("slow", contract::SLOW, 10).await;
    assert_eq!(fixture.after(&run, Duration::from_millis(300)).await, RunState::Running(Phase::Executing));
    let first = sail.pid().await.expect("runs");
    kill(first);
    assert_eq!(fixture.end(&run).await, RunState::Lost);
    // The same decision may be launched again, and gets a new run.
    let again = fixture.launch("slow", "SELECT primaryTitle FROM lake.films WHERE tconst = 'tt1'", 10).await;
    assert_ne!(again, run);
    assert!(matches!(fixture.end(&again).await, RunState::Succeeded(result) if result.rows == [[json!("Metropolis")]]));
    assert_ne!(sail.pid().await.expect("runs"), first);
}

#[tokio::test]
async fn a_flight_server_that_went_away_loses_runs_and_is_then_unavailable() {
    let lake = lake::write();
    let sail = sail(&lake);
    let adapter = FlightSql::new(flight_config(sail.url().await.expect("starts")), &lake::catalog());
    let fixture = fixture(adapter);
    let done = fixture.launch("done", "SELECT 1 AS x", 10).await;
    assert!(matches!(fixture.end(&done).await, RunState::Succeeded(_)));
    let run = fixture.launch("slow", contract::SLOW, 10).await;
    assert_eq!(fixture.after(&run, Duration::from_millis(300)).await, RunState::Running(Phase::Executing));
    sail.shutdown().await;
    assert_eq!(fixture.end(&run).await, RunState::Lost);
    unavailable(fixture.warehouse.probe().await);
    // What ended before can still be read, also by who launches it once more.
    assert_eq!(fixture.launch("done", "SELECT 1 AS x", 10).await, done);
    assert!(matches!(fixture.end(&done).await, RunState::Succeeded(_)));
}

/// Runs `runaway` beside a query of another conversation under a low memory limit.
async fn run_beside_another(runaway: &str) -> (String, Sail, TempDir) {
    let lake = lake::write();
    let sail = Sail::new(sail::Config { memory_limit: 700 << 20, ..lake::config(&lake) }, &lake::catalog());
    let shared = Arc::new(sail);
    let fixture = Fixture { warehouse: shared.clone(), unknown_run: RunId::Number(0) };
    let bad = fixture.launch("bad", runaway, 10).await;
    let good = fixture.launch("good", "SELECT count(DISTINCT id % 1000) FROM range(100000000)", 10).await;
    let (bad, good) = (fixture.end(&bad).await, fixture.end(&good).await);
    assert!(matches!(good, RunState::Succeeded(ref result) if result.rows == [[json!(1_000)]]), "{good:?}");
    let RunState::Failed(message) = bad else { panic!("{bad:?}") };
    assert_eq!(fixture.rows("SELECT count(*) FROM lake.films", 10).await.rows, [[json!(3)]]);
    drop(fixture);
    (message, Arc::into_inner(shared).expect("no other owner"), lake)
}

#[tokio::test]
async fn a_query_that_outgrows_the_pool_fails_and_nobody_else_does() {
    let (message, ..) = run_beside_another(SEEN_RUNAWAY).await;
    assert!(message.contains("needs more memory"), "{message}");
}

#[tokio::test]
async fn a_query_that_outgrows_the_process_fails_and_nobody_else_does() {
    let (message, ..) = run_beside_another(UNSEEN_RUNAWAY).await;
    assert!(message.contains("used more than 700 MiB of memory"), "{message}");
}

#[tokio::test]
async fn a_session_that_sail_has_dropped_is_made_anew() {
    let lake = lake::write();
    // Sail drops its session, and every table with it, when nobody asked for a while; here after a second.
    let binary = lake.path().join("sail");
    let script = format!("#!/bin/sh\nSAIL_FLIGHT__SESSION_TIMEOUT_SECS=1 exec '{}' \"$@\"\n", lake::sail_binary().display());
    fs::write(&binary, script).expect("script");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("executable");
    let sail = Arc::new(Sail::new(sail::Config { binary, ..lake::config(&lake) }, &lake::catalog()));
    sail.probe().await.expect("starts");
    let first = sail.pid().await;
    let fixture = Fixture { warehouse: sail.clone(), unknown_run: RunId::Number(0) };
    sleep(Duration::from_secs(3)).await;
    assert_eq!(fixture.rows("SELECT count(*) FROM lake.films", 10).await.rows, [[json!(3)]]);
    assert_ne!(sail.pid().await, first);
}

#[tokio::test]
async fn a_query_that_crashes_sail_fails_and_nobody_else_does() {
    let terms = vec!["1"; 50_000].join("+");
    let (message, ..) = run_beside_another(&format!("SELECT {terms} AS x")).await;
    assert!(message.contains("crash") && message.contains("simpler"), "{message}");
}

/// Percent of one core that `pid` uses over half a second; `None` when it is gone.
async fn cpu(pid: u32) -> Option<f32> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new().expect("system");
    let mut refresh = || {
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing().with_cpu());
        system.process(pid).map(sysinfo::Process::cpu_usage)
    };
    refresh()?;
    sleep(Duration::from_millis(500)).await;
    refresh()
}

#[tokio::test]
async fn a_query_past_its_time_limit_fails_and_burns_no_more_cpu() {
    let lake = lake::write();
    let config = sail::Config { query_time_limit: Duration::from_secs(2), ..lake::config(&lake) };
    let sail = Arc::new(Sail::new(config, &lake::catalog()));
    let fixture = Fixture { warehouse: sail.clone(), unknown_run: RunId::Number(0) };
    let message = fixture.error(STUBBORN).await;
    assert!(message.contains("ran for more than 2s"), "{message}");
    let stubborn = sail.pid().await;
    assert_eq!(fixture.rows("SELECT count(*) FROM lake.films", 10).await.rows, [[json!(3)]]);
    let deadline = Instant::now() + Duration::from_secs(300);
    let mut usage = stubborn;
    while let Some(pid) = usage {
        if cpu(pid).await.is_none_or(|usage| usage < 30.0) {
            usage = None;
        }
        assert!(Instant::now() < deadline, "Sail goes on computing");
    }
}

#[tokio::test]
async fn canceling_a_query_leaves_the_others_alone() {
    let lake = lake::write();
    let sail = Arc::new(sail(&lake));
    let fixture = Fixture { warehouse: sail.clone(), unknown_run: RunId::Number(0) };
    let other = fixture.launch("other", "SELECT count(DISTINCT id % 1000) FROM range(100000000)", 10).await;
    let stubborn = fixture.launch("stubborn", STUBBORN, 10).await;
    assert_eq!(fixture.after(&stubborn, Duration::from_millis(300)).await, RunState::Running(Phase::Executing));
    let first = sail.pid().await;
    sail.cancel(&stubborn.id).await.expect("cancel");
    let ended = fixture.end(&other).await;
    assert!(matches!(&ended, RunState::Succeeded(result) if result.rows == [[json!(1_000)]]), "{ended:?}");
    assert_eq!(sail.pid().await, first);
}

#[tokio::test]
async fn queries_beyond_the_limit_queue() {
    let lake = lake::write();
    let config = sail::Config { max_concurrency: 1, ..lake::config(&lake) };
    let fixture = fixture(Sail::new(config, &lake::catalog()));
    let slow = fixture.launch("slow", contract::SLOW, 10).await;
    let queued = fixture.launch("queued", "SELECT 1", 10).await;
    let state = fixture.warehouse.poll(&queued.id, Phase::Executing, Duration::from_secs(60)).await.expect("poll");
    assert_eq!(state, RunState::Running(Phase::Queued));
    fixture.warehouse.cancel(&slow.id).await.expect("cancel");
    assert!(matches!(fixture.end(&queued).await, RunState::Succeeded(_)));
}

#[tokio::test]
async fn shutdown_leaves_no_process_and_no_scratch_folder() {
    let lake = lake::write();
    let sail = sail(&lake);
    sail.probe().await.expect("starts");
    let pid = sail.pid().await.expect("runs");
    let scratch = fs::read_link(format!("/proc/{pid}/cwd")).ok();
    sail.shutdown().await;
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(scratch.is_none_or(|folder| !folder.exists()));
    unavailable(sail.probe().await);
}

/// Not a test by itself: the process that the next test kills.
#[tokio::test]
#[ignore = "started by sail_does_not_outlive_a_killed_asklake"]
async fn helper_that_is_killed() {
    let lake = lake::write();
    let sail = sail(&lake);
    sail.probe().await.expect("starts");
    println!("lake {}", lake.path().display());
    println!("sail {}", sail.pid().await.expect("runs"));
    std::future::pending::<()>().await;
}

#[test]
fn sail_does_not_outlive_a_killed_asklake() {
    let mut asklake = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "warehouse::helper_that_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("helper");
    let lines = BufReader::new(asklake.stdout.take().expect("stdout")).lines().map_while(Result::ok);
    let mut lake = None;
    let pid = lines.into_iter().find_map(|line| {
        lake = lake.take().or_else(|| line.strip_prefix("lake ").map(str::to_owned));
        line.strip_prefix("sail ").map(str::to_owned)
    });
    let process = format!("/proc/{}", pid.expect("Sail's pid"));
    assert!(Path::new(&process).exists());
    let scratch = fs::read_link(format!("{process}/cwd")).expect("scratch folder");
    // SIGKILL: no destructor of the helper runs.
    asklake.kill().expect("kill");
    asklake.wait().expect("wait");
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    while Path::new(&process).exists() || scratch.exists() {
        assert!(std::time::Instant::now() < deadline, "Sail or its scratch folder is still there");
        std::thread::yield_now();
    }
    fs::remove_dir_all(lake.expect("lake")).expect("the helper's lake");
}
