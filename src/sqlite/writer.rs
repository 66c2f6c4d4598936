//! The one thread that writes.
//!
//! Everything that waits when a transaction begins goes into it, each job in a savepoint of its own, and is answered after the commit.
//! So no answer is given that a crash could take back, and a flush to disk is shared by all who waited for the one before.
//! Between transactions it removes what has expired, in small batches, and only when it is time.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Error;

/// Jobs in one transaction at most, so that the first one does not wait for long.
const GROUP: usize = 128;

/// Transactions after which the write-ahead log is brought into the file: about 1,000 pages.
const CHECKPOINT_EVERY: u32 = 200;

/// Pause between two batches of a sweep that has more to remove.
const BETWEEN_BATCHES: Duration = Duration::from_millis(100);

/// Removes a batch of what has expired; true when there is more.
type Sweep = Box<dyn FnMut(&Connection) -> rusqlite::Result<bool> + Send>;

enum Message {
    Work(Box<dyn Job>),
    Sweep(Sweep),
}

/// Hands work to the thread. The thread ends when every clone is gone and all work is done.
#[derive(Clone)]
pub(crate) struct Writer(Sender<Message>);

impl Writer {
    /// Has `work` run and committed, then `answer` sent. When the thread is gone, `answer` is dropped.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        answer: oneshot::Sender<Result<T, Error>>,
    ) {
        let job = Pending { work: Some(work), value: None, answer };
        // A failed send drops the job and with it `answer`, which is how the caller learns.
        let _ = self.0.send(Message::Work(Box::new(job)));
    }

    /// Has `sweep` run from time to time for as long as the thread lives.
    pub(crate) fn sweep_with(&self, sweep: impl FnMut(&Connection) -> rusqlite::Result<bool> + Send + 'static) {
        let _ = self.0.send(Message::Sweep(Box::new(sweep)));
    }
}

/// A unit of work that is run once and answered once.
trait Job: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

struct Pending<T, F> {
    work: Option<F>,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<T: Send, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Job for Pending<T, F> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(connection)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        let outcome = match (committed, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Err(error), _) => Err(error),
            (Ok(()), None) => return,
        };
        // A caller that has gone does not want to know.
        let _ = self.answer.send(outcome);
    }
}

/// Starts the thread that owns `connection`.
pub(super) fn start(
    connection: Connection,
    checkpoints: Connection,
    file: PathBuf,
    first_sweep: Duration,
    sweep_every: Duration,
) -> Result<(Writer, JoinHandle<()>), Error> {
    let (sender, inbox) = mpsc::channel();
    let no_thread = |error: std::io::Error| Error::Sqlite { file: file.clone(), reason: format!("no thread for it: {error}") };
    let checkpointer = Checkpointer::start(&file, checkpoints).map_err(no_thread)?;
    let writer = Loop { checkpointer, connection, file: file.clone(), sweep_every, sweeps: Vec::new() };
    let thread = thread::Builder::new()
        .name("sqlite-writer".into())
        .spawn(move || writer.run(&inbox, Instant::now() + first_sweep))
        .map_err(no_thread)?;
    Ok((Writer(sender), thread))
}

/// Brings the write-ahead log into the file beside the writer, who would be held up by the flushes that takes. The writer does it itself
/// only when the log has grown to the size that `wal_autocheckpoint` sets.
struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    transactions: u32,
}

