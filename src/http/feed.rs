//! What a stream of a conversation is told and when, whatever it is written to: server-sent events or a WebSocket.
//!
//! Owns the life of a stream: its place among a limited number, of all callers and of one, the heartbeat, the end with the turn, after its time, or with the
//! server. A feed holds a few hundred bytes and gives out the next event when the client has taken the last.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    problem::Problem,
    status::{self, LARGEST_REVISION},
};
use crate::{
    conversation::{Caller, ConversationId, Owner, Revision},
    service::{DraftPiece, News, Part, Service, Watch},
    telemetry::OpenStream,
};

/// The longest time without a word: proxies take a silent connection for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a stream lasts. The Functions host ends a request after 240 s of idling and Azure's load balancer any after 230 s.
const LIFE: Duration = Duration::from_secs(200);

/// The streams of this server.
pub(super) struct Streams {
    places: Arc<Semaphore>,
    of_callers: Arc<OfCallers>,
    stop: CancellationToken,
}

/// How many each principal has open, of those that have any.
struct OfCallers {
    limit: usize,
    open: Mutex<HashMap<Owner, usize>>,
}

/// One of them, until it is dropped.
struct OfCaller {
    caller: Owner,
    all: Arc<OfCallers>,
}

/// The place of a stream.
struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_caller: Option<OfCaller>,
}

/// What a stream is told.
#[derive(Debug)]
pub(super) enum Event {
    /// `event: status`, its data the body of GET status.
    Status(Revision, String),
    /// `event: draft`.
    Draft(String),
    /// `event: done`: the turn has ended, nothing follows.
    Done(Revision, String),
    /// A sign of life.
    Heartbeat,
}

/// One stream.
pub(super) struct Feed {
    watch: Watch,
    heartbeat_at: Instant,
    ends_at: Instant,
    is_done: bool,
    stop: CancellationToken,
    _place: Place,
    _open: OpenStream,
}

#[derive(Serialize)]
struct DraftView<'a> {
    turn: u32,
    kind: Part,
    reset: bool,
    text: &'a str,
}

#[derive(Serialize)]
struct DoneView {
    revision: Revision,
}

impl Streams {
    /// Room for `places` streams, `of_caller` of them for one principal, which end with `stop`.
    pub(super) fn new(places: usize, of_caller: usize, stop: CancellationToken) -> Self {
        let of_callers = Arc::new(OfCallers { limit: of_caller, open: Mutex::default() });
        Self { places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))), of_callers, stop }
    }

    fn place(&self, caller: &Caller) -> Result<Place, Problem> {
        let of_caller = caller.owner().map(|owner| self.of_callers.take(owner)).transpose()?;
        let of_all = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Problem::too_many_streams())?;
        Ok(Place { _of_all: of_all, _of_caller: of_caller })
    }

    /// A feed of the conversation for a client that knows `known` of it.
    pub(super) async fn open(
        &self,
        service: &Service,
        caller: &Caller,
        id: ConversationId,
        known: Option<Revision>,
    ) -> Result<Feed, Problem> {
        let place = self.place(caller)?;
        let watch = service.watch(caller, id, known).await?.ok_or_else(Problem::no_conversation)?;
        let now = Instant::now();
        let (heartbeat_at, ends_at) = (now + HEARTBEAT, now + LIFE);
        Ok(Feed {
            watch,
            heartbeat_at,
            ends_at,
            is_done: false,
            stop: self.stop.clone(),
            _place: place,
            _open: service.instruments().stream(),
        })
    }
}

impl OfCallers {
    fn take(self: &Arc<Self>, caller: &Owner) -> Result<OfCaller, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(caller).copied().unwrap_or_default();
        if count >= self.limit {
            return Err(Problem::too_many_streams_of_caller(self.limit));
        }
        open.insert(caller.clone(), count + 1);
        Ok(OfCaller { caller: caller.clone(), all: Arc::clone(self) })
    }
}

impl Drop for OfCaller {
    fn drop(&mut self) {
        let mut open = self.all.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.caller) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.caller)),
        }
    }
}

impl Feed {
    /// Waits for the next event; `None` when the stream is over. Nothing is lost when it is dropped before it is done.
    pub(super) async fn next(&mut self) -> Option<Event> {
        if self.is_done {
            return None;
        }
        let news = tokio::select! {
            news = self.watch.next() => news,
            // One timer for both, because there may be thousands of streams.
            () = sleep_until(self.heartbeat_at.min(self.ends_at)) => {
                let now = Instant::now();
                self.heartbeat_at = now + HEARTBEAT;
                return (now < self.ends_at).then_some(Event::Heartbeat);
            }
            () = self.stop.cancelled() => return None,
        };
        self.heartbeat_at = Instant::now() + HEARTBEAT;
        let event = self.event(news);
        if let Err(error) = &event {
            tracing::error!(%error, "an event cannot be written; its stream ends");
        }
        event.ok()
    }

    fn event(&mut self, news: News) -> serde_json::Result<Event> {
        Ok(match news {
            News::Changed(conversation) => Event::Status(conversation.revision, status::body(&conversation)?),
            News::Draft(DraftPiece { turn, part, is_anew, text }) => {
                Event::Draft(serde_json::to_string(&DraftView { turn, kind: part, reset: is_anew, text: &text })?)
            }
            News::Ended | News::Gone => {
                self.is_done = true;
                let revision = self.watch.revision();
                Event::Done(revision, serde_json::to_string(&DoneView { revision })?)
            }
        })
    }
}

/// The revision that a text names.
pub(super) fn revision(text: &str) -> Option<Revision> {
    text.parse().ok().filter(|revision| *revision <= LARGEST_REVISION).map(Revision)
}
