//! The embedded ports over a folder of their own.

use std::{sync::Arc, time::Duration};

use asklake::{
    limit::{Ledger, sqlite::SqliteLedger},
    queue::{Receiver, Sender, sqlite::SqliteQueue},
    sql::{Catalog, Lake},
    sqlite::{Database, Options},
    store::{Store, sqlite::SqliteStore},
};
use tempfile::TempDir;

/// Store, queue and ledger in a temporary folder.
pub struct Embedded {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The sending side of the queue.
    pub sender: Arc<dyn Sender>,
    /// The receiving side of the queue.
    pub receiver: Arc<dyn Receiver>,
    /// The ledger of quotas.
    pub ledger: Arc<dyn Ledger>,
    _folder: TempDir,
}

impl Embedded {
    /// Opens them in a new folder.
    pub fn open() -> Self {
        // Where there is a folder in memory, the many worlds of the crash matrix need not wait for a disk.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let database = Database::open(folder.path(), Options::default()).unwrap();
        let queue = Arc::new(SqliteQueue::new(database.clone()).unwrap());
        let ledger = Arc::new(SqliteLedger::new(database.clone()).unwrap());
        let store = Arc::new(SqliteStore::new(database, Duration::from_secs(3600)).unwrap());
        Self { store, sender: Arc::clone(&queue) as _, receiver: queue, ledger, _folder: folder }
    }
}

/// The tables and views of the catalog in the binary.
pub const TABLES: [&str; 6] = [
    "imdb.movies_delta",
    "imdb.ratings_delta",
    "imdb.persons_delta",
    "imdb.principals_delta",
    "imdb.movies_with_ratings",
    "imdb.movie_cast",
];

/// The lake of the catalog in the binary.
pub fn lake() -> Lake {
    Lake::new(Arc::new(Catalog::embedded().unwrap()), 1000)
}
