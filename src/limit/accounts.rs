//! Changes the book of an account, whatever else changes it at the same time.
//!
//! Within a process those who change the same book go one after another, so that over the ledger only instances meet, and of
//! those one succeeds each time. Whoever waits for that is kept waiting by others, not by the ledger: only a call of the ledger itself that
//! fails, or takes too long, says that it is away, and then it is left alone for a moment.
//!
//! A change that changes nothing, such as a question that is refused, is answered by what was read since it was asked for. So those
//! who come at once are refused at once, and do not ask the ledger one after another for the same answer.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout, timeout_at},
};
use uuid::Uuid;

use super::{Ledger, Unavailable, book::Book};
use crate::{breaker::Breaker, conversation::Account};

/// How long one call of the ledger may take.
const LIMIT: Duration = Duration::from_secs(2);

/// How long whoever asks waits for others who change the same book.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what has happened waits to be noted. Those who ask give way by then.
const PATIENCE_TO_NOTE: Duration = Duration::from_secs(30);

/// How long a book is kept after its last change: longer than its longest window.
const LIFE: Duration = Duration::from_secs(26 * 3600);

/// Books that are changed at once by one process.
const TURNS: usize = 64;

/// Why a change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// Others change the same book, more than there is time for. Nothing is changed.
    #[error("too much is counted at once for the same account")]
    Busy,
    /// The ledger does not answer: the change may be made or not.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A book as it was in the ledger at some time after `since`.
struct Seen {
    account: Account,
    book: Book,
    since: Instant,
}

/// When a change was asked for, and until when it may wait for others.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    until: Instant,
}

impl Asked {
    fn now(patience: Duration) -> Self {
        let at = Instant::now();
        Self { at, until: at + patience }
    }
}

/// The books of a ledger.
pub struct Accounts {
    ledger: Arc<dyn Ledger>,
    /// Whose turn it is has what the one before saw.
    turns: Vec<Mutex<Option<Seen>>>,
    breaker: Breaker,
}

impl Accounts {
    /// The books of `ledger`.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger, turns: (0..TURNS).map(|_| Mutex::default()).collect(), breaker: Breaker::default() }
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &dyn Ledger {
        &*self.ledger
    }

    /// Makes `change` in the book of `account`, and returns what it did. It is called again where somebody else was quicker.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn change<T>(&self, account: &Account, change: impl Fn(&mut Book) -> T) -> Result<T, Fault> {
        self.make(account, Asked::now(PATIENCE), || None, change).await
    }

    /// [`Accounts::change`], unless there is an answer already when it is this one's turn.
    ///
    /// # Errors
    /// As [`Accounts::change`].
    pub async fn change_unless<T>(
        &self,
        account: &Account,
        known: impl FnOnce() -> Option<T>,
        change: impl Fn(&mut Book) -> T,
    ) -> Result<T, Fault> {
        self.make(account, Asked::now(PATIENCE), known, change).await
    }

    /// [`Accounts::change`] for what has happened: it is not given up for others who ask.
    ///
    /// # Errors
    /// As [`Accounts::change`].
    pub async fn note<T>(&self, account: &Account, change: impl Fn(&mut Book) -> T) -> Result<T, Fault> {
        self.make(account, Asked::now(PATIENCE_TO_NOTE), || None, change).await
    }

    async fn make<T>(
        &self,
        account: &Account,
        asked: Asked,
        known: impl FnOnce() -> Option<T>,
        change: impl Fn(&mut Book) -> T,
    ) -> Result<T, Fault> {
        let Ok(mut seen) = timeout_at(asked.until, self.turn(account).lock()).await else { return Err(Fault::Busy) };
        match known().or_else(|| unchanged(seen.as_ref(), account, asked.at, &change)) {
            Some(answer) => Ok(answer),
            None => self.write(account, asked.until, &mut seen, change).await,
        }
    }

    async fn write<T>(
        &self,
        account: &Account,
        until: Instant,
        seen: &mut Option<Seen>,
        change: impl Fn(&mut Book) -> T,
    ) -> Result<T, Fault> {
        if self.breaker.is_open() {
            return Err(Unavailable("it did not answer a moment ago".into()).into());
        }
        let mut most_wait = 2;
        // Each time that this one was not the quickest, another was.
        loop {
            let mut since = Instant::now();
            let found = self.call(self.ledger.load(account)).await?;
            let (before, version) = found.map_or_else(Default::default, |found| (found.book, Some(found.version)));
            let mut book = before.clone();
            let outcome = change(&mut book);
            let mut is_stored = book == before;
            if !is_stored {
                since = Instant::now();
                is_stored = self.call(self.ledger.replace(account, &book, version.as_ref(), LIFE)).await?;
            }
            if is_stored {
                *seen = Some(Seen { account: account.clone(), book, since });
                return Ok(outcome);
            }
            sleep(Duration::from_millis(Uuid::new_v4().as_u64_pair().0 % most_wait)).await;
            if Instant::now() >= until {
                return Err(Fault::Busy);
            }
            most_wait = (2 * most_wait).min(64);
        }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        let answered = timeout(LIMIT, call).await;
        let answered = answered.unwrap_or_else(|_| Err(Unavailable(format!("no answer within {} s", LIMIT.as_secs()))));
        answered.inspect_err(|_| self.breaker.trip())
    }

    fn turn(&self, account: &Account) -> &Mutex<Option<Seen>> {
        let mut hasher = DefaultHasher::new();
        account.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % self.turns.len() as u64).unwrap_or_default();
        &self.turns[index]
    }
}

/// What `change` comes to by what was seen since it was asked for, if it changes nothing there.
fn unchanged<T>(seen: Option<&Seen>, account: &Account, asked_at: Instant, change: impl Fn(&mut Book) -> T) -> Option<T> {
    let seen = seen.filter(|seen| seen.account == *account && seen.since >= asked_at)?;
    let mut book = seen.book.clone();
    let outcome = change(&mut book);
    (book == seen.book).then_some(outcome)
}
