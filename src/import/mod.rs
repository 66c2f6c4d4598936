//! `asklake import`: IMDb's public files become the Parquet lake.
//!
//! Reads `title.basics`, `title.ratings`, `name.basics` and `title.principals` (`.tsv.gz`, or `.tsv`) and writes
//! `LAKE/imdb/{movies_delta,ratings_delta,persons_delta,principals_delta}.parquet`, one file per table, rows in the file's
//! order. It streams: memory does not grow with the files. It refuses, with file and line, whatever is not as the format
//! has it, and then leaves the lake as it was: a table with a silently skipped row gives wrong answers for good.
//!
//! It does not download anything, check that keys are unique or that they refer to something, or make views (those belong
//! to the catalog).

mod error;
mod imdb;
mod lake;
mod progress;
mod source;
mod table;
mod writer;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use error::{Error, Excerpt, Fault};
pub use progress::{Bar, Progress};

use lake::Staging;
use source::{Lines, Source};
use table::Table;
use writer::Writer;

/// What to import, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder with IMDb's files.
    pub source: PathBuf,
    /// The lake's folder, made when it is not there. Tables of the same names in its schema `imdb` are replaced.
    pub lake: PathBuf,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The tables, in the order of their import.
    pub tables: Vec<TableReport>,
    /// Time it took.
    pub elapsed: Duration,
}

/// One table of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// Name as in SQL, such as `imdb.movies_delta`.
    pub table: String,
    /// The source file.
    pub source: PathBuf,
    /// Number of rows.
    pub rows: u64,
}

/// Imports all four files, and calls `observe` every some ten thousand rows. Blocks until it is done.
///
/// # Errors
/// See [`Error`]. The lake is then as it was, except after [`Error::Publish`].
pub fn run(options: &Options, observe: &mut dyn FnMut(Progress)) -> Result<Report, Error> {
    let started = Instant::now();
    let sources = find(&options.source)?;
    let tables: Vec<&str> = imdb::TABLES.iter().map(|table| table.name).collect();
    let staging = Staging::open(&options.lake, imdb::SCHEMA, &tables)?;
    let mut meter = progress::Meter::new(sources.iter().map(|source| source.size).sum(), observe);
    let mut reports = Vec::with_capacity(sources.len());
    for (table, source) in imdb::TABLES.iter().zip(&sources) {
        let rows = import(table, source, &staging.path(table.name), &mut meter)?;
        reports.push(TableReport { table: format!("{}.{}", imdb::SCHEMA, table.name), source: source.path.clone(), rows });
    }
    staging.publish(&tables)?;
    Ok(Report { tables: reports, elapsed: started.elapsed() })
}

/// The source of each table, in the tables' order.
fn find(dir: &Path) -> Result<Vec<Source>, Error> {
    let refused = |source| Error::Source { dir: dir.to_path_buf(), source };
    if !dir.metadata().map_err(refused)?.is_dir() {
        return Err(refused(io::ErrorKind::NotADirectory.into()));
    }
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for table in &imdb::TABLES {
        match Source::find(dir, table.file)? {
            Some(source) => found.push(source),
            None => missing.push(format!("{}.gz", table.file)),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(Error::Missing { dir: dir.to_path_buf(), files: missing }) }
}

/// Imports one file to `target`, and returns the number of its rows.
fn import(table: &'static Table, source: &Source, target: &Path, meter: &mut progress::Meter<'_>) -> Result<u64, Error> {
    let mut lines = source.open()?;
    let mut layout = Layout::read(&mut lines, table)?;
    let mut writer = Writer::create(target, table)?;
    let mut rows = 0;
    meter.start(table.name);
    while let Some(line) = lines.next()? {
        layout.push(line, &mut writer).map_err(|fault| lines.broken(fault))?;
        writer.flush_when_full()?;
        rows += 1;
        meter.tick(lines.consumed(), rows);
    }
    if rows == 0 {
        return Err(lines.broken(Fault::NoRows));
    }
    writer.close()?;
    meter.end(source.size, rows);
    Ok(rows)
}

/// Where a file has the columns of its table.
struct Layout {
    /// Number of fields in each line.
    fields: usize,
    /// For each column of the table its position in the file.
    positions: Vec<usize>,
    /// Where the fields of the line at hand lie; kept for its memory.
    bounds: Vec<Range<usize>>,
}

impl Layout {
    /// Reads the header.
    fn read(lines: &mut Lines<'_>, table: &Table) -> Result<Layout, Error> {
        let names: Vec<String> = match lines.next()? {
            Some(line) => line.split('\t').map(str::to_owned).collect(),
            None => return Err(lines.broken(Fault::Empty)),
        };
        let mut positions = Vec::with_capacity(table.columns.len());
        let mut missing = Vec::new();
        for column in table.columns {
            match names.iter().position(|name| name == column.name) {
                Some(position) => positions.push(position),
                None => missing.push(column.name),
            }
        }
        if !missing.is_empty() {
            return Err(lines.broken(Fault::NoColumn { columns: missing }));
        }
        Ok(Layout { fields: names.len(), positions, bounds: Vec::new() })
    }

    /// Splits a line and hands its fields to the writer.
    fn push(&mut self, line: &str, writer: &mut Writer) -> Result<(), Fault> {
        self.bounds.clear();
        let mut start = 0;
        for (tab, _) in line.match_indices('\t') {
            self.bounds.push(start..tab);
            start = tab + 1;
        }
        self.bounds.push(start..line.len());
        if self.bounds.len() != self.fields {
            return Err(Fault::Fields { expected: self.fields, found: self.bounds.len() });
        }
        writer.push(|column| &line[self.bounds[self.positions[column]].clone()])
    }
}
