//! `asklake chat`: questions and follow-ups of one conversation after the other, with commands to look at what is behind an answer.
//!
//! Asks over HTTP as `ask` does; without `--server` the caller starts a server in this process. Where standard input is no terminal, every
//! line is a question or a command, and the session fails when one of them did.

mod command;
mod input;

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::{Context, bail};
use serde::Deserialize;

use self::{
    command::Command,
    input::{Input, Typed},
};
use super::{
    client::Client,
    follow::{Event, Status, Turn},
    screen::{self, Screen, one_line, plain},
};

/// Rows that are shown at most; a file gets all.
const ROWS_SHOWN: usize = 100;
/// Conversations that are listed.
const LISTED: usize = 20;
/// Characters of a question in that list.
const LISTED_QUESTION: usize = 80;

/// How a session begins.
#[derive(Clone)]
pub struct Options {
    /// The conversation to go on with; none begins a new one.
    pub conversation: Option<String>,
    /// API key or bearer token for the server.
    pub token: Option<String>,
    /// BCP 47 tag of the language to answer in.
    pub language: Option<String>,
    /// Where the lines of earlier sessions and the name of this device are kept.
    pub data_dir: PathBuf,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The user left it.
    Left,
    /// A line of a pipe failed, or a question of one had no answer.
    Failed,
    /// Ctrl-C, twice.
    Interrupted,
}

/// The conversation that is open.
struct Open {
    id: String,
    /// As it was seen last; absent until it was.
    status: Option<Status>,
}

struct Session {
    client: Client,
    input: Input,
    /// The label of the conversations that are begun here.
    device: String,
    language: Option<String>,
    open: Option<Open>,
    /// Ids as they were listed last.
    listed: Vec<String>,
}

/// How a question ended.
enum Answered {
    Completed,
    Failed,
    /// Left while it was being worked on.
    Left,
}

/// Holds a session with the server at `base`, an address without `/api`.
///
/// # Errors
/// When the server or the conversation cannot be reached at the start, or the terminal cannot be read or written. What fails later is
/// told and the session goes on.
pub async fn run(base: &str, options: Options) -> anyhow::Result<Ended> {
    std::fs::create_dir_all(&options.data_dir).with_context(|| format!("cannot make the folder {}", options.data_dir.display()))?;
    let input = Input::open(options.data_dir.join("chat-history"))?;
    let device = device(&options.data_dir.join("device-id"))?;
    let mut session = Session {
        client: Client::new(base, options.token.as_deref())?,
        input,
        device,
        language: options.language,
        open: None,
        listed: Vec::new(),
    };
    if session.input.is_terminal() {
        say("Ask a question, or /help. Ctrl-D leaves.\n")?;
    }
    let opened = match options.conversation {
        Some(id) => session.resume(id).await?,
        None => Answered::Completed,
    };
    if matches!(opened, Answered::Left) { Ok(Ended::Interrupted) } else { session.run().await }
}

