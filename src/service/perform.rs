//! Performing one effect: the only place where the worker touches model and warehouse.
//!
//! Whatever goes wrong there becomes an [`Outcome`] to be recorded. Only a store that cannot be read or written is an error,
//! because then nothing can be recorded.

use std::time::Duration;

use tokio::time::Instant;

use super::{Service, charge::Call, observed::warehouse_fault, rows_alone, transcript::Results};
use crate::{
    conversation::{Cancellation, Conversation, Decision, Effect, ErrorCode, Job, Outcome, Phase, Review, RunId},
    model,
    sql::Admitted,
    store,
    warehouse::{self, Origin, RunState, Statement, time_limit_passed},
};

/// How long one try to cancel a run waits for the warehouse to confirm it.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

impl Service {
    /// Performs `effect`; `left` is what remains of the invocation, and bounds how long a poll waits. Where the model is called, `call` tells
    /// how far that has come.
    pub(super) async fn perform(
        &self,
        conversation: &Conversation,
        effect: Effect,
        left: Duration,
        call: &Call,
    ) -> Result<Outcome, store::Error> {
        match effect {
            Effect::AskModel { queries_left } => self.ask_model(conversation, queries_left, call).await,
            Effect::Launch { job } => Ok(self.launch(conversation, job).await),
            Effect::Poll { job, run, phase } => self.poll(conversation, job, (&run, phase), left).await,
            Effect::Cancel { run, phase } => Ok(Outcome::Cancellation(self.cancel_run(conversation, run.as_ref(), phase, left).await)),
            Effect::Expire { run } => Ok(self.expire(conversation, run.as_ref()).await),
        }
    }

