//! What a person sees: a line of progress, queries with their rows, and the answer as it is written.
//!
//! Results go to standard output, progress to standard error, and both only where that is a terminal; a pipe gets the whole answer once.
//! Text of models and rows is made harmless: a terminal acts on control characters.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;

use super::{
    client::Client,
    follow::{Draft, DraftKind, Status},
};

/// Characters of what is being written that the line of progress has room for.
const TAIL: usize = 60;

/// The terminal during one turn.
pub(super) struct Screen {
    /// Standard output is a terminal.
    is_live: bool,
    bar: Option<ProgressBar>,
    step: String,
    /// What the model writes at present, apart from an answer.
    writing: String,
    /// What of an answer stands on the screen, made harmless.
    told: String,
    /// It does not stand any more: the next of it is written anew.
    is_void: bool,
}

impl Screen {
    /// A screen for one turn; `writes` an answer as it comes where there is a terminal.
    pub(super) fn new(writes: bool) -> Self {
        let is_live = writes && std::io::stdout().is_terminal();
        Self { is_live, bar: None, step: String::new(), writing: String::new(), told: String::new(), is_void: false }
    }

    /// Shows how far the turn is.
    pub(super) fn progress(&mut self, status: &Status) {
        self.writing.clear();
        // What was told of a draft is void with the next status, unless it became the answer.
        self.is_void = !self.told.is_empty() && status.final_answer.is_none();
        if status.is_over() {
            return self.clear();
        }
        self.step = match &status.progress.reasoning {
            Some(reasoning) => format!("{} {reasoning}", status.progress.current_step),
            None => status.progress.current_step.clone(),
        };
        let line = one_line(&self.step);
        let bar = self.bar.get_or_insert_with(bar);
        bar.set_position(status.progress.percentage);
        bar.set_message(line);
    }

