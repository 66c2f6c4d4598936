//! Changes the book of an account, whatever else changes it at the same time.
//!
//! Within a process those who change the same book go one after another, so that over the ledger only instances meet, and of
//! those one succeeds each time. A ledger that does not answer is left alone for a moment.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Mutex, time::sleep};
use uuid::Uuid;

use super::{Ledger, Unavailable, book::Book};
use crate::{breaker::Breaker, conversation::Account};

/// How long a change may take: waiting for others, reading, writing, and doing so again.
const LIMIT: Duration = Duration::from_secs(2);

/// How long a book is kept after its last change: longer than its longest window.
const LIFE: Duration = Duration::from_secs(26 * 3600);

/// Books that are changed at once by one process.
const TURNS: usize = 64;

/// The books of a ledger.
pub struct Accounts {
    ledger: Arc<dyn Ledger>,
    turns: Vec<Mutex<()>>,
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
    /// [`Unavailable`]: the change may be made or not.
    pub async fn change<T>(&self, account: &Account, change: impl Fn(&mut Book) -> T) -> Result<T, Unavailable> {
        self.change_unless(account, || None, change).await
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
    ) -> Result<T, Unavailable> {
        let changed = tokio::time::timeout(LIMIT, async {
            let _turn = self.turn(account).lock().await;
            match known() {
                Some(answer) => Ok(answer),
                None => self.make(account, change).await,
            }
        });
        let changed = changed.await.unwrap_or_else(|_| Err(Unavailable(format!("no answer within {} s", LIMIT.as_secs()))));
        changed.inspect_err(|_| self.breaker.trip())
    }

    async fn make<T>(&self, account: &Account, change: impl Fn(&mut Book) -> T) -> Result<T, Unavailable> {
        if self.breaker.is_open() {
            return Err(Unavailable("it did not answer a moment ago".into()));
        }
        // `LIMIT` ends it: each time that this one was not the quickest, another was.
        let mut most_wait = 2;
        loop {
            let found = self.ledger.load(account).await?;
            let (before, version) = found.map_or_else(Default::default, |found| (found.book, Some(found.version)));
            let mut book = before.clone();
            let outcome = change(&mut book);
            if book == before || self.ledger.replace(account, &book, version.as_ref(), LIFE).await? {
                return Ok(outcome);
            }
            sleep(Duration::from_millis(Uuid::new_v4().as_u64_pair().0 % most_wait)).await;
            most_wait = (2 * most_wait).min(64);
        }
    }

    fn turn(&self, account: &Account) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        account.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % self.turns.len() as u64).unwrap_or_default();
        &self.turns[index]
    }
}
