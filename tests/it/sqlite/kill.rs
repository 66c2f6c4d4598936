//! SIGKILL: what a caller was told is in the file.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use asklake::{
    queue::{Lane, Receiver, Sender, Wake},
    sqlite::Options,
    store::Store,
};

use crate::contract::{queue::read, store::asked};

const FOLDER: &str = "ASKLAKE_TEST_KILL_FOLDER";

/// Not a test by itself: the process that [`what_was_acknowledged_survives_sigkill`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (store, queue) = super::open(&PathBuf::from(folder), Options::default());
    let tasks = (0..4).map(|_| {
        let (store, queue) = (store.clone(), queue.clone());
        tokio::spawn(async move {
            // More than it lives for.
            for _ in 0..100_000 {
                let conversation = asked("q");
                store.create(&conversation).await.unwrap();
                let wake = Wake::of(&conversation);
                queue.send(&wake, Duration::ZERO).await.unwrap();
                writeln!(std::io::stdout(), "stored {}", conversation.id).unwrap();
            }
        })
    });
    futures_util::future::join_all(tasks).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::kill::victim", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = Vec::new();
    for line in lines {
        // The first line shares its beginning with the test runner's.
        if let Some((_, id)) = line.split_once("stored ") {
            acknowledged.push(id.parse().expect("an id"));
        }
        if acknowledged.len() == 200 {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    assert!(acknowledged.len() >= 200, "{} before the kill", acknowledged.len());

    let (store, queue) = super::open(folder.path(), Options::default());
    let deliveries = queue.receive(Lane::Work, u32::MAX, Duration::from_secs(60), Duration::ZERO).await.unwrap();
    let woken: Vec<_> = deliveries.iter().map(|delivery| read(delivery).conversation_id).collect();
    for id in acknowledged {
        assert!(store.load(id).await.unwrap().is_some(), "conversation {id}");
        assert!(woken.contains(&id), "wake of {id}");
    }
}
