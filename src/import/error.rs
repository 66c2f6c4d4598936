//! Why an import was refused. Every error names the file or folder, and what to do where that is not plain from it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why nothing was imported. The lake is then as it was before, unless the error is [`Error::Publish`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source is not a folder, or not one that may be read.
    #[error("{}: cannot be read as a folder", dir.display())]
    Source {
        /// The folder asked for.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The source lacks files.
    #[error("{}: {} missing (each as .tsv.gz, as IMDb publishes them, or unpacked as .tsv)", dir.display(), files.join(", "))]
    Missing {
        /// The folder asked for.
        dir: PathBuf,
        /// Every file that is not there, as `name.tsv.gz`.
        files: Vec<String>,
    },
    /// A source file could not be opened or read.
    #[error("{}: cannot be read", file.display())]
    Read {
        /// The source file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A source file is broken.
    #[error("{}: line {line}: {fault}", file.display())]
    Broken {
        /// The source file.
        file: PathBuf,
        /// The line, counted from 1, which is the header.
        line: u64,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A Parquet file could not be written.
    #[error("{}: cannot be written", file.display())]
    Write {
        /// The file or folder being written.
        file: PathBuf,
        /// What the writer or the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The lake already has this table in the form of a folder, which an import would shadow but not replace.
    #[error("{}: a folder already holds this table: move it away to import the table as a file", folder.display())]
    Folder {
        /// The folder in the way.
        folder: PathBuf,
    },
    /// Another import into the same lake is running.
    #[error("{}: another import into this lake is running: wait for its end", lake.display())]
    Busy {
        /// The lake.
        lake: PathBuf,
    },
    /// All files were written but could not all be moved to their names: the lake may hold old and new tables together.
    #[error("{}: cannot be put in place, so the lake may hold old and new tables together; import again: {source}", file.display())]
    Publish {
        /// The file that could not be moved.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn write(file: impl Into<PathBuf>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Write { file: file.into(), source: source.into() }
    }
}

/// What is wrong with a line of a source file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file has not a single byte of text.
    #[error("the file is empty")]
    Empty,
    /// There is a header and nothing below it.
    #[error("the file has no rows below its header")]
    NoRows,
    /// The header lacks columns.
    #[error("the header has no column {}", columns.join(", "))]
    NoColumn {
        /// Every column that is not there.
        columns: Vec<&'static str>,
    },
    /// The line has not as many fields as the header.
    #[error("{found} fields, but the header has {expected}")]
    Fields {
        /// Fields of the header.
        expected: usize,
        /// Fields of this line.
        found: usize,
    },
    /// A key is null or empty.
    #[error("column {column}: the key is missing")]
    NoKey {
        /// The column.
        column: &'static str,
    },
    /// A number column holds something else.
    #[error("column {column}: {value} is not {wanted}")]
    NotANumber {
        /// The column.
        column: &'static str,
        /// What would have been right.
        wanted: &'static str,
        /// The text that is there, shortened.
        value: Excerpt,
    },
    /// The line's bytes are not text.
    #[error("not UTF-8 at byte {at} of the line")]
    NotUtf8 {
        /// The first wrong byte, counted from 1.
        at: usize,
    },
    /// The line does not end within the limit.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The file ends in the middle.
    #[error("the file ends in the middle: it was cut short, fetch it again")]
    Cut,
    /// The compressed bytes are damaged.
    #[error("damaged gzip data: {reason}; fetch the file again")]
    Damaged {
        /// What the decoder said.
        reason: String,
    },
}

impl Fault {
    pub(super) fn not_a_number(column: &'static str, wanted: &'static str, value: &str) -> Fault {
        Fault::NotANumber { column, wanted, value: Excerpt::of(value) }
    }
}

/// The beginning of a text, for an error message: quoted, with control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    const CHARS: usize = 40;

    fn of(text: &str) -> Excerpt {
        let mut excerpt: String = text.chars().take(Excerpt::CHARS).collect();
        if excerpt.len() < text.len() {
            excerpt.push('…');
        }
        Excerpt(excerpt)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
