//! The embedded store and queue: the contracts, and what only they promise (one file, several processes, SIGKILL).

mod file;
mod kill;
mod model;
mod queue;
mod store;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use asklake::{
    conversation::Timestamp,
    queue::sqlite::SqliteQueue,
    sqlite::{Database, Options},
    store::sqlite::SqliteStore,
};
use tempfile::TempDir;

const TTL: Duration = Duration::from_secs(60);

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(1_795_000_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Without a sweep during the test: what has expired has to be invisible before.
    fn options(&self) -> Options {
        let (clock, never) = (self.clone(), Duration::from_secs(3600));
        Options { clock: Arc::new(move || clock.now()), first_sweep: never, sweep_every: never }
    }
}

/// A store and a queue in a folder of their own, with a clock that stands still.
struct Fresh {
    folder: TempDir,
    clock: Clock,
    store: SqliteStore,
    queue: SqliteQueue,
}

impl Fresh {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let (store, queue) = open(folder.path(), clock.options());
        Self { folder, clock, store, queue }
    }

    /// Another handle on the same file: as another process has it.
    fn again(&self) -> (SqliteStore, SqliteQueue) {
        open(self.folder.path(), self.clock.options())
    }

    /// A connection past the adapters.
    fn raw(&self) -> rusqlite::Connection {
        raw(self.folder.path())
    }
}

fn open(folder: &Path, options: Options) -> (SqliteStore, SqliteQueue) {
    let database = Database::open(folder, options).unwrap();
    (SqliteStore::new(database.clone(), TTL).unwrap(), SqliteQueue::new(database).unwrap())
}

fn raw(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("asklake.db")).unwrap()
}

fn count(connection: &rusqlite::Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}
