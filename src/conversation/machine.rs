//! The state machine of a turn: which effect comes next, and what its outcome makes of the conversation.
//!
//! Invariants, each held by a property test in `tests/it/machine.rs`: every transition raises the revision by one; an ended
//! turn stays ended; a transition that does not end the turn has a wake; the percentage never goes down; no budget is exceeded; a turn
//! that is being canceled ends as canceled. What requests do to a conversation is in `requests`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    model::{
        Answer, Conversation, Draft, ErrorCode, ErrorDetail, Job, JobStatus, LimitSource, Lookup, Message, Phase, ResultSummary, Review,
        Role, RunId, Timestamp, ToolCall, ToolOutcome, ToolStatus,
    },
    retry::{Budgets, backoff},
    stage::{Stage, raw_percentage},
};

/// The error of a canceled turn, as it is published, and of its queries that were not launched.
pub(super) const CANCELED: &str = "Canceled";

/// What the worker is to do next for a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the model: with no query left in the budget it must answer now.
    AskModel {
        /// Queries the model may still decide on in this turn.
        queries_left: u32,
    },
    /// Let the guard judge job number `job` (index into `databricks_jobs`) and launch it.
    Launch {
        /// Index of the job.
        job: usize,
    },
    /// Ask the warehouse how the run of a job is doing.
    Poll {
        /// Index of the job.
        job: usize,
        /// Its run.
        run: RunId,
        /// Its phase as recorded: another one is worth a commit.
        phase: Phase,
    },
    /// The turn is being canceled: ask the warehouse to stop the run, and whether it has.
    Cancel {
        /// The run to cancel.
        run: Option<RunId>,
        /// Its phase as recorded.
        phase: Phase,
    },
    /// The turn is past its deadline: stop the run, if there is one.
    Expire {
        /// The run to cancel in the warehouse.
        run: Option<RunId>,
    },
}

/// A query the model decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryDecision {
    /// The model's id of the call; made unique by [`apply`].
    pub call_id: String,
    /// The statement.
    pub sql_query: String,
    /// What it looks up, where the model did not write the statement itself.
    pub lookup: Option<Lookup>,
    /// Why.
    pub reasoning: String,
}

/// What the model decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// To run queries, in this order; never empty.
    Query(Vec<QueryDecision>),
    /// To answer.
    Answer(Answer),
}

/// What came of an [`Effect`], or what happened to the conversation from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The model replied.
    ModelReplied {
        /// What it decided.
        decision: Decision,
        /// What asklake finds of it; nothing of queries.
        review: Box<Review>,
        /// Its name.
        model: String,
        /// Tokens it read.
        prompt_tokens: u64,
        /// Tokens it wrote.
        completion_tokens: u64,
        /// How long it took, in milliseconds.
        model_ms: u64,
    },
    /// The model replied with nothing that can be worked with: the turn ends, and what it used counts.
    ModelUnusable {
        /// Why, for a person.
        detail: String,
        /// Tokens it read.
        prompt_tokens: u64,
        /// Tokens it wrote.
        completion_tokens: u64,
        /// How long it took, in milliseconds.
        model_ms: u64,
    },
    /// The statement of `job` is one that this turn has run or tried before.
    QueryRepeated {
        /// Index of the job.
        job: usize,
        /// Index of the earlier one, which has ended.
        of: usize,
    },
    /// The guard refused the statement of `job`.
    QueryRefused {
        /// Index of the job.
        job: usize,
        /// Why, so that the model can repair it.
        reason: String,
    },
    /// The statement of `job` was launched.
    QueryLaunched {
        /// Index of the job.
        job: usize,
        /// The warehouse's name for the run.
        run_id: RunId,
        /// The statement as launched: with its row limit.
        sql_query: String,
        /// Who set the row limit.
        limit_source: Option<LimitSource>,
        /// A page of the warehouse about the run.
        run_page_url: Option<String>,
        /// What the warehouse is doing about it.
        phase: Phase,
    },
    /// The run of `job` has not ended.
    QueryRunning {
        /// Index of the job.
        job: usize,
        /// What the warehouse is doing about it.
        phase: Phase,
    },
    /// The run of `job` ended and its rows are stored.
    QuerySucceeded {
        /// Index of the job.
        job: usize,
        /// What is known of the rows.
        summary: ResultSummary,
    },
    /// The run of `job` failed, or the warehouse would not launch the statement.
    QueryFailed {
        /// Index of the job.
        job: usize,
        /// Why, so that the model can repair it.
        error: String,
    },
    /// The warehouse no longer knows the run of `job`: its engine was restarted.
    QueryLost {
        /// Index of the job.
        job: usize,
    },
    /// The warehouse takes no further run now: that of `job` never began.
    QueryTurnedAway {
        /// Index of the job.
        job: usize,
        /// Why, and what to change where that does not pass.
        detail: String,
    },
    /// The model or the warehouse failed in a way that may pass.
    Unavailable {
        /// What to end the turn with when it does not pass.
        code: ErrorCode,
        /// What happened, for a person.
        detail: String,
        /// What the other side asked for.
        retry_after: Option<Duration>,
    },
    /// What the warehouse made of the wish to cancel.
    Cancellation(Cancellation),
    /// The turn ends: past its deadline, refused for good, canceled, or given up by the queue.
    Ended {
        /// Why, for a program.
        code: ErrorCode,
        /// Why, for a person.
        detail: String,
    },
}

