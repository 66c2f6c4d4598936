//! Messages that come twice at once, that are no wakes, that kill, and work that takes longer than `functionTimeout`.

use std::time::Duration;

use super::{
    handler::{Ends, Machine, Plan},
    watch::{Watcher, ask_and_watch, patience},
};
use crate::support::{
    handler::DEADLY,
    host::{Settings, reply::Verdict},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_all_delivered_twice_at_once_give_one_answer_and_one_launch_per_decision() {
    let machine = Machine::start(Plan { queries: 2, ..Plan::quick() }, |settings| settings.twice = true).await;
    let ids = ask_and_watch(machine.host.base(), 40, "which films?", patience()).await;
    machine.host.wait_idle(Duration::from_secs(300)).await;
    assert_eq!(machine.check(&ids).await, Ends { completed: 40, failed: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_no_wake_is_dropped_and_nothing_else_is_held_up() {
    let machine = Machine::start(Plan::quick(), |_| {}).await;
    for text in ["", "hello!!", "null", "{}", r#"{"conversation_id":"x","revision":1}"#, r#"{"Id":"1","DequeueCount":"many"}"#, "[1]"] {
        machine.host.storage().send(asklake::queue::NAME, text).await.unwrap();
        assert_eq!(machine.host.invoke("poison", text, 1).await, Verdict::Success, "{text:?}");
    }
    let ids = ask_and_watch(machine.host.base(), 5, "which films?", patience()).await;
    machine.host.wait_idle(Duration::from_secs(300)).await;
    assert_eq!((machine.host.counts().failures.get(), machine.host.counts().poisoned.get()), (0, 0));
    assert_eq!(machine.check(&ids).await, Ends { completed: 5, failed: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_kills_every_worker_is_poisoned_and_its_conversation_ends_with_an_error() {
    let change = |settings: &mut Settings| settings.app.queues.visibility_timeout = Duration::ZERO;
    let machine = Machine::start(Plan::quick(), change).await;
    let watcher = Watcher::new(machine.host.base());
    let id = watcher.ask(&format!("a {DEADLY} question"), patience()).await;
    let status = watcher.ended(id, patience()).await;
    assert_eq!((status["status"].as_str(), status["error_detail"]["code"].as_str()), (Some("error"), Some("abandoned")), "{status:#}");
    machine.host.wait_idle(Duration::from_secs(300)).await;
    assert_eq!(machine.host.counts().poisoned.get(), 1);
    assert_eq!(machine.host.counts().killed.lock().unwrap().len(), 5);
    assert_eq!(machine.check(&[id]).await, Ends { completed: 0, failed: 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_far_longer_than_the_function_timeout_neither_hangs_nor_has_the_process_killed() {
    // Longer than the long polls of the clients, which it ends as well.
    let change = |settings: &mut Settings| settings.app.function_timeout = Duration::from_secs(12);
    let machine = Machine::start(Plan { warehouse: Duration::from_secs(20), ..Plan::quick() }, change).await;
    let ids = ask_and_watch(machine.host.base(), 10, "which films?", patience()).await;
    machine.host.wait_idle(Duration::from_secs(300)).await;
    let counts = machine.host.counts();
    assert_eq!((counts.timeouts.get(), counts.hangs.get(), counts.killed.lock().unwrap().len()), (0, 0, 0));
    assert_eq!(machine.check(&ids).await, Ends { completed: 10, failed: 0 });
}
