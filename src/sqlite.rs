//! The one SQLite file of the embedded store and queue: opening, schema, one writer, several readers.
//!
//! Every write is durable when it returns, against a power cut too (`synchronous=FULL`): a client that got its 202 has been
//! promised an answer. Writes that wait at the same time share one transaction, and so one fsync.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::conversation::Timestamp;

/// Name of the file in the data folder.
pub const FILE: &str = "asklake.db";

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The version of [`SCHEMA`], kept in `user_version`.
const VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE conversations (
        id TEXT PRIMARY KEY, revision INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        owner TEXT, user_id TEXT, device_id TEXT, document TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX conversations_by_owner ON conversations (owner, created_at DESC, id DESC) WHERE owner IS NOT NULL;
    CREATE INDEX conversations_by_user ON conversations (user_id, created_at DESC, id DESC) WHERE user_id IS NOT NULL;
    CREATE INDEX conversations_by_device ON conversations (device_id, created_at DESC, id DESC) WHERE device_id IS NOT NULL;
    CREATE INDEX conversations_by_expiry ON conversations (expires_at);
    CREATE TABLE results (
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE, number INTEGER NOT NULL, rows TEXT NOT NULL,
        PRIMARY KEY (conversation_id, number)
    ) WITHOUT ROWID;
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, body TEXT NOT NULL, inserted_at INTEGER NOT NULL,
        visible_at INTEGER NOT NULL, dequeue_count INTEGER NOT NULL DEFAULT 0, receipt TEXT
    );
    CREATE INDEX messages_by_visibility ON messages (lane, visible_at, id);
    PRAGMA user_version = 1;
";

/// How long a writer of another process is waited for.
const BUSY: Duration = Duration::from_secs(10);
/// Writes that share one transaction at most.
const BATCH: usize = 64;

/// Why the database did not do as it was told.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct Error {
    path: PathBuf,
    fault: String,
}

/// Runs one write in the transaction that has begun, or hears why none could be, and hands back what tells its caller once
/// the transaction has ended.
type Write = Box<dyn FnOnce(Result<&Connection, Error>) -> Tell + Send>;
type Tell = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// The open file. Closed, its writer ended, when the last clone is dropped.
pub struct Database {
    path: PathBuf,
    clock: Clock,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    writes: mpsc::Sender<Write>,
}

impl Database {
    /// Opens the file in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When the folder or file cannot be made, read or written, or was written by a newer version.
    pub fn open(folder: &Path, clock: Clock) -> Result<Arc<Self>, Error> {
        let path = folder.join(FILE);
        let fault = |fault: String| Error { path: path.clone(), fault };
        make_folder(folder).map_err(|error| fault(format!("its folder cannot be made ({error}); choose another with --data-dir")))?;
        let writer = connect(&path, false)
            .map_err(|error| fault(format!("it cannot be opened ({error}); choose another folder with --data-dir")))?;
        migrate(&writer).map_err(&fault)?;
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let readers: Result<Vec<_>, _> = (0..cores.max(2)).map(|_| connect(&path, true).map(Mutex::new)).collect();
        let readers = readers.map_err(|error| fault(error.to_string()))?;
        let (writes, waiting) = mpsc::channel();
        let shared = path.clone();
        let thread = std::thread::Builder::new().name("sqlite-writer".into()).spawn(move || write_all(&writer, &waiting, &shared));
        thread.map_err(|error| fault(format!("its writer cannot be started: {error}")))?;
        Ok(Arc::new(Self { path, clock, readers, next_reader: AtomicUsize::new(0), writes }))
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Runs a read on the calling thread. Only for reads by key or index of a few rows: such a read takes some ten
    /// microseconds from SQLite's cache, less than handing it to another thread and back would.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let first = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        for offset in 0..self.readers.len() {
            let candidate = self.readers.get((first + offset) % self.readers.len());
            match candidate.map(Mutex::try_lock) {
                Some(Ok(reader)) => return read(&reader).map_err(|error| self.fault(&error)),
                Some(Err(TryLockError::Poisoned(reader))) => return read(&reader.into_inner()).map_err(|error| self.fault(&error)),
                Some(Err(TryLockError::WouldBlock)) | None => {}
            }
        }
        match self.readers.get(first) {
            Some(reader) => read(&reader.lock().unwrap_or_else(PoisonError::into_inner)).map_err(|error| self.fault(&error)),
            None => Err(Error { path: self.path.clone(), fault: "it has no reader".into() }),
        }
    }

    /// Runs a write on the writer's thread and returns when it is durable. A write that fails changes nothing.
    ///
    /// # Errors
    /// When SQLite fails.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        let path = self.path.clone();
        let job: Write = Box::new(move |begun| {
            let written =
                begun.and_then(|connection| in_savepoint(connection, write).map_err(|error| Error { path, fault: error.to_string() }));
            Box::new(move |committed| {
                // The caller may have gone away; what it wrote stands.
                let _ = tell.send(committed.and(written));
            })
        });
        let gone = || Error { path: self.path.clone(), fault: "its writer has ended".into() };
        self.writes.send(job).map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }

    fn fault(&self, error: &rusqlite::Error) -> Error {
        Error { path: self.path.clone(), fault: error.to_string() }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes a folder that only its owner can look into: it holds questions and rows.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn connect(path: &Path, read_only: bool) -> rusqlite::Result<Connection> {
    let access =
        if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    if !read_only {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
    }
    Ok(connection)
}

/// Creates the schema in an empty file. Two processes may do so at once: the transaction lets one go first.
fn migrate(connection: &Connection) -> Result<(), String> {
    let migrate = || -> rusqlite::Result<i64> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            connection.execute_batch(SCHEMA)?;
        }
        connection.execute_batch("COMMIT")?;
        Ok(version)
    };
    match migrate() {
        Ok(0 | VERSION) => Ok(()),
        Ok(version) => Err(format!(
            "it was written by a newer version (schema {version}, this one knows {VERSION}); update asklake or choose another --data-dir"
        )),
        Err(error) => Err(format!("its schema cannot be made: {error}")),
    }
}

fn write_all(connection: &Connection, waiting: &mpsc::Receiver<Write>, path: &Path) {
    while let Ok(first) = waiting.recv() {
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            let error = Error { path: path.to_owned(), fault: error.to_string() };
            first(Err(error))(Ok(()));
            continue;
        }
        let mut told = vec![first(Ok(connection))];
        while told.len() < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            told.push(next(Ok(connection)));
        }
        let committed = connection.execute_batch("COMMIT").map_err(|error| Error { path: path.to_owned(), fault: error.to_string() });
        if committed.is_err() && !connection.is_autocommit() {
            // The next batch must not find this one's transaction.
            let _ = connection.execute_batch("ROLLBACK");
        }
        told.into_iter().for_each(|tell| tell(committed.clone()));
    }
}

fn in_savepoint<T>(connection: &Connection, write: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    connection.execute_batch("SAVEPOINT one")?;
    match write(connection) {
        Ok(written) => connection.execute_batch("RELEASE one").map(|()| written),
        Err(error) => {
            connection.execute_batch("ROLLBACK TO one; RELEASE one")?;
            Err(error)
        }
    }
}
