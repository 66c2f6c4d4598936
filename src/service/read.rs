//! Reading: status with long poll, messages, history, results, readiness. Reads call no model and no warehouse, and change
//! nothing but for one thing: an overdue wake is sent again, which is harmless because wakes are fenced.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    Service,
    changes::{REREAD, State},
    recent::Known,
};
use crate::{
    conversation::{Access, Caller, Conversation, ConversationId, Owner, ResultSet, Revision},
    queue::Wake,
    store::{Error, HistoryFilter, HistoryPage, Versioned},
};

/// How long a reader waits for news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The revision the reader knows.
    pub after: Revision,
    /// How long to hold the answer at most.
    pub at_most: Duration,
}

/// What clients called themselves in the conversations that are listed: those that are given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The user label.
    pub user_id: Option<String>,
    /// The device label.
    pub device_id: Option<String>,
}

/// How one dependency is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Which port.
    pub name: &'static str,
    /// Which kind of adapter.
    pub kind: &'static str,
    /// How long the answer took.
    pub latency: Duration,
    /// What is wrong; absent when it answers.
    pub fault: Option<String>,
    /// Whether no question can be answered without it.
    pub is_needed: bool,
}

/// How all dependencies are doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Store, queue, model and warehouse, and the cache and the ledger of quotas where there is one.
    pub dependencies: Vec<Dependency>,
    /// The name of the model that answers.
    pub model: String,
    /// What that model cannot do here, for whoever set it up.
    pub caveat: Option<String>,
}

/// How long one dependency has to answer a readiness probe. Sail may have to be started for it.
const PROBE: Duration = Duration::from_secs(15);

