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
        ResultSummary { row_count: self.row_count, truncated: self.truncated }
    }
}
