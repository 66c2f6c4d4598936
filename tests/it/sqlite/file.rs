//! The file: made with private permissions, shared by processes, refused when it is not ours, and errors that say what to do.

use std::{fs, path::Path, sync::Barrier, thread, time::Duration};

use asklake::{
    queue::Sender,
    sqlite::{Database, Error, Options},
    store::{self, Store},
};

use super::{Fresh, TTL, count, raw};
use crate::contract::{queue::wake, store::asked};

fn refused(folder: &Path) -> Error {
    match Database::open(folder, Options::default()) {
        Ok(_) => panic!("{} was opened", folder.display()),
        Err(error) => error,
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_and_the_files_in_it_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("nested").join(".asklake");
    let (store, _queue) = super::open(&folder, Options::default());
    store.create(&asked("q")).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2, "the file and its write-ahead log: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn what_was_stored_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let conversation = asked("q");
    {
        let (store, queue) = super::open(folder.path(), Options::default());
        store.create(&conversation).await.unwrap();
        queue.send(&wake(1), Duration::ZERO).await.unwrap();
    }
    let (store, _queue) = super::open(folder.path(), Options::default());
    assert_eq!(store.load(conversation.id).await.unwrap().unwrap().conversation, conversation);
    assert_eq!(count(&raw(folder.path()), "messages"), 1);
}

#[test]
fn closing_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();
    drop(super::open(folder.path(), Options::default()));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["asklake.db"]);
}

#[test]
fn many_may_make_the_file_at_the_same_time() {
    const OPENERS: usize = 6;
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let start = Barrier::new(OPENERS);
        let open = || {
            start.wait();
            Database::open(folder.path(), Options::default()).map(|_| ())
        };
        thread::scope(|scope| {
            for opener in [(); OPENERS].map(|()| scope.spawn(open)) {
                assert_eq!(opener.join().unwrap(), Ok(()));
            }
        });
        let version: i64 = raw(folder.path()).query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 2);
    }
}

#[test]
fn a_file_of_the_first_schema_gets_what_it_lacks_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    drop(super::open(folder.path(), Options::default()));
    raw(folder.path())
        .execute_batch("DROP TABLE quotas; PRAGMA user_version = 1; INSERT INTO messages VALUES (1, 0, 0, 0, 0, 0, 'm')")
        .unwrap();
    drop(super::open(folder.path(), Options::default()));
    assert_eq!((count(&raw(folder.path()), "quotas"), count(&raw(folder.path()), "messages")), (0, 1));
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(super::open(folder.path(), Options::default()));
    raw(folder.path()).pragma_update(None, "user_version", 99).unwrap();
    let error = refused(folder.path());
    assert!(matches!(error, Error::Newer { found: 99, known: 2, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("asklake.db") && text.contains("newer asklake") && text.contains("--data-dir"), "{text}");
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    raw(folder.path()).execute_batch("CREATE TABLE theirs (x)").unwrap();
    let error = refused(folder.path());
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    assert_eq!(count(&raw(folder.path()), "sqlite_schema"), 1);
}

#[test]
fn a_file_that_is_no_database_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("asklake.db"), "not a database ".repeat(1000)).unwrap();
    let error = refused(folder.path());
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("asklake.db is damaged"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named_with_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused(&file.join("data"));
    assert!(matches!(error, Error::DataDir { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(file.join("data").to_str().unwrap()) && text.contains("--data-dir"), "{text}");
}

#[tokio::test]
async fn damage_found_later_is_unavailable_and_names_the_file() {
    let fresh = Fresh::new();
    fresh.raw().execute_batch("DROP TABLE results; DROP TABLE conversations").unwrap();
    let error = fresh.store.create(&asked("q")).await.unwrap_err();
    assert!(matches!(&error, store::Error::Unavailable(reason) if reason.contains("asklake.db")), "{error:?}");
    assert!(fresh.store.probe().await.is_err());
}

#[tokio::test]
async fn a_lock_of_another_process_is_waited_for() {
    let fresh = Fresh::new();
    let raw = fresh.raw();
    raw.execute_batch("BEGIN IMMEDIATE").unwrap();
    let conversation = asked("q");
    let mut creating = Box::pin(fresh.store.create(&conversation));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut creating).await;
    assert!(early.is_err(), "created although another one has the lock: {early:?}");
    assert_eq!(fresh.store.load(conversation.id).await.unwrap(), None, "a read needs no lock");
    raw.execute_batch("COMMIT").unwrap();
    creating.await.expect("created once the lock is free");
    assert!(fresh.store.load(conversation.id).await.unwrap().is_some());
    fresh.clock.advance(TTL);
}
