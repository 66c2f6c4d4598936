//! The embedded queue: messages in a table of `crate::sqlite`, with the semantics of Azure Queue Storage.
//!
//! Owns the statements on `messages`. A message is invisible while `visible_at` is in the future, because it is delayed or leased: the
//! receipt tells whose lease it is. As in Azure a lease that has run out still counts until somebody else is given the message, and a
//! message is gone 7 days after it was sent.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use super::{Delivery, Error, Lane, Lease, Receiver, Sender, Wake};
use crate::{
    conversation::Timestamp,
    sqlite::{self, Database, Writer},
};

/// How long a message lives.
const TIME_TO_LIVE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often a waiting receiver looks for what other processes have sent. What this process sends wakes it at once.
const POLL: Duration = Duration::from_millis(500);

/// Messages removed at a time by the sweep.
const SWEEP_BATCH: u32 = 500;

/// The queue in an embedded database. Clones share it: a send through one wakes receivers of the others.
#[derive(Clone)]
pub struct SqliteQueue {
    database: Database,
    changed: Arc<Notify>,
}

impl SqliteQueue {
    /// The queue in `database`. Starts the sweep of expired messages, which ends with `database`.
    ///
    /// # Errors
    /// The database has ended.
    pub fn new(database: Database) -> Result<Self, sqlite::Error> {
        let clock = database.clock();
        database.writer()?.sweep_with(move |connection| sweep(connection, clock().unix_millis()));
        Ok(Self { database, changed: Arc::new(Notify::new()) })
    }

    /// Leases what is visible at `now`.
    async fn lease(&self, lane: Lane, max: u32, lease: Duration, now: Timestamp) -> Result<Vec<Delivery>, Error> {
        let writer = self.database.writer()?;
        let changed = Arc::clone(&self.changed);
        let until = now.plus(lease).unix_millis();
        let leased = self
            .database
            .write(move |connection| {
                let deliveries = take(connection, lane, max, now.unix_millis(), until)?;
                Ok(Leased { deliveries, lane, now, writer, changed })
            })
            .await?;
        Ok(leased.claim())
    }

    /// Runs a statement that changes the one message `held` is the lease of.
    async fn change(
        &self,
        lane: Lane,
        held: &Lease,
        change: impl FnOnce(&Connection, &Held) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<(), Error> {
        let lost = || Error::LeaseLost(held.message_id.clone());
        let held = Held::read(held, lane, self.database.now()).ok_or_else(lost)?;
        let changed = self.database.write(move |connection| change(connection, &held)).await?;
        if changed == 1 { Ok(()) } else { Err(lost()) }
    }
}

impl From<sqlite::Error> for Error {
    fn from(error: sqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[async_trait]
impl Sender for SqliteQueue {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn send(&self, wake: &Wake, delay: Duration) -> Result<(), Error> {
        let body = serde_json::to_string(wake).map_err(|error| Error::Unavailable(error.to_string()))?;
        let now = self.database.now();
        let (visible_at, expires_at) = (now.plus(delay).unix_millis(), now.plus(TIME_TO_LIVE).unix_millis());
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO messages (lane, visible_at, expires_at, dequeue_count, receipt, body) VALUES (?1, ?2, ?3, 0, NULL, ?4)",
                    )?
                    .execute(params![code(Lane::Work), visible_at, expires_at, body])
            })
            .await?;
        // Also for a delayed message: who waits has to learn when it is due.
        self.changed.notify_waiters();
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(self.database.probe().await?)
    }
}

#[async_trait]
impl Receiver for SqliteQueue {
    async fn receive(&self, lane: Lane, max: u32, lease: Duration, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let deadline = Instant::now() + wait.min(TIME_TO_LIVE);
        loop {
            // Made before looking, so that a send between looking and waiting is not missed.
            let changed = self.changed.notified();
            let now = self.database.now();
            let due = self.database.read(|connection| next_due(connection, lane, now.unix_millis()))?;
            let is_due = due.is_some_and(|due| due <= now);
            if is_due {
                let deliveries = self.lease(lane, max, lease, now).await?;
                if !deliveries.is_empty() || max == 0 {
                    return Ok(deliveries);
                }
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            if !is_due {
                let pause = due.map_or(POLL, |due| due.since(now).min(POLL));
                // Either way there is a reason to look again.
                let _ = timeout_at(deadline.min(Instant::now() + pause), changed).await;
            }
        }
    }

    async fn renew(&self, lane: Lane, held: &Lease, lease: Duration) -> Result<Lease, Error> {
        let renewed = Uuid::new_v4().as_u64_pair().1.cast_signed();
        let until = self.database.now().plus(lease).unix_millis();
        self.change(lane, held, move |connection, held| held.set(connection, until, Some(renewed))).await?;
        Ok(Lease { message_id: held.message_id.clone(), receipt: renewed.to_string() })
    }

    async fn delete(&self, lane: Lane, held: &Lease) -> Result<(), Error> {
        self.change(lane, held, |connection, held| {
            connection
                .prepare_cached("DELETE FROM messages WHERE number = ?1 AND lane = ?2 AND receipt = ?3 AND expires_at > ?4")?
                .execute(params![held.number, code(held.lane), held.receipt, held.now])
        })
        .await
    }

    async fn release(&self, lane: Lane, held: &Lease, delay: Duration) -> Result<(), Error> {
        let visible_at = self.database.now().plus(delay).unix_millis();
        self.change(lane, held, move |connection, held| held.set(connection, visible_at, None)).await?;
        self.changed.notify_waiters();
        Ok(())
    }

    async fn poison(&self, delivery: &Delivery) -> Result<(), Error> {
        let expires_at = self.database.now().plus(TIME_TO_LIVE).unix_millis();
        self.change(Lane::Work, &delivery.lease, move |connection, held| {
            connection
                .prepare_cached(
                    "UPDATE messages SET lane = ?1, visible_at = ?2, expires_at = ?3, dequeue_count = 0, receipt = NULL
                     WHERE number = ?4 AND lane = ?5 AND receipt = ?6 AND expires_at > ?2",
                )?
                .execute(params![code(Lane::Poison), held.now, expires_at, held.number, code(held.lane), held.receipt])
        })
        .await?;
        self.changed.notify_waiters();
        Ok(())
    }
}

/// A lease as the file knows it. It is lost when no message has this number, lane and receipt, or the message is too old.
struct Held {
    number: i64,
    lane: Lane,
    receipt: i64,
    now: i64,
}

impl Held {
    /// `None` for a lease that this queue never gave.
    fn read(lease: &Lease, lane: Lane, now: Timestamp) -> Option<Self> {
        Some(Self { number: lease.message_id.parse().ok()?, lane, receipt: lease.receipt.parse().ok()?, now: now.unix_millis() })
    }

