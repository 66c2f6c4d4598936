//! A tiny Parquet lake with its catalog, and Sail over it.

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use arrow_array::{
    ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray,
    builder::{ListBuilder, StringBuilder},
};
use asklake::{sql::Catalog, warehouse::sail};
use parquet::arrow::ArrowWriter;
use serde_json::json;
use tempfile::TempDir;

/// The `sail` command for tests: `SAIL_BIN`, or what `make tools` installs.
pub fn sail_binary() -> PathBuf {
    let installed = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/venv/bin/sail"));
    let binary = std::env::var_os("SAIL_BIN").map_or_else(installed, PathBuf::from);
    assert!(binary.exists(), "these tests need Sail: there is no {}; run `make tools` or set SAIL_BIN", binary.display());
    binary
}

/// Writes a lake with `lake.films` (a file) and `lake.ratings` (a folder of two files).
pub fn write() -> TempDir {
    // A name that would be a pattern, were it not escaped.
    let folder = tempfile::Builder::new().prefix("lake's [1] 100% ").tempdir().expect("folder");
    let ratings = folder.path().join("lake/ratings");
    std::fs::create_dir_all(&ratings).expect("folder");
    let films = RecordBatch::try_from_iter([
        ("tconst", Arc::new(StringArray::from(vec!["tt1", "tt2", "tt3"])) as ArrayRef),
        ("primaryTitle", Arc::new(StringArray::from(vec!["Metropolis", "Amélie", "Untitled"]))),
        ("startYear", Arc::new(Int32Array::from(vec![Some(1927), Some(2001), None]))),
        ("genres", genres(&[Some(&["Drama", "Sci-Fi"]), Some(&["Comedy", "Romance"]), None])),
    ]);
    parquet(&folder.path().join("lake/films.parquet"), &films.expect("films"));
    for (file, tconst, rating, votes) in [("a.parquet", "tt1", 8.3, 190_000), ("b.parquet", "tt2", 8.3, 800_000)] {
        let batch = RecordBatch::try_from_iter([
            ("tconst", Arc::new(StringArray::from(vec![tconst])) as ArrayRef),
            ("averageRating", Arc::new(Float64Array::from(vec![rating]))),
            ("numVotes", Arc::new(Int32Array::from(vec![votes]))),
        ]);
        parquet(&ratings.join(file), &batch.expect("ratings"));
    }
    folder
}

fn genres(rows: &[Option<&[&str]>]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        lists.append_option(row.map(|genres| genres.iter().map(Some)));
    }
    Arc::new(lists.finish())
}

fn parquet(path: &std::path::Path, batch: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(File::create(path).expect("file"), batch.schema(), None).expect("writer");
    writer.write(batch).expect("write");
    writer.close().expect("close");
}

/// The catalog of the lake: two tables and the view `lake.rated` over them.
pub fn catalog() -> Catalog {
    let column = |name: &str, data_type: &str| json!({"name": name, "type": data_type, "description": name});
    serde_json::from_value(json!({
        "name": "tiny",
        "tables": [
            {"name": "lake.films", "description": "Films", "columns": [
                column("tconst", "string"), column("primaryTitle", "string"), column("startYear", "int"), column("genres", "array<string>"),
            ]},
            {"name": "lake.ratings", "description": "Ratings", "columns": [
                column("tconst", "string"), column("averageRating", "double"), column("numVotes", "int"),
            ]},
        ],
        "views": [
            {"name": "lake.rated", "description": "Films with ratings", "columns": [column("primaryTitle", "string"), column("numVotes", "int")],
             "sql": "SELECT f.primaryTitle, r.numVotes FROM lake.films f LEFT JOIN lake.ratings r ON f.tconst = r.tconst"},
        ],
    }))
    .expect("catalog")
}

/// Limits fit for a busy machine.
pub fn config(lake: &TempDir) -> sail::Config {
    sail::Config {
        memory_limit: 2 << 30,
        query_time_limit: Duration::from_secs(600),
        max_concurrency: 4,
        ..sail::Config::new(sail_binary(), lake.path().to_path_buf())
    }
}
