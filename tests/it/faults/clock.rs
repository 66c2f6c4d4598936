//! The wall clock steps, forward and back, under a handler that works. The library that fakes it is installed by `make tools`; the
//! monotonic clock stays as it is, as on a machine whose time is set.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    handler::{Machine, Plan},
    watch::{Watcher, patience},
};

fn library() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv-test/lib");
    let pythons = fs::read_dir(&venv).unwrap_or_else(|error| panic!("{}: {error}; run `make tools`", venv.display()));
    let inside = "site-packages/libfaketime/vendor/libfaketime/src/libfaketime.so.1";
    let found = pythons.map(|python| python.unwrap().path().join(inside)).find(|library| library.exists());
    found.unwrap_or_else(|| panic!("there is no libfaketime in {}; run `make tools`", venv.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_end_although_the_wall_clock_steps_under_them() {
    let deadline = patience();
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    fs::write(&offset, "+0").unwrap();
    let step = |text: &str| {
        // Renamed into place, so that nobody reads half of it.
        let next = folder.path().join("next");
        fs::write(&next, text).unwrap();
        fs::rename(next, &offset).unwrap();
    };
    let variables = [
        ("LD_PRELOAD", library().to_str().unwrap().to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap().to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let plan = Plan { queries: 2, model: Duration::from_millis(200), warehouse: Duration::from_millis(600), ..Plan::quick() };
    let machine = Machine::start(plan, |settings| {
        settings.launch.settings.extend(variables.map(|(name, value)| (name.to_owned(), value)));
    })
    .await;
    let watcher = Watcher::new(machine.host.base());
    let mut watched = JoinSet::new();
    let mut ids = Vec::new();
    let mut latest = String::new();
    for text in ["+0", "+20m", "-20m", "-3h", "+5m", "+0"] {
        step(text);
        for _ in 0..4 {
            let id = watcher.ask("which films?", deadline).await;
            ids.push(id);
            let watcher = watcher.clone();
            watched.spawn(async move { (text, watcher.ended(id, deadline).await) });
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    while let Some(ended) = watched.join_next().await {
        let (asked_at, ended) = ended.unwrap();
        latest = latest.max(ended["created_at"].as_str().unwrap().to_owned());
        // A step forward beyond the half hour of a turn ends it, as a longer wait does; any other step costs nothing.
        let is_past_deadline = asked_at == "-3h" && ended["error_detail"]["code"] == "deadline_exceeded";
        assert!(is_past_deadline || ended["status"] == "completed", "asked at {asked_at}: {ended:#}");
    }
    let now = time::OffsetDateTime::now_utc() + Duration::from_secs(15 * 60);
    let now = now.format(&time::format_description::well_known::Rfc3339).unwrap();
    assert!(latest > now, "the handler's clock did step: {latest}");
    let ends = machine.check(&ids).await;
    assert!(ends.completed >= ids.len() - 4, "{ends:?}");
}
