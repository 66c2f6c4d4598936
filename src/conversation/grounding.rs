//! Stand-in until task A is merged.
use super::result::ResultSet;
/// Evidence.
pub struct Evidence<'a> {
    /// Rows.
    pub results: &'a [&'a ResultSet],
    /// Said.
    pub said: &'a [&'a str],
}
/// What is not found.
#[must_use]
pub fn unverified(_answer: &str, _evidence: &Evidence<'_>) -> Vec<String> {
    Vec::new()
}
