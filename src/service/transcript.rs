//! What the model is shown of a conversation: its messages, with the rows of every query, or its error and how to repair it.

use std::collections::BTreeMap;

use super::Service;
use crate::{
    conversation::{Conversation, JobStatus, ResultSet, Role, ToolCall, ToolStatus},
    model::{Entry, ROWS_SHOWN, Request, Shown},
    sql::repair,
    store,
};

/// The rows that the queries of a conversation gave, by the index of the job; those that have expired are missing.
pub(super) type Results = BTreeMap<usize, ResultSet>;

impl Service {
    /// Reads the rows of every query that gave any.
    pub(super) async fn results(&self, conversation: &Conversation) -> Result<Results, store::Error> {
        let mut results = Results::new();
        for (index, job) in conversation.databricks_jobs.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            if job.status == JobStatus::Completed
                && let Some(result) = self.ports.store.result(conversation.id, number).await?
            {
                results.insert(index, result);
            }
        }
        Ok(results)
    }

    /// The request for the next decision in the running turn.
    pub(super) fn request(&self, conversation: &Conversation, queries_left: u32, results: &Results) -> Request {
        let mut transcript = Vec::with_capacity(conversation.messages.len());
        for message in &conversation.messages {
            match message.role {
                Role::User => transcript.push(Entry::Question(message.content.clone())),
                Role::Assistant if message.tool_calls.is_empty() => transcript.push(Entry::Answer(message.content.clone())),
                Role::Assistant => transcript.extend(message.tool_calls.iter().map(|call| self.query(conversation, call, results))),
            }
        }
        if let Some(draft) = &conversation.draft {
            transcript.push(Entry::Draft { text: draft.text.clone(), objections: draft.objections.clone() });
        }
        Request { language: conversation.language.clone(), transcript, queries_left }
    }

    fn query(&self, conversation: &Conversation, call: &ToolCall, results: &Results) -> Entry {
        let index = conversation.databricks_jobs.iter().position(|job| job.call_id == call.id);
        let result = match &call.result {
            Some(outcome) if outcome.status == ToolStatus::Success => match index.and_then(|index| results.get(&index)) {
                Some(result) => Ok(shown(result)),
                None => Err("The rows have expired.".into()),
            },
            Some(outcome) => Err(self.with_advice(&call.sql_query, outcome.error.as_deref().unwrap_or("The query failed."))),
            None => Err("The query did not run.".into()),
        };
        let (call_id, sql_query) = (call.id.clone(), call.sql_query.clone());
        Entry::Query { call_id, sql_query, lookup: call.lookup.clone(), reasoning: call.reasoning.clone(), result }
    }

    /// The error of a query, with what helps to repair it.
    fn with_advice(&self, sql: &str, error: &str) -> String {
        let advice = if self.settings.advises { repair::advice(sql, error, &self.lake.catalog) } else { String::new() };
        if advice.is_empty() { error.to_owned() } else { format!("{error}\n{advice}") }
    }
}

fn shown(result: &ResultSet) -> Shown {
    let rows = result.rows.iter().take(ROWS_SHOWN).cloned().collect();
    Shown { result: ResultSet { columns: result.columns.clone(), rows, ..*result } }
}