/// What the warehouse made of the wish to cancel a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It says that the run is canceled.
    Confirmed,
    /// The run ended by itself before it could be canceled.
    TooLate,
    /// It does not know the run.
    Unknown,
    /// It has not said so yet, or does not answer.
    Unconfirmed,
}

/// The next state of a conversation, to be committed, and when to wake a worker for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The next state.
    pub conversation: Conversation,
    /// Delay of the next wake; absent exactly when the turn has ended.
    pub wake: Option<Duration>,
}

/// The next effect of `conversation`; none when its turn has ended.
#[must_use]
pub fn effect(conversation: &Conversation, budgets: &Budgets, now: Timestamp) -> Option<Effect> {
    if conversation.stage.is_terminal() {
        return None;
    }
    if conversation.stage == Stage::Canceling {
        let phase = running(conversation).and_then(|(job, _)| conversation.databricks_jobs.get(job)?.phase).unwrap_or_default();
        return Some(Effect::Cancel { run: conversation.running_run().cloned(), phase });
    }
    if budgets.is_past_deadline(conversation, now) {
        return Some(Effect::Expire { run: conversation.running_run().cloned() });
    }
    let ask = Effect::AskModel { queries_left: budgets.queries.saturating_sub(conversation.spent.queries) };
    Some(match conversation.stage {
        Stage::Executing => running(conversation).map_or(ask, |(job, run)| {
            let phase = conversation.databricks_jobs.get(job).and_then(|job| job.phase).unwrap_or_default();
            Effect::Poll { job, run: run.clone(), phase }
        }),
        Stage::Submitting => pending(conversation).map_or(ask, |job| Effect::Launch { job }),
        _ => ask,
    })
}

