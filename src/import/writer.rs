//! Writing the rows of one table as a Parquet file, in bounded memory.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::error::{Error, Fault};
use super::table::{Rows, Table};

/// Rows, or bytes of text, handed to the encoder at once.
const BATCH_ROWS: usize = 1 << 14;
const BATCH_BYTES: usize = 16 << 20;
/// A row group ends with this many rows or bytes, whichever is first. Engines read row groups side by side and skip them
/// by their statistics; the encoder holds one in memory.
const GROUP_ROWS: usize = 1 << 20;
const GROUP_BYTES: usize = 64 << 20;

/// A Parquet file being written.
pub(super) struct Writer {
    path: PathBuf,
    rows: Rows,
    parquet: ArrowWriter<File>,
}

impl Writer {
    pub(super) fn create(path: &Path, table: &Table) -> Result<Writer, Error> {
        let zstd = ZstdLevel::try_new(3).map_err(|error| Error::write(path, error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build();
        let file = File::create(path).map_err(|error| Error::write(path, error))?;
        let parquet = ArrowWriter::try_new(file, table.schema(), Some(properties)).map_err(|error| Error::write(path, error))?;
        Ok(Writer { path: path.to_path_buf(), rows: Rows::new(table), parquet })
    }

    /// Adds a row; see [`Rows::push`].
    pub(super) fn push<'a>(&mut self, field: impl Fn(usize) -> &'a str) -> Result<(), Fault> {
        self.rows.push(field)
    }

    /// Encodes the rows at hand when they are a batch.
    pub(super) fn flush_when_full(&mut self) -> Result<(), Error> {
        if self.rows.len() < BATCH_ROWS && self.rows.bytes() < BATCH_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let batch = self.rows.take().map_err(|error| Error::write(&self.path, error))?;
        self.parquet.write(&batch).map_err(|error| Error::write(&self.path, error))
    }

    /// Completes the file and has it on the disk.
    pub(super) fn close(mut self) -> Result<(), Error> {
        self.flush()?;
        let Writer { path, parquet, .. } = self;
        let file = parquet.into_inner().map_err(|error| Error::write(&path, error))?;
        file.sync_all().map_err(|error| Error::write(&path, error))
    }
}