    async fn ask_model(&self, conversation: &Conversation, queries_left: u32, call: &Call) -> Result<Outcome, store::Error> {
        let results = self.results(conversation).await?;
        let request = self.request(conversation, queries_left, &results);
        call.begin(&request);
        let pen = self.pen(conversation);
        // Before there are rows, an answer would be what the model remembers; where that is refused it is not shown either.
        let shows_answers = !self.settings.data_only || conversation.turn_statements().next().is_some();
        let listener = |piece: model::Piece<'_>| {
            call.write(&piece);
            if shows_answers || piece.part != model::Part::Answer {
                pen.write(piece);
            }
        };
        let began = Instant::now();
        let reply = self.ask(conversation.id, &request, &listener).await;
        let model_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(match reply {
            Ok(Ok(reply)) => {
                self.instructions.learn(call, &reply);
                let (decision, review) = self.judged(conversation, reply.decision, &results);
                let (prompt_tokens, completion_tokens) = (reply.prompt_tokens, reply.completion_tokens);
                let model = self.ports.model.name().to_owned();
                Outcome::ModelReplied { decision, review: Box::new(review), model, prompt_tokens, completion_tokens, model_ms }
            }
            Ok(Err(model::Error::Unusable { detail, prompt_tokens, completion_tokens })) => {
                // Rows that nobody put into words are worth more than an error.
                let Some(result) = self.last_rows(conversation, &results) else {
                    let detail = format!("The model's replies cannot be used: {detail}");
                    return Ok(Outcome::ModelUnusable { detail, prompt_tokens, completion_tokens, model_ms });
                };
                let detail = self.told(&detail);
                tracing::info!(conversation.id = %conversation.id, detail, "the model's replies cannot be used; the rows are the answer");
                let (decision, review) = self.judged(conversation, Decision::Answer(rows_alone::answer(result)), &results);
                // It is made of rows alone, and nobody could write it better.
                let review = Review { objections: Vec::new(), unverified: Vec::new(), found_nothing: false, ..review };
                let model = self.ports.model.name().to_owned();
                Outcome::ModelReplied { decision, review: Box::new(review), model, prompt_tokens, completion_tokens, model_ms }
            }
            Ok(Err(error)) => no_reply(error),
            Err(_) => {
                let detail = format!("The model did not reply within {} s.", self.settings.model_timeout.as_secs());
                Outcome::Unavailable { code: ErrorCode::ModelFailed, detail, retry_after: None }
            }
        })
    }

    /// The decision with what asklake finds of it.
    fn judged(&self, conversation: &Conversation, decision: Decision, results: &Results) -> (Decision, Review) {
        match decision {
            Decision::Answer(answer) => {
                let (answer, review) = self.review(conversation, answer, results);
                (Decision::Answer(answer), review)
            }
            decision @ Decision::Query(_) => (decision, Review::default()),
        }
    }

    async fn launch(&self, conversation: &Conversation, index: usize) -> Outcome {
        let Some(job) = conversation.databricks_jobs.get(index) else { return missing_job(index) };
        let admitted = match self.lake.guard.admit(&job.sql_query) {
            Ok(admitted) => admitted,
            Err(refusal) => return Outcome::QueryRefused { job: index, reason: refusal.reason },
        };
        if let Some(of) = self.earlier(conversation, index, &admitted) {
            return Outcome::QueryRepeated { job: index, of };
        }
        let statement = self.statement(conversation, index, job.lost, &admitted);
        let launch = async { self.warehouse(conversation)?.launch(&statement).await };
        match self.call("launch", Some(&statement.sql), self.settings.warehouse_timeout, launch).await {
            Ok(Ok(run)) => Outcome::QueryLaunched {
                job: index,
                run_id: run.id,
                sql_query: statement.sql,
                limit_source: Some(admitted.limit_source),
                run_page_url: run.page_url,
                phase: run.phase,
            },
            Ok(Err(error)) => failed_call(index, error),
            Err(_) => self.no_answer("launch the query"),
        }
    }

    /// What to launch for a job whose runs were lost so many times.
    pub(super) fn statement(&self, conversation: &Conversation, index: usize, lost: u32, admitted: &Admitted) -> Statement {
        let turn = conversation.databricks_jobs.get(index).map_or(conversation.turn, |job| job.turn);
        Statement {
            token: launch_token(conversation, index, lost),
            sql: self.lake.guard.lay_out(admitted),
            max_rows: admitted.max_rows,
            // The guard admits none, so that what is shown can be copied and run as it is.
            parameters: Vec::new(),
            origin: Some(Origin { conversation: conversation.id, turn, query: number(index) }),
        }
    }

    /// The query of this turn that ended before and was the same statement, whatever its layout.
    fn earlier(&self, conversation: &Conversation, index: usize, admitted: &Admitted) -> Option<usize> {
        let is_same =
            |job: &Job| job.status.is_over() && self.lake.guard.admit(&job.sql_query).is_ok_and(|other| other.sql == admitted.sql);
        conversation.turn_jobs().find(|(other, job)| *other < index && is_same(job)).map(|(other, _)| other)
    }

    async fn poll(
        &self,
        conversation: &Conversation,
        index: usize,
        (run, phase): (&RunId, Phase),
        left: Duration,
    ) -> Result<Outcome, store::Error> {
        let wait = self.time_limit(conversation, index).map_or(left, |limit| limit.left.min(left));
        let poll = async { self.warehouse(conversation)?.poll(run, phase, wait).await };
        let polled = self.call("poll", None, wait + self.settings.warehouse_timeout, poll).await;
        let state = match polled {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => return Ok(failed_call(index, error)),
            Err(_) => return Ok(self.no_answer("tell how the query is doing")),
        };
        let passed = self.time_limit(conversation, index).filter(|limit| limit.left.is_zero()).map(|limit| time_limit_passed(limit.of));
        Ok(match state {
            RunState::Running(Phase::Executing) if let Some(error) = passed => {
                self.stop(conversation, run).await;
                Outcome::QueryFailed { job: index, error }
            }
            RunState::Running(phase) => Outcome::QueryRunning { job: index, phase },
            RunState::Lost => Outcome::QueryLost { job: index },
            RunState::TurnedAway(detail) => Outcome::QueryTurnedAway { job: index, detail },
            RunState::Failed(error) => Outcome::QueryFailed { job: index, error },
            // Stopped by a worker that died before it could say so.
            RunState::Canceled if let Some(error) = passed => Outcome::QueryFailed { job: index, error },
            RunState::Canceled => Outcome::QueryFailed { job: index, error: "The query was canceled in the warehouse.".into() },
            RunState::Succeeded(mut result) => {
                result.limit_source = conversation.databricks_jobs.get(index).and_then(|job| job.limit_source);
                result.cut_to(store::document::MAX_RESULT_BYTES);
                self.ports.store.put_result(conversation.id, number(index), &result).await?;
                Outcome::QuerySucceeded { job: index, summary: result.summary() }
            }
        })
    }

    async fn expire(&self, conversation: &Conversation, run: Option<&RunId>) -> Outcome {
        if let Some(run) = run {
            self.stop(conversation, run).await;
        }
        let detail = format!("The question was not answered within {} minutes.", self.budgets.turn.as_secs() / 60);
        Outcome::Ended { code: ErrorCode::DeadlineExceeded, detail }
    }

    /// Asks the warehouse to cancel a run, and waits a little for it to say that it has.
    async fn cancel_run(&self, conversation: &Conversation, run: Option<&RunId>, phase: Phase, left: Duration) -> Cancellation {
        let Some(run) = run else { return Cancellation::Unknown };
        self.stop(conversation, run).await;
        let wait = left.min(CANCEL_WAIT);
        let poll = async { self.warehouse(conversation)?.poll(run, phase, wait).await };
        match self.call("poll", None, wait + self.settings.warehouse_timeout, poll).await {
            Ok(Ok(RunState::Canceled)) => Cancellation::Confirmed,
            Ok(Ok(RunState::Succeeded(_) | RunState::Failed(_))) => Cancellation::TooLate,
            Ok(Ok(RunState::Lost | RunState::TurnedAway(_))) => Cancellation::Unknown,
            Ok(Ok(RunState::Running(_))) => Cancellation::Unconfirmed,
            Ok(Err(error)) => {
                let (fault, error) = (warehouse_fault(&error), error.to_string());
                tracing::warn!(run.id = %run, fault, error = self.told(&error), "the warehouse does not tell whether it canceled a query");
                Cancellation::Unconfirmed
            }
            Err(_) => {
                tracing::warn!(run.id = %run, "the warehouse did not answer whether it canceled a query");
                Cancellation::Unconfirmed
            }
        }
    }

    /// Stops a run that nobody waits for any more. Where that fails it ends by the limits of the warehouse.
    pub(super) async fn stop(&self, conversation: &Conversation, run: &RunId) {
        let cancel = async { self.warehouse(conversation)?.cancel(run).await };
        match self.call("cancel", None, self.settings.warehouse_timeout, cancel).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let (fault, error) = (warehouse_fault(&error), error.to_string());
                tracing::warn!(run.id = %run, fault, error = self.told(&error), "could not cancel a query");
            }
            Err(_) => tracing::warn!(run.id = %run, "the warehouse did not answer to the cancellation of a query"),
        }
    }

    /// What is left to a query that is known to execute, if the limit is ours to see to.
    fn time_limit(&self, conversation: &Conversation, index: usize) -> Option<TimeLimit> {
        let of = self.settings.query_time_limit?;
        let since = conversation.databricks_jobs.get(index)?.executing_since?;
        Some(TimeLimit { of, left: of.saturating_sub(Self::now().since(since)) })
    }

    fn no_answer(&self, what: &str) -> Outcome {
        let detail = format!("The warehouse did not {what} within {} s.", self.settings.warehouse_timeout.as_secs());
        Outcome::Unavailable { code: ErrorCode::WarehouseUnavailable, detail, retry_after: None }
    }
}

