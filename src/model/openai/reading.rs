//! What a completion decides: queries or an answer, or what is wrong with it in words that the model can put right.
//!
//! Models break the form in known ways; those that leave no doubt about what was meant are read as meant (JSON in a code fence, JSON
//! in a JSON string, text after the JSON, `sql` instead of `sql_query`, a tool call written as text). Whatever leaves a doubt, above
//! all a statement that may be cut off, is not guessed.

use serde_json::{Map, Value};

use super::{
    super::{Entry, Request},
    completion::{Call, Completion},
    messages::{DECLINE, EXECUTE, FIND},
    rows,
};
use crate::{
    conversation::{Answer, AnswerBasis, Decision, Lookup, QueryDecision},
    sql::{Catalog, lookup, sources},
};

/// Assumptions and suggestions that are kept of an answer.
const LISTED: usize = 10;
/// Suggestions that are kept.
const SUGGESTED: usize = 3;
/// Characters of a reasoning, which is kept with the query and shown.
const REASONING_CHARS: usize = 1000;

/// What the completion decides, else what is wrong with it.
pub(super) fn decision(completion: &Completion, request: &Request, catalog: &Catalog) -> Result<Decision, String> {
    let is_cut = completion.finish.as_deref() == Some("length");
    if !completion.calls.is_empty() {
        return called(&completion.calls, request, is_cut, catalog);
    }
    let content = without_thoughts(&completion.content).trim();
    if content.is_empty() {
        return Err(if is_cut { "It was cut off before it said anything; be brief." } else { "It was empty." }.into());
    }
    if let Some(calls) = written_calls(content) {
        return called(&calls, request, is_cut, catalog);
    }
    if is_cut {
        return Err("It was cut off at the limit of tokens; answer in fewer words, with fewer rows.".into());
    }
    if let Some(mut object) = object(content)
        && let Some(text) = object.remove("answer")
    {
        return structured(&text, &object, request).map(Decision::Answer);
    }
    // An answer may quote SQL; before a query of this turn has given rows it is meant to be run.
    if !can_only_answer(request)
        && let Some(sql) =
            fenced(content).filter(|inner| is_statement(inner)).or(Some(content).filter(|text| is_bare_statement(text, catalog)))
    {
        return Ok(Decision::Query(vec![statement(String::new(), sql, String::new())]));
    }
    Ok(Decision::Answer(plain(content, request)))
}

/// What the calls come to: saying that the lake has no answer counts when it is all that is said.
fn called(calls: &[Call], request: &Request, is_cut: bool, catalog: &Catalog) -> Result<Decision, String> {
    match calls {
        [call] if call.name == DECLINE => declined(call, is_cut).map(Decision::Answer),
        calls => queries(calls, request.queries_left, is_cut, catalog),
    }
}

/// The answer that the lake has none.
fn declined(call: &Call, is_cut: bool) -> Result<Answer, String> {
    let arguments = if is_cut { strict(&call.arguments) } else { arguments(&call.arguments) };
    let missing = arguments.as_ref().and_then(|arguments| arguments.get("missing")?.as_str()).map(str::trim).unwrap_or_default();
    if missing.is_empty() {
        return Err(format!("The call of {DECLINE} did not say what is missing. Its arguments are {{\"missing\": \"…\"}}."));
    }
    let text = format!("The lake does not hold what this needs: {}.", rows::clip(missing.trim_end_matches('.'), REASONING_CHARS));
    Ok(Answer { text, basis: AnswerBasis::None, assumptions: Vec::new(), suggested_questions: Vec::new() })
}

fn statement(call_id: String, sql: &str, reasoning: String) -> QueryDecision {
    QueryDecision { call_id, sql_query: sql.to_owned(), lookup: None, reasoning }
}

