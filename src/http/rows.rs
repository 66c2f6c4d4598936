//! Rows as JSON, CSV or NDJSON, written chunk by chunk: a client reads the first rows while the last ones are still being written, and
//! the whole text never stands in memory.
//!
//! Owns the three formats. What is in a cell is decided by the warehouses (`conversation::result`).

use std::collections::HashSet;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::conversation::{Column, LimitSource, ResultSet};

/// About how many bytes a chunk has.
const CHUNK: usize = 16 << 10;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Ndjson,
}

impl Format {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The ending of a file of it, for a format that is saved rather than read by a program.
    pub(super) fn extension(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Csv => Some("csv"),
            Self::Ndjson => Some("ndjson"),
        }
    }
}

/// The chunks of a result.
pub(super) struct Chunks {
    format: Format,
    sql: String,
    columns: Vec<Column>,
    /// Of NDJSON: the names, each made different from those before it.
    names: Vec<String>,
    rows: std::vec::IntoIter<Vec<Value>>,
    tail: Tail,
    stage: Stage,
}

/// What stands behind the rows in JSON.
#[derive(Serialize)]
struct Tail {
    row_count: u64,
    truncated: bool,
    limit_source: Option<LimitSource>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    /// Whether it is the first row's turn.
    Rows {
        is_first: bool,
    },
    Done,
}

impl Chunks {
    pub(super) fn new(format: Format, sql: &str, result: ResultSet) -> Self {
        let ResultSet { columns, rows, row_count, truncated, limit_source } = result;
        let names = if format == Format::Ndjson { distinct(&columns) } else { Vec::new() };
        let tail = Tail { row_count, truncated, limit_source };
        Self { format, sql: sql.to_owned(), columns, names, rows: rows.into_iter(), tail, stage: Stage::Head }
    }

    fn head(&self) -> Result<Vec<u8>, csv::Error> {
        match self.format {
            Format::Json => {
                let (sql, columns) = (text(&self.sql), text(&self.columns));
                Ok(format!("{{\"sql_query\":{sql},\"columns\":{columns},\"rows\":[").into_bytes())
            }
            Format::Csv => record(self.columns.iter().map(|column| defused(&column.name))),
            Format::Ndjson => Ok(Vec::new()),
        }
    }

    fn row(&self, row: Vec<Value>, is_first: bool) -> Result<Vec<u8>, csv::Error> {
        match self.format {
            Format::Json => Ok(format!("{}{}", if is_first { "" } else { "," }, text(&row)).into_bytes()),
            Format::Csv => record(self.columns.iter().zip(&row).map(|(column, value)| cell(column, value))),
            Format::Ndjson => {
                let object: Map<String, Value> = self.names.iter().cloned().zip(row).collect();
                Ok(format!("{}\n", text(&object)).into_bytes())
            }
        }
    }

    fn end(&self) -> Vec<u8> {
        match self.format {
            // The fields of an object without its brace.
            Format::Json => format!("],{}", text(&self.tail).trim_start_matches('{')).into_bytes(),
            Format::Csv | Format::Ndjson => Vec::new(),
        }
    }

    /// The next chunk; empty when all is written.
    fn chunk(&mut self) -> Result<Vec<u8>, csv::Error> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK {
            let part = match self.stage {
                Stage::Head => {
                    self.stage = Stage::Rows { is_first: true };
                    self.head()?
                }
                Stage::Rows { is_first } => match self.rows.next() {
                    Some(row) => {
                        self.stage = Stage::Rows { is_first: false };
                        self.row(row, is_first)?
                    }
                    None => {
                        self.stage = Stage::Done;
                        self.end()
                    }
                },
                Stage::Done => break,
            };
            chunk.extend_from_slice(&part);
        }
        Ok(chunk)
    }
}

impl Iterator for Chunks {
    type Item = Result<Bytes, csv::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.chunk() {
            Ok(chunk) if chunk.is_empty() => None,
            chunk => Some(chunk.map(Bytes::from)),
        }
    }
}