    /// Makes the message visible from `visible_at` on, under another receipt or under none; 0 when the lease is lost.
    fn set(&self, connection: &Connection, visible_at: i64, receipt: Option<i64>) -> rusqlite::Result<usize> {
        connection
            .prepare_cached(
                "UPDATE messages SET visible_at = ?1, receipt = ?2
                 WHERE number = ?3 AND lane = ?4 AND receipt = ?5 AND expires_at > ?6",
            )?
            .execute(params![visible_at, receipt, self.number, code(self.lane), self.receipt, self.now])
    }
}

/// Messages on their way from the writer to the receiver. When the receiver has gone, they are given back instead of being invisible
/// until a lease ends that nobody holds.
struct Leased {
    deliveries: Vec<Delivery>,
    lane: Lane,
    now: Timestamp,
    writer: Writer,
    changed: Arc<Notify>,
}

impl Leased {
    fn claim(mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if self.deliveries.is_empty() {
            return;
        }
        let deliveries = std::mem::take(&mut self.deliveries);
        let (now, changed) = (self.now, Arc::clone(&self.changed));
        let unclaimed: Vec<Held> = deliveries.iter().filter_map(|delivery| Held::read(&delivery.lease, self.lane, now)).collect();
        let give_back = move |connection: &Connection| {
            for held in &unclaimed {
                held.set(connection, held.now, None)?;
            }
            // Before the commit: who looks too early finds them at the next poll.
            changed.notify_waiters();
            Ok(())
        };
        // Nobody is left to tell: if this fails, the leases run out.
        self.writer.submit(give_back, oneshot::channel().0);
    }
}

/// The name of a lane in the file.
fn code(lane: Lane) -> i64 {
    match lane {
        Lane::Work => 0,
        Lane::Poison => 1,
    }
}

/// When the next message of `lane` is visible, which is now for those that are.
fn next_due(connection: &Connection, lane: Lane, now: i64) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT visible_at FROM messages WHERE lane = ?1 AND expires_at > ?2 ORDER BY visible_at, number LIMIT 1")?
        .query_row(params![code(lane), now], |row| row.get(0))
        .optional()
        .map(|due| due.map(Timestamp::from_unix_millis))
}

/// Leases the messages that are visible at `now` until `until`, those that have been visible longest first.
fn take(connection: &Connection, lane: Lane, max: u32, now: i64, until: i64) -> rusqlite::Result<Vec<Delivery>> {
    let mut visible = connection.prepare_cached(
        "SELECT number FROM messages WHERE lane = ?1 AND visible_at <= ?2 AND expires_at > ?2 ORDER BY visible_at, number LIMIT ?3",
    )?;
    let numbers = visible.query_map(params![code(lane), now, max], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut lease = connection.prepare_cached(
        "UPDATE messages SET visible_at = ?1, dequeue_count = dequeue_count + 1, receipt = random() WHERE number = ?2
         RETURNING body, dequeue_count, receipt",
    )?;
    let mut take_one = |number: i64| {
        lease.query_row(params![until, number], |row| {
            let receipt: i64 = row.get(2)?;
            let lease = Lease { message_id: number.to_string(), receipt: receipt.to_string() };
            Ok(Delivery { body: row.get(0)?, dequeue_count: row.get(1)?, lease })
        })
    };
    numbers.into_iter().map(&mut take_one).collect()
}

/// Removes a batch of expired messages; true when there may be more.
fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<bool> {
    let removed = connection
        .prepare_cached("DELETE FROM messages WHERE number IN (SELECT number FROM messages WHERE expires_at <= ?1 LIMIT ?2)")?
        .execute(params![now, SWEEP_BATCH])?;
    Ok(removed >= SWEEP_BATCH as usize)
}
