//! The conversation document and its parts, exactly as they are stored.
//!
//! Owns names, units and the serialised shape (`../../docs/architecture.md`, "The stored document"). Holds no rule about
//! how a conversation moves: that is `machine`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use uuid::Uuid;

use super::{
    account::Account,
    caller::Owner,
    chart::Chart,
    recall::Recalled,
    requests::{Feedback, KeyedRequest},
    stage::{Progress, PublicStatus, Stage},
};

/// An instant in UTC with millisecond precision, serialised as RFC 3339 with three decimals and `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

const RFC3339_MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

impl Timestamp {
    /// The present, from the system clock. Only the edges call this; the domain takes `now` as an argument.
    #[must_use]
    pub fn now() -> Self {
        Self::from_datetime(OffsetDateTime::now_utc())
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        i64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }

    /// The inverse of [`Timestamp::unix_millis`]; values that no calendar holds become the epoch.
    #[must_use]
    pub fn from_unix_millis(millis: i64) -> Self {
        Self::from_datetime(OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// This instant moved by `by` into the future.
    #[must_use]
    pub fn plus(self, by: std::time::Duration) -> Self {
        Self(self.0.checked_add(Duration::try_from(by).unwrap_or(Duration::MAX)).unwrap_or(self.0))
    }

    /// How long after `earlier` this instant is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::try_from(self.0 - earlier.0).unwrap_or_default()
    }

    fn from_datetime(at: OffsetDateTime) -> Self {
        let millis = at.millisecond();
        Self(at.to_offset(time::UtcOffset::UTC).replace_millisecond(millis).unwrap_or(at))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(RFC3339_MILLIS).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = time::error::Parse;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).map(Self::from_datetime)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The identity of a conversation: a UUID, v4, or v5 where an idempotency key was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(Uuid);

/// Namespace of the v5 ids made from idempotency keys.
const IDEMPOTENCY_NAMESPACE: Uuid = Uuid::from_u128(0x6d0f_5c1e_8a4b_4e0e_9a57_2f4c_53d1_7b10);

impl ConversationId {
    /// A new random id (v4).
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id that `key` always gives for `scope` (the caller), so that a repeated request finds its conversation (v5).
    #[must_use]
    pub fn from_idempotency_key(scope: &str, key: &str) -> Self {
        Self(Uuid::new_v5(&IDEMPOTENCY_NAMESPACE, format!("{}\u{0}{scope}\u{0}{key}", scope.len()).as_bytes()))
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for ConversationId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// Counts the commits of a conversation: 1 at creation, one more with every commit. The fencing token of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a conversation that was just created.
    pub const FIRST: Self = Self(1);

    /// The revision of the next commit.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the warehouse calls a launched query: a number for a Databricks job run, else a string.
///
/// Serialised a number is a number, but text above 2^53: stores and clients that know only doubles would make another run of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "StoredRunId")]
pub enum RunId {
    /// A Databricks job run.
    Number(u64),
    /// A statement id of a SQL warehouse or of a Flight SQL endpoint.
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StoredRunId {
    Number(u64),
    Text(String),
}

/// The largest number up to which a double tells every integer from the next.
const LARGEST_EXACT: u64 = 1 << 53;

impl From<StoredRunId> for RunId {
    fn from(stored: StoredRunId) -> Self {
        match stored {
            StoredRunId::Number(id) => Self::Number(id),
            StoredRunId::Text(id) => match id.parse::<u64>() {
                Ok(number) if number > LARGEST_EXACT && number.to_string() == id => Self::Number(number),
                _ => Self::Text(id),
            },
        }
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(id) if *id <= LARGEST_EXACT => serializer.serialize_u64(*id),
            id => serializer.collect_str(id),
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => id.fmt(f),
            Self::Text(id) => id.fmt(f),
        }
    }
}

/// One question with everything that was done to answer it. This is the document the store keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Identity, and the partition key.
    pub id: ConversationId,
    /// The principal the conversation belongs to; absent when it was asked anonymously. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Accounts that the use of this turn counts for; none where no quota limits it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
    /// By what this turn's queries run as the owner; none where they run as asklake, and once the turn has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Box<Delegation>>,
    /// The same for rows that have expired and are computed again; the last one, which turns leave as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_delegation: Option<Box<Delegation>>,
    /// The label the client chose for the user, at most 128 characters.
    pub user_id: Option<String>,
    /// The label the client chose for the device, at most 128 characters.
    pub device_id: Option<String>,
    /// BCP 47 tag of the language the client asked for.
    pub language: Option<String>,
    /// Identifies the request body that an idempotency key came with; absent without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
    /// Commits so far.
    pub revision: Revision,
    /// The running or last turn, from 1.
    pub turn: u32,
    /// Where the turn stands.
    pub stage: Stage,
    /// The question of this turn.
    pub question: String,
    /// The requests of follow-up turns that came with an idempotency key, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyed_requests: Vec<KeyedRequest>,
    /// What the user thinks of the answers, at most one per turn, oldest turn first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<Feedback>,
    /// How earlier turns ended, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_turns: Vec<EndedTurn>,
    /// When the client asked for the turn to be canceled; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    /// What was said, oldest first: user questions, assistant tool calls and answers.
    pub messages: Vec<Message>,
    /// Every query the model decided on, oldest first, across turns.
    pub databricks_jobs: Vec<Job>,
    /// The answer of this turn.
    pub final_answer: Option<String>,
    /// Why this turn failed, for a person.
    pub error: Option<String>,
    /// Why this turn failed, for a program.
    pub error_detail: Option<ErrorDetail>,
    /// What the answer rests on; absent until there is one.
    pub answer_basis: Option<AnswerBasis>,
    /// What was assumed to answer, for the user to judge.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// Numbers and names of the answer that no row supports. The answer says so itself as well.
    #[serde(default)]
    pub unverified: Vec<String>,
    /// Questions of the catalog's verified queries that the answer follows. The answer names them as well.
    #[serde(default)]
    pub verified_queries: Vec<String>,
    /// The chart of the answer's rows; absent where none says more than they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<Chart>,
    /// An answer of this turn that was given back to the model; absent once there is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<Draft>,
    /// Whether the answer was made before, for another conversation, and how old it was; absent when it was made for this turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled: Option<Recalled>,
    /// Questions that would work next.
    #[serde(default)]
    pub suggested_questions: Vec<String>,
    /// The model that wrote the answer; absent until it was asked.
    pub answered_by: Option<String>,
    /// What the conversation has used, across turns.
    pub usage: Usage,
    /// What this turn has used of its budgets.
    pub spent: Spent,
    /// The highest percentage shown in this turn: progress never goes back.
    pub percentage: u8,
    /// When this turn began.
    pub turn_started_at: Timestamp,
    /// When the next wake is due; absent when the turn has ended.
    pub wake_at: Option<Timestamp>,
    /// When the conversation was created.
    pub created_at: Timestamp,
    /// When it was last committed.
    pub updated_at: Timestamp,
}

/// The right to query the warehouse as the owner of a conversation, for a while. Only who has the key can use it: `warehouse::behalf`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// A token of the warehouse, encrypted for this conversation and its owner.
    pub sealed: String,
    /// When it is over.
    pub until: Timestamp,
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegation").field("until", &self.until).finish_non_exhaustive()
    }
}

/// What a client asks for when it starts a conversation. Validated by `http`, labels and language included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    /// Identity, chosen by the service.
    pub id: ConversationId,
    /// The question, 1 to 4,000 characters.
    pub question: String,
    /// See [`Conversation::owner`].
    pub owner: Option<Owner>,
    /// See [`Conversation::user_id`].
    pub user_id: Option<String>,
    /// See [`Conversation::device_id`].
    pub device_id: Option<String>,
    /// See [`Conversation::language`].
    pub language: Option<String>,
    /// See [`Conversation::request_digest`].
    pub request_digest: Option<String>,
}

