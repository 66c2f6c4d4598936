//! The embedded ledger: books as JSON in the table `quotas` of `crate::sqlite`, shared by the processes that open the same file.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::{Ledger, Unavailable, Version, Versioned, book::Book};
use crate::{
    conversation::Account,
    sqlite::{self, Database},
};

/// Books removed at a time.
const SWEEP_BATCH: u32 = 200;

/// Books in an embedded database.
#[derive(Clone)]
pub struct SqliteLedger(Database);

impl SqliteLedger {
    /// The ledger in `database`. Starts the sweep of books whose life is over, which ends with `database`.
    ///
    /// # Errors
    /// The database has ended.
    pub fn new(database: Database) -> Result<Self, sqlite::Error> {
        let clock = database.clock();
        database.writer()?.sweep_with(move |connection| sweep(connection, clock().unix_millis()));
        Ok(Self(database))
    }
}

impl From<sqlite::Error> for Unavailable {
    fn from(error: sqlite::Error) -> Self {
        Self(error.to_string())
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn load(&self, account: &Account) -> Result<Option<Versioned>, Unavailable> {
        let now = self.0.now().unix_millis();
        let found: Option<(i64, String)> = self.0.read(|connection| {
            connection
                .prepare_cached("SELECT version, book FROM quotas WHERE account = ?1 AND expires_at > ?2")?
                .query_row(params![account.to_string(), now], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })?;
        Ok(found.map(|(version, book)| Versioned { book: super::read(account, book.as_bytes()), version: Version(version.to_string()) }))
    }

    async fn replace(&self, account: &Account, book: &Book, expected: Option<&Version>, life: Duration) -> Result<bool, Unavailable> {
        let expected = expected.map(|version| version.0.parse::<i64>()).transpose();
        let Ok(expected) = expected else { return Ok(false) };
        let now = self.0.now();
        let row = Row {
            account: account.to_string(),
            version: Uuid::new_v4().as_u64_pair().1.cast_signed(),
            expires_at: now.plus(life).unix_millis(),
            book: super::written(book)?,
        };
        Ok(self.0.write(move |connection| row.replace(connection, expected, now.unix_millis())).await?)
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        Ok(self.0.probe().await?)
    }
}

/// A book before it is written. Its version is random, so that a book that was removed and made anew never has that of the one before.
struct Row {
    account: String,
    version: i64,
    expires_at: i64,
    book: String,
}

impl Row {
    /// Writes it over the version `expected`, or over one that is over where none is expected; whether it did.
    fn replace(&self, connection: &Connection, expected: Option<i64>, now: i64) -> rusqlite::Result<bool> {
        let written = match expected {
            Some(expected) => connection
                .prepare_cached(
                    "UPDATE quotas SET version = ?2, expires_at = ?3, book = ?4 WHERE account = ?1 AND version = ?5 AND expires_at > ?6",
                )?
                .execute(params![self.account, self.version, self.expires_at, self.book, expected, now])?,
            None => connection
                .prepare_cached(
                    "INSERT INTO quotas (account, version, expires_at, book) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (account) DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at, book = excluded.book
                     WHERE quotas.expires_at <= ?5",
                )?
                .execute(params![self.account, self.version, self.expires_at, self.book, now])?,
        };
        Ok(written == 1)
    }
}

fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<bool> {
    let removed = connection
        .prepare_cached("DELETE FROM quotas WHERE account IN (SELECT account FROM quotas WHERE expires_at <= ?1 LIMIT ?2)")?
        .execute(params![now, SWEEP_BATCH])?;
    Ok(removed >= SWEEP_BATCH as usize)
}
