//! The way of a trace through the process and out of it: between `tracing`'s spans and what requests and messages carry.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::conversation::TraceParent;

/// What a message is to carry for the span that is being worked in; none where no traces are exported.
#[must_use]
pub fn current() -> Option<TraceParent> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| TraceParent {
        trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(span.span_id().to_bytes()),
        flags: span.trace_flags().to_u8(),
    })
}

/// Makes `span`, which has not been entered, a child of `parent`. Without a parent it begins a trace, or stays within the one it is in.
/// Its field `trace_id` then tells log lines of the trace.
pub fn continue_from(span: &Span, parent: Option<TraceParent>) {
    if let Some(parent) = parent {
        set_parent(span, parent);
    }
    let trace_id = span.context().span().span_context().trace_id();
    if trace_id != TraceId::INVALID {
        span.record("trace_id", trace_id.to_string());
    }
}

fn set_parent(span: &Span, TraceParent { trace_id, span_id, flags }: TraceParent) {
    let (trace_id, span_id) = (TraceId::from_bytes(trace_id.to_be_bytes()), SpanId::from_bytes(span_id.to_be_bytes()));
    let remote = SpanContext::new(trace_id, span_id, TraceFlags::new(flags), true, TraceState::default());
    // Refused only where no traces are exported, and then there is nothing to continue.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}
