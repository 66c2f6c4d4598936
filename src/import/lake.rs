//! The lake's folder: where new tables are written, and how they take the place of the old ones.
//!
//! New files are written to the hidden folder `.import` beside the tables, synced, and renamed only when all are there.
//! What a killed import left there is removed by the next one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::error::Error;

const STAGING: &str = ".import";

/// New tables of one schema of a lake, not yet visible. Dropping it removes every trace of those not published.
#[derive(Debug)]
pub(super) struct Staging {
    schema: PathBuf,
    dir: PathBuf,
    /// Folders that were not there before, innermost first.
    created: Vec<PathBuf>,
    /// Held until the end, so that two imports cannot mix their tables.
    lock: Option<File>,
}

impl Staging {
    /// Opens the staging folder of `lake`/`schema` for `tables`, and makes the folders above it.
    pub(super) fn open(lake: &Path, schema: &str, tables: &[&str]) -> Result<Staging, Error> {
        let schema = lake.join(schema);
        if let Some(folder) = tables.iter().map(|table| schema.join(table)).find(|folder| folder.is_dir()) {
            return Err(Error::Folder { folder });
        }
        let created = schema.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).map(Path::to_path_buf).collect();
        let mut staging = Staging { dir: schema.join(STAGING), schema, created, lock: None };
        staging.lock(lake)?;
        for table in tables {
            staging.remove_leftover(&staging.path(table))?;
        }
        Ok(staging)
    }

    fn lock(&mut self, lake: &Path) -> Result<(), Error> {
        fs::create_dir_all(&self.dir).map_err(|error| Error::write(&self.dir, error))?;
        let path = self.dir.join("lock");
        let lock = File::create(&path).map_err(|error| Error::write(&path, error))?;
        match lock.try_lock() {
            Ok(()) => self.lock = Some(lock),
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { lake: lake.to_path_buf() }),
            Err(TryLockError::Error(error)) => return Err(Error::write(&path, error)),
        }
        Ok(())
    }

    fn remove_leftover(&self, file: &Path) -> Result<(), Error> {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(file, error)),
            _ => Ok(()),
        }
    }

    /// Where the new file of a table is written.
    pub(super) fn path(&self, table: &str) -> PathBuf {
        self.dir.join(file_name(table))
    }

    /// Puts all new files, already synced, in the place of the old ones.
    pub(super) fn publish(self, tables: &[&str]) -> Result<(), Error> {
        for (moved, table) in tables.iter().enumerate() {
            let file = self.schema.join(file_name(table));
            fs::rename(self.path(table), &file).map_err(|source| match moved {
                0 => Error::write(&file, source),
                _ => Error::Publish { file, source },
            })?;
        }
        sync_folder(&self.schema).map_err(|source| Error::Publish { file: self.schema.clone(), source })
    }
}

impl Drop for Staging {
    /// Best effort: what cannot be removed now is removed by the next import.
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = fs::remove_dir_all(&self.dir);
        }
        for dir in &self.created {
            // Refused by the system, as it must be, when the import succeeded and the folder holds tables.
            let _ = fs::remove_dir(dir);
        }
    }
}

fn file_name(table: &str) -> String {
    format!("{table}.parquet")
}

/// Makes the renames durable. Only Unix opens folders as files.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
