//! `GET /api/chat/{id}/results/{n}`: the rows of a query as JSON, CSV or NDJSON.

use serde::Serialize;
use serde_json::Value;
use warp::{http::StatusCode, reply::Response};

use super::{problem::Problem, request::Query};
use crate::{
    conversation::{Caller, ConversationId, PublicJobStatus, ResultSet},
    service::Service,
};

#[derive(Serialize)]
struct Rows<'a> {
    sql_query: &'a str,
    #[serde(flatten)]
    result: &'a ResultSet,
}

pub(super) async fn result(
    service: &Service,
    caller: &Caller,
    id: ConversationId,
    number: u32,
    query: &Query,
) -> Result<Response, Problem> {
    let format = Format::of(query)?;
    let conversation = service.read(caller, id, None).await?.ok_or_else(Problem::no_conversation)?;
    let job = conversation.databricks_jobs.get(number as usize - 1);
    let job = job.ok_or_else(|| Problem::no_result(format!("this conversation has no query {number}")))?;
    if job.public_status() != PublicJobStatus::Completed {
        return Err(Problem::no_result(format!("query {number} has no rows: it is {}", name(job.public_status()))));
    }
    let Some(result) = service.result(&conversation, number).await? else {
        return Err(Problem::no_result(format!("the rows of query {number} have expired; ask the question again")));
    };
    Ok(match format {
        Format::Json => super::json(StatusCode::OK, &Rows { sql_query: &job.sql_query, result: &result }),
        Format::Csv => super::bytes_response(StatusCode::OK, "text/csv; charset=utf-8", csv(&result)?),
        Format::Ndjson => super::bytes_response(StatusCode::OK, "application/x-ndjson", ndjson(&result)),
    })
}

fn name(status: PublicJobStatus) -> &'static str {
    match status {
        PublicJobStatus::Pending => "pending",
        PublicJobStatus::Running => "running",
        PublicJobStatus::Completed => "completed",
        PublicJobStatus::Failed => "failed",
        PublicJobStatus::Canceled => "canceled",
    }
}

enum Format {
    Json,
    Csv,
    Ndjson,
}

impl Format {
    fn of(query: &Query) -> Result<Self, Problem> {
        match query.get("format")? {
            None | Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("ndjson") => Ok(Self::Ndjson),
            Some(_) => Err(Problem::bad_request("the parameter format must be json, csv or ndjson")),
        }
    }
}

/// RFC 4180: a header line, CRLF, quotes where needed.
fn csv(result: &ResultSet) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let names = result.columns.iter().map(|column| defused(&column.name));
    writer.write_record(names).map_err(|error| Problem::internal(&error))?;
    for row in &result.rows {
        writer.write_record(row.iter().map(cell)).map_err(|error| Problem::internal(&error))?;
    }
    writer.into_inner().map_err(|error| Problem::internal(&error))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => defused(text),
        other => other.to_string(),
    }
}

/// A text that a spreadsheet would take for a formula is made plain text with a leading apostrophe (OWASP, "CSV Injection").
fn defused(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}

/// One JSON object per row and line.
fn ndjson(result: &ResultSet) -> Vec<u8> {
    let mut lines = Vec::new();
    for row in &result.rows {
        let object: serde_json::Map<String, Value> =
            result.columns.iter().map(|column| column.name.clone()).zip(row.iter().cloned()).collect();
        lines.extend_from_slice(Value::Object(object).to_string().as_bytes());
        lines.push(b'\n');
    }
    lines
}
