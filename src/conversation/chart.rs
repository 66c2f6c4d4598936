//! The chart of an answer: a Vega-Lite specification, chosen by rule from the columns, the rows and the question.
//!
//! The specification is complete: it holds its own data, so that any Vega-Lite renders it with no request of its own. A reference to
//! `results/{n}` would need a token where requests have one, a base URL in a saved file, and rows for as long as the chart; and rows there
//! are arrays, which Vega-Lite has no names for. Only the columns that are drawn are in it, at most [`MOST_POINTS`] and [`MOST_BYTES`]. It
//! sets no colours and no background: they belong to the page that shows it.
//!
//! Nothing in it is ever evaluated: there is no expression, and names and values of rows are plain JSON strings in places where Vega-Lite
//! reads text. Pure: no model is asked, so the same rows and the same question give the same chart.

mod choice;
mod column;
mod request;
mod vega;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{choice::Plan, column::Field, request::Request};
use super::result::ResultSet;

/// Objects in the data of a chart, at most.
pub const MOST_POINTS: usize = 1_000;
/// The size of a specification as JSON, at most, in bytes: clients read it with every status.
pub const MOST_BYTES: usize = 32 * 1024;

/// A Vega-Lite 6 specification. Serialised it is that specification; `usermeta.query` is the number of the query that it draws.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chart(Value);

impl Chart {
    /// The chart of `result`, the rows of query `query` (from 1), in answer to `question`. None where no chart says more than the rows,
    /// where the question wants none, and where it would be larger than a status may be.
    #[must_use]
    pub fn of(question: &str, query: u32, result: &ResultSet) -> Option<Self> {
        let fields = Field::all(result);
        let plan = choice::plan(&fields, question, &Request::of(question), result)?;
        Self::small(&plan, query, result).or_else(|| match plan {
            Plan::Scatter { x, y, color, name: Some(_) } => Self::small(&Plan::Scatter { x, y, color, name: None }, query, result),
            _ => None,
        })
    }

    /// Whether `question` asks for a chart by that or a like name.
    #[must_use]
    pub fn is_asked_for(question: &str) -> bool {
        let request = Request::of(question);
        request.wants && !request.refuses
    }

    fn small(plan: &Plan<'_>, query: u32, result: &ResultSet) -> Option<Self> {
        let spec = vega::specification(plan, query, result);
        let points = spec["data"]["values"].as_array().map_or(0, Vec::len);
        let is_small = (2..=MOST_POINTS).contains(&points) && spec.to_string().len() <= MOST_BYTES;
        is_small.then_some(Self(spec))
    }

    /// The specification.
    #[must_use]
    pub fn specification(&self) -> &Value {
        &self.0
    }
}
