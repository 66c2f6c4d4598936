//! The queue is away for a while.

use std::time::Duration;

use asklake::conversation::ConversationId;
use tokio::task::JoinSet;

use super::{
    handler::{Machine, Plan},
    watch::{Watcher, patience},
};
use crate::support::{azurite::Azurite, host::Settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_end_although_azurite_was_stopped_in_their_midst() {
    let deadline = patience();
    let azurite = Azurite::start();
    let change = |settings: &mut Settings| {
        // A message whose outcome the queue never heard of waits for the end of its lease, which is ten minutes on Azure.
        settings.lease = Duration::from_secs(8);
        // An invocation has about two seconds then, so that no conversation gets by with one message.
        settings.app.function_timeout = Duration::from_secs(12);
    };
    let plan = Plan { model: Duration::from_millis(300), warehouse: Duration::from_secs(5), azurite: &azurite, ..Plan::quick() };
    let machine = Machine::start(plan, change).await;
    let watcher = Watcher::new(machine.host.base());
    let mut ids: Vec<ConversationId> = Vec::new();
    let mut watched = JoinSet::new();
    for pause in [Duration::from_millis(500), Duration::from_secs(3)] {
        for _ in 0..30 {
            let id = watcher.ask("which films?", deadline).await;
            ids.push(id);
            let watcher = watcher.clone();
            watched.spawn(async move { watcher.ended(id, deadline).await });
        }
        azurite.stop();
        // Whoever asks now is refused or waits, and is not forgotten once accepted.
        let asking = tokio::spawn({
            let watcher = watcher.clone();
            async move { watcher.ask("which films?", deadline).await }
        });
        tokio::time::sleep(pause).await;
        azurite.resume();
        ids.push(asking.await.unwrap());
    }
    while let Some(ended) = watched.join_next().await {
        ended.unwrap();
    }
    watcher.ended(ids[30], deadline).await;
    watcher.ended(ids[61], deadline).await;
    let (all, failures) = (ids.len(), machine.host.counts().failures.get());
    let ends = machine.check(&ids).await;
    println!("{all} conversations, {failures} failed invocations: {ends:?}");
    // Only the two that were asked without a queue may have been withdrawn.
    assert!(ends.completed >= all - 2, "{ends:?}");
}
