//! Queue messages as the host brings them to the program.

use std::time::Duration;

use asklake::queue;

use super::{LONG, Product, QUESTION};
use crate::support::host::{Level, Settings, envelope::Encoding, reply::Verdict};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_write_an_envelope_is_understood() {
    for encoding in [Encoding::Double, Encoding::Single, Encoding::Object] {
        let product = Product::start(|settings| settings.encoding = encoding).await;
        let id = product.ask(QUESTION).await;
        assert_eq!(product.ended(&id).await["status"], "completed", "{encoding:?}");
        product.host.wait_idle(LONG).await;
        assert_eq!(product.host.counts().failures.get(), 0, "{encoding:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_wake_is_dropped_with_a_log_line_and_never_hangs() {
    let product = Product::start(|_| {}).await;
    let texts = ["", "hello!!", "null", "{}", "[]", "1", r#"{"conversation_id":"x","revision":1}"#, r#"{"DequeueCount":{"a":1},"Id":2}"#];
    for text in texts {
        for function in ["worker", "poison"] {
            assert_eq!(product.host.invoke(function, text, 1).await, Verdict::Success, "{function} {text:?}");
        }
        product.host.storage().send(queue::NAME, text).await.unwrap();
    }
    product.host.wait_idle(LONG).await;
    let counts = product.host.counts();
    assert_eq!((counts.failures.get(), counts.hangs.get(), counts.timeouts.get(), counts.poisoned.get()), (0, 0, 0, 0));
    let dropped = product.host.logs().iter().filter(|(_, line)| line.contains("not a wake")).count();
    assert!(dropped >= texts.len() * 3, "{dropped} lines");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_of_a_conversation_that_is_gone_is_given_up_after_some_deliveries() {
    let product = Product::start(|_| {}).await;
    let wake = r#"{"conversation_id":"0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b","revision":1}"#;
    product.host.storage().send(queue::NAME, wake).await.unwrap();
    product.host.wait_idle(LONG).await;
    let counts = product.host.counts();
    assert_eq!((counts.failures.get(), counts.successes.get(), counts.poisoned.get()), (2, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_longer_than_the_function_timeout_ends_without_a_timeout() {
    // The program reads functionTimeout from host.json, so this one is another root.
    let root = tempfile::tempdir().unwrap();
    let host = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/host.json")).unwrap();
    std::fs::write(root.path().join("host.json"), host.replace("00:05:00", "00:00:12")).unwrap();
    let change = |settings: &mut Settings| {
        settings.launch.root = root.path().to_owned();
        settings.app.function_timeout = Duration::from_secs(12);
    };
    let product = Product::start_with(Duration::from_secs(20), change).await;
    let id = product.ask(QUESTION).await;
    assert_eq!(product.ended(&id).await["status"], "completed");
    product.host.wait_idle(LONG).await;
    let counts = product.host.counts();
    assert_eq!((counts.failures.get(), counts.timeouts.get(), counts.hangs.get()), (0, 0, 0));
    assert!(counts.invocations.get() > 2, "one invocation cannot last that long: {counts:?}");
    assert_eq!(product.warehouse.counts().values().copied().collect::<Vec<_>>(), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_is_json_on_standard_output_and_has_no_secret() {
    let product = Product::start(|_| {}).await;
    let id = product.ask(QUESTION).await;
    product.ended(&id).await;
    product.host.wait_idle(LONG).await;
    let logs = product.host.logs();
    assert!(!logs.is_empty());
    for (level, line) in logs {
        assert_eq!(level, Level::Information, "{line}");
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|line| line.is_object()), "{line}");
        assert!(!line.contains("AccountKey") && !line.contains(crate::support::azurite::KEY), "{line}");
    }
}