/// What `outcome` makes of `conversation`. On an ended turn every outcome is ignored: there is no transition.
#[must_use]
pub fn apply(mut conversation: Conversation, outcome: Outcome, budgets: &Budgets, now: Timestamp) -> Option<Transition> {
    if conversation.stage.is_terminal() {
        return None;
    }
    if conversation.stage == Stage::Canceling {
        return Some(canceling(conversation, outcome, budgets, now));
    }
    let before = shown_percentage(&conversation);
    let failures = std::mem::take(&mut conversation.spent.failures);
    let delay = match outcome {
        Outcome::ModelReplied { decision, review, model, prompt_tokens, completion_tokens, model_ms } => {
            model_was_asked(&mut conversation, prompt_tokens, completion_tokens, model_ms);
            conversation.answered_by = Some(model);
            decide(&mut conversation, decision, *review, budgets, now);
            Duration::ZERO
        }
        Outcome::ModelUnusable { detail, prompt_tokens, completion_tokens, model_ms } => {
            model_was_asked(&mut conversation, prompt_tokens, completion_tokens, model_ms);
            end(&mut conversation, ErrorCode::ModelFailed, detail, now);
            Duration::ZERO
        }
        Outcome::QueryRepeated { job, of } => {
            repeated(&mut conversation, job, of, budgets, now);
            Duration::ZERO
        }
        Outcome::QueryRefused { job, reason: error } | Outcome::QueryFailed { job, error } => {
            fail_job(&mut conversation, job, error, budgets, now);
            Duration::ZERO
        }
        Outcome::QueryLaunched { job: index, run_id, sql_query, limit_source, run_page_url, phase } => {
            if let Some(job) = conversation.databricks_jobs.get_mut(index) {
                job.launched_at = Some(now);
                job.run_id = Some(run_id);
                job.sql_query = sql_query;
                job.limit_source = limit_source;
                job.run_page_url = run_page_url;
                job.status = JobStatus::Running;
            }
            enter(&mut conversation, index, phase, now);
            conversation.usage.queries += 1;
            conversation.spent.polls = 0;
            conversation.stage = Stage::Executing;
            Duration::ZERO
        }
        Outcome::QueryRunning { job, phase } => {
            if enter(&mut conversation, job, phase, now) {
                conversation.spent.polls = 0;
                Duration::ZERO
            } else {
                conversation.spent.polls = conversation.spent.polls.saturating_add(1);
                backoff(conversation.spent.polls)
            }
        }
        Outcome::QuerySucceeded { job, summary } => {
            succeeded(&mut conversation, job, summary, budgets, now);
            Duration::ZERO
        }
        Outcome::QueryLost { job } => {
            let detail = |lost| format!("The warehouse lost the query {lost} times. Try again when it runs steadily.");
            backoff(launch_again(&mut conversation, job, detail, budgets, now))
        }
        Outcome::QueryTurnedAway { job, detail } => {
            let detail = |_| format!("The warehouse is busy: {detail}");
            // Others have to end first, which takes longer than an engine to come back.
            backoff(launch_again(&mut conversation, job, detail, budgets, now) + 2)
        }
        Outcome::Unavailable { code, detail, retry_after } => {
            conversation.spent.failures = failures + 1;
            if conversation.spent.failures > budgets.failures {
                end(&mut conversation, code, detail, now);
            }
            retry_after.unwrap_or_default().clamp(backoff(failures + 1), Duration::from_secs(60))
        }
        Outcome::Ended { code, detail } => {
            end(&mut conversation, code, detail, now);
            Duration::ZERO
        }
        // Only a turn that is being canceled has this effect.
        Outcome::Cancellation(_) => Duration::ZERO,
    };
    Some(commit(conversation, before, delay, now))
}

/// What `outcome` makes of a turn that is being canceled: whatever it is, the turn ends as canceled.
fn canceling(mut conversation: Conversation, outcome: Outcome, budgets: &Budgets, now: Timestamp) -> Transition {
    let before = shown_percentage(&conversation);
    conversation.spent.cancels += 1;
    let tries = conversation.spent.cancels;
    let waited = conversation.cancel_requested_at.map(|at| now.since(at)).unwrap_or_default();
    let is_given_up = matches!(outcome, Outcome::Ended { .. }) || tries >= budgets.cancels || waited >= budgets.cancellation;
    let cancellation = if let Outcome::Cancellation(cancellation) = outcome { cancellation } else { Cancellation::Unconfirmed };
    let what_came_of_it = match cancellation {
        Cancellation::Confirmed => "Canceled; the warehouse confirmed it".to_owned(),
        Cancellation::TooLate => "Canceled; the query had ended in the warehouse by then".to_owned(),
        Cancellation::Unknown => "Canceled; the warehouse does not know the query any more".to_owned(),
        Cancellation::Unconfirmed if is_given_up => format!("Canceled; the warehouse did not confirm it within {} s", waited.as_secs()),
        Cancellation::Unconfirmed => return commit(conversation, before, backoff(tries), now),
    };
    let running = running(&conversation).map(|(index, _)| index);
    if let Some(job) = running.and_then(|index| conversation.databricks_jobs.get_mut(index)) {
        job.cancel_confirmed_at = matches!(cancellation, Cancellation::Confirmed | Cancellation::TooLate).then_some(now);
        job.error = Some(what_came_of_it);
    }
    end(&mut conversation, ErrorCode::Canceled, CANCELED.into(), now);
    commit(conversation, before, Duration::ZERO, now)
}

/// The percentage that clients have been shown.
pub(super) fn shown_percentage(conversation: &Conversation) -> u8 {
    conversation.percentage.max(raw_percentage(conversation))
}

