//! What the worker tells of its work: spans of messages, of calls of the model and of the warehouse, and their metrics.
//!
//! Names are those of OpenTelemetry's semantic conventions for messaging, generative AI and databases. Content (question, SQL, rows,
//! answer) goes into spans only where the settings say so, cut to [`CONTENT`]; into metrics and log lines it never goes.

use std::time::Duration;

use tokio::time::{Instant, error::Elapsed, timeout};
use tracing::{Instrument as _, Span, field::Empty, info_span};

use super::{Advance, Service, StepError};
use crate::{
    conversation::{Conversation, ConversationId, ErrorCode, Outcome},
    model::{self, Listener, Reply, Request},
    queue::{self, Wake},
    telemetry::{self, ModelLabels},
    warehouse,
};

/// Content of one attribute, in bytes at most: collectors refuse large spans.
const CONTENT: usize = 16 << 10;

impl Service {
    /// The span of one delivery of `wake`, which goes on with the trace that the wake carries.
    pub(super) fn begin_work(&self, operation: &'static str, wake: Wake, dequeue_count: u32) -> Span {
        let span = info_span!(
            "wake",
            otel.name = format!("{operation} {}", queue::NAME),
            otel.kind = "consumer",
            otel.status_code = Empty,
            messaging.system = self.ports.wakes.kind(),
            messaging.destination.name = queue::NAME,
            messaging.operation.name = operation,
            messaging.operation.type = "process",
            asklake.dequeue_count = dequeue_count,
            asklake.advance = Empty,
            conversation.id = %wake.conversation_id,
            trace_id = Empty,
        );
        telemetry::continue_from(&span, wake.traceparent);
        span
    }

    /// Asks the model, within its time.
    pub(super) async fn ask(
        &self,
        id: ConversationId,
        request: &Request,
        listener: &Listener<'_>,
    ) -> Result<Result<Reply, model::Error>, Elapsed> {
        let labels = ModelLabels { provider: provider(self.ports.model.kind()), model: self.ports.model.name() };
        let span = info_span!(
            "chat",
            otel.name = format!("chat {}", labels.model),
            otel.kind = "client",
            otel.status_code = Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = labels.provider,
            gen_ai.request.model = labels.model,
            gen_ai.conversation.id = %id,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.input.messages = Empty,
            gen_ai.output.messages = Empty,
            error.type = Empty,
        );
        if self.settings.tells_content {
            record_content(&span, "gen_ai.input.messages", request);
        }
        let began = Instant::now();
        let reply = timeout(self.settings.model_timeout, self.ports.model.reply(request, listener)).instrument(span.clone()).await;
        let (fault, tokens) = match &reply {
            Ok(Ok(reply)) => (None, Some((reply.prompt_tokens, reply.completion_tokens))),
            Ok(Err(error)) => (Some(model_fault(error)), tokens_in_vain(error)),
            Err(_) => (Some("timeout"), None),
        };
        if let (true, Ok(Ok(reply))) = (self.settings.tells_content, &reply) {
            record_content(&span, "gen_ai.output.messages", reply);
        }
        if let Some((read, written)) = tokens {
            span.record("gen_ai.usage.input_tokens", read).record("gen_ai.usage.output_tokens", written);
            self.instruments.tokens(labels, read, written);
        }
        record_fault(&span, fault);
        self.instruments.model(labels, fault, began.elapsed());
        reply
    }

