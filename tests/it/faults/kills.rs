//! SIGKILL at any moment.

use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use asklake::{conversation::ConversationId, queue::Wake};
use tokio::task::JoinSet;

use super::{
    handler::{Machine, Plan},
    watch::{Watcher, patience},
};
use crate::support::{host::Running, seeded::Seeded};

/// Conversations that must each have had a worker killed.
const KILLED: usize = 200;
/// Conversations that are under way at once: more than the host's 24, so that it always has as many as it takes.
const AT_ONCE: usize = 60;

/// Conversations whose invocation died with its process.
fn killed(host: &Running) -> BTreeSet<ConversationId> {
    let texts = host.counts().killed.lock().unwrap();
    texts.iter().map(|text| serde_json::from_str::<Wake>(text).unwrap().conversation_id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_at_a_random_moment_in_each_of_200_conversations_costs_no_answer_and_no_second_launch() {
    let deadline = patience();
    let plan = Plan { model: Duration::from_millis(120), warehouse: Duration::from_millis(1500), ..Plan::quick() };
    let machine = Machine::start(plan, |_| {}).await;
    let watcher = Watcher::new(machine.host.base());
    let asked = Mutex::new(Vec::new());
    let mut chance = Seeded::new();
    let mut watched = JoinSet::new();
    let mut kills = 0;
    while killed(&machine.host).len() < KILLED {
        assert!(Instant::now() < deadline, "{} conversations had a kill, {:?}", killed(&machine.host).len(), machine.host.counts());
        while watched.len() < AT_ONCE {
            let watcher = watcher.clone();
            let id = watcher.ask("which films?", deadline).await;
            asked.lock().unwrap().push(id);
            watched.spawn(async move { watcher.ended(id, deadline).await });
        }
        tokio::time::sleep(chance.milliseconds(300..2000)).await;
        machine.host.restart().await;
        kills += 1;
        while let Some(ended) = watched.try_join_next() {
            ended.unwrap();
        }
    }
    while let Some(ended) = watched.join_next().await {
        ended.unwrap();
    }
    let asked = asked.into_inner().unwrap();
    let killed = killed(&machine.host).len();
    let most = machine.warehouse.started().values().map(|started| started.asked).max();
    let ends = machine.check(&asked).await;
    println!("{kills} kills in {killed} of {} conversations: {ends:?}; a launch was asked for at most {most:?} times", asked.len());
    assert!(ends.completed > 0);
}