/// Raises the revision, keeps the percentage from going down and sets the wake: the same for every transition.
pub(super) fn commit(mut conversation: Conversation, before: u8, delay: Duration, now: Timestamp) -> Transition {
    conversation.percentage = before.max(raw_percentage(&conversation));
    conversation.revision = conversation.revision.next();
    conversation.updated_at = now;
    let wake = (!conversation.stage.is_terminal()).then_some(delay);
    let has_ended = wake.is_none() && conversation.wake_at.is_some();
    conversation.wake_at = wake.map(|delay| now.plus(delay));
    if has_ended {
        // The turn asks nothing of the warehouse any more, so nobody is to keep the right to.
        conversation.delegation = None;
    }
    Transition { conversation, wake }
}

fn model_was_asked(conversation: &mut Conversation, prompt_tokens: u64, completion_tokens: u64, model_ms: u64) {
    conversation.usage.prompt_tokens += prompt_tokens;
    conversation.usage.completion_tokens += completion_tokens;
    conversation.usage.model_ms += model_ms;
    conversation.usage.model_calls += 1;
    conversation.spent.model_calls += 1;
}

fn decide(conversation: &mut Conversation, decision: Decision, review: Review, budgets: &Budgets, now: Timestamp) {
    conversation.draft = None;
    match decision {
        Decision::Answer(answer) => {
            let may_rewrite = conversation.spent.rewrites < budgets.rewrites && conversation.spent.model_calls < budgets.model_calls;
            if may_rewrite && !review.objections.is_empty() {
                conversation.spent.rewrites += 1;
                conversation.draft = Some(Draft { text: answer.text, objections: review.objections });
            } else {
                answered(conversation, answer, review, now);
            }
        }
        Decision::Query(queries) => {
            let wanted = u32::try_from(queries.len()).unwrap_or(u32::MAX);
            if conversation.spent.queries.saturating_add(wanted) > budgets.queries {
                let detail = format!(
                    "The model wanted more than the {} queries that one question may run. Ask a narrower question.",
                    budgets.queries
                );
                return end(conversation, ErrorCode::BudgetExceeded, detail, now);
            }
            if conversation.spent.model_calls >= budgets.model_calls {
                let detail = format!("The model did not come to an answer within {} calls. Ask a narrower question.", budgets.model_calls);
                return end(conversation, ErrorCode::BudgetExceeded, detail, now);
            }
            conversation.spent.queries += wanted;
            decided(conversation, queries, now);
        }
    }
}

fn answered(conversation: &mut Conversation, answer: Answer, review: Review, now: Timestamp) {
    let text = with_notes(answer.text, &review);
    let turn = conversation.turn;
    conversation.messages.push(Message { role: Role::Assistant, content: text.clone(), timestamp: now, turn, tool_calls: Vec::new() });
    conversation.final_answer = Some(text);
    conversation.answer_basis = Some(answer.basis);
    conversation.assumptions = answer.assumptions;
    for assumption in review.assumptions {
        if !conversation.assumptions.contains(&assumption) {
            conversation.assumptions.push(assumption);
        }
    }
    conversation.unverified = review.unverified;
    conversation.verified_queries = review.verified_queries;
    conversation.chart = review.chart;
    conversation.suggested_questions = answer.suggested_questions;
    conversation.stage = Stage::Completed;
}

/// The answer with what asklake has to say of it. It stands in the text, because that is all that many clients show.
fn with_notes(mut text: String, review: &Review) -> String {
    if !review.verified_queries.is_empty() {
        let named: Vec<String> = review.verified_queries.iter().map(|question| format!("“{question}”")).collect();
        let (noun, list) = (if named.len() == 1 { "query" } else { "queries" }, named.join(", "));
        text.push_str(&format!("\n\nFollows the verified {noun} {list}."));
    }
    if review.found_nothing {
        text.push_str("\n\nThe query found no rows.");
    }
    if !review.unverified.is_empty() {
        text.push_str(&format!("\n\nNot found in the rows: {}. Check before you rely on it.", review.unverified.join("; ")));
    }
    text
}

