//! The emulator as a process: its address, its end, expiry and faults.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use azure_core::credentials::Secret;
use azure_data_cosmos::{
    AccountReference, CosmosClient, CosmosRuntime, RoutingStrategy,
    clients::ContainerClient,
    models::{ContainerProperties, TimeToLive},
};
use serde_json::{Value, json};

struct Emulator {
    child: Child,
    endpoint: String,
}

impl Emulator {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cosmos-emulator"))
            .args(["--listen", "127.0.0.1:0", "--end-with-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, endpoint: line.trim().to_owned() }
    }

    async fn container(&self, ttl: TimeToLive) -> ContainerClient {
        let account = AccountReference::with_authentication_key(self.endpoint.parse().unwrap(), Secret::from("YW55IGtleQ=="));
        // Not the global runtime: that ends with the test that was first.
        let runtime = CosmosRuntime::builder().build().await.unwrap();
        let client =
            CosmosClient::builder().with_runtime(runtime).build(account, RoutingStrategy::PreferredRegions(Vec::new())).await.unwrap();
        client.create_database("d", None).await.unwrap();
        let database = client.database_client("d");
        database.create_container(ContainerProperties::new("c", "/pk".into()).with_default_ttl(ttl), None).await.unwrap();
        database.container_client("c", None).await.unwrap()
    }

    fn ended(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn add(container: &ContainerClient, id: &str, ttl: Value) {
    let mut item = json!({"id": id, "pk": "p"});
    if !ttl.is_null() {
        item["ttl"] = ttl;
    }
    container.create_item("p", id, item, None).await.unwrap();
}

async fn is_there(container: &ContainerClient, id: &str) -> bool {
    match container.read_item("p", id, None).await {
        Ok(_) => true,
        Err(error) if error.status().is_not_found() => false,
        Err(error) => panic!("{error}"),
    }
}

async fn expires(container: &ContainerClient, id: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_there(container, id).await {
        assert!(Instant::now() < deadline, "{id} does not expire");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn items_expire_by_their_own_ttl() {
    let emulator = Emulator::start();
    let container = emulator.container(TimeToLive::NoDefault).await;
    add(&container, "without", Value::Null).await;
    add(&container, "never", json!(-1)).await;
    add(&container, "long", json!(1000)).await;
    add(&container, "short", json!(1)).await;
    expires(&container, "short").await;
    for id in ["without", "never", "long"] {
        assert!(is_there(&container, id).await, "{id}");
    }
}

#[tokio::test]
async fn items_expire_by_the_default_of_the_container() {
    let emulator = Emulator::start();
    let container = emulator.container(TimeToLive::Seconds(1)).await;
    add(&container, "never", json!(-1)).await;
    add(&container, "long", json!(1000)).await;
    add(&container, "default", Value::Null).await;
    expires(&container, "default").await;
    assert!(is_there(&container, "never").await && is_there(&container, "long").await);
}

#[tokio::test]
async fn nothing_expires_in_a_container_without_ttl() {
    let emulator = Emulator::start();
    let without = emulator.container(TimeToLive::Forever).await;
    add(&without, "short", json!(1)).await;
    // As long as another one needs to expire.
    let other = Emulator::start();
    let with = other.container(TimeToLive::NoDefault).await;
    add(&with, "short", json!(1)).await;
    expires(&with, "short").await;
    assert!(is_there(&without, "short").await);
}

#[test]
fn it_ends_at_sigterm_and_with_its_standard_input() {
    let mut emulator = Emulator::start();
    let killed = Command::new("kill").arg(emulator.child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(emulator.ended().success());
    let mut emulator = Emulator::start();
    drop(emulator.child.stdin.take());
    assert!(emulator.ended().success());
}