    /// Calls the warehouse, within `time`.
    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        sql: Option<&str>,
        time: Duration,
        call: impl Future<Output = Result<T, warehouse::Error>>,
    ) -> Result<Result<T, warehouse::Error>, Elapsed> {
        let system = system(self.ports.warehouse.kind());
        let span = info_span!(
            "query",
            otel.name = format!("{operation} {system}"),
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = system,
            db.operation.name = operation,
            db.query.text = Empty,
            error.type = Empty,
        );
        if let (true, Some(sql)) = (self.settings.tells_content, sql) {
            span.record("db.query.text", cut(sql));
        }
        let began = Instant::now();
        let called = timeout(time, call).instrument(span.clone()).await;
        let fault = match &called {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(warehouse_fault(error)),
            Err(_) => Some("timeout"),
        };
        record_fault(&span, fault);
        self.instruments.warehouse(system, operation, fault, began.elapsed());
        called
    }

    /// What a model or an engine said of a fault, for a log line: it may quote what it was asked, so it is told only where content may be.
    pub(super) fn told<'a>(&self, said: &'a str) -> Option<&'a str> {
        self.settings.tells_content.then_some(said)
    }

    /// A wake that is worked on: how long it was due.
    pub(super) fn count_wake(&self, conversation: &Conversation) {
        if let Some(due) = conversation.wake_at {
            self.instruments.wake(Self::now().since(due));
        }
    }

    /// A committed step: the query that ended with it, what was given back to the model since `repairs`, and the turn if it ended.
    pub(super) fn count_step(&self, conversation: &Conversation, query: Option<&'static str>, repairs: u32) {
        if let Some(outcome) = query {
            self.instruments.query(outcome);
        }
        let repaired = conversation.spent.repairs.saturating_sub(repairs);
        if repaired > 0 {
            self.instruments.repairs(repaired);
        }
        self.count_ended(conversation);
    }

    /// The turn, if it has ended with the commit.
    pub(super) fn count_ended(&self, conversation: &Conversation) {
        if conversation.stage.is_terminal() {
            let outcome = conversation.error_detail.as_ref().map_or("completed", |detail| turn_outcome(detail.code));
            self.instruments.turn(outcome, conversation.updated_at.since(conversation.turn_started_at));
        }
    }
}

/// Tells in the span how a delivery ended.
pub(super) fn end_work(span: &Span, advance: &Result<Advance, StepError>) {
    let name = match advance {
        Ok(Advance::Ended) => "ended",
        Ok(Advance::Waiting) => "waiting",
        Ok(Advance::Overtaken) => "overtaken",
        Ok(Advance::Gone) => "gone",
        Err(_) => "failed",
    };
    span.record("asklake.advance", name);
    if advance.is_err() {
        span.record("otel.status_code", "ERROR");
    }
}

/// How a query ended by this outcome; none where it did not.
pub(super) fn query_outcome(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::QuerySucceeded { .. } => Some("succeeded"),
        Outcome::QueryFailed { .. } => Some("failed"),
        Outcome::QueryRefused { .. } => Some("refused"),
        Outcome::QueryRepeated { .. } => Some("repeated"),
        Outcome::QueryLost { .. } => Some("lost"),
        Outcome::QueryTurnedAway { .. } => Some("turned_away"),
        _ => None,
    }
}

fn turn_outcome(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::DeadlineExceeded => "deadline_exceeded",
        ErrorCode::BudgetExceeded => "budget_exceeded",
        ErrorCode::QueryFailed => "query_failed",
        ErrorCode::ModelFailed => "model_failed",
        ErrorCode::ModelRefused => "model_refused",
        ErrorCode::WarehouseUnavailable => "warehouse_unavailable",
        ErrorCode::Canceled => "canceled",
        ErrorCode::ConversationTooLarge => "conversation_too_large",
        ErrorCode::Abandoned => "abandoned",
    }
}

/// A kind of model by the names of the semantic conventions, else by its own.
fn provider(kind: &'static str) -> &'static str {
    match kind {
        "azure_openai" => "azure.ai.openai",
        other => other,
    }
}

/// A kind of warehouse by the name of its engine: every other one speaks Spark SQL.
fn system(kind: &str) -> &'static str {
    if kind.starts_with("databricks") { "databricks" } else { "spark" }
}

fn model_fault(error: &model::Error) -> &'static str {
    match error {
        model::Error::Unavailable { .. } => "unavailable",
        model::Error::Misconfigured(_) => "misconfigured",
        model::Error::Refused(_) => "refused",
        model::Error::Unusable { .. } => "unusable",
    }
}

fn tokens_in_vain(error: &model::Error) -> Option<(u64, u64)> {
    let model::Error::Unusable { prompt_tokens, completion_tokens, .. } = error else { return None };
    Some((*prompt_tokens, *completion_tokens))
}

pub(super) fn warehouse_fault(error: &warehouse::Error) -> &'static str {
    match error {
        warehouse::Error::Unavailable { .. } => "unavailable",
        warehouse::Error::Misconfigured(_) => "misconfigured",
        warehouse::Error::NotAdmitted(_) => "not_admitted",
        warehouse::Error::Refused(_) => "refused",
    }
}

fn record_fault(span: &Span, fault: Option<&'static str>) {
    if let Some(fault) = fault {
        span.record("error.type", fault).record("otel.status_code", "ERROR");
    }
}

fn record_content(span: &Span, field: &'static str, content: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(content) {
        span.record(field, cut(&text));
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(CONTENT)]
}
