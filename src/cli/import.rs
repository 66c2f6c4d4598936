//! `asklake import DIR --lake LAKE_DIR`: runs the import with a progress bar.

use std::io::Write;

use crate::import::{self, Bar, Options};

/// Imports and prints what was written.
///
/// # Errors
/// When a file is broken or the lake cannot be written.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut bar = Bar::new();
    let report = import::run(options, &mut |progress| bar.show(progress));
    bar.clear();
    let report = report?;
    let mut out = std::io::stdout().lock();
    for table in &report.tables {
        writeln!(out, "{:24} {:>12} rows from {}", table.table, table.rows, table.source.display())?;
    }
    writeln!(out, "imported in {:.1} s into {}", report.elapsed.as_secs_f64(), options.lake.display())?;
    Ok(())
}
