//! The queue in the embedded SQLite file: the semantics of Azure Queue Storage for one machine.
//!
//! A receiver of the same process hears of a send at once; those of other processes look every [`POLL`].

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::{Delivery, Error, Lane, Lease, Receiver, Sender, Wake};
use crate::sqlite::{self, Database};

/// How often a waiting receiver looks for what other processes sent.
const POLL: Duration = Duration::from_millis(500);
/// How long a message is kept: the default of Azure Queue Storage.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A queue in a SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    database: Arc<Database>,
    sent: Notify,
}

impl Sqlite {
    /// The queue of `database`.
    #[must_use]
    pub fn new(database: Arc<Database>) -> Self {
        Self { database, sent: Notify::new() }
    }

    fn in_millis(&self, delay: Duration) -> i64 {
        self.database.now().plus(delay).unix_millis()
    }

    async fn lease_visible(&self, lane: Lane, max: u32, lease: Duration) -> Result<Vec<Delivery>, Error> {
        let (now, until) = (self.in_millis(Duration::ZERO), self.in_millis(lease));
        let kept_since = now - i64::try_from(KEPT.as_millis()).unwrap_or(0);
        // Most looks find nothing: they cost a read, not a write.
        let select = "SELECT 1 FROM messages WHERE lane = ?1 AND visible_at <= ?2 LIMIT 1";
        let is_empty = self.database.read(|connection| {
            Ok(connection.prepare_cached(select)?.query_row(params![number(lane), now], |_| Ok(())).optional()?.is_none())
        })?;
        if is_empty {
            return Ok(Vec::new());
        }
        Ok(self.database.write(move |connection| take(connection, lane, max, now, until, kept_since)).await?)
    }

    /// How long to wait for the next look: until the next message becomes visible, but no longer than [`POLL`].
    fn until_next(&self, lane: Lane) -> Result<Duration, Error> {
        let select = "SELECT min(visible_at) FROM messages WHERE lane = ?1";
        let next: Option<i64> =
            self.database.read(|connection| connection.prepare_cached(select)?.query_row([number(lane)], |row| row.get(0)))?;
        let wait = next.map(|at| at - self.in_millis(Duration::ZERO)).and_then(|millis| u64::try_from(millis.max(1)).ok());
        Ok(wait.map_or(POLL, |millis| POLL.min(Duration::from_millis(millis))))
    }

