//! The store in the embedded SQLite file.
//!
//! The document is kept as its JSON; what is searched by stands beside it in columns. Expiry is judged by the clock at every
//! read, so an expired conversation is gone at once; the sweep only gives its space back.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params, types::ToSql};

use super::{ETag, Error, HistoryFilter, HistoryPage, Store, Versioned, document::Document};
use crate::{
    conversation::{Conversation, ConversationId, ResultSet, Revision},
    sqlite::{self, Database},
};

/// How often expired conversations are deleted while somebody writes.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Conversations that one sweep deletes at most, so that it does not hold up a request.
const SWEEP_AT_MOST: u32 = 200;

/// A store in a SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    database: Arc<Database>,
    ttl: Duration,
    swept_at: std::sync::atomic::AtomicI64,
}

impl Sqlite {
    /// The store of `database` whose conversations live for `ttl` after their last update.
    #[must_use]
    pub fn new(database: Arc<Database>, ttl: Duration) -> Self {
        Self { database, ttl, swept_at: std::sync::atomic::AtomicI64::new(0) }
    }

    fn document(&self, conversation: &Conversation) -> Result<String, Error> {
        serde_json::to_string(&Document::new(conversation, self.ttl.as_secs()))
            .map_err(|error| Error::Corrupt { id: conversation.id.to_string(), reason: error.to_string() })
    }

    fn expires_at(&self, conversation: &Conversation) -> i64 {
        conversation.updated_at.plus(self.ttl).unix_millis()
    }

    /// Whether a sweep is due; asked by every write, true at most once per [`SWEEP_EVERY`].
    fn sweep_is_due(&self, now: i64) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        let last = self.swept_at.load(Relaxed);
        let every = i64::try_from(SWEEP_EVERY.as_millis()).unwrap_or(i64::MAX);
        now - last >= every && self.swept_at.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }
}

