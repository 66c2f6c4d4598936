//! Questions that the catalog answers itself: one that is word for word a verified query is answered with the statement of that query.
//!
//! Owns what "word for word" means, and how rows are shown of which nothing is known but their columns. Needs no `planner` section.

use serde_json::Value;

use crate::{
    conversation::{Answer, AnswerBasis, QueryDecision, ResultSet},
    sql::{Catalog, catalog::VerifiedQuery},
};

use super::{
    answer::escape,
    turn::{Results, Stop, cell_text},
};

/// Rows that an answer shows at most.
const ROWS: usize = 20;
/// What separates words and says nothing by itself. Not `<`, `+` or `-`: without them another question is asked.
const PUNCTUATION: &[char] = &['.', ',', ';', ':', '!', '?', '¿', '¡', '…', '"', '\'', '“', '”', '„', '«', '»', '‘', '’', '(', ')'];

/// What is next in a turn whose question is a verified query of the catalog; `None` where it is none.
pub(super) fn step(catalog: &Catalog, question: &str, results: Results<'_>) -> Option<Stop> {
    let asked = words(question);
    let query = catalog.queries.iter().find(|query| words(&query.question) == asked)?;
    Some(match results.first() {
        None => ask(catalog, query),
        Some(Ok(shown)) => answer(AnswerBasis::Data, told(&shown.result)),
        Some(Err(error)) => answer(AnswerBasis::None, format!("The query failed, so there is no answer: {}", escape(error))),
    })
}

fn words(question: &str) -> Vec<String> {
    let is_between = |letter: char| letter.is_whitespace() || PUNCTUATION.contains(&letter);
    question.split(is_between).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn ask(catalog: &Catalog, query: &VerifiedQuery) -> Stop {
    let reasoning = "The verified query of the catalog for this question".into();
    Stop::Query(QueryDecision { call_id: String::new(), sql_query: catalog.fill(&query.sql), lookup: None, reasoning })
}

fn answer(basis: AnswerBasis, text: String) -> Stop {
    Stop::Answer(Box::new(Answer { text, basis, assumptions: Vec::new(), suggested_questions: Vec::new() }))
}

/// The rows in words where there is one value, else as a table.
fn told(result: &ResultSet) -> String {
    match (result.columns.as_slice(), result.rows.as_slice()) {
        (_, []) => "Nothing in the lake is asked for: the verified query of the catalog gives no rows.".into(),
        ([column], [row]) => format!("{}: {}.", escape(&column.name), row.first().map(cell).unwrap_or_default()),
        _ => table(result),
    }
}

fn table(result: &ResultSet) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let head = line(result.columns.iter().map(|column| escape(&column.name)).collect());
    let rule = line(vec!["---".into(); result.columns.len()]);
    let rows = result.rows.iter().take(ROWS).map(|row| line(row.iter().map(cell).collect()));
    let lines: Vec<String> = [head, rule].into_iter().chain(rows).collect();
    let is_part = result.truncated || result.row_count > ROWS as u64;
    let note = if is_part { format!("\n\nThese are the first of {} rows.", result.row_count) } else { String::new() };
    format!("{}{note}", lines.join("\n"))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "—".into(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => escape(&cell_text(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn case_punctuation_and_spaces_make_no_other_question() {
        assert_eq!(words("How many products are there?"), words("  how many   PRODUCTS are there "));
        assert_eq!(words("What’s new?"), words("what's new"));
    }

    #[test]
    fn signs_and_numbers_do() {
        assert_ne!(words("Products < 5"), words("Products > 5"));
        assert_ne!(words("Products above 7.5"), words("Products above 75"));
    }
}