/// How long a query may execute, and how much of that is left to it.
struct TimeLimit {
    of: Duration,
    left: Duration,
}

fn no_reply(error: model::Error) -> Outcome {
    match error {
        model::Error::Unavailable { detail, retry_after } => {
            Outcome::Unavailable { code: ErrorCode::ModelFailed, detail: format!("The model is unavailable: {detail}"), retry_after }
        }
        model::Error::Misconfigured(detail) => {
            Outcome::Ended { code: ErrorCode::ModelFailed, detail: format!("The model is not set up: {detail}") }
        }
        model::Error::Refused(detail) => {
            Outcome::Ended { code: ErrorCode::ModelRefused, detail: format!("The model refused the request: {detail}") }
        }
        model::Error::Unusable { detail, .. } => {
            Outcome::Ended { code: ErrorCode::ModelFailed, detail: format!("The model's replies cannot be used: {detail}") }
        }
    }
}

fn failed_call(job: usize, error: warehouse::Error) -> Outcome {
    match error {
        warehouse::Error::Unavailable { detail, retry_after } => Outcome::Unavailable {
            code: ErrorCode::WarehouseUnavailable,
            detail: format!("The warehouse is unavailable: {detail}"),
            retry_after,
        },
        warehouse::Error::Misconfigured(detail) => {
            Outcome::Ended { code: ErrorCode::WarehouseUnavailable, detail: format!("The warehouse is not set up: {detail}") }
        }
        warehouse::Error::NotAdmitted(detail) => {
            Outcome::Ended { code: ErrorCode::WarehouseUnavailable, detail: format!("The warehouse does not admit you: {detail}") }
        }
        warehouse::Error::Refused(error) => Outcome::QueryFailed { job, error },
    }
}

/// Identifies one decision to launch: the same after a crash, another one after the warehouse lost the run. At most 64 characters.
fn launch_token(conversation: &Conversation, index: usize, lost: u32) -> String {
    format!("{}-{}-{lost}", conversation.id, index + 1)
}

/// What a query is called: they count from 1.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

fn missing_job(index: usize) -> Outcome {
    Outcome::Ended { code: ErrorCode::QueryFailed, detail: format!("The conversation has no query {}.", index + 1) }
}
