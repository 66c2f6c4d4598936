//! Reading a source file line by line: gzip of any number of members or plain text, in bounded memory, with the number of
//! the line at hand. It knows lines and fields but not their meaning. IMDb's files have no quoting, so a tab always
//! separates two fields and a quote is a quote.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::error::{Error, Fault};

/// No line of IMDb's files comes near it; a file without line ends must not fill the memory.
const MAX_LINE: usize = 1 << 20;
const BUFFER: usize = 1 << 17;

/// A source file that was found but not yet opened.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Size on disk, in bytes.
    pub(super) size: u64,
    gzip: bool,
}

impl Source {
    /// Finds `name` in `dir`, as `name.gz` or else as it is. `None`: neither is there.
    pub(super) fn find(dir: &Path, name: &str) -> Result<Option<Source>, Error> {
        for (path, gzip) in [(dir.join(format!("{name}.gz")), true), (dir.join(name), false)] {
            match path.metadata() {
                Ok(found) => return Ok(Some(Source { path, size: found.len(), gzip })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Read { file: path, source }),
            }
        }
        Ok(None)
    }

    pub(super) fn open(&self) -> Result<Lines<'_>, Error> {
        let file = File::open(&self.path).map_err(|source| Error::Read { file: self.path.clone(), source })?;
        let consumed = Rc::new(Cell::new(0));
        let counted = BufReader::with_capacity(BUFFER, Counted { file, consumed: Rc::clone(&consumed) });
        let reader: Box<dyn BufRead> =
            if self.gzip { Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(counted))) } else { Box::new(counted) };
        Ok(Lines { source: self, reader, consumed, line: Vec::new(), number: 0 })
    }
}

/// The lines of an open source file.
pub(super) struct Lines<'a> {
    source: &'a Source,
    reader: Box<dyn BufRead>,
    consumed: Rc<Cell<u64>>,
    line: Vec<u8>,
    /// The line last read, from 1; 0 before the first.
    number: u64,
}

impl Lines<'_> {
    /// Bytes of the file read so far (of the compressed file, where it is one).
    pub(super) fn consumed(&self) -> u64 {
        self.consumed.get()
    }

    /// The error of the line last read.
    pub(super) fn broken(&self, fault: Fault) -> Error {
        Error::Broken { file: self.source.path.clone(), line: self.number, fault }
    }

    /// The next line without its end. `None`: the file ended where a file may end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, Error> {
        self.number += 1;
        self.line.clear();
        // One byte more than the limit, for the line end.
        let mut limited = (&mut *self.reader).take(MAX_LINE as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.line);
        match read {
            Err(error) => return Err(self.unreadable(error)),
            Ok(0) => return Ok(None),
            Ok(_) => {}
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > MAX_LINE {
            return Err(self.broken(Fault::TooLong { limit: MAX_LINE }));
        } else if !self.source.gzip {
            // gzip has a checksum that shows a cut file; plain text has only the end of its last line.
            return Err(self.broken(Fault::Cut));
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        match str::from_utf8(&self.line) {
            Ok(line) => Ok(Some(line)),
            Err(error) => Err(self.broken(Fault::NotUtf8 { at: error.valid_up_to() + 1 })),
        }
    }

    fn unreadable(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if self.consumed() == 0 => self.broken(Fault::Empty),
            io::ErrorKind::UnexpectedEof => self.broken(Fault::Cut),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => self.broken(Fault::Damaged { reason: error.to_string() }),
            _ => Error::Read { file: self.source.path.clone(), source: error },
        }
    }
}

/// A file that counts the bytes read from it, for the progress.
struct Counted {
    file: File,
    consumed: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.consumed.set(self.consumed.get() + read as u64);
        Ok(read)
    }
}