/// The calls that can be run, at most as many as are left; when none can, what is wrong with the first.
fn queries(calls: &[Call], left: u32, is_cut: bool, catalog: &Catalog) -> Result<Decision, String> {
    if left == 0 {
        return Err("No queries are left: answer now, from the rows you have.".into());
    }
    let mut queries: Vec<QueryDecision> = Vec::new();
    let mut fault = None;
    for call in calls {
        match query(call, is_cut, catalog) {
            // Running the same statement twice at once shows nothing new.
            Ok(query) if queries.iter().any(|known| known.sql_query == query.sql_query) => {}
            Ok(query) => queries.push(query),
            Err(wrong) => fault = fault.or(Some(wrong)),
        }
    }
    queries.truncate(usize::try_from(left).unwrap_or(usize::MAX));
    match fault {
        Some(fault) if queries.is_empty() => Err(fault),
        _ => Ok(Decision::Query(queries)),
    }
}

fn query(call: &Call, is_cut: bool, catalog: &Catalog) -> Result<QueryDecision, String> {
    if ![EXECUTE, FIND].contains(&call.name.as_str()) {
        let name = rows::clip(&call.name, 60);
        return Err(format!("There is no tool {name:?}; query with {EXECUTE} and its argument sql_query."));
    }
    let arguments = if is_cut { strict(&call.arguments) } else { arguments(&call.arguments) };
    let Some(arguments) = arguments else {
        let why = if is_cut {
            "The tool call was cut off at the limit of tokens; write a shorter statement."
        } else {
            "The arguments of the tool call were not a JSON object."
        };
        let form =
            if call.name == FIND { r#"{"column": "…", "text": "…"}"# } else { r#"{"sql_query": "SELECT …", "reasoning": "…"}"# };
        return Err(format!("{why} They are {form}."));
    };
    let text = |names: &[&str]| names.iter().find_map(|name| arguments.get(*name)?.as_str()).map(str::trim);
    let reasoning = rows::clip(text(&["reasoning", "reason", "explanation"]).unwrap_or_default(), REASONING_CHARS);
    if call.name == FIND {
        let (column, text) = (text(&["column"]).unwrap_or_default().to_owned(), text(&["text", "value"]).unwrap_or_default().to_owned());
        let sql_query = lookup::statement(&column, &text, catalog)?;
        let reasoning = if reasoning.is_empty() { format!("Looks up how “{text}” is spelt.") } else { reasoning };
        return Ok(QueryDecision { call_id: call.id.clone(), sql_query, lookup: Some(Lookup { column, text }), reasoning });
    }
    let sql = text(&["sql_query", "sql", "query", "statement"]).map(|sql| fenced(sql).unwrap_or(sql)).unwrap_or_default();
    if sql.is_empty() {
        return Err("The tool call had no statement: sql_query must hold it.".into());
    }
    Ok(statement(call.id.clone(), sql, reasoning))
}

/// Arguments that leave no doubt that they are whole.
fn strict(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text.trim()).ok()
}

/// Arguments as a JSON object, also in a fence, in a JSON string, with text after it, or a statement alone.
fn arguments(text: &str) -> Option<Map<String, Value>> {
    let text = fenced(text).unwrap_or(text).trim();
    if is_statement(text) {
        return Some(Map::from_iter([("sql_query".to_owned(), text.into())]));
    }
    match first_value(text)? {
        Value::Object(object) => Some(object),
        Value::String(inner) if inner.len() < text.len() => arguments(&inner),
        _ => None,
    }
}

/// The JSON object that the text is.
fn object(text: &str) -> Option<Map<String, Value>> {
    let text = fenced(text).unwrap_or(text).trim();
    if !text.starts_with('{') {
        return None;
    }
    match first_value(text)? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// The JSON value at the beginning of the text; line breaks within its strings count as escaped.
fn first_value(text: &str) -> Option<Value> {
    let read = |text: &str| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok();
    read(text).or_else(|| read(&with_escaped_breaks(text)))
}

fn with_escaped_breaks(text: &str) -> String {
    let (mut escaped, mut is_inside, mut is_escape) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        match c {
            '\n' if is_inside => escaped.push_str("\\n"),
            '\r' if is_inside => escaped.push_str("\\r"),
            '\t' if is_inside => escaped.push_str("\\t"),
            _ => escaped.push(c),
        }
        is_inside ^= c == '"' && !is_escape;
        is_escape = c == '\\' && !is_escape;
    }
    escaped
}

/// What stands in the first code fence.
fn fenced(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("```")?;
    let (_language, inner) = after.split_once('\n')?;
    let (inner, _) = inner.split_once("```")?;
    Some(inner.trim())
}

