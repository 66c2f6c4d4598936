//! Stages of a turn, and the status and progress that clients see of them.
//!
//! Owns the published percentages and texts (API contract, "progress"). Decides nothing: `machine` moves between stages.

use serde::{Deserialize, Serialize};

use super::model::{Conversation, JobStatus, Phase};

/// Where a turn stands. The serialised names are part of the status body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The model is to decide what to query.
    Planning,
    /// A decided query is to pass the guard and be launched.
    Submitting,
    /// A query runs in the warehouse.
    Executing,
    /// The model is to read the rows and answer, or query again.
    Answering,
    /// The client does not want it any more; the warehouse is to confirm that it stopped the query.
    Canceling,
    /// Ended with an answer.
    Completed,
    /// Ended without one.
    Failed,
    /// Ended on request.
    Canceled,
}

impl Stage {
    /// Whether the turn has ended. Only a new turn leaves such a stage.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// The published status: it only ever has three values.
    #[must_use]
    pub fn status(self) -> PublicStatus {
        match self {
            Self::Planning | Self::Submitting | Self::Executing | Self::Answering | Self::Canceling => PublicStatus::Processing,
            Self::Completed => PublicStatus::Completed,
            Self::Failed | Self::Canceled => PublicStatus::Error,
        }
    }
}

/// The published status of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicStatus {
    /// A worker is on it.
    Processing,
    /// There is an answer.
    Completed,
    /// The turn failed or was canceled.
    Error,
}

/// The published progress of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// One sentence for a person.
    pub current_step: String,
    /// 0 to 100; never goes down within a turn.
    pub percentage: u8,
    /// Why the model wants the query that the step is about, in its words; absent when it is about none, or the model gave no reason.
    pub reasoning: Option<String>,
}

impl Progress {
    /// The progress to show for `conversation`.
    #[must_use]
    pub fn of(conversation: &Conversation) -> Self {
        Self {
            current_step: current_step(conversation),
            percentage: conversation.percentage.max(raw_percentage(conversation)),
            reasoning: reasoning(conversation).map(str::to_owned),
        }
    }
}

/// The reason of the query at hand: the one that runs or is to be launched, else the one whose rows are read.
fn reasoning(conversation: &Conversation) -> Option<&str> {
    let jobs = || conversation.turn_jobs().map(|(_, job)| job);
    let job = match conversation.stage {
        Stage::Submitting | Stage::Executing => jobs().find(|job| !job.status.is_over()),
        Stage::Answering => jobs().filter(|job| job.status == JobStatus::Completed).last(),
        Stage::Planning | Stage::Canceling | Stage::Completed | Stage::Failed | Stage::Canceled => None,
    };
    job.map(|job| job.reasoning.trim()).filter(|reasoning| !reasoning.is_empty())
}

fn current_step(conversation: &Conversation) -> String {
    let (done, all) = executed(conversation);
    match conversation.stage {
        Stage::Planning | Stage::Answering if conversation.draft.is_some() => {
            "Preparing the answer: checking it against the rows...".into()
        }
        Stage::Planning if all == 0 => "Analyzing the question...".into(),
        Stage::Planning => "Generating Spark SQL: repairing the query...".into(),
        Stage::Submitting if done == 0 => "Generating Spark SQL: submitting the query...".into(),
        Stage::Submitting | Stage::Executing => format!("Executing Spark SQL ({done}/{all} queries completed){}...", wait(conversation)),
        Stage::Answering => "Processing results...".into(),
        Stage::Canceling => "Canceling: waiting for the warehouse to confirm that it stopped the query...".into(),
        Stage::Completed => "Completed".into(),
        Stage::Failed => "Error".into(),
        Stage::Canceled => canceled(conversation).unwrap_or("Canceled").into(),
    }
}

/// What is known of the query that was running when its turn was canceled.
fn canceled(conversation: &Conversation) -> Option<&str> {
    let stopped = conversation.turn_jobs().map(|(_, job)| job).find(|job| job.status == JobStatus::Canceled && job.run_id.is_some());
    stopped?.error.as_deref()
}

/// What keeps the launched query from executing.
fn wait(conversation: &Conversation) -> &'static str {
    let phase = conversation.turn_jobs().find(|(_, job)| job.status == JobStatus::Running).and_then(|(_, job)| job.phase);
    match phase.unwrap_or_default() {
        Phase::Queued => ": queued in the warehouse",
        Phase::Starting => ": waiting for the warehouse to start",
        Phase::Executing => "",
    }
}

/// The percentage of the stage alone; `machine` keeps the highest one seen in the turn.
pub(super) fn raw_percentage(conversation: &Conversation) -> u8 {
    let (done, all) = executed(conversation);
    match conversation.stage {
        Stage::Planning | Stage::Answering if conversation.draft.is_some() => 95,
        Stage::Planning if all == 0 => 10,
        Stage::Planning => 30,
        Stage::Submitting if done == 0 => 35,
        Stage::Submitting | Stage::Executing => executing_percentage(done, all),
        Stage::Answering => 90,
        Stage::Completed => 100,
        // Without an answer it stays where it was.
        Stage::Canceling | Stage::Failed | Stage::Canceled => conversation.percentage,
    }
}

/// 40 to 79, growing with completed queries.
fn executing_percentage(done: usize, all: usize) -> u8 {
    let share = 40 * done / all.max(1);
    40 + u8::try_from(share.min(39)).unwrap_or(39)
}

/// How many queries of this turn have completed, and how many were decided on, refused and failed ones left out.
fn executed(conversation: &Conversation) -> (usize, usize) {
    let jobs = || conversation.turn_jobs().map(|(_, job)| job.status);
    let done = jobs().filter(|status| *status == JobStatus::Completed).count();
    let failed = jobs().filter(|status| matches!(status, JobStatus::Failed | JobStatus::Canceled)).count();
    let all = jobs().count();
    if done == 0 && failed == all { (0, all) } else { (done, all - failed) }
}
