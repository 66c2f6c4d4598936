//! The runs of this process: one per token, answered for a while after their end.
//!
//! Owns the states that `poll` tells. A poll can be repeated, because a worker may die between reading rows and committing them; so an
//! ended run is kept, for a bounded time and within bounded memory. What is no longer kept, and what another process launched, is lost.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, TryAcquireError, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::cells;
use crate::{
    conversation::{Phase, RunId},
    warehouse::{self, Error, RunState},
};

/// What is kept of ended runs, and how many may be under way.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// How long an ended run is kept.
    pub time: Duration,
    /// Ended runs kept at most.
    pub runs: usize,
    /// Memory that the rows of ended runs take at most, in bytes.
    pub bytes: usize,
    /// Runs queued and running at most; more are turned away.
    pub unfinished: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { time: Duration::from_secs(600), runs: 256, bytes: 64 << 20, unfinished: 1_000 }
    }
}

/// The runs of this process.
#[derive(Debug)]
pub(in crate::warehouse) struct Runs {
    book: Arc<Mutex<Book>>,
    /// Stops every run when the warehouse is dropped.
    closed: CancellationToken,
    _close: DropGuard,
}

#[derive(Debug)]
struct Book {
    keep: Keep,
    runs: HashMap<String, Run>,
    by_token: HashMap<String, String>,
    /// Ended runs, oldest first.
    ended: VecDeque<Ended>,
    ended_bytes: usize,
}

#[derive(Debug)]
struct Run {
    token: String,
    cancel: CancellationToken,
    state: watch::Receiver<RunState>,
}

#[derive(Debug)]
struct Ended {
    id: String,
    at: Instant,
    bytes: usize,
}

/// Where the work of a run tells its phase.
#[derive(Debug)]
pub(in crate::warehouse) struct Report(watch::Sender<RunState>);

impl Report {
    fn phase(&self, phase: Phase) {
        self.0.send_replace(RunState::Running(phase));
    }
}

/// Waits for `wanted` permits, and reports the run as queued for as long as that takes.
///
/// # Errors
/// [`AcquireError`] when the semaphore is closed.
pub(in crate::warehouse) async fn permits<'a>(
    permits: &'a Semaphore,
    wanted: u32,
    report: &Report,
) -> Result<SemaphorePermit<'a>, AcquireError> {
    match permits.try_acquire_many(wanted) {
        Ok(permit) => return Ok(permit),
        Err(TryAcquireError::Closed | TryAcquireError::NoPermits) => report.phase(Phase::Queued),
    }
    let permit = permits.acquire_many(wanted).await?;
    report.phase(Phase::Executing);
    Ok(permit)
}

impl Runs {
    pub(in crate::warehouse) fn new(keep: Keep) -> Self {
        let closed = CancellationToken::new();
        let book = Book { keep, runs: HashMap::new(), by_token: HashMap::new(), ended: VecDeque::new(), ended_bytes: 0 };
        Self { book: Arc::new(Mutex::new(book)), _close: closed.clone().drop_guard(), closed }
    }

    /// The run of `token`, unless it is lost.
    pub(in crate::warehouse) fn known(&self, token: &str) -> Option<warehouse::Run> {
        lock(&self.book).live_run_of(token)
    }

    /// Starts `work` as the run of `token`, unless the token has one that is not lost.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many runs are unfinished.
    pub(in crate::warehouse) fn launch<W>(&self, token: &str, work: impl FnOnce(Report) -> W) -> Result<warehouse::Run, Error>
    where
        W: Future<Output = RunState> + Send + 'static,
    {
        let mut book = lock(&self.book);
        book.evict(Instant::now());
        if let Some(run) = book.live_run_of(token) {
            return Ok(run);
        }
        let unfinished = book.runs.len() - book.ended.len();
        if unfinished >= book.keep.unfinished {
            let detail = format!("{unfinished} queries are queued or running already; try again in a few seconds");
            return Err(Error::Unavailable { detail, retry_after: Some(Duration::from_secs(5)) });
        }
        let id = Uuid::new_v4().to_string();
        let (sender, state) = watch::channel(RunState::Running(Phase::Executing));
        let cancel = self.closed.child_token();
        book.by_token.insert(token.to_owned(), id.clone());
        book.runs.insert(id.clone(), Run { token: token.to_owned(), cancel: cancel.clone(), state });
        drop(book);
        let work = work(Report(sender.clone()));
        tokio::spawn(finish(Arc::clone(&self.book), id.clone(), cancel, sender, work));
        Ok(launched(id, Phase::Executing))
    }

