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
            let advice = self.advice(&self.tables).unwrap_or_else(|| "LAKE_DIR is to name a folder with one folder per schema".into());
            return Err(format!("the lake {lake} does not exist; {advice}"));
        }
        let mut statements = self.databases();
        let mut missing = Vec::new();
        for table in &self.tables {
            match location(&self.folder, table) {
                Some(path) => statements.push(format!("CREATE TABLE {} USING parquet LOCATION '{}'", quoted(table), url(&path))),
                None => missing.push(table.clone()),
            }
        }
        if !missing.is_empty() {
            let lacks: Vec<_> = missing.iter().map(|table| self.lacks(table)).collect();
            let advice = self.advice(&missing).map(|advice| format!("; {advice}")).unwrap_or_default();
            return Err(format!("the lake {lake} lacks {}{advice}", lacks.join(", ")));
        }
        statements.extend(self.views.iter().map(|view| format!("CREATE OR REPLACE VIEW {} AS {}", quoted(&view.relation.name), view.sql)));
        Ok(statements)
    }

    /// A table that is not there, and where it was looked for.
    fn lacks(&self, table: &str) -> String {
        let path = path(&self.folder, table);
        format!("{table} (there is neither {0}.parquet nor a *.parquet in {0}/)", path.display())
    }

    /// How to get `missing`. Nothing but the tables of the built-in catalog is made by a command.
    fn advice(&self, missing: &[String]) -> Option<String> {
        let built_in = Catalog::embedded().ok()?;
        let is_made = missing.iter().any(|table| built_in.tables.iter().any(|known| known.name == *table));
        is_made.then(|| format!("run `make tools` for the sample lake, or `asklake import DIR --lake {}`", self.folder.display()))
    }

    /// The files of the lake that are no Parquet, as they are called in it.
    pub(super) fn unreadable(&self) -> Vec<String> {
        let files = self.tables.iter().filter_map(|table| location(&self.folder, table)).flat_map(|found| parquet_files(&found));
        // A found file is the one that a link leads to, which may lie elsewhere.
        let lake = self.folder.canonicalize().unwrap_or_default();
        files.filter(|file| rows(file).is_none()).map(|file| file.strip_prefix(&lake).unwrap_or(&file).display().to_string()).collect()
    }

    fn databases(&self) -> Vec<String> {
        let names = self.tables.iter().chain(self.views.iter().map(|view| &view.relation.name));
        let mut databases: Vec<_> = names.filter_map(|name| name.split_once('.')).map(|(database, _)| database).collect();
        databases.sort_unstable();
        databases.dedup();
        databases.into_iter().map(|database| format!("CREATE DATABASE IF NOT EXISTS {}", quoted(database))).collect()
    }
}

/// Where `table` (`schema.table`) lies: a folder, or with the extension a file.
fn path(lake: &Path, table: &str) -> PathBuf {
    table.split('.').fold(lake.to_path_buf(), |path, part| path.join(part))
}

/// The file or folder of `table` (`schema.table`).
fn location(lake: &Path, table: &str) -> Option<PathBuf> {
    let path = path(lake, table);
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
    parquet_files(&location(lake, table)?).iter().map(|file| rows(file)).sum()
}

/// Rows of a Parquet file; `None` when it is none.
fn rows(file: &Path) -> Option<u64> {
    let reader = SerializedFileReader::new(File::open(file).ok()?).ok()?;
    u64::try_from(reader.metadata().file_metadata().num_rows()).ok()
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