fn decided(conversation: &mut Conversation, queries: Vec<QueryDecision>, now: Timestamp) {
    let mut tool_calls = Vec::with_capacity(queries.len());
    for query in queries {
        let call_id = unique_call_id(conversation, query.call_id);
        tool_calls.push(ToolCall {
            id: call_id.clone(),
            sql_query: query.sql_query.clone(),
            lookup: query.lookup,
            reasoning: query.reasoning.clone(),
            result: None,
        });
        conversation.databricks_jobs.push(Job {
            turn: conversation.turn,
            call_id,
            run_id: None,
            sql_query: query.sql_query,
            reasoning: query.reasoning,
            status: JobStatus::Pending,
            phase: None,
            started_at: now,
            launched_at: None,
            executing_since: None,
            finished_at: None,
            row_count: None,
            truncated: None,
            limit_source: None,
            error: None,
            run_page_url: None,
            cancel_confirmed_at: None,
            recompute_error: None,
            lost: 0,
        });
    }
    let turn = conversation.turn;
    conversation.messages.push(Message { role: Role::Assistant, content: String::new(), timestamp: now, turn, tool_calls });
    conversation.stage = Stage::Submitting;
}

fn unique_call_id(conversation: &Conversation, wanted: String) -> String {
    let taken = conversation.databricks_jobs.iter().any(|job| job.call_id == wanted);
    if wanted.is_empty() || taken { format!("call_{}", conversation.databricks_jobs.len() + 1) } else { wanted }
}

/// Notes the phase of a launched job, and since when it executes. Returns whether it is another one than before.
fn enter(conversation: &mut Conversation, index: usize, phase: Phase, now: Timestamp) -> bool {
    let Some(job) = conversation.databricks_jobs.get_mut(index) else { return false };
    let is_other = job.phase.unwrap_or_default() != phase;
    job.phase = Some(phase);
    job.executing_since = (phase == Phase::Executing).then(|| job.executing_since.unwrap_or(now));
    is_other
}

fn succeeded(conversation: &mut Conversation, index: usize, summary: ResultSummary, budgets: &Budgets, now: Timestamp) {
    let Some(job) = conversation.databricks_jobs.get_mut(index) else { return };
    job.status = JobStatus::Completed;
    job.row_count = Some(summary.row_count);
    job.truncated = Some(summary.truncated);
    job.limit_source = summary.limit_source;
    finish(conversation, index, now);
    record(conversation, index, ToolStatus::Success);
    after_job(conversation, budgets, now);
}

fn fail_job(conversation: &mut Conversation, index: usize, error: String, budgets: &Budgets, now: Timestamp) {
    fail(conversation, index, error, now);
    after_job(conversation, budgets, now);
}

/// Notes that a job ended without rows.
fn fail(conversation: &mut Conversation, index: usize, error: String, now: Timestamp) {
    let Some(job) = conversation.databricks_jobs.get_mut(index) else { return };
    job.status = JobStatus::Failed;
    job.error = Some(error);
    finish(conversation, index, now);
    record(conversation, index, ToolStatus::Error);
}

/// A statement that failed fails again, and one that ran shows nothing new: then the model is to answer from what it has.
fn repeated(conversation: &mut Conversation, index: usize, of: usize, budgets: &Budgets, now: Timestamp) {
    let number = of + 1;
    match conversation.databricks_jobs.get(of) {
        Some(Job { status: JobStatus::Completed, .. }) => {
            fail(conversation, index, format!("This is the statement of query {number}, whose rows are there: it was not run again."), now);
            conversation.spent.queries = conversation.spent.queries.max(budgets.queries);
            conversation.stage = next_stage(conversation);
        }
        earlier => {
            let error = earlier.and_then(|job| job.error.as_deref()).unwrap_or("it failed");
            let error = format!("This is the statement of query {number} again, so it was not run: {error}");
            fail_job(conversation, index, error, budgets, now);
        }
    }
}

/// Notes when a job ended, and for how long it had the warehouse.
fn finish(conversation: &mut Conversation, index: usize, now: Timestamp) {
    let Some(job) = conversation.databricks_jobs.get_mut(index) else { return };
    job.finished_at = Some(now);
    job.phase = None;
    if let Some(launched_at) = job.launched_at {
        conversation.usage.warehouse_ms += u64::try_from(now.since(launched_at).as_millis()).unwrap_or(u64::MAX);
    }
}

/// Makes a job whose run is gone pending again, or ends the turn where more of its runs are gone than may be: `detail` says why. Returns how
/// many are.
fn launch_again(
    conversation: &mut Conversation,
    index: usize,
    detail: impl FnOnce(u32) -> String,
    budgets: &Budgets,
    now: Timestamp,
) -> u32 {
    conversation.stage = Stage::Submitting;
    let Some(job) = conversation.databricks_jobs.get_mut(index) else { return 0 };
    job.lost += 1;
    job.run_id = None;
    job.status = JobStatus::Pending;
    job.phase = None;
    job.executing_since = None;
    let lost = job.lost;
    if lost > budgets.relaunches {
        end(conversation, ErrorCode::WarehouseUnavailable, detail(lost), now);
    }
    lost
}

