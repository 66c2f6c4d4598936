//! What the emulated Functions host adds to a conversation, and what the handler costs it: start and memory. As a table; nothing is
//! asserted, because timings on a shared machine vary.
//!
//! A conversation with one query may take 1.3 of the sum of its model, its warehouse and one pick-up from the queue (Azurite's). The pick-up
//! is measured for each conversation: from its 202 to the call of the worker. The handlers are the built `asklake` with the offline planner
//! over a Flight SQL server of this process, and this program started again with `--handler`, whose model takes time as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs, unreachable_pub, dead_code)]

mod process;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use support::{
    azurite::Azurite,
    counted::Counted,
    flight::Statements,
    handler::{Kept, Script, VARIABLE, run_if_asked},
    host::{FunctionApp, Launch, Running, Settings},
};

const MODEL: Duration = Duration::from_millis(300);
const WAREHOUSE: Duration = Duration::from_secs(1);
const CONVERSATIONS: u64 = 7;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if std::env::args().any(|argument| argument == "--handler") {
        runtime.block_on(run_if_asked());
    } else {
        runtime.block_on(measure());
    }
}

async fn measure() {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(["what", "figure", "to reach"]);
    let folder = tempfile::tempdir().unwrap();
    let storage = Azurite::shared().account();
    let statements = Statements::start(WAREHOUSE).await;
    let environment = [
        ("AzureWebJobsStorage", storage.as_str()),
        ("ASKLAKE_DATA_DIR", folder.path().to_str().unwrap()),
        ("FLIGHT_SQL_URL", statements.url()),
    ];
    let product = Running::start(Settings::of_this_repository(&storage, &environment)).await;
    table.add_row([
        "handler idle, resident memory",
        &format!("{} MiB", process::memory(product.live().await.pid, "VmRSS") / 1024),
        "under 40 MiB",
    ]);
    table.add_row(["handler killed until the next answers", &format!("{:.0} ms", restart(&product).await), "under 100 ms"]);
    let times = overhead(&product, "How many comedies came out in 1994?", WAREHOUSE).await;
    table.add_row(["conversation of 1000 ms and a pick-up, offline planner", &times, "at most 1.3 of the sum"]);
    drop(product);

    let counted = Counted::start(WAREHOUSE).await;
    let scripted = Running::start(scripted(&counted, &folder)).await;
    let times = overhead(&scripted, "which films?", MODEL * 2 + WAREHOUSE).await;
    table.add_row(["conversation of 300 + 1000 + 300 ms and a pick-up", &times, "at most 1.3 of the sum"]);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("\nUnder the emulated Functions host, {cores} cores, {} {}", std::env::consts::OS, std::env::consts::ARCH);
    println!("{table}");
}

fn scripted(warehouse: &Counted, folder: &tempfile::TempDir) -> Settings {
    let storage = Azurite::shared().account();
    let script = Script {
        store: Kept::Embedded { folder: folder.path().join("scripted").to_str().unwrap().to_owned() },
        storage: storage.clone(),
        warehouse: warehouse.url(),
        model_ms: u64::try_from(MODEL.as_millis()).unwrap(),
        queries: 1,
        function_timeout_ms: 300_000,
    };
    let launch = Launch {
        program: std::env::current_exe().unwrap(),
        arguments: vec!["--handler".into()],
        settings: vec![(VARIABLE.into(), serde_json::to_string(&script).unwrap())],
        root: folder.path().to_owned(),
    };
    Settings::new(FunctionApp::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR"))), launch, &storage)
}

/// The median ratio of a conversation's time to `work` and its pick-up, and the median pick-up.
async fn overhead(host: &Running, question: &str, work: Duration) -> String {
    let client = Client::builder().no_proxy().build().unwrap();
    let (mut ratios, mut waits) = (Vec::new(), Vec::new());
    for number in 0..CONVERSATIONS {
        // At another moment of the listener's pause each time.
        tokio::time::sleep(Duration::from_millis(2500 + number * 137)).await;
        let began = Instant::now();
        let asked = client.post(format!("{}/api/chat/start", host.base())).json(&json!({"question": question})).send().await.unwrap();
        let id = asked.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned();
        let accepted = Instant::now();
        let status = ended(&client, host, &id).await;
        let took = began.elapsed();
        assert_eq!(status["status"], "completed", "{status:#}");
        let delivered = host.counts().delivered.lock().unwrap().iter().find(|(text, _)| text.contains(&id)).unwrap().1;
        let waited = delivered.saturating_duration_since(accepted);
        ratios.push(took.as_secs_f64() / (work + waited).as_secs_f64());
        waits.push(waited.as_secs_f64() * 1000.0);
    }
    format!("{:.3} of the sum (pick-up {:.0} ms)", median(ratios), median(waits))
}

async fn ended(client: &Client, host: &Running, id: &str) -> Value {
    let mut after = 0;
    loop {
        let status = client.get(format!("{}/api/chat/{id}/status?wait=30&after={after}", host.base())).send().await.unwrap();
        let status: Value = status.json().await.unwrap();
        if status["status"] != "processing" {
            return status;
        }
        after = status["revision"].as_u64().unwrap();
    }
}

/// Milliseconds from SIGKILL to the answer of the next process, the host's probing every 25 ms included.
async fn restart(host: &Running) -> f64 {
    let mut times = Vec::new();
    for _ in 0..7 {
        let began = Instant::now();
        host.restart().await;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    median(times)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
