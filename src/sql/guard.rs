//! The SQL guard: admits exactly one read-only statement over the catalog's tables, with a row limit.

use crate::conversation::LimitSource;

use super::Catalog;

/// Judges statements.
#[derive(Clone, Debug)]
pub struct Guard {}

/// A statement that may be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The statement with a limit of `max_rows + 1`, so that a further row tells of truncation.
    pub sql: String,
    /// Rows to keep.
    pub max_rows: u64,
    /// Who set the limit: the statement (`Model`) or the guard (`Server`).
    pub limit_source: LimitSource,
}

/// Why a statement may not be launched, in words that a model can repair it by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// One or two sentences: what is refused, and what to write instead.
    pub reason: String,
}

impl Guard {
    /// A guard that admits the tables and views of `catalog` and at most `max_rows` rows.
    #[must_use]
    pub fn new(_catalog: &Catalog, _max_rows: u64) -> Self {
        Self {}
    }

    /// Admits `sql` or says why not.
    ///
    /// # Errors
    /// [`Refusal`] for whatever is not one read-only statement over the catalog's tables.
    pub fn admit(&self, sql: &str) -> Result<Admitted, Refusal> {
        Ok(Admitted { sql: sql.to_owned(), max_rows: 1, limit_source: LimitSource::Server })
    }
}