impl From<sqlite::Error> for Error {
    fn from(error: sqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A revision as SQLite's integer; no conversation lives long enough to pass it.
fn stored(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn etag(conversation: &Conversation) -> ETag {
    ETag(conversation.revision.to_string())
}

fn parse(id: &str, document: &str) -> Result<Conversation, Error> {
    serde_json::from_str(document).map_err(|error| Error::Corrupt { id: id.to_owned(), reason: error.to_string() })
}

fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let delete = "DELETE FROM conversations WHERE id IN (SELECT id FROM conversations WHERE expires_at <= ?1 LIMIT ?2)";
    connection.prepare_cached(delete)?.execute(params![now, SWEEP_AT_MOST]).map(drop)
}

#[async_trait]
impl Store for Sqlite {
    fn kind(&self) -> &'static str {
        "SQLite file"
    }

    async fn create(&self, conversation: &Conversation) -> Result<ETag, Error> {
        let Conversation { id, revision, .. } = *conversation;
        let (owner, user, device) = (conversation.owner.clone(), conversation.user_id.clone(), conversation.device_id.clone());
        let (created_at, expires_at) = (conversation.created_at.unix_millis(), self.expires_at(conversation));
        let document = self.document(conversation)?;
        let now = self.database.now().unix_millis();
        let is_sweep_due = self.sweep_is_due(now);
        let created = self.database.write(move |connection| {
            if is_sweep_due {
                sweep(connection, now)?;
            }
            // An expired conversation of this id does not stand in the way.
            connection
                .prepare_cached("DELETE FROM conversations WHERE id = ?1 AND expires_at <= ?2")?
                .execute(params![id.to_string(), now])?;
            let insert = "INSERT INTO conversations (id, revision, created_at, expires_at, owner, user_id, device_id, document)
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING";
            let values = params![id.to_string(), stored(revision), created_at, expires_at, owner, user, device, document];
            connection.prepare_cached(insert)?.execute(values)
        });
        if created.await? == 0 { Err(Error::Exists(id)) } else { Ok(etag(conversation)) }
    }

    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, Error> {
        let (key, now) = (id.to_string(), self.database.now().unix_millis());
        let found: Option<String> = self.database.read(|connection| {
            let select = "SELECT document FROM conversations WHERE id = ?1 AND expires_at > ?2";
            connection.prepare_cached(select)?.query_row(params![key, now], |row| row.get(0)).optional()
        })?;
        let Some(document) = found else { return Ok(None) };
        let conversation = parse(&key, &document)?;
        Ok(Some(Versioned { etag: etag(&conversation), conversation }))
    }

    async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, Error> {
        let Conversation { id, revision, .. } = *conversation;
        let Ok(expected) = expected.0.parse::<i64>() else { return Err(Error::Conflict(id)) };
        let (expires_at, document, now) = (self.expires_at(conversation), self.document(conversation)?, self.database.now().unix_millis());
        let is_sweep_due = self.sweep_is_due(now);
        let committed = self.database.write(move |connection| {
            if is_sweep_due {
                sweep(connection, now)?;
            }
            let update = "UPDATE conversations SET revision = ?3, expires_at = ?4, document = ?5 WHERE id = ?1 AND revision = ?2 AND expires_at > ?6";
            connection.prepare_cached(update)?.execute(params![id.to_string(), expected, stored(revision), expires_at, document, now])
        });
        if committed.await? == 0 { Err(Error::Conflict(id)) } else { Ok(etag(conversation)) }
    }

    async fn history(&self, filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, Error> {
        let after = cursor.map(Cursor::parse).transpose()?;
        let now = self.database.now().unix_millis();
        let mut rows = self.database.read(|connection| history(connection, filter, after.as_ref(), limit.saturating_add(1), now))?;
        let has_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next_cursor =
            rows.last().filter(|_| has_more).map(|(id, created_at, _)| Cursor { created_at: *created_at, id: id.clone() }.to_string());
        let conversations = rows.iter().map(|(id, _, document)| parse(id, document)).collect::<Result<_, _>>()?;
        Ok(HistoryPage { conversations, next_cursor })
    }

    async fn put_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), Error> {
        let rows = serde_json::to_string(result).map_err(|error| Error::Corrupt { id: id.to_string(), reason: error.to_string() })?;
        self.database
            .write(move |connection| {
                // A conversation that is gone keeps no rows.
                let insert = "INSERT INTO results (conversation_id, number, rows) SELECT ?1, ?2, ?3
                              WHERE EXISTS (SELECT 1 FROM conversations WHERE id = ?1)
                              ON CONFLICT (conversation_id, number) DO UPDATE SET rows = excluded.rows";
                connection.prepare_cached(insert)?.execute(params![id.to_string(), number, rows]).map(drop)
            })
            .await?;
        Ok(())
    }

    async fn result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, Error> {
        let (key, now) = (id.to_string(), self.database.now().unix_millis());
        let found: Option<String> = self.database.read(|connection| {
            let select =
                "SELECT rows FROM results JOIN conversations ON id = conversation_id WHERE id = ?1 AND number = ?2 AND expires_at > ?3";
            connection.prepare_cached(select)?.query_row(params![key, number, now], |row| row.get(0)).optional()
        })?;
        found.map(|rows| serde_json::from_str(&rows).map_err(|error| Error::Corrupt { id: key, reason: error.to_string() })).transpose()
    }

    async fn probe(&self) -> Result<(), Error> {
        // Writing tells of a full disk and a lost permission, which reading does not.
        let now = self.database.now().unix_millis();
        Ok(self.database.write(move |connection| sweep(connection, now)).await?)
    }
}

type HistoryRow = (String, i64, String);

fn history(
    connection: &Connection,
    filter: &HistoryFilter,
    after: Option<&Cursor>,
    limit: u32,
    now: i64,
) -> rusqlite::Result<Vec<HistoryRow>> {
    let mut select = "SELECT id, created_at, document FROM conversations WHERE expires_at > ?".to_owned();
    let mut values: Vec<&dyn ToSql> = vec![&now];
    for (column, value) in [("owner", &filter.owner), ("user_id", &filter.user_id), ("device_id", &filter.device_id)] {
        if let Some(value) = value {
            select.push_str(&format!(" AND {column} = ?"));
            values.push(value);
        }
    }
    if let Some(after) = after {
        select.push_str(" AND (created_at, id) < (?, ?)");
        values.extend([&after.created_at as &dyn ToSql, &after.id]);
    }
    select.push_str(" ORDER BY created_at DESC, id DESC LIMIT ?");
    values.push(&limit);
    let mut statement = connection.prepare_cached(&select)?;
    let rows = statement.query_map(values.as_slice(), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// The last conversation of a page: `<created_at in ms>.<id>`.
struct Cursor {
    created_at: i64,
    id: String,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, Error> {
        let (created_at, id) = text.split_once('.').ok_or(Error::BadCursor)?;
        let id: ConversationId = id.parse().map_err(|_| Error::BadCursor)?;
        Ok(Self { created_at: created_at.parse().map_err(|_| Error::BadCursor)?, id: id.to_string() })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.created_at, self.id)
    }
}
