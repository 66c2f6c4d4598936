//! The embedded database: one SQLite file in the data directory, shared by the store and the queue.
//!
//! Owns the file, its schema, its connections and the one thread that writes. Refuses to know what the tables mean: the statements
//! are with the adapters in `store/sqlite.rs` and `queue/sqlite.rs`.
//!
//! - Writes go through one thread (`writer`), which commits everything that is waiting in one transaction: one flush to disk serves
//!   all who waited for the one before.
//! - `synchronous=FULL`: a commit returns when the write-ahead log is on the disk, so what a caller was told survives a power cut as
//!   well as SIGKILL. `NORMAL` would survive SIGKILL only. Measured (ext4, virtual disk): 0.14 ms a commit instead of 0.02 ms, 4 ms when
//!   compilers keep the disk busy; 9,000 to 12,000 creates a second by 64 callers, because they share flushes.
//! - Reads use a pool of connections and never wait for the writer (WAL). A third kind of connection moves the log into the file.
//! - Several processes may open the same file. `SQLITE_BUSY` is waited out for [`BUSY_TIMEOUT`] and then reported.

mod error;
mod schema;
mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

pub use self::error::Error;
pub(crate) use self::writer::Writer;
use crate::conversation::Timestamp;

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "asklake.db";

/// How long a connection waits for a lock that another process holds.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells the time: the system's, or a test's.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Read connections that are kept open when nobody uses them.
const IDLE_READERS: usize = 8;

/// Prepared statements kept per connection; more than the adapters have.
const STATEMENTS: usize = 64;

/// How a [`Database`] keeps time.
#[derive(Clone)]
pub struct Options {
    /// The clock by which everything expires, is due and is leased.
    pub clock: Clock,
    /// When what has expired is removed first: early, because a process that asks a single question does not live for long.
    pub first_sweep: Duration,
    /// How often it is removed after that. What has expired is invisible before.
    pub sweep_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(Timestamp::now), first_sweep: Duration::from_secs(1), sweep_every: Duration::from_secs(60) }
    }
}

/// The open file. Clones share it; the last one to go ends the writer and closes the file.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    file: PathBuf,
    clock: Clock,
    /// Absent only while the last clone is being dropped.
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
}

impl Database {
    /// Opens `asklake.db` in `data_dir`, making the directory (mode 0700) and the file (mode 0600) if they are not there, and brings its
    /// schema up to date. Blocks: meant for start-up.
    ///
    /// # Errors
    /// The directory or file cannot be made or written; the file is damaged, another program's, or a newer asklake's; another process
    /// holds it locked.
    pub fn open(data_dir: &Path, options: Options) -> Result<Self, Error> {
        let file = data_dir.join(FILE_NAME);
        create(data_dir, &file)?;
        let connection = open_writer(&file)?;
        let checkpoints = connect(&file).map_err(|error| Error::from_sqlite(&file, &error))?;
        let (writer, thread) = writer::start(connection, checkpoints, file.clone(), options.first_sweep, options.sweep_every)?;
        Ok(Self(Arc::new(Inner {
            file,
            clock: options.clock,
            writer: Some(writer),
            thread: Some(thread),
            readers: Mutex::new(Vec::new()),
        })))
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// The present, by the clock of [`Options`].
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// Where to get the time from when the database may not be kept alive.
    pub(crate) fn clock(&self) -> Clock {
        Arc::clone(&self.0.clock)
    }

    /// The writer alone, which does not keep the database open.
    pub(crate) fn writer(&self) -> Result<Writer, Error> {
        self.0.writer.clone().ok_or_else(|| Error::stopped(&self.0.file))
    }

    /// Runs `work` in a transaction of its own or with others, and returns when it is on the disk. An `Err` of `work` undoes what it did
    /// and nothing else. It runs to its end also when the caller has gone.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, outcome) = oneshot::channel();
        self.writer()?.submit(work, answer);
        outcome.await.unwrap_or_else(|_| Err(Error::stopped(&self.0.file)))
    }

    /// Runs a point read on the calling thread: for reads of microseconds, which cost less than handing them to another thread. Measured
    /// with a document of 3.5 KB: 10 µs (half of it decoding) instead of 33 µs, and 158,000 loads a second by 64 tasks instead of 22,000.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let idle = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.0.file).map_err(|error| Error::from_sqlite(&self.0.file, &error))?,
        };
        let outcome = work(&connection).map_err(|error| Error::from_sqlite(&self.0.file, &error))?;
        let mut idle = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        Ok(outcome)
    }

    /// Runs a read of many rows or megabytes on a thread that may block.
    pub(crate) async fn read_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let database = self.clone();
        tokio::task::spawn_blocking(move || database.read(work)).await.unwrap_or_else(|_| Err(Error::stopped(self.file())))
    }

    /// Whether the writer answers and can take the write lock. Writes nothing.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        self.write(|connection| connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM conversations)")?.query_row([], |_| Ok(()))).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            // It ends by itself when the last sender is gone, after what was submitted; a panic in it has been reported to the callers.
            let _ = thread.join();
        }
    }
}

/// Makes the directory and the file with the permissions of a private file; SQLite gives its companions those of the file.
fn create(data_dir: &Path, file: &Path) -> Result<(), Error> {
    let mut directory = fs::DirBuilder::new();
    directory.recursive(true);
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        directory.mode(0o700);
        options.mode(0o600);
    }
    let make = || {
        directory.create(data_dir)?;
        let is_new = !file.try_exists()?;
        options.open(file)?.sync_all()?;
        // A new name is on the disk when its directory is.
        if is_new && cfg!(unix) { fs::File::open(data_dir)?.sync_all() } else { Ok(()) }
    };
    make().map_err(|error: io::Error| Error::DataDir { dir: data_dir.to_owned(), reason: error.to_string() })
}

/// Opens the connection that writes: the first of this process, so it also sets up the file.
fn open_writer(file: &Path) -> Result<Connection, Error> {
    let from_sqlite = |error: rusqlite::Error| Error::from_sqlite(file, &error);
    let connection = connect(file).map_err(from_sqlite)?;
    let deadline = Instant::now() + BUSY_TIMEOUT;
    // Changing to WAL needs the file alone and does not wait for it: two processes that make the file together meet here.
    while let Err(error) = use_wal(&connection) {
        if !error::is_busy(&error) || Instant::now() >= deadline {
            return Err(from_sqlite(error));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    schema::migrate(&connection, file)?;
    Ok(connection)
}

fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode == "wal" {
        return connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000;",
        );
    }
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
        Some("its file system has no shared memory for a write-ahead log; choose a folder on a local disk with --data-dir".into()),
    ))
}

fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(file)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    // Without SQLITE_OPEN_URI: a path is a path, whatever it is called. Without CREATE: `create` has made the file.
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}
