//! The embedded store: conversations and results as JSON in the tables of `crate::sqlite`.
//!
//! Owns the statements on `conversations` and `results`. What has expired is left out of every statement by the clock and removed
//! later by the sweep. A result belongs to its conversation's row: it expires with it, and a commit prolongs both.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::Value};
use uuid::Uuid;

use super::{Cursor, ETag, Error, HistoryFilter, HistoryPage, Store, Versioned, document, document::Document};
use crate::{
    conversation::{Conversation, ConversationId, Owner, ResultSet},
    sqlite::{self, Database},
};

/// Conversations removed at a time: few, because each may take megabytes of results with it.
const SWEEP_BATCH: u32 = 50;

/// The store in an embedded database.
#[derive(Clone)]
pub struct SqliteStore {
    database: Database,
    ttl: Duration,
}

impl SqliteStore {
    /// The store in `database`, whose conversations expire `ttl` (whole seconds) after their last commit. Starts the sweep of expired
    /// ones, which ends with `database`.
    ///
    /// # Errors
    /// The database has ended.
    pub fn new(database: Database, ttl: Duration) -> Result<Self, sqlite::Error> {
        let clock = database.clock();
        database.writer()?.sweep_with(move |connection| sweep(connection, clock().unix_millis()));
        Ok(Self { database, ttl })
    }

    fn expires_at(&self) -> i64 {
        self.database.now().plus(self.ttl).unix_millis()
    }

    /// The stored JSON, with the number of seconds it lives for.
    fn document(&self, conversation: &Conversation) -> Result<String, Error> {
        document::encode(conversation, &Document::new(conversation, self.ttl.as_secs()))
    }
}

impl From<sqlite::Error> for Error {
    fn from(error: sqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn create(&self, conversation: &Conversation) -> Result<ETag, Error> {
        let row = NewRow {
            id: conversation.id.to_string(),
            version: new_version(),
            owner: conversation.owner.as_ref().map(|owner| owner.as_str().to_owned()),
            user_id: conversation.user_id.clone(),
            device_id: conversation.device_id.clone(),
            created_at: conversation.created_at.unix_millis(),
            now: self.database.now().unix_millis(),
            expires_at: self.expires_at(),
            document: self.document(conversation)?,
        };
        let etag = etag(row.version);
        let is_new = self.database.write(move |connection| row.insert(connection)).await?;
        if is_new { Ok(etag) } else { Err(Error::Exists(conversation.id)) }
    }

    async fn load(&self, id: ConversationId) -> Result<Option<Versioned>, Error> {
        let now = self.database.now().unix_millis();
        self.database.read(|connection| load(connection, id, now))?.transpose()
    }

    async fn commit(&self, conversation: &Conversation, expected: &ETag) -> Result<ETag, Error> {
        let conflict = Error::Conflict(conversation.id);
        let Ok(expected) = expected.0.parse::<i64>() else { return Err(conflict) };
        let (id, version, document) = (conversation.id.to_string(), new_version(), self.document(conversation)?);
        let (now, expires_at) = (self.database.now().unix_millis(), self.expires_at());
        let changed = self
            .database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "UPDATE conversations SET version = ?1, expires_at = ?2, document = ?3
                         WHERE id = ?4 AND version = ?5 AND expires_at > ?6",
                    )?
                    .execute(params![version, expires_at, document, id, expected, now])
            })
            .await?;
        if changed == 1 { Ok(etag(version)) } else { Err(conflict) }
    }

    async fn remove(&self, conversation: &Conversation, expected: &ETag) -> Result<(), Error> {
        let conflict = Error::Conflict(conversation.id);
        let Ok(expected) = expected.0.parse::<i64>() else { return Err(conflict) };
        let (id, now) = (conversation.id.to_string(), self.database.now().unix_millis());
        let removed = self
            .database
            .write(move |connection| {
                connection
                    .prepare_cached("DELETE FROM conversations WHERE id = ?1 AND version = ?2 AND expires_at > ?3")?
                    .execute(params![id, expected, now])
            })
            .await?;
        if removed == 1 { Ok(()) } else { Err(conflict) }
    }

    async fn history(&self, filter: &HistoryFilter, limit: u32, cursor: Option<&str>) -> Result<HistoryPage, Error> {
        let after = cursor.map(|text| Cursor::decode(text).ok_or(Error::BadCursor)).transpose()?;
        let (sql, parameters) = history_query(filter, after, self.database.now().unix_millis(), limit);
        let rows: Vec<Result<Conversation, Error>> = self
            .database
            .read_blocking(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                statement.query_map(params_from_iter(parameters), |row| decode(row, "id", "document"))?.collect()
            })
            .await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut conversations = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
        let has_more = conversations.len() > limit;
        conversations.truncate(limit);
        let next_cursor = Cursor::after(&conversations, has_more);
        Ok(HistoryPage { conversations, next_cursor })
    }

    /// A result of a conversation that is gone is dropped: the commit that would refer to it meets a conflict.
    async fn put_result(&self, id: ConversationId, number: u32, result: &ResultSet) -> Result<(), Error> {
        let body = document::encode_result(id, result)?;
        let now = self.database.now().unix_millis();
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO results (conversation, query, body)
                         SELECT number, ?2, ?3 FROM conversations WHERE id = ?1 AND expires_at > ?4
                         ON CONFLICT (conversation, query) DO UPDATE SET body = excluded.body",
                    )?
                    .execute(params![id.to_string(), number, body, now])
            })
            .await?;
        Ok(())
    }

    async fn result(&self, id: ConversationId, number: u32) -> Result<Option<ResultSet>, Error> {
        let now = self.database.now().unix_millis();
        let found: Option<Result<ResultSet, Error>> = self
            .database
            .read_blocking(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT id, body FROM conversations JOIN results ON conversation = number
                         WHERE id = ?1 AND query = ?2 AND expires_at > ?3",
                    )?
                    .query_row(params![id.to_string(), number, now], |row| decode(row, "id", "body"))
                    .optional()
            })
            .await?;
        found.transpose()
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(self.database.probe().await?)
    }
}

