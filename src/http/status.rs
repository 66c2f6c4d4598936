//! `GET /api/chat/{id}/status`: with ETag, 304 and long poll.

use std::time::Duration;

use serde::Serialize;
use warp::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use super::{messages::FeedbackView, problem::Problem, request::Query};
use crate::{
    conversation::{
        AnswerBasis, Caller, Chart, Conversation, ConversationId, ErrorDetail, Job, LimitSource, Progress, PublicJobStatus, PublicStatus,
        Recalled, Revision, RunId, Stage, Timestamp, Usage,
    },
    service::{Service, Wait},
};

/// The longest a client may ask to wait, in seconds.
const LONGEST_WAIT: u64 = 60;
/// The largest revision a client may name: beyond it, JSON readers with floating-point numbers miscount.
pub(super) const LARGEST_REVISION: u64 = (1 << 53) - 1;

/// The published body; the fields from `stage` on are additions.
#[derive(Serialize)]
struct Status<'a> {
    conversation_id: ConversationId,
    status: PublicStatus,
    question: &'a str,
    final_answer: Option<&'a str>,
    error: Option<&'a str>,
    databricks_jobs: Vec<JobView<'a>>,
    progress: Progress,
    created_at: Timestamp,
    updated_at: Timestamp,
    stage: Stage,
    turn: u32,
    revision: Revision,
    answer_basis: Option<AnswerBasis>,
    answered_by: Option<&'a str>,
    assumptions: &'a [String],
    unverified: &'a [String],
    verified_queries: &'a [String],
    suggested_questions: &'a [String],
    usage: &'a Usage,
    chart: Option<&'a Chart>,
    error_detail: Option<&'a ErrorDetail>,
    feedback: Option<FeedbackView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached: Option<Recalled>,
}

#[derive(Serialize)]
struct JobView<'a> {
    turn: u32,
    run_id: Option<&'a RunId>,
    sql_query: &'a str,
    status: PublicJobStatus,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    reasoning: &'a str,
    row_count: Option<u64>,
    truncated: Option<bool>,
    limit_source: Option<LimitSource>,
    error: Option<&'a str>,
    run_page_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_confirmed_at: Option<Timestamp>,
}

impl<'a> JobView<'a> {
    fn of(job: &'a Job) -> Self {
        Self {
            turn: job.turn,
            run_id: job.run_id.as_ref(),
            sql_query: &job.sql_query,
            status: job.public_status(),
            started_at: job.started_at,
            finished_at: job.finished_at,
            reasoning: &job.reasoning,
            row_count: job.row_count,
            truncated: job.truncated,
            limit_source: job.limit_source,
            error: job.error.as_deref(),
            run_page_url: job.run_page_url.as_deref(),
            cancel_confirmed_at: job.cancel_confirmed_at,
        }
    }
}

impl<'a> Status<'a> {
    fn of(conversation: &'a Conversation) -> Self {
        Self {
            conversation_id: conversation.id,
            status: conversation.status(),
            question: &conversation.question,
            final_answer: conversation.final_answer.as_deref(),
            error: conversation.error.as_deref(),
            databricks_jobs: conversation.databricks_jobs.iter().map(JobView::of).collect(),
            progress: conversation.progress(),
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
            stage: conversation.stage,
            turn: conversation.turn,
            revision: conversation.revision,
            answer_basis: conversation.answer_basis,
            answered_by: conversation.answered_by.as_deref(),
            assumptions: &conversation.assumptions,
            unverified: &conversation.unverified,
            verified_queries: &conversation.verified_queries,
            suggested_questions: &conversation.suggested_questions,
            usage: &conversation.usage,
            chart: conversation.chart.as_ref(),
            error_detail: conversation.error_detail.as_ref(),
            feedback: conversation.feedback_of(conversation.turn).map(FeedbackView::of),
            cached: conversation.recalled,
        }
    }
}

/// The published body of `conversation`.
pub(super) fn body(conversation: &Conversation) -> serde_json::Result<String> {
    serde_json::to_string(&Status::of(conversation))
}

pub(super) async fn status(
    service: &Service,
    caller: &Caller,
    id: ConversationId,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let known = KnownRevision::of(headers);
    let after = query.number("after", 0, LARGEST_REVISION)?.map(Revision);
    let mut found = None;
    let wait = match wait_seconds(query, headers)? {
        0 => None,
        seconds => {
            let after = match after.or(known.single()) {
                Some(after) => after,
                // Nothing to compare with: wait for what comes next, if anything does.
                None => {
                    let now = service.read(caller, id, None).await?.ok_or_else(Problem::no_conversation)?;
                    let after = now.revision;
                    found = now.stage.is_terminal().then_some(now);
                    after
                }
            };
            Some(Wait { after, at_most: Duration::from_secs(seconds) })
        }
    };
    let found = match found {
        Some(ended) => Some(ended),
        None => service.read(caller, id, wait).await?,
    };
    let conversation = found.ok_or_else(Problem::no_conversation)?;
    Ok(respond(&conversation, &known))
}

fn respond(conversation: &Conversation, known: &KnownRevision) -> Response {
    let mut response = if known.includes(conversation.revision) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        super::json(StatusCode::OK, &Status::of(conversation))
    };
    if let Ok(etag) = HeaderValue::from_str(&etag(conversation.revision)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn etag(revision: Revision) -> String {
    format!("W/\"{revision}\"")
}

/// `?wait=N`, else `Prefer: wait=N` (RFC 7240: what it cannot honour it ignores), else 0.
fn wait_seconds(query: &Query, headers: &HeaderMap) -> Result<u64, Problem> {
    if let Some(wait) = query.number("wait", 0, LONGEST_WAIT)? {
        return Ok(wait);
    }
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split([',', ';']));
    let waits =
        preferences.filter_map(|preference| preference.trim().split_once('=')).filter(|(name, _)| name.trim().eq_ignore_ascii_case("wait"));
    let seconds = waits.filter_map(|(_, value)| value.trim().trim_matches('"').parse::<u64>().ok()).next();
    Ok(seconds.unwrap_or(0).min(LONGEST_WAIT))
}

/// What `If-None-Match` names.
enum KnownRevision {
    Any,
    Revisions(Vec<Revision>),
}

impl KnownRevision {
    fn of(headers: &HeaderMap) -> Self {
        let values =
            || headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        if values().any(|tag| tag.trim() == "*") {
            return Self::Any;
        }
        let revision = |tag: &str| tag.trim().trim_start_matches("W/").strip_prefix('"')?.strip_suffix('"')?.parse().ok().map(Revision);
        Self::Revisions(values().filter_map(revision).collect())
    }

    fn includes(&self, revision: Revision) -> bool {
        match self {
            Self::Any => true,
            Self::Revisions(known) => known.contains(&revision),
        }
    }

    /// The newest revision the client knows: the one to wait for a successor of.
    fn single(&self) -> Option<Revision> {
        match self {
            Self::Any => None,
            Self::Revisions(known) => known.iter().max().copied(),
        }
    }
}