    /// How a run is doing; waits up to `wait` for its end, or for a phase other than `known`.
    pub(in crate::warehouse) async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> RunState {
        let Some(mut state) = self.find(run).map(|(_, state)| state) else { return RunState::Lost };
        match tokio::time::timeout(wait, state.wait_for(|state| *state != RunState::Running(known))).await {
            Ok(Ok(state)) => state.clone(),
            // Its task is gone without a word: it panicked, or the runtime is shutting down.
            Ok(Err(_)) => RunState::Lost,
            Err(_) => RunState::Running(known),
        }
    }

    /// Stops a run, if it has not ended.
    pub(in crate::warehouse) fn cancel(&self, run: &RunId) {
        if let Some((cancel, _)) = self.find(run) {
            cancel.cancel();
        }
    }

    fn find(&self, run: &RunId) -> Option<(CancellationToken, watch::Receiver<RunState>)> {
        let RunId::Text(id) = run else { return None };
        let mut book = lock(&self.book);
        book.evict(Instant::now());
        book.runs.get(id).map(|run| (run.cancel.clone(), run.state.clone()))
    }
}

/// Drives `work` to its end or to its cancellation, and books the end.
async fn finish(
    book: Arc<Mutex<Book>>,
    id: String,
    cancel: CancellationToken,
    state: watch::Sender<RunState>,
    work: impl Future<Output = RunState>,
) {
    let end = tokio::select! {
        biased;
        () = cancel.cancelled() => RunState::Canceled,
        end = work => end,
    };
    let bytes = match &end {
        RunState::Succeeded(result) => result.rows.iter().flatten().map(cells::size).sum(),
        _ => 0,
    };
    let mut book = lock(&book);
    state.send_replace(end);
    let now = Instant::now();
    book.ended.push_back(Ended { id, at: now, bytes });
    book.ended_bytes += bytes;
    book.evict(now);
}

impl Book {
    fn live_run_of(&self, token: &str) -> Option<warehouse::Run> {
        let id = self.by_token.get(token)?;
        let run = self.runs.get(id)?;
        let phase = match *run.state.borrow() {
            RunState::Lost => return None,
            RunState::Running(phase) => phase,
            _ => Phase::Executing,
        };
        Some(launched(id.clone(), phase))
    }

    fn evict(&mut self, now: Instant) {
        let Keep { time, runs, bytes, .. } = self.keep;
        while let Some(oldest) = self.ended.front() {
            let is_due = now.duration_since(oldest.at) >= time;
            // The newest one stays whatever its size: somebody is about to read it.
            let is_too_much = self.ended.len() > runs || (self.ended_bytes > bytes && self.ended.len() > 1);
            if !is_due && !is_too_much {
                return;
            }
            let Some(Ended { id, bytes, .. }) = self.ended.pop_front() else { return };
            self.ended_bytes -= bytes;
            let Some(run) = self.runs.remove(&id) else { continue };
            // A relaunched token names its newer run.
            if self.by_token.get(&run.token) == Some(&id) {
                self.by_token.remove(&run.token);
            }
        }
    }
}

