//! The Parquet lake: where its tables lie, the statements that show them to Sail, and how many rows they have.
//!
//! A lake is a folder with one folder per schema, and in it one file (`movies.parquet`) or folder (`movies`) of Parquet files per table.
//! Reads footers only; never writes.

use std::{
    fmt::Write as _,
    fs::File,
    path::{Path, PathBuf},
};

use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::sql::{Catalog, catalog::View};

/// What of a catalog is to be found in a lake.
#[derive(Clone, Debug)]
pub(super) struct Lake {
    folder: PathBuf,
    tables: Vec<String>,
    views: Vec<View>,
}

impl Lake {
    pub(super) fn new(folder: PathBuf, catalog: &Catalog) -> Self {
        let tables = catalog.tables.iter().map(|table| table.name.clone()).collect();
        Self { folder, tables, views: catalog.views.clone() }
    }

    /// The statements that make an empty Sail know the lake, in order.
    ///
    /// # Errors
    /// What is missing and how to get it.
    pub(super) fn statements(&self) -> Result<Vec<String>, String> {
        let lake = self.folder.display();
        if !self.folder.is_dir() {
            return Err(format!("the lake {lake} does not exist; {}", get(&self.folder)));
        }
        let mut statements = self.databases();
        let mut missing = Vec::new();
        for table in &self.tables {
            match location(&self.folder, table) {
                Some(path) => statements.push(format!("CREATE TABLE {} USING parquet LOCATION '{}'", quoted(table), url(&path))),
                None => missing.push(table.as_str()),
            }
        }
        if !missing.is_empty() {
            return Err(format!("the lake {lake} lacks {}; {}", missing.join(", "), get(&self.folder)));
        }
        statements.extend(self.views.iter().map(|view| format!("CREATE OR REPLACE VIEW {} AS {}", quoted(&view.relation.name), view.sql)));
        Ok(statements)
    }

    fn databases(&self) -> Vec<String> {
        let names = self.tables.iter().chain(self.views.iter().map(|view| &view.relation.name));
        let mut databases: Vec<_> = names.filter_map(|name| name.split_once('.')).map(|(database, _)| database).collect();
        databases.sort_unstable();
        databases.dedup();
        databases.into_iter().map(|database| format!("CREATE DATABASE IF NOT EXISTS {}", quoted(database))).collect()
    }
}

fn get(lake: &Path) -> String {
    format!("run `make tools` for the sample lake, or `asklake import DIR --lake {}`", lake.display())
}

/// The file or folder of `table` (`schema.table`).
fn location(lake: &Path, table: &str) -> Option<PathBuf> {
    let path = table.split('.').fold(lake.to_path_buf(), |path, part| path.join(part));
    let mut file = path.clone().into_os_string();
    file.push(".parquet");
    let file = PathBuf::from(file);
    let found = if file.exists() { file } else { path };
    (!parquet_files(&found).is_empty()).then_some(found).and_then(|found| found.canonicalize().ok())
}

/// `path` itself, or the Parquet files right in it.
fn parquet_files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

/// A `file` URL. As a plain path Sail would take `[`, `*` and `?` for patterns.
fn url(path: &Path) -> String {
    let mut url = String::from("file://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(*byte)),
            byte => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    url
}

fn quoted(name: &str) -> String {
    let parts: Vec<_> = name.split('.').map(|part| format!("`{}`", part.replace('`', "``"))).collect();
    parts.join(".")
}

/// Rows of `table` (`schema.table`) in the lake, from the footers of its files; `None` when it is not there or a file is unreadable.
#[must_use]
pub fn row_count(lake: &Path, table: &str) -> Option<u64> {
    let rows = |path: &PathBuf| {
        let reader = SerializedFileReader::new(File::open(path).ok()?).ok()?;
        u64::try_from(reader.metadata().file_metadata().num_rows()).ok()
    };
    parquet_files(&location(lake, table)?).iter().map(rows).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_urls_without_patterns() {
        assert_eq!(url(Path::new("/my lake's/[x]?/é.parquet")), "file:///my%20lake%27s/%5Bx%5D%3F/%C3%A9.parquet");
    }

    #[test]
    fn names_are_quoted_part_by_part() {
        assert_eq!(quoted("imdb.movies"), "`imdb`.`movies`");
    }
}