impl Conversation {
    /// A conversation at its first revision, waiting for a worker since `now`.
    #[must_use]
    pub fn start(new: NewConversation, now: Timestamp) -> Self {
        let first = Message { role: Role::User, content: new.question.clone(), timestamp: now, turn: 1, tool_calls: Vec::new() };
        Self {
            id: new.id,
            owner: new.owner,
            accounts: Vec::new(),
            delegation: None,
            rows_delegation: None,
            user_id: new.user_id,
            device_id: new.device_id,
            language: new.language,
            request_digest: new.request_digest,
            revision: Revision::FIRST,
            turn: 1,
            stage: Stage::Planning,
            question: new.question,
            keyed_requests: Vec::new(),
            feedback: Vec::new(),
            ended_turns: Vec::new(),
            cancel_requested_at: None,
            messages: vec![first],
            databricks_jobs: Vec::new(),
            final_answer: None,
            error: None,
            error_detail: None,
            answer_basis: None,
            assumptions: Vec::new(),
            unverified: Vec::new(),
            verified_queries: Vec::new(),
            chart: None,
            draft: None,
            recalled: None,
            suggested_questions: Vec::new(),
            answered_by: None,
            usage: Usage::default(),
            spent: Spent::default(),
            percentage: 0,
            turn_started_at: now,
            wake_at: Some(now),
            created_at: now,
            updated_at: now,
        }
    }

