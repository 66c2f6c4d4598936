//! Watching a conversation: everything that becomes of it until its turn ends, for a stream.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    DraftPiece, Service,
    changes::{REREAD, State, Topic},
    draft::Reader,
    read::is_shown,
};
use crate::{
    conversation::{Caller, Conversation, ConversationId, Revision},
    store::Error,
};

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum News {
    /// The conversation has changed. What was told of a draft is void.
    Changed(Arc<Conversation>),
    /// The model writes.
    Draft(DraftPiece),
    /// The turn has ended, and its last state was told; nothing follows.
    Ended,
    /// There is no such conversation any more; nothing follows.
    Gone,
}

/// One watcher of a conversation. Holds nothing that grows: whoever is slow is told the last state and skips those between.
#[derive(Debug)]
pub struct Watch {
    state: watch::Receiver<State>,
    draft: Reader,
    /// The revision that was told last.
    known: Option<Revision>,
    first: FirstState,
    /// Holds the sending sides.
    _topic: Arc<Topic>,
}

/// The state that a watcher finds. It may be a little older than what its client was shown elsewhere: one that would take the client
/// back, or end its stream, is believed only once it has lasted.
#[derive(Clone, Copy, Debug)]
struct FirstState {
    revision: Revision,
    believed_at: Instant,
}

impl Service {
    /// Watches a conversation for a client that knows `known` of it; `None` when there is none by that id, or not for `caller`. Who may read
    /// a conversation does not change while it is there, so that this is asked once.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn watch(&self, caller: &Caller, id: ConversationId, known: Option<Revision>) -> Result<Option<Watch>, Error> {
        let topic = self.changes.topic(id);
        let mut state = topic.subscribe();
        let is_unread = matches!(*state.borrow(), State::Unread);
        let is_read_now = self.keep_reading(id, &topic, Instant::now()) && is_unread;
        let lag = self.settings.replica_lag;
        let patience = if is_read_now && lag.is_zero() { Duration::ZERO } else { REREAD + lag };
        let found = state.wait_for(|state| !matches!(state, State::Unread)).await.map(|state| state.clone());
        let revision = match found {
            Ok(State::Stored(found)) if is_shown(caller, &found) => found.revision,
            Ok(State::Unreadable(error)) => return Err(error),
            // The sender is in the topic, so it is not closed.
            Ok(State::Stored(_) | State::Gone | State::Unread) | Err(_) => return Ok(None),
        };
        let first = FirstState { revision, believed_at: Instant::now() + patience };
        Ok(Some(Watch { state, draft: Reader::new(&topic), known, first, _topic: topic }))
    }
}

impl Watch {
    /// The revision that was told last; before that, the one that was found.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.known.unwrap_or(self.first.revision)
    }

    /// Waits for news. Nothing is lost when it is dropped before it is done.
    pub async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.change() {
                return news;
            }
            if let Some(piece) = self.known.and_then(|known| self.draft.next(known)) {
                return News::Draft(piece);
            }
            let doubt = self.first.believed_at;
            tokio::select! {
                _ = self.state.changed() => {}
                () = self.draft.changed() => {}
                () = sleep_until(doubt), if Instant::now() < doubt => {}
            }
        }
    }

    fn change(&mut self) -> Option<News> {
        let state = self.state.borrow_and_update();
        let stored = match &*state {
            State::Stored(stored) => stored,
            State::Gone => return Some(News::Gone),
            // There was a state before, and there will be one again.
            State::Unread | State::Unreadable(_) => return None,
        };
        let is_believed = stored.revision != self.first.revision || Instant::now() >= self.first.believed_at;
        match self.known {
            Some(known) if stored.revision == known => (stored.stage.is_terminal() && is_believed).then_some(News::Ended),
            Some(known) if stored.revision < known && !is_believed => None,
            _ => {
                self.known = Some(stored.revision);
                Some(News::Changed(Arc::clone(stored)))
            }
        }
    }
}
