//! Databricks' types and cells, made those of the house.
//!
//! Owns the reading of type texts (`STRUCT<x: INT, y: ARRAY<INT>>`) and of cells, which a SQL warehouse sends as strings and a notebook
//! as JSON. They come out as `warehouse::flight` writes them, so that a result reads the same whatever ran it.

use serde_json::{Map, Value};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};

use crate::warehouse::flight::{decimal, float, single};

/// A Spark SQL type, as far as cells differ by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Boolean,
    Integer(&'static str),
    Float,
    Double,
    /// With its name, such as `decimal(10,2)`.
    Decimal(String),
    Timestamp,
    TimestampNtz,
    Variant,
    Array(Box<Self>),
    Map(Box<Self>, Box<Self>),
    Struct(Vec<(String, Self)>),
    /// Any other: its cells are texts and stay as they are. With its name.
    Text(String),
}

impl Type {
    /// Reads a type; what cannot be read is a text.
    pub(super) fn parse(text: &str) -> Self {
        Parser { rest: text }.read()
    }

    /// The name that Spark SQL has for it, in lower case.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Boolean => "boolean".into(),
            Self::Integer(name) => (*name).into(),
            Self::Float => "float".into(),
            Self::Double => "double".into(),
            Self::Decimal(name) | Self::Text(name) => name.clone(),
            Self::Timestamp => "timestamp".into(),
            Self::TimestampNtz => "timestamp_ntz".into(),
            Self::Variant => "variant".into(),
            Self::Array(item) => format!("array<{}>", item.name()),
            Self::Map(key, value) => format!("map<{},{}>", key.name(), value.name()),
            Self::Struct(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, field)| format!("{name}:{}", field.name())).collect();
                format!("struct<{}>", fields.join(","))
            }
        }
    }

    /// A cell of this type. One that is not as the type promises stays as it came: better a text than nothing.
    pub(super) fn cell(&self, value: Value) -> Value {
        match (self, value) {
            (_, Value::Null) => Value::Null,
            (Self::Boolean, Value::String(text)) => text.parse().map_or(Value::String(text), Value::Bool),
            (Self::Integer(_), Value::String(text)) => text.parse::<i64>().map_or(Value::String(text), Value::from),
            (Self::Float, Value::String(text)) => text.parse().map_or(Value::String(text), single),
            (Self::Double, Value::String(text)) => text.parse().map_or(Value::String(text), float),
            (Self::Decimal(_), Value::String(text)) => decimal(text),
            (Self::Decimal(_), Value::Number(number)) => decimal(number.to_string()),
            (Self::Timestamp, Value::String(text)) => Value::String(in_utc(&text).unwrap_or(text)),
            (Self::TimestampNtz, Value::String(text)) => Value::String(without_idle_zeros(&text.replacen(' ', "T", 1))),
            (Self::Array(_) | Self::Map(..) | Self::Struct(_) | Self::Variant, Value::String(text)) => match serde_json::from_str(&text) {
                Ok(value @ (Value::Array(_) | Value::Object(_))) => self.cell(value),
                Ok(value) if *self == Self::Variant => value,
                _ => Value::String(text),
            },
            (Self::Array(item), Value::Array(items)) => items.into_iter().map(|value| item.cell(value)).collect(),
            (Self::Map(_, value), Value::Object(members)) => {
                members.into_iter().map(|(key, member)| (key, value.cell(member))).collect::<Map<_, _>>().into()
            }
            (Self::Map(_, value), Value::Array(entries)) => from_entries(value, entries),
            (Self::Struct(fields), Value::Object(mut members)) => {
                let field = |(name, field): &(String, Self)| (name.clone(), field.cell(members.remove(name).unwrap_or_default()));
                fields.iter().map(field).collect::<Map<_, _>>().into()
            }
            (_, value) => value,
        }
    }
}

/// A map with keys that are not strings may come as a list of entries.
fn from_entries(value: &Type, entries: Vec<Value>) -> Value {
    let entry = |entry: &Value| {
        let key = match entry.get("key")? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((key, value.cell(entry.get("value").cloned().unwrap_or_default())))
    };
    entries.iter().map(entry).collect::<Option<Map<_, _>>>().map_or(Value::Array(entries), Value::Object)
}

/// The same instant in UTC, with `Z`.
fn in_utc(text: &str) -> Option<String> {
    let instant = OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339).ok()?.to_offset(UtcOffset::UTC);
    let local = instant.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]")).ok()?;
    Some(without_idle_zeros(&local) + "Z")
}

/// A second's fraction in as few groups of three digits as it needs.
fn without_idle_zeros(text: &str) -> String {
    let Some((seconds, fraction)) = text.split_once('.') else { return text.to_owned() };
    let needed = fraction.trim_end_matches('0').len().div_ceil(3) * 3;
    if needed == 0 { seconds.to_owned() } else { format!("{seconds}.{fraction:0<needed$.needed$}") }
}