    /// The published status.
    #[must_use]
    pub fn status(&self) -> PublicStatus {
        self.stage.status()
    }

    /// What a list of conversations calls it: its first question, whatever was asked since.
    #[must_use]
    pub fn title(&self) -> &str {
        self.messages.first().map_or(&self.question, |message| &message.content)
    }

    /// How the last turn ended, to be kept when the next one begins.
    #[must_use]
    pub fn ended_turn(&self) -> EndedTurn {
        EndedTurn {
            turn: self.turn,
            stage: self.stage,
            error: self.error.clone(),
            error_detail: self.error_detail.clone(),
            answer_basis: self.answer_basis,
            answered_by: self.answered_by.clone(),
            assumptions: self.assumptions.clone(),
            unverified: self.unverified.clone(),
            verified_queries: self.verified_queries.clone(),
            recalled: self.recalled,
        }
    }

    /// What the user thinks of the answer of `turn`.
    #[must_use]
    pub fn feedback_of(&self, turn: u32) -> Option<&Feedback> {
        self.feedback.iter().find(|feedback| feedback.turn == turn)
    }

    /// The run that the warehouse has in hand for the running turn.
    #[must_use]
    pub fn running_run(&self) -> Option<&RunId> {
        self.turn_jobs().find(|(_, job)| job.status == JobStatus::Running).and_then(|(_, job)| job.run_id.as_ref())
    }

    /// The published progress.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::of(self)
    }

    /// The jobs of the running or last turn with their index in [`Conversation::databricks_jobs`].
    pub fn turn_jobs(&self) -> impl Iterator<Item = (usize, &Job)> {
        self.databricks_jobs.iter().enumerate().filter(|(_, job)| job.turn == self.turn)
    }

    /// The statement of the turn that its answer rests on: the last one that gave rows, else the last one that ran.
    pub fn decisive_statement(&self) -> Option<(usize, &Job)> {
        self.turn_statements().filter(|(_, job)| job.gave_rows()).last().or_else(|| self.turn_statements().last())
    }

    /// The jobs of the turn that ran a statement of the model: its lookups are left out. Indexed as [`Conversation::turn_jobs`].
    pub fn turn_statements(&self) -> impl Iterator<Item = (usize, &Job)> {
        self.statements().filter(|(_, job)| job.turn == self.turn)
    }

    /// The same of every turn.
    pub fn statements(&self) -> impl Iterator<Item = (usize, &Job)> {
        let is_lookup = |job: &Job| {
            let mut calls = self.messages.iter().flat_map(|message| &message.tool_calls);
            calls.any(|call| call.id == job.call_id && call.lookup.is_some())
        };
        self.databricks_jobs.iter().enumerate().filter(move |(_, job)| job.status == JobStatus::Completed && !is_lookup(job))
    }
}