fn is_statement(text: &str) -> bool {
    let first: String = text.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let text = text.to_ascii_lowercase();
    ["select", "with"].contains(&first.to_ascii_lowercase().as_str()) && text.contains("select")
}

/// Whether a whole reply is a statement, though it stands in no fence: sentences begin with "Select" and "With" as well.
fn is_bare_statement(text: &str, catalog: &Catalog) -> bool {
    let names_table = || {
        let text = text.to_ascii_lowercase();
        catalog.relations().any(|relation| text.contains(&relation.name.to_ascii_lowercase()))
    };
    is_statement(text) && (names_table() || sources::is_query(text))
}

/// Tool calls that the model wrote as its text: JSON with `name` and `arguments`, in `<tool_call>` or bare, or the arguments alone.
fn written_calls(content: &str) -> Option<Vec<Call>> {
    let tagged: Vec<&str> = content.split("<tool_call>").skip(1).filter_map(|rest| rest.split("</tool_call>").next()).collect();
    let texts = if tagged.is_empty() { vec![content] } else { tagged };
    let calls: Vec<Call> = texts.into_iter().filter_map(written_call).collect();
    (!calls.is_empty()).then_some(calls)
}

fn written_call(text: &str) -> Option<Call> {
    let object = object(text)?;
    let call = |name: &str, arguments: String| Call { name: name.to_owned(), arguments, ..Call::default() };
    if let (Some(name), Some(arguments)) =
        (object.get("name").and_then(Value::as_str), object.get("arguments").or(object.get("parameters")))
    {
        return Some(call(name, arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned)));
    }
    object.contains_key("sql_query").then(|| call(EXECUTE, Value::Object(object).to_string()))
}

/// The text after what a model thought aloud, where the server leaves that in.
fn without_thoughts(content: &str) -> &str {
    match content.trim_start().strip_prefix("<think>") {
        Some(rest) => rest.split_once("</think>").map_or("", |(_, said)| said),
        None => content,
    }
}

fn structured(text: &Value, rest: &Map<String, Value>, request: &Request) -> Result<Answer, String> {
    let text = text.as_str().map(str::trim).filter(|text| !text.is_empty()).ok_or("The answer was empty.")?;
    let basis = match rest.get("basis").and_then(Value::as_str) {
        Some("none") => AnswerBasis::None,
        Some("model_knowledge") => AnswerBasis::ModelKnowledge,
        _ => basis_of(request),
    };
    let list = |name: &str, most: usize| -> Vec<String> {
        let texts = rest.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::trim).filter(|text| !text.is_empty()).take(most).map(str::to_owned).collect()
    };
    let (assumptions, suggested_questions) = (list("assumptions", LISTED), list("suggested_questions", SUGGESTED));
    Ok(Answer { text: text.to_owned(), basis, assumptions, suggested_questions })
}

fn plain(content: &str, request: &Request) -> Answer {
    let last = content.lines().last().unwrap_or_default();
    let assumed = last.trim().trim_matches('*').strip_prefix("Assumptions:").map(|list| list.trim_start_matches('*'));
    let text = content.strip_suffix(last).filter(|text| assumed.is_some() && !text.trim().is_empty()).unwrap_or(content).trim();
    let listed = assumed.unwrap_or_default().split(';').map(|one| one.trim().trim_end_matches('.'));
    let assumptions = listed.filter(|one| !one.is_empty() && !one.eq_ignore_ascii_case("none")).take(LISTED).map(str::to_owned).collect();
    Answer { text: text.to_owned(), basis: basis_of(request), assumptions, suggested_questions: Vec::new() }
}

/// An answer cannot rest on data where no query of the conversation gave any, whatever the model says of it.
fn basis_of(request: &Request) -> AnswerBasis {
    let has_rows = request.transcript.iter().any(|entry| matches!(entry, Entry::Query { result: Ok(_), .. }));
    if has_rows { AnswerBasis::Data } else { AnswerBasis::ModelKnowledge }
}

