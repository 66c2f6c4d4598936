//! `asklake ask "…"`: asks over HTTP, shows the progress, the SQL, the rows and the answer.
//!
//! Without `--server` the caller starts one in this process, so that there is one way to ask.

use std::{io::Write, time::Duration};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;

/// What to ask and how to show it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The question.
    pub question: String,
    /// API key or bearer token for the server.
    pub token: Option<String>,
    /// BCP 47 tag of the language to answer in.
    pub language: Option<String>,
    /// Print one JSON document instead of text.
    pub json: bool,
}

/// How the question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an answer.
    Completed,
    /// Without one.
    Failed,
}

/// Rows shown at most; `--json` prints all.
const ROWS_SHOWN: usize = 20;
/// How long one status request is held, in seconds.
const WAIT: u64 = 20;
/// How often the question is sent again, within a second: who asks wants to know soon that there is no server.
const START_RETRIES: usize = 2;
/// How often a request that follows a conversation is sent again, within half a minute: the server may be restarting.
const FOLLOW_RETRIES: usize = 7;

#[derive(Deserialize)]
struct Started {
    conversation_id: String,
}

#[derive(Deserialize)]
struct Status {
    status: String,
    revision: u64,
    progress: Progress,
    final_answer: Option<String>,
    error: Option<String>,
    answered_by: Option<String>,
    #[serde(default)]
    assumptions: Vec<String>,
    #[serde(default)]
    databricks_jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Progress {
    current_step: String,
    percentage: u64,
    reasoning: Option<String>,
}

impl Progress {
    fn text(&self) -> String {
        match &self.reasoning {
            Some(reasoning) => format!("{} {reasoning}", self.current_step),
            None => self.current_step.clone(),
        }
    }
}

#[derive(Deserialize)]
struct Job {
    sql_query: String,
    status: String,
    reasoning: String,
    row_count: Option<u64>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Rows {
    columns: Vec<crate::conversation::Column>,
    rows: Vec<Vec<Value>>,
    truncated: bool,
}

/// Asks at `base`, the address of a server without `/api`.
///
/// # Errors
/// When the server cannot be reached or does not take the question.
pub async fn run(base: &str, options: &Options) -> anyhow::Result<Ended> {
    let client = Client { base: base.trim_end_matches('/').to_owned(), token: options.token.clone(), http: reqwest::Client::new() };
    let id = client.start(options).await?;
    let body = follow(&client, &id).await?;
    let status: Status = serde_json::from_value(body.clone()).context("the server's status is not what this version expects")?;
    if options.json {
        print_json(&client, &id, &status, body).await?;
    } else {
        print_text(&client, &id, &status).await?;
    }
    Ok(if status.status == "completed" { Ended::Completed } else { Ended::Failed })
}

/// Long-polls until the turn has ended, with a progress line on standard error.
async fn follow(client: &Client, id: &str) -> anyhow::Result<Value> {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:20} {percent:>3}% {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    let mut after = 0;
    loop {
        let body = client.get(&format!("/api/chat/{id}/status?wait={WAIT}&after={after}")).await?;
        let status: Status = serde_json::from_value(body.clone()).context("the server's status is not what this version expects")?;
        bar.set_position(status.progress.percentage);
        bar.set_message(status.progress.text());
        after = status.revision;
        if status.status != "processing" {
            bar.finish_and_clear();
            return Ok(body);
        }
    }
}

async fn print_json(client: &Client, id: &str, status: &Status, mut body: Value) -> anyhow::Result<()> {
    let mut results = Vec::new();
    for (number, job) in (1..).zip(&status.databricks_jobs) {
        results.push(if job.status == "completed" { client.get(&format!("/api/chat/{id}/results/{number}")).await? } else { Value::Null });
    }
    if let Some(object) = body.as_object_mut() {
        object.insert("results".into(), results.into());
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&body)?)?;
    Ok(())
}

async fn print_text(client: &Client, id: &str, status: &Status) -> anyhow::Result<()> {
    let mut out = Vec::new();
    for (number, job) in (1..).zip(&status.databricks_jobs) {
        let why = if job.reasoning.is_empty() { String::new() } else { format!(": {}", job.reasoning) };
        writeln!(out, "-- Query {number}{why}\n{}\n", job.sql_query)?;
        if let Some(error) = &job.error {
            writeln!(out, "{error}\n")?;
        } else if job.row_count == Some(0) {
            writeln!(out, "no rows\n")?;
        } else if job.status == "completed" {
            let rows: Rows = serde_json::from_value(client.get(&format!("/api/chat/{id}/results/{number}")).await?)?;
            writeln!(out, "{}\n", table(&rows))?;
        }
    }
    match (&status.final_answer, &status.error) {
        (Some(answer), _) => writeln!(out, "{answer}")?,
        (None, error) => writeln!(out, "Error: {}", error.as_deref().unwrap_or("no answer"))?,
    }
    // What the answer says itself is not said again.
    let said = status.final_answer.as_deref().unwrap_or_default();
    for assumption in status.assumptions.iter().filter(|assumption| !said.contains(assumption.as_str())) {
        writeln!(out, "Assumed: {assumption}")?;
    }
    if let Some(model) = status.answered_by.as_ref().filter(|_| !said.is_empty() && !said.contains("Answered by")) {
        writeln!(out, "Answered by: {model}")?;
    }
    std::io::stdout().write_all(&out)?;
    Ok(())
}

fn table(rows: &Rows) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED).set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(rows.columns.iter().map(|column| column.name.as_str()));
    for row in rows.rows.iter().take(ROWS_SHOWN) {
        table.add_row(row.iter().map(cell));
    }
    let hidden = rows.rows.len().saturating_sub(ROWS_SHOWN);
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
        // A terminal must not act on what a row holds.
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

struct Client {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

impl Client {
    async fn start(&self, options: &Options) -> anyhow::Result<String> {
        // The key makes it safe to send again after a failure on the way.
        let key = uuid::Uuid::new_v4().to_string();
        let body = serde_json::json!({"question": options.question, "language": options.language});
        let url = format!("{}/api/chat/start", self.base);
        let started = self.send(START_RETRIES, || self.http.post(&url).header("Idempotency-Key", &key).json(&body)).await?;
        Ok(serde_json::from_value::<Started>(started)?.conversation_id)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        self.send(FOLLOW_RETRIES, || self.http.get(&url)).await
    }

    async fn send(&self, retries: usize, request: impl Fn() -> reqwest::RequestBuilder) -> anyhow::Result<Value> {
        use backon::{ExponentialBuilder, Retryable};
        let signed = || match &self.token {
            Some(token) => request().bearer_auth(token),
            None => request(),
        };
        let attempt = || async { signed().timeout(Duration::from_secs(WAIT + 20)).send().await };
        let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_max_times(retries).with_jitter();
        let response = attempt.retry(backoff).await.with_context(|| format!("cannot reach {}; is the server running?", self.base))?;
        let status = response.status();
        let body: Value = response.json().await.with_context(|| format!("{} did not answer with JSON", self.base))?;
        if !status.is_success() {
            bail!("the server answered {status}: {}", body["error"].as_str().unwrap_or("no reason given"));
        }
        Ok(body)
    }
}