/// How a turn ended: what its conversation told of it while it was the last one. What was said and queried in it stands with the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedTurn {
    /// The turn.
    pub turn: u32,
    /// See [`Conversation::stage`].
    pub stage: Stage,
    /// See [`Conversation::error`].
    pub error: Option<String>,
    /// See [`Conversation::error_detail`].
    pub error_detail: Option<ErrorDetail>,
    /// See [`Conversation::answer_basis`].
    pub answer_basis: Option<AnswerBasis>,
    /// See [`Conversation::answered_by`].
    pub answered_by: Option<String>,
    /// See [`Conversation::assumptions`].
    pub assumptions: Vec<String>,
    /// See [`Conversation::unverified`].
    pub unverified: Vec<String>,
    /// See [`Conversation::verified_queries`].
    pub verified_queries: Vec<String>,
    /// See [`Conversation::recalled`].
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "cached")]
    pub recalled: Option<Recalled>,
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// The text; empty when the assistant only called tools.
    pub content: String,
    /// When it was recorded.
    pub timestamp: Timestamp,
    /// The turn it belongs to.
    pub turn: u32,
    /// The queries the assistant decided on in this message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
}

/// A tool call as the model made it, with its result once there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The model's id of the call, unique within the conversation.
    pub id: String,
    /// The statement as the model wrote it, or the one that a lookup comes to.
    pub sql_query: String,
    /// What the model looked up, where it did not write the statement itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<Lookup>,
    /// Why the model wants it.
    pub reasoning: String,
    /// What came of it.
    pub result: Option<ToolOutcome>,
}

/// A question for the stored spelling of a value: asklake writes the statement for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// The column that holds such values, `schema.table.column`.
    pub column: String,
    /// The value as the user spelt it.
    pub text: String,
}

/// What a tool call came to. The rows are kept beside the conversation, not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolOutcome {
    /// Whether it worked.
    pub status: ToolStatus,
    /// The run, if it was launched.
    pub run_id: Option<RunId>,
    /// Rows returned, if it worked.
    pub row_count: Option<u64>,
    /// What went wrong, for the model and for the user.
    pub error: Option<String>,
}

/// Whether a tool call worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolStatus {
    /// It returned rows (perhaps none).
    Success,
    /// It was refused or failed.
    Error,
}

/// One query: a decision of the model, at most one launch, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The turn that decided on it.
    pub turn: u32,
    /// The tool call that decided on it.
    pub call_id: String,
    /// The warehouse's name for it; absent until it is launched.
    pub run_id: Option<RunId>,
    /// The statement: as the model wrote it until the guard admits it, then as it was launched.
    pub sql_query: String,
    /// Why the model wants it.
    pub reasoning: String,
    /// Where it stands.
    pub status: JobStatus,
    /// What the warehouse is doing about it; absent unless it is launched and has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// When the model decided on it.
    pub started_at: Timestamp,
    /// When it was launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Timestamp>,
    /// Since when it is known to execute: the time that it was queued, and that the warehouse took to start, is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executing_since: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Rows returned.
    pub row_count: Option<u64>,
    /// Whether the warehouse had more rows than were kept.
    pub truncated: Option<bool>,
    /// Who set the row limit that applied.
    #[serde(default)]
    pub limit_source: Option<LimitSource>,
    /// What went wrong.
    pub error: Option<String>,
    /// A page of the warehouse about the run.
    pub run_page_url: Option<String>,
    /// When the warehouse was seen to have stopped the run that it was asked to cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_confirmed_at: Option<Timestamp>,
    /// Why rows that had expired could not be computed again; absent when that was not tried since, or did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recompute_error: Option<String>,
    /// Times the warehouse lost the run (a restarted engine) and it had to be launched again.
    #[serde(default)]
    pub lost: u32,
}

impl Job {
    /// Whether it gave rows, as far as it is known how many.
    #[must_use]
    pub fn gave_rows(&self) -> bool {
        self.row_count != Some(0)
    }

    /// The published status: a launched query that does not execute yet counts as pending there.
    #[must_use]
    pub fn public_status(&self) -> PublicJobStatus {
        match self.status {
            JobStatus::Pending => PublicJobStatus::Pending,
            JobStatus::Running if self.phase.unwrap_or_default() != Phase::Executing => PublicJobStatus::Pending,
            JobStatus::Running => PublicJobStatus::Running,
            JobStatus::Completed => PublicJobStatus::Completed,
            JobStatus::Failed => PublicJobStatus::Failed,
            JobStatus::Canceled => PublicJobStatus::Canceled,
        }
    }
}

/// What a warehouse is doing about a run that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is kept waiting by others.
    Queued,
    /// It waits for the warehouse or a cluster to start.
    Starting,
    /// It computes, as far as is known.
    #[default]
    Executing,
}