/// Whether plain text is an answer, whatever it says: it is no statement to run, as one may be before any rows are there.
pub(super) fn can_only_answer(request: &Request) -> bool {
    request.queries_left == 0 || has_rows(request)
}

fn has_rows(request: &Request) -> bool {
    request
        .transcript
        .iter()
        .rev()
        .take_while(|entry| !matches!(entry, Entry::Question(_)))
        .any(|entry| matches!(entry, Entry::Query { result: Ok(_), .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "SELECT 1";

    fn request(queries_left: u32) -> Request {
        Request { language: None, transcript: vec![Entry::Question("How many?".into())], queries_left }
    }

    fn call(name: &str, arguments: &str) -> Completion {
        Completion { calls: vec![one(name, arguments)], finish: Some("tool_calls".into()), ..Completion::default() }
    }

    fn one(name: &str, arguments: &str) -> Call {
        Call { id: "c".into(), name: name.into(), arguments: arguments.into(), ..Call::default() }
    }

    fn said(content: &str, finish: &str) -> Completion {
        Completion { content: content.into(), finish: Some(finish.into()), ..Completion::default() }
    }

    fn sql(completion: &Completion) -> Result<Vec<String>, String> {
        match decision(completion, &request(6), &Catalog::embedded().expect("valid"))? {
            Decision::Query(queries) => Ok(queries.into_iter().map(|query| query.sql_query).collect()),
            Decision::Answer(answer) => Err(format!("answer: {}", answer.text)),
        }
    }

    #[test]
    fn arguments_that_leave_no_doubt_are_read_as_meant() {
        for arguments in [
            r#"{"sql_query":"SELECT 1","reasoning":"r"}"#,
            r#"{"sql":"SELECT 1"}"#,
            r#"{"query":" SELECT 1 "}"#,
            r#""{\"sql_query\":\"SELECT 1\"}""#,
            "```json\n{\"sql_query\":\"SELECT 1\"}\n```",
            r#"{"sql_query":"SELECT 1"} That counts them."#,
            r#"{"sql_query":"SELECT 1"}}"#,
            "{\"sql_query\":\"```sql\\nSELECT 1\\n```\"}",
            "SELECT 1",
        ] {
            assert_eq!(sql(&call(EXECUTE, arguments)), Ok(vec![SQL.to_owned()]), "{arguments}");
        }
        assert_eq!(sql(&call(EXECUTE, "{\"sql_query\":\"SELECT\n 1\"}")), Ok(vec!["SELECT\n 1".to_owned()]));
    }

    #[test]
    fn what_leaves_a_doubt_is_told_to_the_model() {
        let cut = |arguments| Completion { finish: Some("length".into()), ..call(EXECUTE, arguments) };
        for (completion, fault) in [
            (call(EXECUTE, "{\"sql_query\":\"SELECT 1"), "not a JSON object"),
            (call(EXECUTE, "count them"), "not a JSON object"),
            (call(EXECUTE, "[1]"), "not a JSON object"),
            (call(EXECUTE, ""), "not a JSON object"),
            (call(EXECUTE, "{}"), "no statement"),
            (call(EXECUTE, r#"{"sql_query":7}"#), "no statement"),
            (call("web_search", r#"{"sql_query":"SELECT 1"}"#), "There is no tool \"web_search\""),
            (cut("SELECT 1 FROM t WHERE"), "cut off"),
            (cut(r#"{"sql_query":"SELECT 1"} and"#), "cut off"),
            (said("", "stop"), "empty"),
            (said("<think>hm</think> ", "stop"), "empty"),
            (said("<think>hm", "length"), "before it said anything"),
            (said("There are", "length"), "cut off"),
            (said(r#"{"answer":"  "}"#, "stop"), "answer was empty"),
        ] {
            let told = sql(&completion).expect_err("a fault");
            assert!(told.contains(fault), "{completion:?}: {told}");
        }
        assert_eq!(sql(&cut(r#"{"sql_query":"SELECT 1"}"#)), Ok(vec![SQL.to_owned()]), "cut off after it was whole");
    }

    #[test]
    fn of_several_calls_those_run_that_can() {
        let arguments = |sql: &str| format!(r#"{{"sql_query":"{sql}"}}"#);
        let calls = vec![
            one("other", "{}"),
            one(EXECUTE, &arguments("SELECT 1")),
            one(EXECUTE, &arguments("SELECT 1")),
            one(EXECUTE, &arguments("SELECT 2")),
            one(EXECUTE, &arguments("SELECT 3")),
        ];
        let completion = Completion { calls, ..Completion::default() };
        assert_eq!(sql(&completion), Ok(vec!["SELECT 1".to_owned(), "SELECT 2".to_owned(), "SELECT 3".to_owned()]));
        let Ok(Decision::Query(kept)) = decision(&completion, &request(2), &Catalog::embedded().expect("valid")) else { panic!("queries") };
        assert_eq!(kept.len(), 2, "no more than are left");
        assert!(
            decision(&completion, &request(0), &Catalog::embedded().expect("valid")).expect_err("a fault").contains("No queries are left")
        );
    }

    #[test]
    fn a_sentence_that_begins_like_a_statement_is_an_answer() {
        for content in [
            "With the data that this lake holds I cannot select films by box office; ask about ratings instead.",
            "Select one of these: ratings, votes, years.",
        ] {
            assert_eq!(sql(&said(content, "stop")), Err(format!("answer: {content}")));
        }
        let broken = "SELECT primaryTitle FROM imdb.movies_delta WHERE (startYear > 2000";
        assert_eq!(sql(&said(broken, "stop")), Ok(vec![broken.to_owned()]), "it is for the guard to say what is wrong with it");
    }

    #[test]
    fn a_call_written_as_text_is_a_call() {
        for content in [
            r#"<tool_call>{"name":"execute_spark_sql","arguments":{"sql_query":"SELECT 1"}}</tool_call>"#,
            "<think>I must count</think>\n<tool_call>\n{\"name\":\"execute_spark_sql\",\"arguments\":\"{\\\"sql_query\\\":\\\"SELECT 1\\\"}\"}",
            "```json\n{\"name\":\"execute_spark_sql\",\"parameters\":{\"sql_query\":\"SELECT 1\"}}\n```",
            r#"{"sql_query":"SELECT 1","reasoning":"r"}"#,
            "I run this:\n```sql\nSELECT 1\n```\nand see.",
            "SELECT 1",
        ] {
            assert_eq!(sql(&said(content, "stop")), Ok(vec![SQL.to_owned()]), "{content}");
        }
    }

    #[test]
    fn an_answer_is_read_in_either_form() {
        let mut with_rows = request(5);
        let columns = Vec::new();
        let result = crate::conversation::ResultSet { columns, rows: vec![], row_count: 0, truncated: false, limit_source: None };
        with_rows.transcript.push(Entry::Query {
            call_id: "c".into(),
            sql_query: SQL.into(),
            lookup: None,
            reasoning: String::new(),
            result: Ok(super::super::super::Shown { result }),
        });
        let read = |content: &str, request: &Request| match decision(&said(content, "stop"), request, &Catalog::embedded().expect("valid"))
        {
            Ok(Decision::Answer(answer)) => answer,
            other => panic!("{content}: {other:?}"),
        };
        let form = r#"{"answer":"Two.","basis":"data","assumptions":["films only",""],"suggested_questions":["a","b","c","d"]}"#;
        let answer = read(form, &with_rows);
        assert_eq!((answer.text.as_str(), answer.basis), ("Two.", AnswerBasis::Data));
        assert_eq!((answer.assumptions.len(), answer.suggested_questions.len()), (1, 3));
        assert_eq!(read(form, &request(6)).basis, AnswerBasis::ModelKnowledge, "no query gave any rows");
        assert_eq!(read(r#"{"answer":"No.","basis":"none"}"#, &with_rows).basis, AnswerBasis::None);
        let answer = read("There are **two**.\n\nAssumptions: films only; at least 1,000 votes.", &with_rows);
        assert_eq!(answer.text, "There are **two**.");
        assert_eq!(answer.assumptions, ["films only", "at least 1,000 votes"]);
        assert_eq!(read("Two:\n```sql\nSELECT 1\n```", &with_rows).basis, AnswerBasis::Data, "SQL in an answer after a query is quoted");
    }
}