    /// Changes the message that `held` is a lease on.
    async fn change(
        &self,
        held: &Lease,
        change: impl FnOnce(&Connection, i64, &str) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<(), Error> {
        let lost = || Error::LeaseLost(held.message_id.clone());
        let id: i64 = held.message_id.parse().map_err(|_| lost())?;
        let receipt = held.receipt.clone();
        match self.database.write(move |connection| change(connection, id, &receipt)).await? {
            0 => Err(lost()),
            _ => Ok(()),
        }
    }
}

impl From<sqlite::Error> for Error {
    fn from(error: sqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

fn number(lane: Lane) -> u8 {
    match lane {
        Lane::Work => 0,
        Lane::Poison => 1,
    }
}

fn take(connection: &Connection, lane: Lane, max: u32, now: i64, until: i64, kept_since: i64) -> rusqlite::Result<Vec<Delivery>> {
    connection.prepare_cached("DELETE FROM messages WHERE lane = ?1 AND visible_at <= ?2 AND inserted_at < ?3")?.execute(params![
        number(lane),
        now,
        kept_since
    ])?;
    let select = "SELECT id, body, dequeue_count + 1 FROM messages WHERE lane = ?1 AND visible_at <= ?2 ORDER BY visible_at, id LIMIT ?3";
    let mut select = connection.prepare_cached(select)?;
    let visible: Vec<(i64, String, u32)> =
        select.query_map(params![number(lane), now, max], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    let mut update = connection.prepare_cached("UPDATE messages SET visible_at = ?2, dequeue_count = ?3, receipt = ?4 WHERE id = ?1")?;
    let mut deliveries = Vec::with_capacity(visible.len());
    for (id, body, dequeue_count) in visible {
        let receipt = Uuid::new_v4().to_string();
        update.execute(params![id, until, dequeue_count, receipt])?;
        deliveries.push(Delivery { body, dequeue_count, lease: Lease { message_id: id.to_string(), receipt } });
    }
    Ok(deliveries)
}

#[async_trait]
impl Sender for Sqlite {
    fn kind(&self) -> &'static str {
        "SQLite file"
    }

    async fn send(&self, wake: &Wake, delay: Duration) -> Result<(), Error> {
        let body = serde_json::to_string(wake).map_err(|error| Error::Unavailable(error.to_string()))?;
        let (now, visible_at) = (self.in_millis(Duration::ZERO), self.in_millis(delay));
        self.database
            .write(move |connection| {
                let insert = "INSERT INTO messages (lane, body, inserted_at, visible_at) VALUES (0, ?1, ?2, ?3)";
                connection.prepare_cached(insert)?.execute(params![body, now, visible_at])
            })
            .await?;
        self.sent.notify_waiters();
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(self
            .database
            .read(|connection| connection.query_row("SELECT count(*) FROM (SELECT 1 FROM messages LIMIT 1)", [], |_| Ok(())))?)
    }
}

#[async_trait]
impl Receiver for Sqlite {
    async fn receive(&self, lane: Lane, max: u32, lease: Duration, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let until = Instant::now() + wait;
        loop {
            // Registered before the look, so that a send between the two is not missed.
            let sent = self.sent.notified();
            tokio::pin!(sent);
            sent.as_mut().enable();
            let deliveries = self.lease_visible(lane, max, lease).await?;
            let left = until.saturating_duration_since(Instant::now());
            if !deliveries.is_empty() || left.is_zero() {
                return Ok(deliveries);
            }
            let _ = tokio::time::timeout(left.min(self.until_next(lane)?), sent).await;
        }
    }

    async fn renew(&self, lane: Lane, held: &Lease, lease: Duration) -> Result<Lease, Error> {
        let (now, until) = (self.in_millis(Duration::ZERO), self.in_millis(lease));
        let renewed = Lease { message_id: held.message_id.clone(), receipt: Uuid::new_v4().to_string() };
        let receipt = renewed.receipt.clone();
        self.change(held, move |connection, id, held| {
            let update =
                "UPDATE messages SET visible_at = ?4, receipt = ?5 WHERE id = ?1 AND receipt = ?2 AND lane = ?3 AND visible_at > ?6";
            connection.prepare_cached(update)?.execute(params![id, held, number(lane), until, receipt, now])
        })
        .await?;
        Ok(renewed)
    }

    async fn delete(&self, lane: Lane, held: &Lease) -> Result<(), Error> {
        self.change(held, move |connection, id, held| {
            connection.prepare_cached("DELETE FROM messages WHERE id = ?1 AND receipt = ?2 AND lane = ?3")?.execute(params![
                id,
                held,
                number(lane)
            ])
        })
        .await
    }

    async fn release(&self, lane: Lane, held: &Lease, delay: Duration) -> Result<(), Error> {
        let visible_at = self.in_millis(delay);
        self.change(held, move |connection, id, held| {
            let update = "UPDATE messages SET visible_at = ?4, receipt = NULL WHERE id = ?1 AND receipt = ?2 AND lane = ?3";
            connection.prepare_cached(update)?.execute(params![id, held, number(lane), visible_at])
        })
        .await?;
        self.sent.notify_waiters();
        Ok(())
    }

    async fn poison(&self, delivery: &Delivery) -> Result<(), Error> {
        let now = self.in_millis(Duration::ZERO);
        self.change(&delivery.lease, move |connection, id, held| {
            let update = "UPDATE messages SET lane = 1, visible_at = ?3, inserted_at = ?3, dequeue_count = 0, receipt = NULL
                          WHERE id = ?1 AND receipt = ?2 AND lane = 0";
            connection.prepare_cached(update)?.execute(params![id, held, now])
        })
        .await?;
        self.sent.notify_waiters();
        Ok(())
    }
}
