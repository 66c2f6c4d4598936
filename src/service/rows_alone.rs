//! The answer of last resort: the rows as a table, where the model found no words for them.

use serde_json::Value;

use crate::conversation::{Answer, AnswerBasis, ResultSet};

/// Rows that the table has at most.
const ROWS: usize = 20;
/// Characters of a cell.
const CELL: usize = 100;

/// The answer that shows the first rows of `result`.
pub(super) fn answer(result: &ResultSet) -> Answer {
    let shown = result.rows.len().min(ROWS);
    let mut text = match (result.rows.is_empty(), (shown as u64) < result.row_count || result.truncated) {
        (true, _) => "The model found no words for the result, which has no rows.".to_owned(),
        (false, false) => "The model found no words for these rows:".to_owned(),
        (false, true) => format!("The model found no words for the rows; these are the first {shown}:"),
    };
    if shown > 0 {
        let header = result.columns.iter().map(|column| escaped(&column.name));
        text.push_str(&format!("\n\n{}{}", line(header), line(result.columns.iter().map(|_| "---".to_owned()))));
        result.rows.iter().take(shown).for_each(|row| text.push_str(&line(row.iter().map(cell))));
    }
    Answer { text: text.trim_end().to_owned(), basis: AnswerBasis::Data, assumptions: Vec::new(), suggested_questions: Vec::new() }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    }
}

/// Text that stays in its cell and is nothing but text there.
fn escaped(text: &str) -> String {
    let mut cell = String::new();
    for c in text.chars().take(CELL) {
        match c {
            c if c.is_control() => cell.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '!' | '~' | '&' => cell.extend(['\\', c]),
            c => cell.push(c),
        }
    }
    if text.chars().nth(CELL).is_some() {
        cell.push('…');
    }
    cell
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conversation::Column;

    fn result(rows: Vec<Vec<Value>>, row_count: u64) -> ResultSet {
        let columns = ["title", "votes"].map(|name| Column { name: name.into(), data_type: "string".into() }).to_vec();
        ResultSet { columns, rows, row_count, truncated: false, limit_source: None }
    }

    #[test]
    fn rows_become_a_table_in_which_text_stays_text() {
        let text = answer(&result(vec![vec![json!("a|b\n*c*"), json!(7)], vec![json!(null), json!([1])]], 2)).text;
        assert_eq!(
            text,
            "The model found no words for these rows:\n\n| title | votes |\n| --- | --- |\n| a\\|b \\*c\\* | 7 |\n|  | \\[1\\] |"
        );
    }

    #[test]
    fn what_is_left_out_is_said() {
        let many = answer(&result(vec![vec![json!("x".repeat(500)), json!(1)]; 50], 50)).text;
        assert!(many.contains("the first 20:") && many.lines().count() == 24 && many.contains("x…"), "{many}");
        assert!(answer(&result(vec![], 0)).text.ends_with("no rows."));
    }
}