/// Goes on once a job is over: with its pending siblings, then with the model, which is told of every failure among them at once. However
/// many of one decision failed, mending them is one repair.
fn after_job(conversation: &mut Conversation, budgets: &Budgets, now: Timestamp) {
    if pending(conversation).is_none()
        && let Some(error) = failure(conversation)
    {
        if conversation.spent.repairs < budgets.repairs {
            conversation.spent.repairs += 1;
        } else if has_rows(conversation) {
            // What it has may do: the model is to answer, and sees which queries failed.
            conversation.spent.queries = conversation.spent.queries.max(budgets.queries);
        } else {
            let detail = format!("The query failed and {} repairs did not help: {error}", budgets.repairs);
            return end(conversation, ErrorCode::QueryFailed, detail, now);
        }
    }
    conversation.stage = next_stage(conversation);
}

fn next_stage(conversation: &Conversation) -> Stage {
    match (pending(conversation), has_rows(conversation)) {
        (Some(_), _) => Stage::Submitting,
        (None, true) => Stage::Answering,
        (None, false) => Stage::Planning,
    }
}

/// The error of the last query that failed among those of the last decision.
fn failure(conversation: &Conversation) -> Option<&str> {
    let decided = conversation.messages.last().map(|message| message.tool_calls.as_slice()).unwrap_or_default();
    let of_it = |job: &Job| decided.iter().any(|call| call.id == job.call_id);
    let failed = conversation.turn_jobs().filter(|(_, job)| job.status == JobStatus::Failed && of_it(job)).last();
    failed.map(|(_, job)| job.error.as_deref().unwrap_or("it failed"))
}

/// Writes what came of a job into the tool call that decided on it, where the model and clients read it.
fn record(conversation: &mut Conversation, index: usize, status: ToolStatus) {
    let Some(job) = conversation.databricks_jobs.get(index) else { return };
    let outcome = ToolOutcome { status, run_id: job.run_id.clone(), row_count: job.row_count, error: job.error.clone() };
    let call = conversation.messages.iter_mut().flat_map(|message| &mut message.tool_calls).find(|call| call.id == job.call_id);
    if let Some(call) = call {
        call.result = Some(outcome);
    }
}

pub(super) fn end(conversation: &mut Conversation, code: ErrorCode, detail: String, now: Timestamp) {
    let open: Vec<usize> = conversation.turn_jobs().filter(|(_, job)| !job.status.is_over()).map(|(index, _)| index).collect();
    for index in open {
        if let Some(job) = conversation.databricks_jobs.get_mut(index) {
            let (status, error) = match (code, &job.run_id) {
                (ErrorCode::Canceled, _) => (JobStatus::Canceled, CANCELED),
                (_, Some(_)) => (JobStatus::Canceled, "It was stopped."),
                (_, None) => (JobStatus::Failed, "It was not run."),
            };
            job.status = status;
            job.error.get_or_insert_with(|| error.into());
        }
        finish(conversation, index, now);
        record(conversation, index, ToolStatus::Error);
    }
    let retryable =
        matches!(code, ErrorCode::DeadlineExceeded | ErrorCode::ModelFailed | ErrorCode::WarehouseUnavailable | ErrorCode::Abandoned);
    conversation.stage = if code == ErrorCode::Canceled { Stage::Canceled } else { Stage::Failed };
    conversation.error = Some(detail);
    conversation.error_detail = Some(ErrorDetail { code, retryable });
}

fn running(conversation: &Conversation) -> Option<(usize, &RunId)> {
    conversation.turn_jobs().find(|(_, job)| job.status == JobStatus::Running).and_then(|(index, job)| Some((index, job.run_id.as_ref()?)))
}

fn has_rows(conversation: &Conversation) -> bool {
    conversation.turn_jobs().any(|(_, job)| job.status == JobStatus::Completed)
}

fn pending(conversation: &Conversation) -> Option<usize> {
    conversation.turn_jobs().find(|(_, job)| job.status == JobStatus::Pending).map(|(index, _)| index)
}
