//! Where the lines of a session come from: typed with line editing and a history, or read from a pipe.

use std::{
    future,
    io::{self, IsTerminal},
    path::PathBuf,
};

use anyhow::Context;
use rustyline::{Config, DefaultEditor, error::ReadlineError};

/// Lines that are kept.
const KEPT: usize = 1_000;

/// What came of asking for a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    /// Ctrl-D, or the end of the pipe.
    End,
}

/// The lines of a session.
pub(super) struct Input {
    /// Absent while a line is being read.
    editor: Option<DefaultEditor>,
    history: PathBuf,
    is_terminal: bool,
}

impl Input {
    /// Lines with the history in the file `history`, which need not exist.
    pub(super) fn open(history: PathBuf) -> anyhow::Result<Self> {
        let config = Config::builder().max_history_size(KEPT)?.history_ignore_dups(true)?.build();
        let mut editor = DefaultEditor::with_config(config).context("cannot read from the terminal")?;
        let is_terminal = io::stdin().is_terminal();
        if is_terminal {
            match editor.load_history(&history) {
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                read => read.with_context(|| format!("cannot read the lines of earlier sessions from {}", history.display()))?,
            }
        }
        Ok(Self { editor: Some(editor), history, is_terminal })
    }

    /// Whether a person types.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Waits for the next line.
    pub(super) async fn next(&mut self) -> anyhow::Result<Typed> {
        let prompt = if self.is_terminal { "> " } else { "" };
        let mut editor = self.editor.take().context("a line is being read already")?;
        let read = tokio::task::spawn_blocking(move || {
            let line = editor.readline(prompt);
            (editor, line)
        });
        let (editor, line) = read.await?;
        let editor = self.editor.insert(editor);
        match line {
            Ok(line) => {
                if self.is_terminal && !line.trim().is_empty() {
                    editor.add_history_entry(line.as_str())?;
                    editor.append_history(&self.history).with_context(|| format!("cannot write {}", self.history.display()))?;
                }
                Ok(Typed::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(error).context("cannot read a line"),
        }
    }

    /// Waits for a line that is typed while a question is being worked on: without editing, as the terminal itself gives it. From a pipe
    /// comes none, because there lines are read one after the other. Nothing is lost when it is dropped before it is done.
    #[cfg(unix)]
    pub(super) async fn aside(&self) -> String {
        if !self.is_terminal {
            return future::pending().await;
        }
        loop {
            match tokio::task::spawn_blocking(is_typed).await {
                Ok(Ok(true)) => break,
                Ok(Ok(false)) => {}
                Ok(Err(_)) | Err(_) => return future::pending().await,
            }
        }
        // A terminal is readable once there is a line: this does not wait.
        let mut line = String::new();
        match io::stdin().read_line(&mut line) {
            Ok(length) if length > 0 => line,
            _ => future::pending().await,
        }
    }

    /// No line, where there is no way to wait for one.
    #[cfg(not(unix))]
    pub(super) async fn aside(&self) -> String {
        future::pending().await
    }
}

/// Whether the terminal has a line. Waits for one, but not for long: nobody can call back a thread that waits when the question has ended.
#[cfg(unix)]
fn is_typed() -> nix::Result<bool> {
    use nix::poll::{PollFd, PollFlags, poll};
    use std::os::fd::AsFd;

    const WAIT_MILLISECONDS: u16 = 200;
    let stdin = io::stdin();
    let mut terminal = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut terminal, WAIT_MILLISECONDS)? > 0)
}
