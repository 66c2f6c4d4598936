//! Queue messages through the emulator: lease, redelivery, poison, timeouts.

use std::time::Duration;

use serde_json::Value;

use super::toy::{Toy, invocations};
use crate::support::host::reply::Verdict;

const SOON: Duration = Duration::from_secs(300);

/// The function and the dequeue count of every invocation.
fn deliveries(invocations: &[Value]) -> Vec<(String, String)> {
    let envelope = |seen: &Value| serde_json::from_str::<Value>(seen["body"].as_str().unwrap()).unwrap();
    let count = |seen: &Value| envelope(seen)["Metadata"]["DequeueCount"].as_str().unwrap().to_owned();
    invocations.iter().map(|seen| (seen["uri"].as_str().unwrap().to_owned(), count(seen))).collect()
}

#[tokio::test]
async fn a_message_is_posted_in_chunks_and_deleted_when_it_is_done() {
    let (host, _folder) = Toy::new().start().await;
    host.storage().send("orders", "well").await.unwrap();
    host.wait_idle(SOON).await;
    let invocations = invocations(&host);
    assert_eq!(deliveries(&invocations), [("/work".into(), "1".into())]);
    let headers = &invocations[0]["headers"];
    assert_eq!((headers["transfer-encoding"].as_str(), headers.get("content-length")), (Some("chunked"), None));
    assert!(headers["content-type"].as_str().unwrap().starts_with("application/json"));
    assert_eq!(host.counts().successes.get(), 1);
}

#[tokio::test]
async fn a_message_that_fails_comes_again_until_it_is_poisoned_and_stays_there_when_it_fails_again() {
    let (host, _folder) = Toy::new().start().await;
    host.storage().send("orders", "fail").await.unwrap();
    let began = std::time::Instant::now();
    while host.counts().failures.get() < 6 {
        assert!(began.elapsed() < SOON, "{:?}", host.counts());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let deliveries = deliveries(&invocations(&host));
    let work = |count: &str| ("/work".to_owned(), count.to_owned());
    assert_eq!(deliveries[..5], ["1", "2", "3", "4", "5"].map(work));
    assert_eq!(deliveries[5..], [("/poison".to_owned(), "1".to_owned())]);
    assert_eq!(host.counts().poisoned.get(), 1);
    assert_eq!(host.storage().count("orders").await.unwrap(), 0);
    assert_eq!(host.storage().count("orders-poison").await.unwrap(), 1, "invisible until its lease ends");
}

#[tokio::test]
async fn what_is_not_base64_is_poisoned_undelivered() {
    let (host, _folder) = Toy::new().start().await;
    host.storage().send_as_is("orders", "not base64").await.unwrap();
    host.wait_for_poison(SOON).await;
    assert_eq!(deliveries(&invocations(&host)), []);
}

#[tokio::test]
async fn twenty_four_are_worked_on_at_once_and_no_more() {
    let (host, _folder) = Toy::new().start().await;
    for _ in 0..60 {
        host.storage().send("orders", "sleep 300").await.unwrap();
    }
    host.wait_idle(SOON).await;
    assert_eq!(host.counts().successes.get(), 60);
    let most = host.counts().most_running.load(std::sync::atomic::Ordering::SeqCst);
    assert!((2..=24).contains(&most), "{most} at once");
}

#[tokio::test]
async fn a_lease_is_renewed_for_as_long_as_the_work_takes() {
    let (host, _folder) = Toy::new().with(|settings| settings.lease = Duration::from_secs(2)).start().await;
    host.storage().send("orders", "sleep 5000").await.unwrap();
    host.wait_idle(SOON).await;
    assert_eq!(deliveries(&invocations(&host)), [("/work".into(), "1".into())]);
}

#[tokio::test]
async fn an_empty_reply_hangs_until_the_timeout_and_then_every_invocation_dies() {
    let (host, _folder) = Toy::new().with(|settings| settings.app.function_timeout = Duration::from_secs(3)).start().await;
    let first = host.live().await;
    let (empty, other) = tokio::join!(host.invoke("work", "empty", 1), async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        host.invoke("work", "sleep 60000", 1).await
    });
    assert_eq!(empty, Verdict::Failure("functionTimeout: the process was killed".into()));
    assert!(matches!(&other, Verdict::Failure(error) if error.contains("broke the connection")), "{other:?}");
    assert_eq!((host.counts().hangs.get(), host.counts().timeouts.get()), (1, 1));
    assert_eq!(host.live().await.generation, first.generation + 1);
}

#[tokio::test]
async fn work_beyond_the_timeout_has_the_process_killed() {
    let (host, _folder) = Toy::new().with(|settings| settings.app.function_timeout = Duration::from_secs(3)).start().await;
    let verdict = host.invoke("work", "sleep 60000", 1).await;
    assert_eq!(verdict, Verdict::Failure("functionTimeout: the process was killed".into()));
    host.wait_for_life(2, SOON).await;
    assert_eq!(host.invoke("work", "well", 1).await, Verdict::Success, "the next process works");
}

#[tokio::test]
async fn a_death_is_a_failure_and_the_message_comes_again() {
    let (host, _folder) = Toy::new().start().await;
    host.storage().send("orders", "die").await.unwrap();
    host.wait_for_poison(SOON).await;
    let work = deliveries(&invocations(&host)).iter().filter(|(function, _)| function == "/work").count();
    assert_eq!(work, 5);
}

#[tokio::test]
async fn an_exit_with_0_leaves_a_dead_handler_behind() {
    let (host, _folder) = Toy::new().start().await;
    let mut verdict = host.invoke("work", "quit", 1).await;
    assert!(matches!(verdict, Verdict::Failure(_)), "{verdict:?}");
    let began = std::time::Instant::now();
    while !matches!(&verdict, Verdict::Failure(error) if error.contains("exit code 0")) {
        assert!(began.elapsed() < SOON, "{verdict:?}");
        verdict = host.invoke("work", "well", 1).await;
    }
}