impl Checkpointer {
    fn start(file: &Path, connection: Connection) -> std::io::Result<Self> {
        let (wake, woken) = mpsc::sync_channel(1);
        let file = file.to_owned();
        let work = move || {
            while let Ok(()) = woken.recv() {
                if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                    tracing::warn!(file = %file.display(), %error, "the write-ahead log was not brought into the file; trying again later");
                }
            }
        };
        let thread = thread::Builder::new().name("sqlite-checkpoint".into()).spawn(work)?;
        Ok(Self { wake: Some(wake), thread: Some(thread), transactions: 0 })
    }

    fn count_transaction(&mut self) {
        self.transactions += 1;
        if self.transactions >= CHECKPOINT_EVERY {
            self.transactions = 0;
            // It fails when one is waiting to begin already.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    /// Ends before the connection below: the last one to close tidies the file up.
    checkpointer: Checkpointer,
    connection: Connection,
    file: PathBuf,
    sweep_every: Duration,
    sweeps: Vec<Sweep>,
}

impl Loop {
    fn run(mut self, inbox: &Receiver<Message>, mut sweep_at: Instant) {
        let mut group = VecDeque::new();
        loop {
            match inbox.recv_timeout(sweep_at.saturating_duration_since(Instant::now())) {
                Ok(first) => self.take(first, &mut group),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while group.len() < GROUP
                && let Ok(next) = inbox.try_recv()
            {
                self.take(next, &mut group);
            }
            while !group.is_empty() {
                transact(&self.connection, &self.file, &mut group);
                self.checkpointer.count_transaction();
            }
            if Instant::now() >= sweep_at {
                let has_more = self.sweep();
                sweep_at = Instant::now() + if has_more { BETWEEN_BATCHES } else { self.sweep_every };
            }
        }
    }

    fn take(&mut self, message: Message, group: &mut VecDeque<Box<dyn Job>>) {
        match message {
            Message::Work(job) => group.push_back(job),
            Message::Sweep(sweep) => self.sweeps.push(sweep),
        }
    }

    /// Removes one batch of each kind; true when there is more.
    fn sweep(&mut self) -> bool {
        let mut has_more = false;
        for sweep in &mut self.sweeps {
            match sweep(&self.connection) {
                Ok(more) => has_more |= more,
                Err(error) => tracing::warn!(file = %self.file.display(), %error, "expired rows were not removed; trying again later"),
            }
        }
        has_more
    }
}

/// Runs jobs of `group` in one transaction and answers them. Returns early, with the rest still in `group`, when SQLite gave the whole
/// transaction up (disk full, I/O error): nothing of it is stored then, so all of it is answered with the error.
fn transact(connection: &Connection, file: &Path, group: &mut VecDeque<Box<dyn Job>>) {
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        let error = Error::from_sqlite(file, &error);
        group.drain(..).for_each(|job| job.answer(Err(error.clone())));
        return;
    }
    let mut done = Vec::with_capacity(group.len());
    while let Some(mut job) = group.pop_front() {
        let Err(error) = savepoint(connection, &mut *job) else {
            done.push(job);
            continue;
        };
        let error = Error::from_sqlite(file, &error);
        job.answer(Err(error.clone()));
        if connection.is_autocommit() {
            done.into_iter().for_each(|job| job.answer(Err(error.clone())));
            return;
        }
    }
    let committed = commit(connection).map_err(|error| Error::from_sqlite(file, &error));
    done.into_iter().for_each(|job| job.answer(committed.clone()));
}

/// Runs `job` so that its failure undoes what it did and nothing else.
fn savepoint(connection: &Connection, job: &mut dyn Job) -> rusqlite::Result<()> {
    execute(connection, "SAVEPOINT job")?;
    let outcome = job.run(connection);
    if outcome.is_err() && !connection.is_autocommit() {
        execute(connection, "ROLLBACK TO job")?;
    }
    if !connection.is_autocommit() {
        execute(connection, "RELEASE job")?;
    }
    outcome
}

fn commit(connection: &Connection) -> rusqlite::Result<()> {
    let outcome = execute(connection, "COMMIT");
    if outcome.is_err() && !connection.is_autocommit() {
        execute(connection, "ROLLBACK")?;
    }
    outcome
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<usize, Error>>;

    fn table() -> rusqlite::Result<Connection> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch("CREATE TABLE stored (name TEXT PRIMARY KEY, filling TEXT)")?;
        Ok(connection)
    }

    /// A job that stores `name` with `bytes` of filling, and then fails if it is told to.
    fn job(name: &'static str, bytes: usize, fails: bool) -> (Box<dyn Job>, Answer) {
        let (answer, outcome) = oneshot::channel();
        let work = move |connection: &Connection| {
            let stored = connection.execute("INSERT INTO stored VALUES (?1, ?2)", (name, "x".repeat(bytes)))?;
            if fails { Err(rusqlite::Error::InvalidQuery) } else { Ok(stored) }
        };
        (Box::new(Pending { work: Some(work), value: None, answer }), outcome)
    }

    fn run(connection: &Connection, jobs: Vec<(Box<dyn Job>, Answer)>) -> Vec<Result<usize, Error>> {
        let (mut group, answers): (VecDeque<_>, Vec<_>) = jobs.into_iter().unzip();
        while !group.is_empty() {
            transact(connection, Path::new("test.db"), &mut group);
        }
        answers.into_iter().filter_map(|mut answer| answer.try_recv().ok()).collect()
    }

    fn stored(connection: &Connection) -> rusqlite::Result<Vec<String>> {
        connection.prepare("SELECT name FROM stored ORDER BY name")?.query_map([], |row| row.get(0))?.collect()
    }

    #[test]
    fn a_job_that_fails_undoes_itself_and_nothing_else() -> rusqlite::Result<()> {
        let connection = table()?;
        let answers = run(&connection, vec![job("a", 1, false), job("b", 1, true), job("c", 1, false)]);
        assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(stored(&connection)?, ["a", "c"]);
        Ok(())
    }

    #[test]
    fn on_a_full_disk_every_answer_is_true_and_the_writer_goes_on() -> rusqlite::Result<()> {
        let connection = table()?;
        connection.pragma_update(None, "max_page_count", 20)?;
        let answers = run(&connection, vec![job("a", 1, false), job("b", 1_000_000, false), job("c", 1, false)]);
        assert_eq!(answers.len(), 3, "everyone is answered");
        assert_eq!(answers[1], Err(Error::Full { file: "test.db".into() }));
        let acknowledged = ["a", "b", "c"].into_iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(name, _)| name);
        assert_eq!(stored(&connection)?, acknowledged.collect::<Vec<_>>(), "stored is what was acknowledged");
        assert!(run(&connection, vec![job("d", 1, false)])[0].is_ok(), "what fits is stored afterwards");
        Ok(())
    }

    #[test]
    fn a_transaction_that_cannot_begin_is_answered_with_the_reason() -> rusqlite::Result<()> {
        let connection = table()?;
        connection.execute_batch("BEGIN")?;
        let answers = run(&connection, vec![job("a", 1, false), job("b", 1, false)]);
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 2);
        connection.execute_batch("ROLLBACK")?;
        assert!(stored(&connection)?.is_empty());
        Ok(())
    }
}
