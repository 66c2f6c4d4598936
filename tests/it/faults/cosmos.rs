//! Cosmos DB throttles, is unavailable, does not answer, loses answers, refuses commits and shows old states; and two instances of the
//! Function App work on one container.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    handler::{Ends, Machine, Plan},
    watch::{Watcher, ask_and_watch},
};
use crate::support::{cosmos::Emulator, seeded::Seeded};

fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// Has `fault` met while 20 conversations run, after every `pause` until all have ended.
async fn all_end_under(fault: Value, pause: Duration) -> Ends {
    let cosmos = Emulator::start();
    let plan = Plan { queries: 2, warehouse: Duration::from_millis(500), cosmos: Some(&cosmos), ..Plan::quick() };
    let machine = Machine::start(plan, |_| {}).await;
    // The first operation makes the container, which is no part of a deployed app's work.
    let first = ask_and_watch(machine.host.base(), 1, "which films?", within(60)).await;
    let mut watched = tokio::spawn(ask_and_watch(machine.host.base(), 20, "which films?", within(150)));
    let ids = loop {
        tokio::select! {
            ids = &mut watched => break ids.unwrap(),
            () = tokio::time::sleep(pause) => cosmos.order(fault.clone()).await,
        }
    };
    let failures = machine.host.counts().failures.get();
    reqwest::Client::new().delete(format!("{}_faults", cosmos.endpoint())).send().await.unwrap();
    let ends = machine.check(&[first, ids].concat()).await;
    println!("{fault}: {ends:?}, {failures} failed invocations");
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_costs_time_and_no_answer() {
    let ends = all_end_under(json!({"kind": "429", "count": 30, "retry_after_ms": 200}), Duration::from_secs(1)).await;
    assert_eq!(ends, Ends { completed: 21, failed: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_without_the_store_cost_no_conversation() {
    let ends = all_end_under(json!({"kind": "503", "duration_ms": 1500}), Duration::from_secs(6)).await;
    assert!(ends.completed >= 19, "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_never_answered_cost_no_conversation() {
    let ends = all_end_under(json!({"kind": "timeout", "count": 2}), Duration::from_secs(5)).await;
    assert!(ends.completed >= 19, "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_and_refused_commits_and_stale_reads_give_one_answer_and_one_launch_per_decision() {
    for kind in ["lost", "412", "stale"] {
        let ends = all_end_under(json!({"kind": kind, "count": 3, "duration_ms": 300}), Duration::from_millis(600)).await;
        assert!(ends.completed >= 19, "{kind}: {ends:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_are_killed_by_turns_share_the_work() {
    let deadline = within(150);
    let plan = Plan { warehouse: Duration::from_millis(400), cosmos: Some(Emulator::shared()), ..Plan::quick() };
    let machine = Machine::start(plan, |_| {}).await;
    let second = machine.scale_out().await;
    let mut chance = Seeded::new();
    let (mut ids, mut watched) = (Vec::new(), JoinSet::new());
    for round in 0..12 {
        for number in 0..6 {
            // One instance is asked, and either of them is watched.
            let host = if number % 2 == 0 { &machine.host } else { &second };
            let id = Watcher::new(host.base()).ask("which films?", deadline).await;
            ids.push(id);
            let watcher = Watcher::new(machine.host.base());
            watched.spawn(async move { watcher.ended(id, deadline).await });
        }
        tokio::time::sleep(chance.milliseconds(20..600)).await;
        if round % 2 == 0 { machine.host.kill().await } else { second.kill().await }
    }
    while let Some(ended) = watched.join_next().await {
        ended.unwrap();
    }
    let shares = (machine.host.counts().successes.get(), second.counts().successes.get());
    drop(second);
    let ends = machine.check(&ids).await;
    println!("{ends:?}; invocations that succeeded: {shares:?}");
    assert!(shares.0 > 0 && shares.1 > 0);
    assert_eq!(ends, Ends { completed: 72, failed: 0 });
}
