//! `asklake ask "…"`: asks over HTTP, shows the progress, the SQL, the rows and the answer.
//!
//! Without `--server` the caller starts one in this process, so that there is one way to ask.

use std::io::Write;

use anyhow::Context;
use serde_json::Value;

use super::{
    client::Client,
    follow::{Event, Status, Turn},
    screen::{self, Screen},
};

/// What to ask and how to show it.
#[derive(Clone)]
pub struct Options {
    /// The question.
    pub question: String,
    /// API key or bearer token for the server.
    pub token: Option<String>,
    /// BCP 47 tag of the language to answer in.
    pub language: Option<String>,
    /// Have the answer made anew, also where the same question was answered lately.
    pub fresh: bool,
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

/// Asks at `base`, the address of a server without `/api`.
///
/// # Errors
/// When the server cannot be reached or does not take the question. Once it has, the error names the conversation.
pub async fn run(base: &str, options: &Options) -> anyhow::Result<Ended> {
    let client = Client::new(base, options.token.as_deref())?;
    let id = client.start(&options.question, options.language.as_deref(), None, options.fresh).await?;
    let ended = follow(&client, &id, options).await;
    ended.with_context(|| format!("the question was taken, and `asklake chat {id}` on the same server opens its conversation"))
}

/// Follows the first turn of conversation `id` to its end, and shows it.
async fn follow(client: &Client, id: &str, options: &Options) -> anyhow::Result<Ended> {
    let mut turn = Turn::new(client, id, 1, 0);
    let mut screen = Screen::new(!options.json);
    let mut printed = 0;
    while let Some(event) = turn.next().await? {
        let (status, body) = match event {
            Event::Draft(draft) => {
                screen.draft(&draft)?;
                continue;
            }
            Event::Status(status, body) => (status, body),
        };
        if !options.json {
            printed = print_queries(client, id, &status, printed, &mut screen).await?;
        }
        screen.progress(&status);
        if !status.is_over() {
            continue;
        }
        if options.json {
            print_json(client, id, &status, body).await?;
        } else {
            screen.answer(&status)?;
        }
        return Ok(if status.status == "completed" { Ended::Completed } else { Ended::Failed });
    }
    anyhow::bail!("the server told of no end of the turn")
}

/// Prints the queries that have ended since `printed` of them were, in their order. Returns how many there are now.
async fn print_queries(client: &Client, id: &str, status: &Status, printed: usize, screen: &mut Screen) -> anyhow::Result<usize> {
    let over = status.databricks_jobs.iter().skip(printed).take_while(|job| job.is_over()).count();
    for number in printed + 1..=printed + over {
        let query = screen::query(client, id, number, status, ROWS_SHOWN).await?;
        screen.clear();
        writeln!(std::io::stdout(), "{query}")?;
    }
    Ok(printed + over)
}

async fn print_json(client: &Client, id: &str, status: &Status, mut body: Value) -> anyhow::Result<()> {
    let mut results = Vec::new();
    for (number, job) in (1..).zip(&status.databricks_jobs) {
        results.push(if job.is_completed() { client.rows(id, number).await? } else { Value::Null });
    }
    if let Some(object) = body.as_object_mut() {
        object.insert("results".into(), results.into());
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&body)?)?;
    Ok(())
}
