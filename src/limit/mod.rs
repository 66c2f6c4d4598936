//! Quotas: the port of the ledger that instances share, what is written in its books, and the quotas by name.
//!
//! A ledger has one book per account, with a version, and changes it only over the version that was read; what a book says and when
//! a limit is reached is decided by `book`, the same for every ledger, and `accounts` brings the two together. So nothing
//! is admitted beyond a limit, however many instances admit at once.
//!
//! Contract of a ledger, proven for every adapter by `tests/it/contract/limit.rs`:
//! - a book is read as it was written last; of an account that nothing was written of there is none;
//! - of several who write over the same version, or over none, one does and the others are told that they did not;
//! - a book is there for the life that it was written with, and a new one may be written when it is gone;
//! - a text that cannot be read as a book counts as an empty one, and is written over.

pub mod accounts;
pub mod book;
#[cfg(feature = "azure")]
pub mod cosmos;
pub mod redis;
#[cfg(feature = "local")]
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;

use self::book::Book;
use crate::conversation::{Account, Scope};

/// The version of a book. Opaque; compares equal only to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

/// A book with the version it was read at.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// What was read.
    pub book: Book,
    /// Its version.
    pub version: Version,
}

/// Why a ledger does not answer. What it was asked to write may be written or not.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the ledger of quotas is unavailable: {0}")]
pub struct Unavailable(pub String);

/// Where the books are that instances share.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Name of the kind of ledger, for `ready` and `check`.
    fn kind(&self) -> &'static str;

    /// The book of `account`, if there is one.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn load(&self, account: &Account) -> Result<Option<Versioned>, Unavailable>;

    /// Writes the book of `account`, to be kept for `life`, if the one that is there has the version `expected`, or none is there and none is
    /// expected. False where somebody else wrote meanwhile.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn replace(&self, account: &Account, book: &Book, expected: Option<&Version>, life: Duration) -> Result<bool, Unavailable>;

    /// Whether it answers.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn probe(&self) -> Result<(), Unavailable>;
}

/// What may be used by one account; none where it is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in a minute.
    pub requests: Option<u64>,
    /// Questions that are being answered.
    pub at_once: Option<u64>,
    /// Questions in a day.
    pub questions: Option<u64>,
    /// Tokens in a day that models read and write.
    pub tokens: Option<u64>,
    /// Seconds in a day that queries run.
    pub warehouse: Option<u64>,
}

impl Limits {
    /// The limit of `measure`.
    #[must_use]
    pub fn of(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Requests => self.requests,
            Measure::AtOnce => self.at_once,
            Measure::Questions => self.questions,
            Measure::Tokens => self.tokens,
            Measure::Warehouse => self.warehouse,
        }
    }

    /// Whether anything is limited that a question uses.
    #[must_use]
    pub fn concern_questions(&self) -> bool {
        Measure::OF_QUESTIONS.iter().any(|measure| self.of(*measure).is_some())
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Requests in a minute.
    Requests,
    /// Questions that are being answered.
    AtOnce,
    /// Questions in a day.
    Questions,
    /// Tokens in a day.
    Tokens,
    /// Seconds of the warehouse in a day.
    Warehouse,
}

impl Measure {
    /// What a question is measured by.
    pub const OF_QUESTIONS: [Self; 4] = [Self::AtOnce, Self::Questions, Self::Tokens, Self::Warehouse];

    /// How long what was used counts; none where it counts until it is given back.
    #[must_use]
    pub fn window(self) -> Option<Duration> {
        match self {
            Self::Requests => Some(book::MINUTE),
            Self::AtOnce => None,
            Self::Questions | Self::Tokens | Self::Warehouse => Some(book::DAY),
        }
    }
}

/// A limit by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Whose.
    pub scope: Scope,
    /// Of what.
    pub measure: Measure,
}

impl Quota {
    /// Its name: that of its variable, in small letters and with hyphens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.scope, self.measure) {
            (Scope::Principal, Measure::Requests) => "quota-principal-requests-per-minute",
            (Scope::Principal, Measure::AtOnce) => "quota-principal-questions-at-once",
            (Scope::Principal, Measure::Questions) => "quota-principal-questions-per-day",
            (Scope::Principal, Measure::Tokens) => "quota-principal-tokens-per-day",
            (Scope::Principal, Measure::Warehouse) => "quota-principal-warehouse-seconds-per-day",
            (Scope::Address, Measure::Requests) => "quota-address-requests-per-minute",
            (Scope::Address, Measure::AtOnce) => "quota-address-questions-at-once",
            (Scope::Address, Measure::Questions) => "quota-address-questions-per-day",
            (Scope::Address, Measure::Tokens) => "quota-address-tokens-per-day",
            (Scope::Address, Measure::Warehouse) => "quota-address-warehouse-seconds-per-day",
            (Scope::App, Measure::Requests) => "quota-app-requests-per-minute",
            (Scope::App, Measure::AtOnce) => "quota-app-questions-at-once",
            (Scope::App, Measure::Questions) => "quota-app-questions-per-day",
            (Scope::App, Measure::Tokens) => "quota-app-tokens-per-day",
            (Scope::App, Measure::Warehouse) => "quota-app-warehouse-seconds-per-day",
        }
    }
}

/// How a quota stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub quota: Quota,
    /// What may be used.
    pub limit: u64,
    /// What is left of that.
    pub left: u64,
    /// When more may be used: for [`Measure::AtOnce`], when it is worth another try.
    pub resets_after: Duration,
}

/// The book in `json`; an empty one where that is none.
fn read(account: &Account, json: &[u8]) -> Book {
    serde_json::from_slice(json).unwrap_or_else(|error| {
        tracing::warn!(%account, %error, "the book of an account is unreadable; it begins anew");
        Book::default()
    })
}

fn written(book: &Book) -> Result<String, Unavailable> {
    serde_json::to_string(book).map_err(|error| Unavailable(format!("a book cannot be written: {error}")))
}