    /// Shows what the model writes: an answer in full, all else as the end of the line of progress.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn draft(&mut self, draft: &Draft) -> std::io::Result<()> {
        if draft.kind == DraftKind::Answer && self.is_live {
            return self.write(draft);
        }
        if draft.reset {
            self.writing.clear();
        }
        self.writing.push_str(&draft.text);
        let tail: Vec<char> = one_line(&self.writing).chars().rev().take(TAIL).collect();
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} … {}", one_line(&self.step), tail.into_iter().rev().collect::<String>()));
        }
        Ok(())
    }

    fn write(&mut self, draft: &Draft) -> std::io::Result<()> {
        self.clear();
        let mut out = std::io::stdout().lock();
        if !self.told.is_empty() && (self.is_void || draft.reset) {
            writeln!(out, "\n\n(It is written anew.)\n")?;
            self.told.clear();
        }
        self.is_void = false;
        let text = plain(&draft.text);
        self.told.push_str(&text);
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes the answer or the error, and what belongs to it; of an answer that was written as it came only what is missing.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn answer(&mut self, status: &Status) -> std::io::Result<()> {
        self.clear();
        let mut out = std::io::stdout().lock();
        let answer = status.final_answer.as_deref().map(plain);
        match (&answer, &status.error) {
            (Some(answer), _) => match answer.strip_prefix(self.told.trim_end()) {
                Some(rest) => writeln!(out, "{rest}")?,
                None => writeln!(out, "\n\n(In the end:)\n\n{answer}")?,
            },
            (None, error) => {
                let before = if self.told.is_empty() { "" } else { "\n\n" };
                writeln!(out, "{before}Error: {}", plain(error.as_deref().unwrap_or("no answer")))?;
            }
        }
        // What the answer says itself is not said again.
        let said = answer.unwrap_or_default();
        for assumption in
            status.assumptions.iter().map(|assumption| plain(assumption)).filter(|assumption| !said.contains(assumption.as_str()))
        {
            writeln!(out, "Assumed: {assumption}")?;
        }
        if let Some(model) = status.answered_by.as_ref().filter(|_| !said.is_empty() && !said.contains("Answered by")) {
            writeln!(out, "Answered by: {}", plain(model))?;
        }
        if let Some(cached) = &status.cached {
            writeln!(out, "Cached: the answer is {} min old; --fresh, in chat /fresh QUESTION, has it made anew", cached.age_seconds / 60)?;
        }
        out.flush()
    }

    /// Removes the line of progress.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:20} {percent:>3}% {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Query `number` of a conversation: why, the statement, and its error or its first rows.
///
/// # Errors
/// When the rows cannot be had.
pub(super) async fn query(client: &Client, id: &str, number: usize, status: &Status, most_rows: usize) -> anyhow::Result<String> {
    let Some(job) = number.checked_sub(1).and_then(|index| status.databricks_jobs.get(index)) else {
        anyhow::bail!("there is no query {number}: this conversation has {}", status.databricks_jobs.len());
    };
    let shown = statement(number, status);
    Ok(if let Some(error) = &job.error {
        format!("{shown}\n{}\n", plain(error))
    } else if job.row_count == Some(0) {
        format!("{shown}\nno rows\n")
    } else if job.is_completed() {
        format!("{shown}\n{}\n", rows(client, id, number, most_rows).await?)
    } else {
        shown
    })
}

/// Why query `number` was run, and its statement. Nothing for a query that is not there.
pub(super) fn statement(number: usize, status: &Status) -> String {
    let Some(job) = number.checked_sub(1).and_then(|index| status.databricks_jobs.get(index)) else { return String::new() };
    let why = if job.reasoning.is_empty() { String::new() } else { format!(": {}", one_line(&job.reasoning)) };
    format!("-- Query {number}{why}\n{}\n", plain(&job.sql_query))
}

#[derive(Deserialize)]
struct Rows {
    columns: Vec<crate::conversation::Column>,
    rows: Vec<Vec<Value>>,
    truncated: bool,
}

/// The first rows of query `number` as a table.
///
/// # Errors
/// When they cannot be had.
pub(super) async fn rows(client: &Client, id: &str, number: usize, most: usize) -> anyhow::Result<String> {
    let rows: Rows = serde_json::from_value(client.rows(id, number).await?)?;
    Ok(table(&rows, most))
}

fn table(rows: &Rows, most: usize) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED).set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(rows.columns.iter().map(|column| one_line(&column.name)));
    for row in rows.rows.iter().take(most) {
        table.add_row(row.iter().map(cell));
    }
    let hidden = rows.rows.len().saturating_sub(most);
    match (hidden, rows.truncated) {
        (0, false) => table.to_string(),
        (0, true) => format!("{table}\n… and more rows than the limit"),
        (hidden, false) => format!("{table}\n… and {hidden} more rows"),
        (hidden, true) => format!("{table}\n… and {hidden} more rows, and more than the limit"),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => one_line(&other.to_string()),
    }
}

/// Text that a terminal only shows: without control characters, apart from line breaks and tabs, and without those that turn the
/// direction of writing, by which a text can look like another.
pub(super) fn plain(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\t' => c,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(harmless).collect()
}

/// The same on one line.
pub(super) fn one_line(text: &str) -> String {
    plain(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        let hostile = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{7f}\r\nb\rc\u{202e}d\u{8}";
        assert_eq!(plain(hostile), "a [2J ]0;title  31m \nb c d ");
        assert_eq!(one_line("a\n\tb"), "a  b");
        assert_eq!(plain("Größe — 大きさ 🎬\n"), "Größe — 大きさ 🎬\n");
    }

    #[test]
    fn a_table_says_what_it_leaves_out() {
        let rows = |truncated| Rows {
            columns: vec![crate::conversation::Column { name: "a\u{1b}".into(), data_type: "int".into() }],
            rows: (0..5).map(|n| vec![serde_json::json!(n)]).collect(),
            truncated,
        };
        assert!(!table(&rows(false), 5).contains('…') && !table(&rows(false), 5).contains('\u{1b}'));
        assert!(table(&rows(false), 2).ends_with("… and 3 more rows"));
        assert!(table(&rows(true), 5).ends_with("… and more rows than the limit"));
        assert!(table(&rows(true), 2).ends_with("… and 3 more rows, and more than the limit"));
    }
}
