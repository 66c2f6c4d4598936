//! The rows of a query: the one shape in which warehouses return them, the store keeps them and clients read them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{LimitSource, ResultSummary};

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name as the statement gives it.
    pub name: String,
    /// Spark SQL type in lower case, such as `bigint`, `double`, `array<string>`.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// Rows with their columns. Serialised it is the body of `GET results/{n}` without the statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultSet {
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Rows in order; each cell is JSON of its column's type: numbers are numbers, arrays arrays, NULL is null.
    pub rows: Vec<Vec<Value>>,
    /// Rows kept here.
    pub row_count: u64,
    /// Whether the warehouse had more.
    pub truncated: bool,
    /// Who set the limit that applied.
    pub limit_source: Option<LimitSource>,
}

impl ResultSet {
    /// What is known without the rows.
    #[must_use]
    pub fn summary(&self) -> ResultSummary {
        ResultSummary { row_count: self.row_count, truncated: self.truncated, limit_source: self.limit_source }
    }

    /// Drops rows at the end until the rest is at most `bytes` of JSON, and says so: then it is truncated, by asklake.
    pub fn cut_to(&mut self, bytes: usize) {
        let rows = std::mem::take(&mut self.rows);
        // With the largest values that the fields beside the rows may get.
        let frame = Self { row_count: u64::MAX, truncated: false, limit_source: Some(LimitSource::Server), ..self.clone() };
        let mut left = bytes.saturating_sub(json_length(&frame));
        let fitting = rows.iter().take_while(|row| {
            // Each row is followed by a comma.
            let remaining = left.checked_sub(json_length(row) + 1);
            left = remaining.unwrap_or(left);
            remaining.is_some()
        });
        let fitting = fitting.count();
        self.rows = rows;
        if fitting < self.rows.len() {
            self.rows.truncate(fitting);
            self.row_count = u64::try_from(fitting).unwrap_or(u64::MAX);
            self.truncated = true;
            self.limit_source = Some(LimitSource::Server);
        }
    }
}

fn json_length(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX / 2, |json| json.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(rows: usize) -> ResultSet {
        ResultSet {
            columns: vec![Column { name: "name".into(), data_type: "string".into() }],
            rows: (0..rows).map(|n| vec![json!(format!("film \"{n}\""))]).collect(),
            row_count: rows as u64,
            truncated: false,
            limit_source: Some(LimitSource::Model),
        }
    }

    #[test]
    fn a_result_that_fits_is_left_alone() {
        let mut small = result(10);
        small.cut_to(1000);
        assert_eq!(small, result(10));
    }

    #[test]
    fn rows_that_do_not_fit_are_cut_from_the_end_and_told_of() {
        for bytes in [0, 100, 150, 1000, 5000] {
            let mut cut = result(1000);
            cut.cut_to(bytes);
            assert_eq!((cut.truncated, cut.limit_source, cut.row_count), (true, Some(LimitSource::Server), cut.rows.len() as u64));
            assert_eq!(cut.rows, result(1000).rows[..cut.rows.len()]);
            assert!(cut.rows.is_empty() || json_length(&cut) <= bytes, "{} of {bytes} bytes", json_length(&cut));
            assert!(bytes < 150 || json_length(&cut) + 60 > bytes, "no more than needed: {} of {bytes} bytes", json_length(&cut));
        }
    }
}
