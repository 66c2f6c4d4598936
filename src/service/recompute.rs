//! Rows that have expired are computed again: the very statement, through the guard and the warehouse, by a worker.
//!
//! The message carries all that is known of it, and the launch is one per decision by its token: the one of the query itself, so that a
//! warehouse that still has the run gives its rows without computing them. No conversation is changed, but for why it failed, and that
//! only while no turn is running: it cannot get into the way of the worker's protocol.

use super::{Advance, Asker, RequestError, Service, StepError, requests::TRIES};
use crate::{
    conversation::{Conversation, ConversationId, Delegation, JobStatus, Phase, ResultSet, note_recompute, retry::backoff},
    queue::{Recompute, Wake},
    store::{self, Versioned},
    warehouse::{self, RunState},
};

/// Times a query may be found running: together, with the waits in between, more than half an hour.
const POLLS: u32 = 60;

/// What a request for expired rows comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recomputed {
    /// They have not expired.
    Kept,
    /// A worker is at it.
    Started,
}

/// What one delivery came to.
enum Again {
    Rows(ResultSet),
    Running,
    /// The warehouse does not know the run any more, or what is left of it is of no use.
    Lost(String),
    Failed(String),
}

impl Service {
    /// Has a worker compute the rows of query `number` (from 1) again, if they have expired. The query must have given rows once.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn recompute(&self, asker: &Asker<'_>, id: ConversationId, number: u32) -> Result<Recomputed, RequestError> {
        self.load_own(asker.caller, id).await?.ok_or(RequestError::Unknown)?;
        if self.ports.store.result(id, number).await?.is_some() {
            return Ok(Recomputed::Kept);
        }
        let noted = self.note(id, number, None, self.delegation(asker, id).await?).await?;
        let conversation = match noted {
            Some(noted) => noted,
            None => self.load_shown(id).await?.ok_or(RequestError::Unknown)?.conversation,
        };
        let rows = Some(Recompute { query: number, lost: 0, polls: 0 });
        self.wake(Wake { rows, ..Wake::of(&conversation) }, std::time::Duration::ZERO).await?;
        Ok(Recomputed::Started)
    }

    /// Handles one delivery of the wish for `rows`.
    pub(super) async fn compute_again(&self, wake: Wake, rows: Recompute) -> Result<Advance, StepError> {
        let id = wake.conversation_id;
        let Some(Versioned { conversation, .. }) = self.load_since(id, wake.revision).await? else { return Ok(Advance::Gone) };
        if conversation.revision < wake.revision {
            return Err(StepError::StaleRead { id, revision: wake.revision });
        }
        if self.ports.store.result(id, rows.query).await?.is_some() {
            return Ok(Advance::Ended);
        }
        // Whichever lasts longer: where a turn was running, nothing could be left for the rows alone.
        let delegation = [&conversation.delegation, &conversation.rows_delegation].into_iter().flatten().max_by_key(|kept| kept.until);
        let conversation = Conversation { delegation: delegation.cloned(), ..conversation };
        let (next, error) = match self.run_again(&conversation, rows).await {
            Again::Rows(result) => {
                self.ports.store.put_result(id, rows.query, &result).await?;
                return Ok(Advance::Ended);
            }
            Again::Failed(error) => return self.failed_again(id, rows, error).await,
            Again::Running => (Recompute { polls: rows.polls + 1, ..rows }, "The query took too long.".to_owned()),
            Again::Lost(error) => (Recompute { lost: rows.lost + 1, ..rows }, error),
        };
        if next.polls > POLLS || next.lost > self.budgets.relaunches {
            return self.failed_again(id, rows, error).await;
        }
        self.send(Wake { rows: Some(next), ..wake }, backoff(next.polls.max(next.lost))).await
    }

    /// Launches the statement, or finds the run that an earlier delivery launched, and waits for its end.
    async fn run_again(&self, conversation: &Conversation, rows: Recompute) -> Again {
        let index = usize::try_from(rows.query).unwrap_or(usize::MAX).saturating_sub(1);
        let job = conversation.databricks_jobs.get(index).filter(|job| job.status == JobStatus::Completed);
        let Some(job) = job else { return Again::Failed(format!("There is no query {} that gave rows.", rows.query)) };
        let admitted = match self.lake.guard.admit(&job.sql_query) {
            Ok(admitted) => admitted,
            Err(refusal) => return Again::Failed(refusal.reason),
        };
        let statement = self.statement(conversation, index, job.lost + rows.lost, &admitted);
        let launch = async { self.warehouse(conversation)?.launch(&statement).await };
        let run = match self.call("launch", Some(&statement.sql), self.settings.warehouse_timeout, launch).await {
            Ok(Ok(run)) => run,
            Ok(Err(error)) => return self.failed_call(conversation.id, error),
            Err(_) => return Again::Running,
        };
        let wait = self.settings.invocation;
        let poll = async { self.warehouse(conversation)?.poll(&run.id, Phase::Executing, wait).await };
        let polled = match self.call("poll", None, wait + self.settings.warehouse_timeout, poll).await {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => return self.failed_call(conversation.id, error),
            Err(_) => return Again::Running,
        };
        match polled {
            RunState::Running(_) if rows.polls >= POLLS => {
                self.stop(conversation, &run.id).await;
                Again::Running
            }
            RunState::Running(_) => Again::Running,
            RunState::Succeeded(mut result) => {
                result.limit_source = job.limit_source;
                result.cut_to(store::document::MAX_RESULT_BYTES);
                Again::Rows(result)
            }
            // Of the run that gave the rows at first, a warehouse may keep no more than its end.
            RunState::Failed(error) if rows.lost == 0 => Again::Lost(error),
            RunState::Failed(error) => Again::Failed(error),
            RunState::Canceled => Again::Lost("The query was canceled in the warehouse.".into()),
            RunState::Lost => Again::Lost("The warehouse lost the query.".into()),
            RunState::TurnedAway(detail) => Again::Lost(detail),
        }
    }

    /// The queue gave the message up.
    pub(super) async fn give_rows_up(&self, id: ConversationId, rows: Recompute) -> Result<Advance, StepError> {
        self.failed_again(id, rows, "Every attempt failed.".into()).await
    }

    async fn failed_again(&self, id: ConversationId, rows: Recompute, error: String) -> Result<Advance, StepError> {
        let told = self.told(&error);
        tracing::warn!(conversation.id = %id, query = rows.query, error = told, "could not compute expired rows again");
        self.note(id, rows.query, Some(error), None).await?;
        Ok(Advance::Ended)
    }

    /// Notes why query `number` gave no rows again, or by what it is to, where no turn is running. Returns what was committed, if anything was.
    async fn note(
        &self,
        id: ConversationId,
        number: u32,
        error: Option<String>,
        delegation: Option<Box<Delegation>>,
    ) -> Result<Option<Conversation>, store::Error> {
        let index = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        for _ in 0..TRIES {
            let Some(Versioned { conversation, etag }) = self.load_shown(id).await? else { return Ok(None) };
            let Some(noted) = note_recompute(conversation, index, error.clone(), delegation.clone(), Self::now()) else {
                return Ok(None);
            };
            match self.commit(&noted.conversation, &etag).await {
                Err(store::Error::Conflict(_)) => tokio::time::sleep(self.settings.replica_lag / 4).await,
                committed => return committed.map(|_| Some(noted.conversation)),
            }
        }
        Ok(None)
    }

    fn failed_call(&self, id: ConversationId, error: warehouse::Error) -> Again {
        match error {
            warehouse::Error::Unavailable { detail, .. } => {
                let detail = self.told(&detail);
                tracing::warn!(conversation.id = %id, detail, "the warehouse is unavailable for rows that are to be computed again");
                Again::Running
            }
            warehouse::Error::Misconfigured(error) | warehouse::Error::NotAdmitted(error) | warehouse::Error::Refused(error) => {
                Again::Failed(error)
            }
        }
    }
}
