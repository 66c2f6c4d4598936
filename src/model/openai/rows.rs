//! What came of a query, in the few characters that a model is given for it: rows as compact JSON with how many there are.
//!
//! It never leaves out anything silently: rows and cells that do not fit are said to be missing.

use serde_json::{Value, json};

use super::super::Shown;
use crate::conversation::LimitSource;

/// Characters of the rows of the last query: about 3,000 tokens.
pub(super) const LAST_CHARS: usize = 12_000;
/// Characters of the rows of an earlier query.
pub(super) const EARLIER_CHARS: usize = 2_000;
/// Characters of one cell.
const CELL_CHARS: usize = 400;
/// Characters of an error.
const ERROR_CHARS: usize = 2_000;

/// The text of a tool result.
pub(super) fn text(result: &Result<Shown, String>, budget: usize) -> String {
    match result {
        Ok(shown) => rows(shown, budget),
        Err(error) => json!({"error": clip(error, ERROR_CHARS)}).to_string(),
    }
}

fn rows(Shown { result }: &Shown, budget: usize) -> String {
    let mut left = budget;
    let mut shown: Vec<Vec<Value>> = Vec::new();
    let mut is_cut = false;
    for row in &result.rows {
        let cells: Vec<Value> = row.iter().map(|cell| cell_of(cell, &mut is_cut)).collect();
        let size: usize = cells.iter().map(|cell| cell.to_string().chars().count() + 1).sum();
        // One row is always shown: an answer may rest on it alone.
        if size > left && !shown.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        shown.push(cells);
    }
    let mut notes = Vec::new();
    if (shown.len() as u64) < result.row_count {
        notes.push(format!("Only the first {} of {} rows are shown. Let SQL count or sum.", shown.len(), result.row_count));
    }
    if result.truncated {
        notes.push(format!("There are more rows: {}.", limit(result.limit_source, result.row_count)));
    }
    if is_cut {
        notes.push(format!("Long cells are cut to {CELL_CHARS} characters, marked with …."));
    }
    let columns: Vec<String> = result.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    let mut text = json!({"row_count": result.row_count, "rows_shown": shown.len(), "truncated": result.truncated});
    if let Some(body) = text.as_object_mut() {
        if !notes.is_empty() {
            body.insert("note".into(), notes.join(" ").into());
        }
        body.insert("columns".into(), columns.into());
        body.insert("rows".into(), shown.into());
    }
    text.to_string()
}

fn limit(source: Option<LimitSource>, kept: u64) -> String {
    match source {
        Some(LimitSource::Model) => format!("your LIMIT {kept} left them out"),
        Some(LimitSource::Server) => format!("asklake returns at most {kept}, which was not your choice"),
        None => format!("the warehouse returned {kept}"),
    }
}

fn cell_of(cell: &Value, is_cut: &mut bool) -> Value {
    let clipped = match cell {
        Value::String(text) if text.chars().count() > CELL_CHARS => clip(text, CELL_CHARS),
        Value::Array(_) | Value::Object(_) => {
            let text = cell.to_string();
            if text.chars().count() <= CELL_CHARS {
                return cell.clone();
            }
            clip(&text, CELL_CHARS)
        }
        other => return other.clone(),
    };
    *is_cut = true;
    Value::String(clipped)
}

/// The first `chars` characters, with a mark where some are left out.
pub(super) fn clip(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Column, ResultSet};

    fn shown(rows: Vec<Vec<Value>>, row_count: u64, limit_source: Option<LimitSource>, truncated: bool) -> Result<Shown, String> {
        let columns = vec![Column { name: "t".into(), data_type: "string".into() }];
        Ok(Shown { result: ResultSet { columns, rows, row_count, truncated, limit_source } })
    }

    #[test]
    fn all_rows_are_shown_without_a_word_where_they_fit() {
        let text = text(&shown(vec![vec![json!("Jaws")], vec![json!(null)]], 2, Some(LimitSource::Model), false), 100);
        assert_eq!(text, r#"{"row_count":2,"rows_shown":2,"truncated":false,"columns":["t string"],"rows":[["Jaws"],[null]]}"#);
    }

    #[test]
    fn what_is_left_out_is_said_and_by_whom() {
        let row = vec![json!("x".repeat(30))];
        let server = text(&shown(vec![row.clone(); 10], 1000, Some(LimitSource::Server), true), 100);
        assert!(server.contains("Only the first 3 of 1000 rows") && server.contains("asklake returns at most 1000"), "{server}");
        let own = text(&shown(vec![row], 1, Some(LimitSource::Model), true), 10);
        assert!(own.contains(r#""rows_shown":1"#) && own.contains("your LIMIT 1"), "{own}");
    }

    #[test]
    fn long_cells_and_errors_are_cut_at_a_character() {
        let text = text(&shown(vec![vec![json!("ü".repeat(1000))]], 1, None, false), 10_000);
        assert!(text.contains("Long cells") && text.chars().count() < 700, "{text}");
        assert_eq!(super::text(&Err("e".repeat(9000)), 10).chars().count(), ERROR_CHARS + 1 + r#"{"error":""}"#.len());
    }
}
