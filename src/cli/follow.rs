//! Following a turn to its end: server-sent events where there are any, else long polls.
//!
//! Owns when to connect again and when to fall back. Shows nothing.

use std::pin::Pin;

use anyhow::Context;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::Value;
use sse_stream::{Sse, SseByteStream};

use super::client::Client;

/// Streams in a row that told nothing before polling takes over.
const SILENT_STREAMS: u32 = 2;

/// What the terminal reads of a status.
#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) status: String,
    pub(super) revision: u64,
    #[serde(default = "first_turn")]
    pub(super) turn: u32,
    pub(super) progress: Progress,
    pub(super) final_answer: Option<String>,
    pub(super) error: Option<String>,
    pub(super) answered_by: Option<String>,
    pub(super) cached: Option<Cached>,
    #[serde(default)]
    pub(super) assumptions: Vec<String>,
    #[serde(default)]
    pub(super) databricks_jobs: Vec<Job>,
}

/// That the answer was made before.
#[derive(Deserialize)]
pub(super) struct Cached {
    /// How old it was when it was asked for again.
    pub(super) age_seconds: u64,
}

fn first_turn() -> u32 {
    1
}

#[derive(Deserialize)]
pub(super) struct Progress {
    pub(super) current_step: String,
    pub(super) percentage: u64,
    pub(super) reasoning: Option<String>,
}

/// A query of the conversation.
#[derive(Deserialize)]
pub(super) struct Job {
    pub(super) sql_query: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) reasoning: String,
    pub(super) row_count: Option<u64>,
    pub(super) error: Option<String>,
}

impl Job {
    pub(super) fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    pub(super) fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "pending" | "running")
    }
}

impl Status {
    pub(super) fn read(body: &Value) -> anyhow::Result<Self> {
        Self::deserialize(body).context("the server's status is not what this version expects")
    }

    pub(super) fn is_over(&self) -> bool {
        self.status != "processing"
    }
}

/// What a model is writing: provisional, void with the next status.
#[derive(Deserialize)]
pub(super) struct Draft {
    pub(super) kind: DraftKind,
    /// The text replaces what came before it.
    #[serde(default)]
    pub(super) reset: bool,
    pub(super) text: String,
}

/// Of what a draft is a part.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum DraftKind {
    Answer,
    Sql,
    Reasoning,
    /// One that a later server knows.
    #[serde(other)]
    Other,
}

/// What there is to tell of a turn.
pub(super) enum Event {
    /// The conversation has changed; beside what is read of it, the body as the server sent it.
    Status(Box<Status>, Value),
    /// The model writes.
    Draft(Draft),
}

type Events = SseByteStream<Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>>;

enum Source {
    /// To be connected, after so many streams that told nothing.
    Unconnected(u32),
    Events(Box<Events>, u32),
    Polls,
}

/// A turn that is followed.
pub(super) struct Turn<'a> {
    client: &'a Client,
    id: &'a str,
    turn: u32,
    revision: u64,
    source: Source,
    is_over: bool,
}

impl<'a> Turn<'a> {
    /// Follows turn `turn` of a conversation that was seen up to `revision`; 0 if it was not.
    pub(super) fn new(client: &'a Client, id: &'a str, turn: u32, revision: u64) -> Self {
        Self { client, id, turn, revision, source: Source::Unconnected(0), is_over: false }
    }

    /// Waits for the next event; none after the status that ends the turn. Nothing is lost when it is dropped before it is done.
    ///
    /// # Errors
    /// When the server cannot be reached or sends what cannot be read.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        while !self.is_over {
            match &mut self.source {
                Source::Unconnected(silent) => {
                    let silent = *silent;
                    self.source = match self.client.events(self.id, self.revision).await {
                        Ok(Some(response)) => Source::Events(Box::new(SseByteStream::new(response.bytes_stream().boxed())), silent),
                        // Whatever it is, a poll says it better, or works.
                        Ok(None) | Err(_) => Source::Polls,
                    };
                }
                Source::Events(events, silent) => {
                    let silent = *silent;
                    match events.next().await {
                        Some(Ok(event)) => {
                            if let Some(event) = self.read(&event, silent)? {
                                return Ok(Some(event));
                            }
                        }
                        None if silent < SILENT_STREAMS => self.source = Source::Unconnected(silent + 1),
                        None | Some(Err(_)) => self.source = Source::Polls,
                    }
                }
                Source::Polls => {
                    let after = (self.revision > 0).then_some(self.revision);
                    let body = self.client.status(self.id, after).await?;
                    if let Some(event) = self.status(body)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
        Ok(None)
    }

    fn read(&mut self, event: &Sse, silent: u32) -> anyhow::Result<Option<Event>> {
        let Some(data) = event.data.as_deref() else { return Ok(None) };
        let json = |data| serde_json::from_str(data).context("the server sent an event that is no JSON");
        match event.event.as_deref() {
            Some("status") => {
                if silent > 0
                    && let Source::Events(_, silent) = &mut self.source
                {
                    *silent = 0;
                }
                self.status(json(data)?)
            }
            Some("draft") => Ok(serde_json::from_str(data).ok().map(Event::Draft)),
            Some("done") => {
                // Of a turn before this one, or of a conversation that is gone: a poll tells.
                self.source = Source::Polls;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// A status that says something new of this turn.
    fn status(&mut self, body: Value) -> anyhow::Result<Option<Event>> {
        let status = Status::read(&body)?;
        self.revision = self.revision.max(status.revision);
        if status.turn < self.turn {
            return Ok(None);
        }
        self.is_over = status.is_over();
        Ok(Some(Event::Status(Box::new(status), body)))
    }
}
