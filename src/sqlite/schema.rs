//! The schema of the file and its migrations.
//!
//! A migration is never changed once it was released: a new one is appended. `user_version` counts those that a file has seen.

use std::path::Path;

use rusqlite::Connection;

use super::Error;

/// Marks the file as ours (`file asklake.db` shows it): "aLke" in ASCII.
const APPLICATION_ID: i64 = 0x614c_6b65;

/// Times are milliseconds since 1970. `version` and `receipt` are random, so that a row that was removed and made anew never has those
/// of the one before it. Labels are copied out of the document once, at creation: they never change.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE conversations (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL,
        owner TEXT,
        user_id TEXT,
        device_id TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE INDEX conversations_by_owner ON conversations (owner, created_at, id) WHERE owner IS NOT NULL;
    CREATE INDEX conversations_by_user ON conversations (user_id, created_at, id) WHERE user_id IS NOT NULL;
    CREATE INDEX conversations_by_device ON conversations (device_id, created_at, id) WHERE device_id IS NOT NULL;
    CREATE INDEX conversations_by_expiry ON conversations (expires_at);
    CREATE TABLE results (
        conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
        query INTEGER NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (conversation, query)
    ) STRICT;
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY,
        lane INTEGER NOT NULL,
        visible_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        dequeue_count INTEGER NOT NULL,
        receipt INTEGER,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX messages_by_visibility ON messages (lane, visible_at, number);
",
    "
    CREATE TABLE quotas (
        account TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        book TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
];

/// Brings `file` up to the newest schema.
pub(super) fn migrate(connection: &Connection, file: &Path) -> Result<(), Error> {
    let from_sqlite = |error: rusqlite::Error| Error::from_sqlite(file, &error);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if check(connection, file, known)? == known {
        return Ok(());
    }
    // Looked at again under the lock: another process may be at the same.
    connection.execute_batch("BEGIN IMMEDIATE").map_err(from_sqlite)?;
    let outcome = check(connection, file, known).and_then(|found| {
        let found = usize::try_from(found).unwrap_or(0);
        for migration in MIGRATIONS.iter().skip(found) {
            connection.execute_batch(migration).map_err(from_sqlite)?;
        }
        let done = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {known}; COMMIT");
        connection.execute_batch(&done).map_err(from_sqlite)
    });
    if outcome.is_err() && !connection.is_autocommit() {
        // The cause is in `outcome`; closing the connection would undo the transaction as well.
        let _ = connection.execute_batch("ROLLBACK");
    }
    outcome
}

/// The number of the file's schema, if the file is ours and this program knows it.
fn check(connection: &Connection, file: &Path, known: i64) -> Result<i64, Error> {
    let read = |sql: &str| -> Result<i64, Error> {
        connection.query_row(sql, [], |row| row.get(0)).map_err(|error| Error::from_sqlite(file, &error))
    };
    let found = read("PRAGMA user_version")?;
    let owner = read("PRAGMA application_id")?;
    let is_empty = read("SELECT count(*) FROM sqlite_schema")? == 0;
    match (owner, is_empty) {
        (APPLICATION_ID, _) if found > known => Err(Error::Newer { file: file.to_owned(), found, known }),
        (APPLICATION_ID, _) => Ok(found),
        (0, true) if found == 0 => Ok(0),
        _ => Err(Error::Foreign { file: file.to_owned() }),
    }
}