/// Reads a type text from its beginning.
struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn read(&mut self) -> Type {
        let word = self.until(&['<', '>', ',', '(', '\'']).to_lowercase();
        // What follows a type in a struct is not part of it: NOT NULL, COLLATE, COMMENT.
        let word = [" not null", " collate ", " comment "].iter().fold(word.as_str(), |word, end| word.split(end).next().unwrap_or(word));
        let word = word.trim();
        if word == "timestamp with local time zone" {
            return Type::Timestamp;
        }
        match word {
            "boolean" => Type::Boolean,
            "byte" | "tinyint" => Type::Integer("tinyint"),
            "short" | "smallint" => Type::Integer("smallint"),
            "int" | "integer" => Type::Integer("int"),
            "long" | "bigint" => Type::Integer("bigint"),
            "float" | "real" => Type::Float,
            "double" => Type::Double,
            "timestamp" | "timestamp_ltz" => Type::Timestamp,
            "timestamp_ntz" => Type::TimestampNtz,
            "variant" => Type::Variant,
            "null" | "void" => Type::Text("void".into()),
            "decimal" | "dec" | "numeric" => Type::Decimal(format!("decimal{}", self.arguments())),
            "array" => Type::Array(Box::new(self.one())),
            "map" => {
                self.skip('<');
                let key = self.read();
                self.end_of_part();
                self.skip(',');
                let value = self.read();
                self.end_of_part();
                self.skip('>');
                Type::Map(Box::new(key), Box::new(value))
            }
            "struct" => self.fields(),
            other => Type::Text(format!("{other}{}", self.arguments())),
        }
    }

    fn one(&mut self) -> Type {
        self.skip('<');
        let item = self.read();
        self.end_of_part();
        self.skip('>');
        item
    }

    fn fields(&mut self) -> Type {
        let mut fields = Vec::new();
        self.skip('<');
        while !self.rest.is_empty() && !self.rest.starts_with('>') {
            let name = self.field_name();
            self.skip(':');
            let field = self.read();
            self.end_of_part();
            fields.push((name, field));
            self.skip(',');
        }
        self.skip('>');
        Type::Struct(fields)
    }

    fn field_name(&mut self) -> String {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix('`').and_then(|quoted| quoted.split_once('`')) {
            Some((name, rest)) => {
                self.rest = rest;
                name.to_owned()
            }
            None => self.until(&[':', '>', ',']).trim().to_owned(),
        }
    }

    /// `(10,2)`, without spaces, if there is one.
    fn arguments(&mut self) -> String {
        let Some((inner, rest)) = self.rest.strip_prefix('(').and_then(|open| open.split_once(')')) else { return String::new() };
        self.rest = rest;
        format!("({})", inner.replace(' ', ""))
    }

    /// Passes over what stands between a type and the `,` or `>` after it.
    fn end_of_part(&mut self) {
        let mut is_quoted = false;
        let end = self.rest.find(|c| {
            is_quoted ^= c == '\'';
            !is_quoted && (c == ',' || c == '>')
        });
        self.rest = end.map_or("", |end| &self.rest[end..]);
    }

    fn until(&mut self, ends: &[char]) -> &str {
        let (text, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        text
    }

    fn skip(&mut self, mark: char) {
        let rest = self.rest.trim_start();
        self.rest = rest.strip_prefix(mark).unwrap_or(rest);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_named_as_everywhere_else() {
        let cases = [
            ("INT", "int"),
            ("LONG", "bigint"),
            ("DECIMAL(10, 2)", "decimal(10,2)"),
            ("ARRAY<STRING>", "array<string>"),
            ("MAP<STRING, ARRAY<INT>>", "map<string,array<int>>"),
            ("STRUCT<x: INT NOT NULL COMMENT 'a, b > c', `y z`: ARRAY<DECIMAL(5,1)>>", "struct<x:int,y z:array<decimal(5,1)>>"),
            ("struct<camelCase:bigint,s:struct<t:double>>", "struct<camelCase:bigint,s:struct<t:double>>"),
            ("INTERVAL DAY TO SECOND", "interval day to second"),
            ("VARCHAR(3)", "varchar(3)"),
            ("GEOGRAPHY(4326)", "geography(4326)"),
            ("ARRAY<", "array<>"),
            ("", ""),
        ];
        for (text, name) in cases {
            assert_eq!(Type::parse(text).name(), name, "{text}");
        }
    }

    #[test]
    fn cells_get_their_types_from_strings() {
        let cases = [
            ("BOOLEAN", json!("true"), json!(true)),
            ("LONG", json!("9007199254740993"), json!(9_007_199_254_740_993_i64)),
            ("DOUBLE", json!("1.0E-3"), json!(0.001)),
            ("DOUBLE", json!("-Infinity"), json!("-Infinity")),
            ("FLOAT", json!("0.1"), json!(0.1)),
            ("DECIMAL(20,2)", json!("12345678901234567.89"), json!("12345678901234567.89")),
            ("DECIMAL(10,2)", json!("12.50"), json!(12.5)),
            ("DATE", json!("2001-04-25"), json!("2001-04-25")),
            ("TIMESTAMP", json!("2001-04-25T10:11:12.000Z"), json!("2001-04-25T10:11:12Z")),
            ("TIMESTAMP", json!("2001-04-25T12:11:12.5+02:00"), json!("2001-04-25T10:11:12.500Z")),
            ("TIMESTAMP_NTZ", json!("2001-04-25 10:11:12.123456"), json!("2001-04-25T10:11:12.123456")),
            ("ARRAY<INT>", json!(r#"["1",null,3]"#), json!([1, null, 3])),
            ("MAP<STRING,INT>", json!(r#"{"k":"1"}"#), json!({"k": 1})),
            ("MAP<INT,STRING>", json!(r#"[{"key":1,"value":"one"}]"#), json!({"1": "one"})),
            ("STRUCT<x: INT, y: ARRAY<INT>>", json!(r#"{"y":["2"],"x":"1"}"#), json!({"x": 1, "y": [2]})),
            ("VARIANT", json!("7"), json!(7)),
            ("STRING", json!("7"), json!("7")),
            ("STRING", json!(null), json!(null)),
            ("INT", json!("seven"), json!("seven")),
            ("NEW_TYPE", json!("as it came"), json!("as it came")),
        ];
        for (data_type, text, cell) in cases {
            assert_eq!(Type::parse(data_type).cell(text.clone()), cell, "{data_type} {text}");
        }
    }
}
