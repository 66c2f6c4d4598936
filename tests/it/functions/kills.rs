//! SIGKILL of the program itself. Flight SQL has no idempotency key and a run there does not outlive its client, so what was running is
//! launched again, a bounded number of times; the strict form, with a warehouse that honours tokens, stands in `faults/kills.rs`.

use std::time::{Duration, Instant};

use asklake::{
    conversation::{Budgets, ConversationId, Stage},
    sqlite::{Database, Options},
    store::{Store as _, sqlite::SqliteStore},
};

use super::{LONG, Product, QUESTION};
use crate::{faults::watch::Watcher, support::seeded::Seeded};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_survives_the_end_of_the_process_that_worked_on_it() {
    let product = Product::start_with(Duration::from_secs(3), |_| {}).await;
    let id = product.ask(QUESTION).await;
    let began = Instant::now();
    while product.warehouse.counts().is_empty() {
        assert!(began.elapsed() < LONG, "no query was launched");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    product.host.restart().await;
    let status = product.ended(&id).await;
    assert_eq!(status["status"], "completed", "{status:#}");
    product.host.restart().await;
    assert_eq!(product.ended(&id).await["final_answer"], status["final_answer"]);
    assert_eq!(product.warehouse.counts().values().copied().collect::<Vec<_>>(), [2], "lost with the process, and launched again once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_random_moments_cost_no_conversation_and_launch_a_bounded_number_of_times() {
    let deadline = Instant::now() + Duration::from_secs(240);
    let product = Product::start_with(Duration::from_millis(400), |_| {}).await;
    let watcher = Watcher::new(product.host.base());
    let mut chance = Seeded::new();
    let mut watched = tokio::task::JoinSet::new();
    let mut ids: Vec<ConversationId> = Vec::new();
    // A question of its own for each, so that statements can be told apart.
    for year in 1921..1981 {
        let id = watcher.ask(&format!("How many films came out in {year}?"), deadline).await;
        ids.push(id);
        let watcher = watcher.clone();
        watched.spawn(async move { watcher.ended(id, deadline).await });
        if year % 6 == 0 {
            tokio::time::sleep(chance.milliseconds(20..800)).await;
            product.host.kill().await;
        }
    }
    while let Some(ended) = watched.join_next().await {
        let ended = ended.unwrap();
        assert_eq!(ended["status"], "completed", "{ended:#}");
    }
    let counts = product.warehouse.counts();
    let most = counts.values().max().copied().unwrap();
    println!(
        "{} statements for {} conversations, launched {} times, one of them {most} times",
        counts.len(),
        ids.len(),
        counts.values().sum::<usize>()
    );
    assert_eq!(counts.len(), ids.len(), "one statement for each");
    assert!(most <= usize::try_from(Budgets::default().relaunches).unwrap() + 1, "{most}");
    let store = SqliteStore::new(Database::open(product.data(), Options::default()).unwrap(), Duration::from_secs(86_400)).unwrap();
    for id in ids {
        assert_eq!(store.load(id).await.unwrap().unwrap().conversation.stage, Stage::Completed);
    }
}
