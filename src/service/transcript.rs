//! What the model is shown of a conversation: its messages, with the rows or the error of every query.

use crate::{
    conversation::{Conversation, Role, ToolCall, ToolStatus},
    model::{Entry, ROWS_SHOWN, Request, Shown},
    store::{self, Store},
};

/// The request for the next decision in the running turn.
pub(super) async fn request(conversation: &Conversation, queries_left: u32, store: &dyn Store) -> Result<Request, store::Error> {
    let mut transcript = Vec::with_capacity(conversation.messages.len());
    for message in &conversation.messages {
        match message.role {
            Role::User => transcript.push(Entry::Question(message.content.clone())),
            Role::Assistant if message.tool_calls.is_empty() => transcript.push(Entry::Answer(message.content.clone())),
            Role::Assistant => {
                for call in &message.tool_calls {
                    transcript.push(query(conversation, call, store).await?);
                }
            }
        }
    }
    Ok(Request { language: conversation.language.clone(), transcript, queries_left })
}

async fn query(conversation: &Conversation, call: &ToolCall, store: &dyn Store) -> Result<Entry, store::Error> {
    Ok(Entry::Query {
        call_id: call.id.clone(),
        sql_query: call.sql_query.clone(),
        reasoning: call.reasoning.clone(),
        result: match &call.result {
            Some(outcome) if outcome.status == ToolStatus::Success => shown(conversation, call, store).await?,
            Some(outcome) => Err(outcome.error.clone().unwrap_or_else(|| "The query failed.".into())),
            None => Err("The query did not run.".into()),
        },
    })
}

async fn shown(conversation: &Conversation, call: &ToolCall, store: &dyn Store) -> Result<Result<Shown, String>, store::Error> {
    let Some(index) = conversation.databricks_jobs.iter().position(|job| job.call_id == call.id) else {
        return Ok(Err("The query has no result.".into()));
    };
    let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
    let Some(mut result) = store.result(conversation.id, number).await? else {
        return Ok(Err("The rows have expired.".into()));
    };
    result.rows.truncate(ROWS_SHOWN);
    Ok(Ok(Shown { result }))
}
