//! The body of a queue function's invocation: byte for byte as in the capture `tests/host/envelope.json`.

use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc2822, macros::format_description};
use uuid::Uuid;

use super::storage::Message;

/// How strings are written into the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// JSON within a JSON string, numbers as strings: what is seen on Azure.
    #[default]
    Double,
    /// As the documents show it: plain strings, and numbers.
    Single,
    /// The message's text as the object that it is.
    Object,
}

/// What changes with every invocation.
#[derive(Clone, Debug)]
pub struct Invocation<'a> {
    /// The function's folder.
    pub function: &'a str,
    /// The binding's name.
    pub binding: &'a str,
    /// `sys.RandGuid`.
    pub random: Uuid,
    /// `sys.UtcNow`.
    pub now: OffsetDateTime,
}

/// The envelope of `text`, which `message` carried.
pub fn envelope(invocation: &Invocation<'_>, message: &Message, text: &str, encoding: Encoding) -> Vec<u8> {
    let string = |text: &str| match encoding {
        Encoding::Double => Value::String(Value::from(text).to_string()),
        Encoding::Single | Encoding::Object => Value::from(text),
    };
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    let data = match (encoding, &parsed) {
        (Encoding::Object, Some(value)) => value.clone(),
        _ => string(text),
    };
    let count = match encoding {
        Encoding::Double => Value::from(message.dequeue_count.to_string()),
        Encoding::Single | Encoding::Object => Value::from(message.dequeue_count),
    };
    let utc_now = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");
    let mut metadata = Map::new();
    metadata.insert("DequeueCount".into(), count);
    metadata.insert("ExpirationTime".into(), date(&message.expires).into());
    metadata.insert("Id".into(), string(&message.id));
    metadata.insert("InsertionTime".into(), date(&message.inserted).into());
    metadata.insert("NextVisibleTime".into(), date(&message.next_visible).into());
    metadata.insert("PopReceipt".into(), string(&message.receipt));
    metadata.insert(
        "sys".into(),
        json!({"MethodName": invocation.function, "RandGuid": invocation.random, "UtcNow": invocation.now.format(utc_now).unwrap()}),
    );
    if let Some(Value::Object(fields)) = &parsed {
        merge(&mut metadata, fields, string);
    }
    serde_json::to_vec(&json!({"Data": {invocation.binding: data}, "Metadata": metadata})).unwrap()
}

/// The message's own fields, over what is there under the same name in any case. [code]: arrays and nulls are left out, what is neither
/// an object nor a text is written as one.
fn merge(metadata: &mut Map<String, Value>, fields: &Map<String, Value>, string: impl Fn(&str) -> Value) {
    for (name, value) in fields {
        let value = match value {
            Value::Null | Value::Array(_) => continue,
            Value::Object(_) => value.clone(),
            Value::String(text) => string(text),
            Value::Bool(true) => string("True"),
            Value::Bool(false) => string("False"),
            Value::Number(number) => string(&number.to_string()),
        };
        let known = metadata.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned();
        metadata.insert(known.unwrap_or_else(|| name.clone()), value);
    }
}

/// `Tue, 18 Feb 2025 03:06:19 GMT` as `2025-02-18T03:06:19+00:00`.
fn date(text: &str) -> String {
    let parsed = OffsetDateTime::parse(text, &Rfc2822).unwrap_or_else(|error| panic!("{text:?} is no date of the queue: {error}"));
    parsed.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+00:00")).unwrap()
}
