//! What can go wrong with the file, in words that name it and say what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::BUSY_TIMEOUT;

/// Why the embedded database failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The directory or the file in it cannot be made or written.
    #[error("the data directory {} cannot be written: {reason}. Choose another one with --data-dir", dir.display())]
    DataDir {
        /// The directory.
        dir: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The file has a schema this program does not know.
    #[error(
        "{} was written by a newer asklake: its schema is number {found}, this program knows {known}. Update asklake, or choose another \
         folder with --data-dir", file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Number of its schema.
        found: i64,
        /// Number of the newest schema this program knows.
        known: i64,
    },
    /// The file is a database, but not ours.
    #[error("{} is a database of another program. Choose another folder with --data-dir", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The file is damaged or no database.
    #[error(
        "{} is damaged ({reason}). Restore it from a copy, or move it away with its -wal and -shm files to start empty", file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// No space is left for the file.
    #[error("the disk of {} is full. Free some space, or choose another folder with --data-dir", file.display())]
    Full {
        /// The file.
        file: PathBuf,
    },
    /// Another process holds the lock for longer than [`BUSY_TIMEOUT`].
    #[error("{} has been locked by another process for {} s", file.display(), BUSY_TIMEOUT.as_secs())]
    Busy {
        /// The file.
        file: PathBuf,
    },
    /// The file may be read only.
    #[error("{} cannot be written ({reason}). Give it write permission, or choose another folder with --data-dir", file.display())]
    ReadOnly {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// Anything else SQLite reports.
    #[error("{}: {reason}", file.display())]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
}

impl Error {
    /// The error that SQLite reports about `file`.
    pub(super) fn from_sqlite(file: &Path, error: &rusqlite::Error) -> Self {
        let file = file.to_owned();
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { file },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { file },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { file, reason },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { file, reason },
            _ => Self::Sqlite { file, reason },
        }
    }

    /// The thread that does the work is gone.
    pub(super) fn stopped(file: &Path) -> Self {
        Self::Sqlite { file: file.to_owned(), reason: "its connection has ended; restart asklake".into() }
    }
}

/// Whether another try may find the lock free.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
