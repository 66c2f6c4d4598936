//! How far an import is: measured in bytes of the source files (compressed, where they are), because their number of rows
//! is known only at the end.

use std::borrow::Cow;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// Rows between two observations: some dozens a second.
const STRIDE: u64 = 1 << 15;

/// A moment of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The table being written.
    pub table: &'static str,
    /// Rows of this table so far.
    pub rows: u64,
    /// Bytes read of all source files together.
    pub bytes: u64,
    /// Size of all source files together, in bytes.
    pub total_bytes: u64,
}

/// Keeps count of the bytes of several files and calls the observer now and then.
pub(super) struct Meter<'a> {
    observe: &'a mut dyn FnMut(Progress),
    table: &'static str,
    /// Bytes of the files that are done.
    done: u64,
    total: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(total: u64, observe: &'a mut dyn FnMut(Progress)) -> Meter<'a> {
        Meter { observe, table: "", done: 0, total }
    }

    pub(super) fn start(&mut self, table: &'static str) {
        self.table = table;
        self.report(0, 0);
    }

    /// After each row: `consumed` bytes of this table's file are read.
    pub(super) fn tick(&mut self, consumed: u64, rows: u64) {
        if rows.is_multiple_of(STRIDE) {
            self.report(consumed, rows);
        }
    }

    pub(super) fn end(&mut self, size: u64, rows: u64) {
        self.done += size;
        self.report(0, rows);
    }

    fn report(&mut self, consumed: u64, rows: u64) {
        (self.observe)(Progress { table: self.table, rows, bytes: self.done + consumed, total_bytes: self.total });
    }
}

/// A progress bar on standard error, which shows nothing where that is not a terminal.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    /// The table at hand and when it began.
    table: Option<(&'static str, Instant)>,
}

impl Bar {
    /// A bar that shows itself at the first [`Bar::show`].
    #[must_use]
    pub fn new() -> Bar {
        let bar = ProgressBar::new(0);
        // A faulty template would only cost the looks.
        if let Ok(style) = ProgressStyle::with_template("{prefix:16} {bar:24} {percent:>3}%  {msg}") {
            bar.set_style(style);
        }
        Bar { bar, table: None }
    }

    /// Draws the progress.
    pub fn show(&mut self, progress: Progress) {
        let began = match self.table {
            Some((table, began)) if table == progress.table => began,
            _ => Instant::now(),
        };
        self.table = Some((progress.table, began));
        self.bar.set_length(progress.total_bytes);
        self.bar.set_position(progress.bytes);
        self.bar.set_prefix(Cow::Borrowed(progress.table));
        self.bar.set_message(rows(progress.rows, began.elapsed().as_secs_f64()));
    }

    /// Removes the bar from the terminal.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Default for Bar {
    fn default() -> Bar {
        Bar::new()
    }
}

fn rows(rows: u64, seconds: f64) -> String {
    let count = HumanCount(rows);
    // The first moment's rate is noise.
    if seconds < 0.2 {
        return format!("{count} rows");
    }
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate to look at")]
    let rate = HumanCount((rows as f64 / seconds) as u64);
    format!("{count} rows, {rate}/s")
}
