//! Cosmos DB throttles, is unavailable, does not answer, loses answers, refuses commits and shows old states; and two instances of the
//! Function App work on one container.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    handler::{Ends, Machine, Plan},
    watch::{Watcher, ask_and_watch, patience},
};
use crate::support::{cosmos::Emulator, host::reply::Verdict, seeded::Seeded};

/// Has `fault` met `times` times while 20 conversations run, each `pause` after the one before. Faults that go on for ever are nothing
/// to come through.
async fn all_end_under(fault: Value, times: u32, pause: Duration) -> Ends {
    let cosmos = Emulator::start();
    let plan = Plan { queries: 2, warehouse: Duration::from_millis(500), cosmos: Some(&cosmos), ..Plan::quick() };
    let machine = Machine::start(plan, |_| {}).await;
    // The first operation makes the container, which is no part of a deployed app's work.
    let first = ask_and_watch(machine.host.base(), 1, "which films?", patience()).await;
    let watched = tokio::spawn(ask_and_watch(machine.host.base(), 20, "which films?", patience()));
    for _ in 0..times {
        tokio::time::sleep(pause).await;
        cosmos.order(fault.clone()).await;
    }
    let ids = watched.await.unwrap();
    reqwest::Client::new().delete(format!("{}_faults", cosmos.endpoint())).send().await.unwrap();
    let failures = machine.host.counts().failures.get();
    let ends = machine.check(&[first, ids].concat()).await;
    println!("{fault}: {ends:?}, {failures} failed invocations");
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_costs_time_and_no_answer() {
    let ends = all_end_under(json!({"kind": "429", "count": 40, "retry_after_ms": 200}), 4, Duration::from_millis(500)).await;
    assert_eq!(ends, Ends { completed: 21, failed: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_without_the_store_cost_no_conversation() {
    let ends = all_end_under(json!({"kind": "503", "duration_ms": 1500}), 2, Duration::from_secs(2)).await;
    assert!(ends.completed >= 19, "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_never_answered_cost_no_conversation() {
    let ends = all_end_under(json!({"kind": "timeout", "count": 2}), 4, Duration::from_millis(400)).await;
    assert!(ends.completed >= 19, "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_and_refused_commits_and_stale_reads_give_one_answer_and_one_launch_per_decision() {
    for (kind, count) in [("lost", 3), ("412", 3), ("stale", 1)] {
        let ends = all_end_under(json!({"kind": kind, "count": count}), 8, Duration::from_millis(200)).await;
        assert!(ends.completed >= 19, "{kind}: {ends:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_message_is_tried_again_within_its_invocation() {
    let deadline = patience();
    let cosmos = Emulator::start();
    let plan = Plan { warehouse: Duration::from_secs(600), cosmos: Some(&cosmos), ..Plan::quick() };
    let machine = Machine::start(plan, |_| {}).await;
    let watcher = Watcher::new(machine.host.base());
    let id = watcher.ask("which films?", deadline).await;
    let revision = watcher.until(id, "executing", deadline).await["revision"].clone();
    cosmos.order(json!({"kind": "412", "count": 2})).await;
    let wake = json!({"conversation_id": id, "revision": revision}).to_string();
    assert_eq!(machine.host.invoke("poison", &wake, 1).await, Verdict::Success);
    assert_eq!(watcher.ended(id, deadline).await["error_detail"]["code"], "abandoned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_are_killed_by_turns_share_the_work() {
    let deadline = patience();
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