impl Service {
    /// Reads a conversation; with `wait` not before its revision differs or the time is up. `None` when it is unknown or not for `caller`.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn read(&self, caller: &Caller, id: ConversationId, wait: Option<Wait>) -> Result<Known, Error> {
        let found = match wait {
            None => self.read_once(id).await?.0,
            Some(wait) => self.read_after(caller, id, wait).await?,
        };
        Ok(found.filter(|found| is_shown(caller, found)))
    }

    /// Waits for news of a conversation that `caller` may read; what it may not, it is not kept waiting for.
    async fn read_after(&self, caller: &Caller, id: ConversationId, wait: Wait) -> Result<Known, Error> {
        let until = Instant::now() + wait.at_most;
        // Before the read, so that a commit between the two is not missed.
        let topic = self.changes.topic(id);
        let mut state = topic.subscribe();
        let (found, again_at) = self.read_once(id).await?;
        let is_waited_for = |found: &Arc<Conversation>| caller.may_read(found).is_some() && !self.is_news(found.revision, wait.after);
        let Some(conversation) = found.as_ref().filter(|found| is_waited_for(found)) else { return Ok(found) };
        topic.offer(Arc::clone(conversation));
        self.keep_reading(id, &topic, again_at);
        let is_news = |state: &State| match state {
            State::Stored(stored) => stored.revision > wait.after,
            State::Gone => true,
            State::Unread | State::Unreadable(_) => false,
        };
        let has_news = timeout_at(until, state.wait_for(is_news)).await.is_ok();
        if !has_news && conversation.revision < wait.after {
            // A replica lagged behind; by now it shows what the client knows.
            return Ok(self.read_once(id).await?.0);
        }
        let last = state.borrow().clone();
        Ok(match last {
            State::Stored(stored) => Some(stored),
            State::Gone => None,
            State::Unread | State::Unreadable(_) => found,
        })
    }

    /// Whether a reader who knows `known` is told of `found`. An older one is what a lagging replica shows.
    fn is_news(&self, found: Revision, known: Revision) -> bool {
        found > known || (found < known && self.settings.replica_lag.is_zero())
    }

    /// What is stored, and when to look for commits of other processes.
    pub(super) async fn read_once(&self, id: ConversationId) -> Result<(Known, Instant), Error> {
        let (found, fresh_until) = self.recent.get(id, || self.load_any(id)).await?;
        if let Some(conversation) = &found {
            self.nudge(conversation).await;
        }
        Ok((found, if self.settings.read_interval.is_zero() { Instant::now() + REREAD } else { fresh_until }))
    }

    /// What is stored. Where that is nothing, a replica may not show yet what another instance has just started: it is asked once more.
    async fn load_any(&self, id: ConversationId) -> Result<Known, Error> {
        Ok(self.load_shown(id).await?.map(|found| Arc::new(found.conversation)))
    }

    /// A conversation that belongs to `caller`, for a request that is to change it.
    pub(super) async fn load_own(&self, caller: &Caller, id: ConversationId) -> Result<Option<Versioned>, Error> {
        Ok(self.load_shown(id).await?.filter(|found| caller.owns(&found.conversation)))
    }

    /// [`Service::load_any`] with the version.
    pub(super) async fn load_shown(&self, id: ConversationId) -> Result<Option<Versioned>, Error> {
        let mut found = self.ports.store.load(id).await?;
        if found.is_none() && !self.settings.replica_lag.is_zero() {
            sleep(self.settings.replica_lag).await;
            found = self.ports.store.load(id).await?;
        }
        Ok(found)
    }

    /// Loads a conversation that is stored at `revision` or a later one, and gives a replica that lags behind some time to show it.
    pub(super) async fn load_since(&self, id: ConversationId, revision: Revision) -> Result<Option<Versioned>, Error> {
        let lag = self.settings.replica_lag;
        for pause in [lag / 8, lag / 4, lag * 5 / 8] {
            let found = self.ports.store.load(id).await?;
            let is_there = found.as_ref().is_some_and(|found| found.conversation.revision >= revision);
            if is_there || lag.is_zero() {
                return Ok(found);
            }
            sleep(pause).await;
        }
        self.ports.store.load(id).await
    }

    /// Sends an overdue wake again. Reading it as overdue moves nothing, so this repeats with every read until a worker
    /// commits; the readers of one process do it once per grace.
    async fn nudge(&self, conversation: &Conversation) {
        let Some(wake_at) = conversation.wake_at else { return };
        let now = Self::now();
        if now.since(wake_at) < self.settings.wake_grace || !self.changes.may_nudge(conversation.id, self.settings.wake_grace) {
            return;
        }
        match self.wake(Wake::of(conversation), Duration::ZERO).await {
            Ok(()) => tracing::warn!(conversation.id = %conversation.id, "sent an overdue wake again"),
            Err(error) => tracing::warn!(conversation.id = %conversation.id, %error, "could not send an overdue wake again"),
        }
    }

    /// Lists the conversations of `caller` with these labels, newest first.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn history(&self, caller: &Caller, labels: Labels, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, Error> {
        let Labels { user_id, device_id } = labels;
        let filter = HistoryFilter { owner: caller.owner().cloned(), user_id, device_id };
        self.ports.store.history(&filter, limit, cursor).await
    }

    /// The rows of query `number` (from 1) of a conversation that was read; `None` when there are none or they have expired.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn result(&self, conversation: &Conversation, number: u32) -> Result<Option<ResultSet>, Error> {
        self.ports.store.result(conversation.id, number).await
    }

    /// A conversation whoever it belongs to: for an operator, who can read the store as well.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn inspect(&self, id: ConversationId) -> Result<Option<Conversation>, Error> {
        Ok(self.load_shown(id).await?.map(|found| found.conversation))
    }

    /// Asks every dependency whether it answers, all at once.
    pub async fn readiness(&self) -> Readiness {
        let ports = &self.ports;
        let cache = async {
            let cache = &self.answers.as_ref()?.cache;
            Some(Dependency { is_needed: false, ..dependency("cache", cache.kind(), cache.probe()).await })
        };
        let ledger = async {
            let ledger = self.quotas.as_ref()?.ledger();
            Some(Dependency { is_needed: false, ..dependency("quotas", ledger.kind(), ledger.probe()).await })
        };
        let (store, queue, model, warehouse, cache, ledger) = tokio::join!(
            dependency("store", ports.store.kind(), ports.store.probe()),
            dependency("queue", ports.wakes.kind(), ports.wakes.probe()),
            dependency("model", ports.model.kind(), ports.model.probe()),
            dependency("warehouse", ports.warehouse.kind(), ports.warehouse.probe()),
            cache,
            ledger,
        );
        Readiness {
            dependencies: [store, queue, model, warehouse].into_iter().chain(cache).chain(ledger).collect(),
            model: ports.model.name().to_owned(),
            caveat: ports.model.caveat(),
        }
    }
}

/// Whether `caller` is shown `conversation`. What an administrator is shown of others is logged.
pub(super) fn is_shown(caller: &Caller, conversation: &Conversation) -> bool {
    let access = caller.may_read(conversation);
    if access == Some(Access::Support) {
        let owner = conversation.owner.as_ref().map_or("nobody", Owner::as_str);
        tracing::info!(conversation.id = %conversation.id, caller = caller.scope(), owner, "an administrator reads what belongs to another");
    }
    access.is_some()
}

async fn dependency<E: std::fmt::Display>(
    name: &'static str,
    kind: &'static str,
    probe: impl Future<Output = Result<(), E>>,
) -> Dependency {
    let began = Instant::now();
    let fault = match timeout(PROBE, probe).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", PROBE.as_secs())),
    };
    Dependency { name, kind, latency: began.elapsed(), fault, is_needed: true }
}