/// A conversation's row before it is there.
struct NewRow {
    id: String,
    version: i64,
    owner: Option<String>,
    user_id: Option<String>,
    device_id: Option<String>,
    created_at: i64,
    now: i64,
    expires_at: i64,
    document: String,
}

impl NewRow {
    /// Inserts it; false when a living conversation has its id. An expired one makes room, and its results go with it.
    fn insert(&self, connection: &Connection) -> rusqlite::Result<bool> {
        connection.prepare_cached("DELETE FROM conversations WHERE id = ?1 AND expires_at <= ?2")?.execute(params![self.id, self.now])?;
        let inserted = connection
            .prepare_cached(
                "INSERT INTO conversations (id, version, owner, user_id, device_id, created_at, expires_at, document)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![
                self.id,
                self.version,
                self.owner,
                self.user_id,
                self.device_id,
                self.created_at,
                self.expires_at,
                self.document
            ])?;
        Ok(inserted == 1)
    }
}

fn load(connection: &Connection, id: ConversationId, now: i64) -> rusqlite::Result<Option<Result<Versioned, Error>>> {
    connection
        .prepare_cached("SELECT id, version, document FROM conversations WHERE id = ?1 AND expires_at > ?2")?
        .query_row(params![id.to_string(), now], |row| {
            let version = row.get("version")?;
            Ok(decode(row, "id", "document")?.map(|conversation| Versioned { conversation, etag: etag(version) }))
        })
        .optional()
}

/// Reads JSON straight out of SQLite's memory. Into [`Conversation`] and not into [`Document`], whose flattening would build every value
/// twice: what the document has beyond the conversation is derived from it.
fn decode<T: serde::de::DeserializeOwned>(row: &Row<'_>, id: &str, json: &str) -> rusqlite::Result<Result<T, Error>> {
    let bytes = row.get_ref(json)?.as_bytes()?;
    Ok(match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) => Err(Error::Corrupt { id: row.get(id)?, reason: error.to_string() }),
    })
}

/// The statement of a page and its parameters; one row more than the page has, to know whether another one follows.
fn history_query(filter: &HistoryFilter, after: Option<Cursor>, now: i64, limit: u32) -> (String, Vec<Value>) {
    let mut sql = String::from("SELECT id, document FROM conversations WHERE expires_at > ?");
    let mut parameters = vec![Value::from(now)];
    let owner = filter.owner.as_ref().map(Owner::as_str);
    let (user_id, device_id) = (filter.user_id.as_deref(), filter.device_id.as_deref());
    for (condition, value) in [(" AND owner = ?", owner), (" AND user_id = ?", user_id), (" AND device_id = ?", device_id)] {
        if let Some(value) = value {
            sql.push_str(condition);
            parameters.push(Value::from(value.to_owned()));
        }
    }
    if owner.is_none() {
        sql.push_str(" AND owner IS NULL");
    }
    if let Some(Cursor { created_at, id }) = after {
        sql.push_str(" AND (created_at, id) < (?, ?)");
        parameters.extend([Value::from(created_at.unix_millis()), Value::from(id.to_string())]);
    }
    sql.push_str(" ORDER BY created_at DESC, id DESC LIMIT ?");
    parameters.push(Value::from(i64::from(limit) + 1));
    (sql, parameters)
}

/// Removes a batch of expired conversations with their results; true when there may be more.
fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<bool> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM conversations WHERE number IN
                 (SELECT number FROM conversations WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        )?
        .execute(params![now, SWEEP_BATCH])?;
    Ok(removed >= SWEEP_BATCH as usize)
}

/// A version that no row has had. Random, not counted: a conversation that expired and was made anew counts from 1 again.
fn new_version() -> i64 {
    Uuid::new_v4().as_u64_pair().1.cast_signed()
}

fn etag(version: i64) -> ETag {
    ETag(version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_history_is_read_along_an_index() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let database = Database::open(folder.path(), sqlite::Options::default())?;
        let after = Some(Cursor { created_at: crate::conversation::Timestamp::now(), id: ConversationId::random() });
        let some = || Some(String::from("x"));
        for (label, filter) in [
            ("owner", HistoryFilter { owner: Owner::new("https://issuer.example", "x"), ..HistoryFilter::default() }),
            ("user_id", HistoryFilter { user_id: some(), ..HistoryFilter::default() }),
            ("device_id", HistoryFilter { device_id: some(), ..HistoryFilter::default() }),
        ] {
            let (sql, parameters) = history_query(&filter, after, 0, 50);
            let plan: Vec<String> = database.read(|connection| {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                statement.query_map(params_from_iter(parameters), |row| row.get("detail"))?.collect()
            })?;
            let expected = format!("({label}=? AND (created_at,id)<(?,?))");
            assert!(plan.len() == 1 && plan[0].ends_with(&expected), "one search, and no sort: {plan:?}");
        }
        Ok(())
    }
}
