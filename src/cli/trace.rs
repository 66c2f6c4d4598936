//! `asklake trace ID`: the story of one conversation, from the store that is configured.
//!
//! For whoever operates the server and may read its store: it asks no server, and owners are not checked.

use std::io::Write;

use anyhow::Context as _;
use serde_json::json;

use super::screen::plain;
use crate::{
    conversation::{Conversation, ConversationId, Event, story},
    service::Service,
};

/// Characters of what an event says that are shown: a statement or an answer can be long, and `--json` has all of it.
const SHOWN: usize = 160;

/// Prints when what happened in the conversation `id`, and what it has used; as one JSON document on demand.
///
/// # Errors
/// When `id` is none, the store does not answer, has no such conversation, or standard output cannot be written.
pub async fn run(service: &Service, id: &str, as_json: bool) -> anyhow::Result<()> {
    let id: ConversationId = id.parse().map_err(|_| anyhow::anyhow!("{id:?} is no id of a conversation, which is a UUID"))?;
    let found = service.inspect(id).await.context("the store did not answer")?;
    let conversation = found.with_context(|| format!("the store has no conversation {id}: it has expired, was deleted, or never was"))?;
    let events = story(&conversation);
    let text = if as_json { document(&conversation, &events)? } else { timeline(&conversation, &events) };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn document(conversation: &Conversation, events: &[Event]) -> anyhow::Result<String> {
    let document = json!({
        "conversation_id": conversation.id,
        "stage": conversation.stage,
        "turn": conversation.turn,
        "revision": conversation.revision,
        "answered_by": conversation.answered_by,
        "usage": conversation.usage,
        "spent": conversation.spent,
        "events": events,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn timeline(conversation: &Conversation, events: &[Event]) -> String {
    let mut lines = vec![format!("conversation {}, {:?}, turn {}", conversation.id, conversation.stage, conversation.turn)];
    let mut turn = 0;
    let mut before = conversation.created_at;
    for event in events {
        if event.turn != turn {
            turn = event.turn;
            lines.push(format!("turn {turn}, {}", event.at));
            before = event.at;
        }
        let gap = event.at.since(before).as_secs_f64();
        before = event.at;
        let kind = serde_json::to_value(event.kind).ok().and_then(|name| name.as_str().map(|name| name.replace('_', " ")));
        let line = format!("  {gap:>+9.3} s  {:<16} {}", kind.unwrap_or_default(), shown(&event.detail));
        lines.push(line.trim_end().to_owned());
    }
    let usage = &conversation.usage;
    lines.push(format!(
        "used: {} calls of the model in {:.1} s, {} + {} tokens; {} queries in {:.1} s",
        usage.model_calls,
        seconds(usage.model_ms),
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.queries,
        seconds(usage.warehouse_ms),
    ));
    let spent = &conversation.spent;
    lines.push(format!("this turn: {} repairs, {} rewrites, {} failures in a row", spent.repairs, spent.rewrites, spent.failures));
    lines.join("\n") + "\n"
}

fn seconds(milliseconds: u64) -> f64 {
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}

/// On one line, and no longer than fits.
fn shown(text: &str) -> String {
    let line = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