/// The name that this folder's conversations are found by in the history, made when it is first needed.
fn device(file: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(file) {
        Ok(id) if uuid::Uuid::try_parse(id.trim()).is_ok() => Ok(id.trim().to_owned()),
        Ok(_) => bail!("{} holds no UUID; remove it to get another one", file.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = uuid::Uuid::new_v4().to_string();
            std::fs::write(file, &id).with_context(|| format!("cannot write {}", file.display()))?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Writes to standard output.
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes to standard error.
fn complain(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", plain(text));
}

impl Session {
    async fn run(&mut self) -> anyhow::Result<Ended> {
        let mut failed = false;
        let mut interrupted = false;
        loop {
            let line = match self.input.next().await? {
                Typed::Line(line) => line,
                Typed::End => break,
                Typed::Interrupted if interrupted => return Ok(Ended::Interrupted),
                Typed::Interrupted => {
                    interrupted = true;
                    complain("Ctrl-C again or Ctrl-D leaves.");
                    continue;
                }
            };
            interrupted = false;
            let done = match command::parse(&line) {
                Ok(None) => continue,
                Ok(Some(Command::Quit)) => break,
                Ok(Some(command)) => self.perform(command).await,
                Err(error) => Err(anyhow::anyhow!(error)),
            };
            match done {
                Ok(Answered::Completed) => {}
                Ok(Answered::Failed) => failed = true,
                Ok(Answered::Left) => return Ok(Ended::Interrupted),
                Err(error) => {
                    failed = true;
                    complain(&format!("{error:#}"));
                }
            }
        }
        Ok(if failed && !self.input.is_terminal() { Ended::Failed } else { Ended::Left })
    }

    /// Does what a line says. Ctrl-C ends the wait for whatever it is.
    async fn perform(&mut self, command: Command) -> anyhow::Result<Answered> {
        match command {
            Command::Ask(question) => return self.ask(&question, false).await,
            Command::Fresh(question) => {
                self.open = None;
                return self.ask(&question, true).await;
            }
            _ => {}
        }
        if let Command::History(Some(number)) = command {
            let id = number.checked_sub(1).and_then(|index| self.listed.get(index)).cloned();
            return match id {
                Some(id) => self.resume(id).await,
                None => bail!("the list has no number {number}; /history shows it"),
            };
        }
        tokio::select! {
            done = self.look(command) => done?,
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                bail!("interrupted");
            }
        }
        Ok(Answered::Completed)
    }

    async fn look(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Sql(number) => {
                let open = self.opened()?;
                let status = open.status()?;
                let number = number.unwrap_or(status.databricks_jobs.len());
                exists(number, status)?;
                say(screen::statement(number, status).trim_end())?;
            }
            Command::Rows(number) => {
                let open = self.opened()?;
                let number = open.with_rows(number)?;
                say(&screen::rows(&self.client, &open.id, number, ROWS_SHOWN).await?)?;
            }
            Command::Csv { file, number, overwrites } => {
                let open = self.opened()?;
                let rows = self.client.csv(&open.id, open.with_rows(number)?).await?;
                write(Path::new(&file), &rows, overwrites)?;
                say(&format!("wrote {} bytes to {file}", rows.len()))?;
            }
            Command::Stop => {
                self.client.cancel(&self.opened()?.id).await?;
                say("stopped")?;
            }
            Command::New => self.open = None,
            Command::History(_) => self.list().await?,
            Command::Help => say(command::help().trim_end())?,
            Command::Ask(_) | Command::Fresh(_) | Command::Quit => {}
        }
        Ok(())
    }

    fn opened(&self) -> anyhow::Result<&Open> {
        self.open.as_ref().context("there is no conversation yet: ask a question first, or open one of /history")
    }

    async fn ask(&mut self, question: &str, fresh: bool) -> anyhow::Result<Answered> {
        let language = self.language.as_deref();
        let turn = match &self.open {
            Some(Open { id, status: Some(status) }) => {
                self.client.follow_up(id, question, language).await?;
                status.turn + 1
            }
            Some(open) => bail!("the conversation {} was not read yet: open it again", open.id),
            None => {
                let id = self.client.start(question, language, Some(&self.device), fresh).await?;
                self.open = Some(Open { id, status: None });
                1
            }
        };
        let id = self.opened()?.id.clone();
        let answered = self.follow(turn).await;
        answered.with_context(|| format!("the question was taken, and /history or `asklake chat {id}` opens its conversation again"))
    }

    /// Follows the turn of the open conversation to its end. The first Ctrl-C, or `/stop`, cancels it; the second leaves.
    async fn follow(&mut self, number: u32) -> anyhow::Result<Answered> {
        let Some(open) = &mut self.open else { bail!("there is no conversation") };
        let known = open.status.as_ref().map_or(0, |status| status.revision);
        let before = open.status.as_ref().map_or(0, |status| status.databricks_jobs.len());
        let mut turn = Turn::new(&self.client, &open.id, number, known);
        let mut screen = Screen::new(true);
        let mut is_stopping = false;
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        loop {
            let stops = tokio::select! {
                event = turn.next() => match event? {
                    Some(Event::Draft(draft)) => {
                        screen.draft(&draft)?;
                        continue;
                    }
                    Some(Event::Status(status, _)) => {
                        screen.progress(&status);
                        open.status = Some(*status);
                        continue;
                    }
                    None => break,
                },
                pressed = &mut interrupt => {
                    pressed?;
                    interrupt.set(tokio::signal::ctrl_c());
                    true
                }
                line = self.input.aside() => {
                    let is_stop = line.trim() == "/stop";
                    if !is_stop {
                        complain("A question is being worked on; /stop or Ctrl-C stops it.");
                    }
                    is_stop
                }
            };
            if stops && is_stopping {
                return Ok(Answered::Left);
            }
            if stops {
                is_stopping = true;
                screen.clear();
                complain("Stopping; Ctrl-C again leaves.");
                if let Err(error) = self.client.cancel(&open.id).await {
                    complain(&format!("{error:#}"));
                }
            }
        }
        let Some(status) = &open.status else { bail!("the server told of no end of the turn") };
        screen.answer(status)?;
        let queries = status.databricks_jobs.len().saturating_sub(before);
        if queries > 0 && self.input.is_terminal() {
            say(&format!("\n({queries} {}: /sql, /rows)", if queries == 1 { "query" } else { "queries" }))?;
        }
        Ok(if status.status == "completed" { Answered::Completed } else { Answered::Failed })
    }

    /// Opens a conversation, shows what was said, and follows its turn if one is running.
    async fn resume(&mut self, id: String) -> anyhow::Result<Answered> {
        let status = Status::read(&self.client.status(&id, None).await?)?;
        let said: Said =
            serde_json::from_value(self.client.messages(&id).await?).context("the messages are not what this version expects")?;
        for message in said.messages.iter().filter(|message| !message.content.is_empty()) {
            let mark = if message.role == "user" { "> " } else { "" };
            say(&format!("{mark}{}\n", plain(&message.content)))?;
        }
        let (turn, is_over) = (status.turn, status.is_over());
        if is_over && let Some(error) = &status.error {
            say(&format!("Error: {}\n", plain(error)))?;
        }
        self.open = Some(Open { id, status: Some(status) });
        if is_over { Ok(Answered::Completed) } else { self.follow(turn).await }
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let history = self.client.history(&self.device, LISTED).await?;
        let history: History = serde_json::from_value(history).context("the history is not what this version expects")?;
        if history.conversations.is_empty() {
            say("no conversation was begun here yet")?;
        }
        self.listed.clear();
        for (number, conversation) in (1..).zip(history.conversations) {
            let name = conversation.title.unwrap_or(conversation.question);
            let name: String = one_line(&name).chars().take(LISTED_QUESTION).collect();
            let at = conversation.created_at.get(..16).unwrap_or_default().replace('T', " ");
            say(&format!("{number:>3}  {}  {:10}  {name}", one_line(&at), one_line(&conversation.status)))?;
            self.listed.push(conversation.id);
        }
        Ok(())
    }
}

impl Open {
    fn status(&self) -> anyhow::Result<&Status> {
        self.status.as_ref().context("nothing is known of the conversation yet")
    }

    /// The query whose rows are wanted: `number`, else the last one that has any.
    fn with_rows(&self, number: Option<usize>) -> anyhow::Result<usize> {
        let status = self.status()?;
        let last = || status.databricks_jobs.iter().rposition(|job| job.is_completed() && job.row_count != Some(0)).map(|index| index + 1);
        let number = number.or_else(last).context("no query of this conversation has rows")?;
        exists(number, status)?;
        Ok(number)
    }
}

fn exists(number: usize, status: &Status) -> anyhow::Result<()> {
    match status.databricks_jobs.len() {
        0 => bail!("this conversation has no query"),
        queries if !(1..=queries).contains(&number) => bail!("there is no query {number}: this conversation has {queries}"),
        _ => Ok(()),
    }
}

fn write(file: &Path, bytes: &[u8], overwrites: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let options = if overwrites { options.write(true).create(true).truncate(true) } else { options.write(true).create_new(true) };
    let mut opened = match options.open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} exists; add --overwrite to replace it", file.display())
        }
        opened => opened.with_context(|| format!("cannot write {}", file.display()))?,
    };
    opened.write_all(bytes).with_context(|| format!("cannot write {}", file.display()))
}

#[derive(Deserialize)]
struct Said {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

#[derive(Deserialize)]
struct History {
    conversations: Vec<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    id: String,
    title: Option<String>,
    question: String,
    status: String,
    created_at: String,
}