/// JSON of what always is JSON: texts, cells and flat structures.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A line of CSV by RFC 4180: CRLF, and quotes where needed.
fn record(fields: impl Iterator<Item = String>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(fields)?;
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn cell(column: &Column, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // A number that no double holds is a text in JSON, and a number all the same.
        Value::String(text) if is_numeric(&column.data_type) => text.clone(),
        Value::String(text) => defused(text),
        other => other.to_string(),
    }
}

fn is_numeric(data_type: &str) -> bool {
    let name = data_type.split('(').next().unwrap_or_default();
    matches!(name, "tinyint" | "smallint" | "int" | "bigint" | "float" | "double" | "decimal")
}

/// A text that a spreadsheet would take for a formula is made plain text with a leading apostrophe (OWASP, "CSV Injection").
fn defused(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}

/// The names of the columns; of those that are the same, all but the first get a number that no other has.
fn distinct(columns: &[Column]) -> Vec<String> {
    let mut taken: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(columns.len());
    for Column { name, .. } in columns {
        if seen.insert(name) {
            names.push(name.clone());
            continue;
        }
        let numbered = (2..).map(|number: u32| format!("{name}_{number}")).find(|numbered| taken.insert(numbered.clone()));
        names.extend(numbered);
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn columns(names: &[(&str, &str)]) -> Vec<Column> {
        names.iter().map(|(name, data_type)| Column { name: (*name).into(), data_type: (*data_type).into() }).collect()
    }

    fn written(format: Format, result: &ResultSet) -> (String, usize) {
        let chunks: Vec<Bytes> = Chunks::new(format, "SELECT \"1\"", result.clone()).collect::<Result<_, _>>().expect("written");
        (String::from_utf8(chunks.concat()).expect("UTF-8"), chunks.len())
    }

    fn result(columns: Vec<Column>, rows: Vec<Vec<Value>>) -> ResultSet {
        ResultSet { columns, row_count: rows.len() as u64, rows, truncated: true, limit_source: Some(LimitSource::Server) }
    }

    #[test]
    fn json_is_what_serde_would_have_written_at_once_however_many_rows_there_are() {
        for rows in [0, 1, 2, 5000] {
            let rows = (0..rows).map(|n| vec![json!(n), json!(format!("film \"{n}\"")), json!([n, null]), json!(null)]).collect();
            let result = result(columns(&[("n", "int"), ("t", "string"), ("a", "array<int>"), ("z", "void")]), rows);
            let mut expected = json!({"sql_query": "SELECT \"1\""});
            let fields = serde_json::to_value(&result).expect("JSON");
            expected.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
            let (written, chunks) = written(Format::Json, &result);
            assert_eq!(written, expected.to_string());
            assert_eq!(chunks > 5, result.row_count == 5000, "{chunks} chunks");
        }
    }

    #[test]
    fn numbers_of_csv_are_left_alone_and_texts_are_no_formulas() {
        let columns = columns(&[("=name", "string"), ("n", "int"), ("d", "decimal(38,0)"), ("a", "array<string>")]);
        let rows = vec![
            vec![json!("=1+1"), json!(-5), json!("-12345678901234567890"), json!(["=x", "a,b"])],
            vec![json!("-"), json!(-0.5), json!(null), json!(null)],
            vec![json!("a\r\nb"), json!(1e300), json!(7), json!([])],
        ];
        let (text, _) = written(Format::Csv, &result(columns, rows));
        let expected =
            "'=name,n,d,a\r\n'=1+1,-5,-12345678901234567890,\"[\"\"=x\"\",\"\"a,b\"\"]\"\r\n'-,-0.5,,\r\n\"a\r\nb\",1e+300,7,[]\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn columns_of_the_same_name_lose_no_cell_in_ndjson() {
        let columns = columns(&[("a", "int"), ("a", "int"), ("a_2", "int"), ("a", "int")]);
        let (text, _) = written(Format::Ndjson, &result(columns, vec![vec![json!(1), json!(2), json!(3), json!(4)]]));
        assert_eq!(text, "{\"a\":1,\"a_3\":2,\"a_2\":3,\"a_4\":4}\n");
    }
}