/// The published status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicJobStatus {
    /// Not launched, or launched and waiting in the warehouse.
    Pending,
    /// Executing.
    Running,
    /// Ended with rows.
    Completed,
    /// Refused or failed.
    Failed,
    /// Canceled.
    Canceled,
}

/// Where a job stands for the machine. Clients see [`Job::public_status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Decided, not launched.
    Pending,
    /// Launched; its phase tells whether it executes.
    Running,
    /// Ended with rows.
    Completed,
    /// Refused or failed.
    Failed,
    /// Canceled.
    Canceled,
}

impl JobStatus {
    /// Whether it has ended.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// Who set the row limit of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitSource {
    /// asklake: the statement had no LIMIT, or a higher one than is allowed, or its rows were too many bytes to keep.
    Server,
    /// The statement itself.
    Model,
}

/// What is known of a result without its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultSummary {
    /// Rows kept.
    pub row_count: u64,
    /// Whether there were more.
    pub truncated: bool,
    /// Who set the limit that applied.
    pub limit_source: Option<LimitSource>,
}

/// An answer that asklake did not let pass, for the model to write again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The answer as it was.
    pub text: String,
    /// What is wrong with it, each in one sentence for the model.
    pub objections: Vec<String>,
}

/// What a model answers with when it needs no further query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The answer, Markdown.
    pub text: String,
    /// What it rests on.
    pub basis: AnswerBasis,
    /// What was assumed.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// Questions that would work next.
    #[serde(default)]
    pub suggested_questions: Vec<String>,
}

/// What asklake itself finds of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// What the model is to put right, each in one sentence; empty when the answer may go out.
    pub objections: Vec<String>,
    /// Numbers and names that no row supports: they are marked where the answer goes out all the same.
    pub unverified: Vec<String>,
    /// Whether the queries gave no row at all, so that nothing in its words can be held against any.
    pub found_nothing: bool,
    /// What the statements assumed that the user did not say.
    pub assumptions: Vec<String>,
    /// Questions of the verified queries that the statements follow.
    pub verified_queries: Vec<String>,
    /// The chart of the rows that it rests on.
    pub chart: Option<Chart>,
}

/// What an answer rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerBasis {
    /// Rows of the lake.
    Data,
    /// What the model remembers.
    ModelKnowledge,
    /// Nothing: the question was refused or not understood.
    None,
}

/// Why a turn failed, for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// The kind of failure.
    pub code: ErrorCode,
    /// Whether the same question may work later.
    pub retryable: bool,
}

/// The closed list of reasons why a turn fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The turn took longer than its budget.
    DeadlineExceeded,
    /// The model wanted more calls or queries than its budget.
    BudgetExceeded,
    /// Every repair of a refused or failed query failed too.
    QueryFailed,
    /// The model could not be reached.
    ModelFailed,
    /// The model will not reply to the question.
    ModelRefused,
    /// The warehouse could not be reached.
    WarehouseUnavailable,
    /// The turn was canceled.
    Canceled,
    /// The conversation would become too large to keep.
    ConversationTooLarge,
    /// The wake was delivered too often without success and was given up.
    Abandoned,
}

/// What a conversation has used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens sent to the model.
    pub prompt_tokens: u64,
    /// Tokens the model wrote.
    pub completion_tokens: u64,
    /// Calls of the model.
    pub model_calls: u32,
    /// Queries launched.
    pub queries: u32,
    /// Milliseconds between launch and end of queries.
    pub warehouse_ms: u64,
    /// Milliseconds spent waiting for the model.
    pub model_ms: u64,
}

/// What a turn has used of its [`super::retry::Budgets`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Model calls that were answered.
    pub model_calls: u32,
    /// Queries decided on.
    pub queries: u32,
    /// Queries that were refused or failed and given back to the model.
    pub repairs: u32,
    /// Answers that were given back to the model.
    #[serde(default)]
    pub rewrites: u32,
    /// Failures in a row of the same effect that are worth another try.
    pub failures: u32,
    /// Polls in a row of the running query that found it still running, and in the same phase.
    pub polls: u32,
    /// Times the warehouse was asked to cancel the running query and did not confirm it.
    #[serde(default)]
    pub cancels: u32,
}