fn launched(id: String, phase: Phase) -> warehouse::Run {
    warehouse::Run { id: RunId::Text(id), page_url: None, phase }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::conversation::ResultSet;

    const WAIT: Duration = Duration::from_secs(5);

    fn rows(text: &str) -> RunState {
        RunState::Succeeded(ResultSet {
            columns: Vec::new(),
            rows: vec![vec![text.into()]],
            row_count: 1,
            truncated: false,
            limit_source: None,
        })
    }

    fn runs(keep: Keep) -> Runs {
        Runs::new(keep)
    }

    #[tokio::test]
    async fn a_poll_can_be_repeated_until_the_run_is_evicted_by_number() -> Result<(), Error> {
        let runs = runs(Keep { runs: 2, ..Keep::default() });
        let mut ids = Vec::new();
        for token in ["a", "b", "c"] {
            let id = runs.launch(token, |_| ready(rows(token)))?.id;
            assert_eq!(runs.poll(&id, Phase::Executing, WAIT).await, rows(token));
            ids.push(id);
        }
        assert_eq!(runs.poll(&ids[0], Phase::Executing, WAIT).await, RunState::Lost);
        assert_eq!(runs.poll(&ids[1], Phase::Executing, WAIT).await, rows("b"));
        assert_eq!(runs.poll(&ids[2], Phase::Executing, WAIT).await, rows("c"));
        Ok(())
    }

    #[tokio::test]
    async fn rows_are_evicted_by_memory_but_never_the_newest() -> Result<(), Error> {
        let runs = runs(Keep { bytes: 1_000, ..Keep::default() });
        let large = "x".repeat(2_000);
        let first = runs.launch("a", |_| ready(rows(&large)))?.id;
        assert_eq!(runs.poll(&first, Phase::Executing, WAIT).await, rows(&large));
        let second = runs.launch("b", |_| ready(rows(&large)))?.id;
        assert_eq!(runs.poll(&second, Phase::Executing, WAIT).await, rows(&large));
        assert_eq!(runs.poll(&first, Phase::Executing, WAIT).await, RunState::Lost);
        Ok(())
    }

    #[tokio::test]
    async fn an_ended_run_is_kept_for_a_time() -> Result<(), Error> {
        let runs = runs(Keep { time: Duration::ZERO, ..Keep::default() });
        let id = runs.launch("a", |_| ready(rows("x")))?.id;
        tokio::task::yield_now().await;
        assert_eq!(runs.poll(&id, Phase::Executing, WAIT).await, RunState::Lost);
        Ok(())
    }

    #[tokio::test]
    async fn a_lost_run_may_be_launched_again_under_its_token_and_a_canceled_one_not() -> Result<(), Error> {
        let runs = runs(Keep::default());
        let lost = runs.launch("a", |_| ready(RunState::Lost))?.id;
        assert_eq!(runs.poll(&lost, Phase::Executing, WAIT).await, RunState::Lost);
        let again = runs.launch("a", |_| pending::<RunState>())?.id;
        assert_ne!(lost, again);
        runs.cancel(&again);
        assert_eq!(runs.poll(&again, Phase::Executing, WAIT).await, RunState::Canceled);
        assert_eq!(runs.launch("a", |_| ready(rows("x")))?.id, again);
        Ok(())
    }

    #[tokio::test]
    async fn more_unfinished_runs_than_allowed_are_turned_away() -> Result<(), Error> {
        let runs = runs(Keep { unfinished: 1, ..Keep::default() });
        let first = runs.launch("a", |_| pending::<RunState>())?.id;
        assert!(matches!(runs.launch("b", |_| pending::<RunState>()), Err(Error::Unavailable { retry_after: Some(_), .. })));
        runs.cancel(&first);
        assert_eq!(runs.poll(&first, Phase::Executing, WAIT).await, RunState::Canceled);
        runs.launch("b", |_| pending::<RunState>())?;
        Ok(())
    }

    #[tokio::test]
    async fn a_run_whose_task_died_is_lost() -> Result<(), Error> {
        let runs = runs(Keep::default());
        let id = runs.launch("a", |_| async { std::panic::resume_unwind(Box::new("gone")) })?.id;
        assert_eq!(runs.poll(&id, Phase::Executing, WAIT).await, RunState::Lost);
        Ok(())
    }

    #[tokio::test]
    async fn a_run_without_a_permit_is_queued_until_it_has_one() -> Result<(), Error> {
        let (runs, semaphore) = (runs(Keep::default()), Arc::new(Semaphore::new(1)));
        let launch = |token: &str, end: tokio::sync::oneshot::Receiver<()>| {
            let semaphore = Arc::clone(&semaphore);
            runs.launch(token, |report| async move {
                let Ok(_permit) = permits(&semaphore, 1, &report).await else { return RunState::Lost };
                let _ = end.await;
                rows("x")
            })
        };
        let ((end_first, first_ends), (end_second, second_ends)) = (tokio::sync::oneshot::channel(), tokio::sync::oneshot::channel());
        let first = launch("a", first_ends)?.id;
        assert_eq!(runs.poll(&first, Phase::Executing, Duration::ZERO).await, RunState::Running(Phase::Executing));
        let second = launch("b", second_ends)?.id;
        assert_eq!(runs.poll(&second, Phase::Executing, WAIT).await, RunState::Running(Phase::Queued));
        assert_eq!(runs.known("b").map(|run| run.phase), Some(Phase::Queued));
        drop(end_first);
        assert_eq!(runs.poll(&second, Phase::Queued, WAIT).await, RunState::Running(Phase::Executing));
        drop(end_second);
        assert_eq!(runs.poll(&second, Phase::Executing, WAIT).await, rows("x"));
        Ok(())
    }
}
