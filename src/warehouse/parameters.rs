//! Named parameters of a statement (`:name`), and how they are put in where an engine has none.
//!
//! Owns the values and their spelling as Spark SQL. Judges no statement: the guard refuses parameters in what a model writes, so they
//! are for statements of our own.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use sqlparser::{
    dialect::DatabricksDialect,
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError},
};

/// A value that a statement names as `:name`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name without the colon: a letter or `_`, then letters, digits and `_`.
    pub name: String,
    /// What it stands for.
    pub value: Value,
}

/// What a parameter stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `NULL`, as a string.
    Null,
    /// `STRING`.
    Text(String),
    /// `INT`, or `BIGINT` where it needs to be.
    Integer(i64),
    /// `DOUBLE`, also where it is not finite.
    Double(f64),
    /// `BOOLEAN`.
    Boolean(bool),
    /// `DATE`, as `2001-04-25`.
    Date(String),
    /// `TIMESTAMP`, as `2001-04-25T10:11:12Z`.
    Timestamp(String),
}

impl Parameter {
    /// A parameter.
    #[must_use]
    pub fn new(name: impl Into<String>, value: Value) -> Self {
        Self { name: name.into(), value }
    }

    /// As `{name, type, value}`, all of them strings and `NULL` without a value: what the Statement Execution API takes.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self.value.text() {
            Some(value) => json!({"name": self.name, "type": self.value.type_name(), "value": value}),
            None => json!({"name": self.name, "type": self.value.type_name()}),
        }
    }
}

impl Value {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Null | Self::Text(_) => "STRING",
            Self::Integer(number) if i32::try_from(*number).is_ok() => "INT",
            Self::Integer(_) => "BIGINT",
            Self::Double(_) => "DOUBLE",
            Self::Boolean(_) => "BOOLEAN",
            Self::Date(_) => "DATE",
            Self::Timestamp(_) => "TIMESTAMP",
        }
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) | Self::Date(text) | Self::Timestamp(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Double(number) => Some(double(*number)),
            Self::Boolean(is_true) => Some(is_true.to_string()),
        }
    }

    /// As an expression of Spark SQL that can stand wherever a parameter can.
    fn to_sql(&self) -> String {
        match self {
            Self::Null => "CAST(NULL AS STRING)".into(),
            Self::Text(text) => quoted(text),
            // Spark reads the sign apart from the digits, and the digits of the least number are too many without it.
            Self::Integer(i64::MIN) => "CAST('-9223372036854775808' AS BIGINT)".into(),
            // After another minus it would begin a comment.
            Self::Integer(number) if *number < 0 => format!("({number})"),
            Self::Integer(number) => number.to_string(),
            Self::Double(number) => format!("CAST('{}' AS DOUBLE)", double(*number)),
            Self::Boolean(is_true) => is_true.to_string(),
            Self::Date(text) => format!("CAST({} AS DATE)", quoted(text)),
            Self::Timestamp(text) => format!("CAST({} AS TIMESTAMP)", quoted(text)),
        }
    }
}

/// A string literal of Spark SQL. What is no letter, digit or space is written as its code, so that every reader, whatever its rules for
/// quotes, backslashes and `${…}`, sees the same text that ends at the same place.
fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for found in text.chars() {
        let code = u32::from(found);
        // Writing to a String cannot fail.
        let _ = match found {
            plain if plain.is_alphanumeric() || plain == ' ' => write!(literal, "{plain}"),
            _ if code > 0xFFFF => write!(literal, "\\U{code:08X}"),
            _ => write!(literal, "\\u{code:04X}"),
        };
    }
    literal.push('\'');
    literal
}

/// As Spark casts it back.
fn double(number: f64) -> String {
    if number.is_finite() {
        return format!("{number:?}");
    }
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
    .into()
}

/// The statement with the values in place of the markers, and otherwise as it is. A marker without a value stays, for the engine to name it.
///
/// # Errors
/// The statement cannot be read, because a string or a comment in it does not end.
pub fn bind(sql: &str, parameters: &[Parameter]) -> Result<String, String> {
    if parameters.is_empty() {
        return Ok(sql.to_owned());
    }
    let tokens = Tokenizer::new(&DatabricksDialect {}, sql).with_unescape(false).tokenize_with_location();
    let tokens = tokens.map_err(|TokenizerError { message, location }| format!("{message}{location}"))?;
    let starts = Starts::of(sql);
    let (mut bound, mut end) = (String::with_capacity(sql.len()), 0);
    for (at, pair) in tokens.windows(2).enumerate() {
        let [colon, name] = pair else { continue };
        let Some(value) = value_of(colon, name, parameters) else { continue };
        // `doc:field` reads a member of what stands directly before the colon.
        if at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| is_operand(&before.token)) {
            continue;
        }
        let (from, to) = (starts.byte(colon.span.start), starts.byte(name.span.end));
        bound.push_str(sql.get(end..from).unwrap_or_default());
        bound.push_str(&value.to_sql());
        end = to;
    }
    bound.push_str(sql.get(end..).unwrap_or_default());
    Ok(bound)
}

fn value_of<'a>(colon: &TokenWithSpan, name: &TokenWithSpan, parameters: &'a [Parameter]) -> Option<&'a Value> {
    match (&colon.token, &name.token) {
        (Token::Colon, Token::Word(word)) if word.quote_style.is_none() => {
            parameters.iter().find(|parameter| parameter.name == word.value).map(|parameter| &parameter.value)
        }
        _ => None,
    }
}

/// Whether a token ends an operand. Whitespace is a token of its own, so it has to touch what comes next.
fn is_operand(token: &Token) -> bool {
    matches!(token, Token::Word(_) | Token::RParen | Token::RBracket | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_))
}

/// Where the lines of a text begin.
struct Starts<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Starts<'a> {
    fn of(text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines }
    }

    /// The byte at which a place is. Places count lines and characters from 1.
    fn byte(&self, place: Location) -> usize {
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        let line = self.lines.get(index(place.line)).copied().unwrap_or(self.text.len());
        let rest = self.text.get(line..).unwrap_or_default();
        line + rest.char_indices().nth(index(place.column)).map_or(rest.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(sql: &str, value: Value) -> String {
        bind(sql, &[Parameter::new("p", value)]).expect("bound")
    }

    #[test]
    fn values_are_spelled_so_that_nothing_in_them_is_sql() {
        let cases = [
            (Value::Null, "CAST(NULL AS STRING)"),
            (Value::Text("x' OR 1\n\\".into()), r"'x\u0027 OR 1\u000A\u005C'"),
            (Value::Text("${p} Amélie :p \u{1f3ac}".into()), r"'\u0024\u007Bp\u007D Amélie \u003Ap \U0001F3AC'"),
            (Value::Integer(7), "7"),
            (Value::Integer(-7), "(-7)"),
            (Value::Integer(i64::MAX), "9223372036854775807"),
            (Value::Integer(i64::MIN), "CAST('-9223372036854775808' AS BIGINT)"),
            (Value::Double(0.1), "CAST('0.1' AS DOUBLE)"),
            (Value::Double(f64::NEG_INFINITY), "CAST('-Infinity' AS DOUBLE)"),
            (Value::Boolean(true), "true"),
            (Value::Date("2001-04-25".into()), r"CAST('2001\u002D04\u002D25' AS DATE)"),
            (Value::Timestamp("'; DROP".into()), r"CAST('\u0027\u003B DROP' AS TIMESTAMP)"),
        ];
        for (value, spelled) in cases {
            assert_eq!(bound("SELECT a -:p", value.clone()), format!("SELECT a -{spelled}"), "{value:?}");
        }
    }

    #[test]
    fn only_markers_are_replaced_and_the_rest_stays_as_it_is() {
        let cases = [
            ("SELECT :p, :p", "SELECT 7, 7"),
            ("SELECT x\n  FROM é WHERE a=:p\n  AND b IN (:p,:p)", "SELECT x\n  FROM é WHERE a=7\n  AND b IN (7,7)"),
            ("SELECT ':p', \":p\", `:p` -- :p\n, /* :p */ :p", "SELECT ':p', \":p\", `:p` -- :p\n, /* :p */ 7"),
            (r"SELECT 'it\':p', :p", r"SELECT 'it\':p', 7"),
            ("SELECT doc:p, f(doc):p, l[0]:p, doc::p", "SELECT doc:p, f(doc):p, l[0]:p, doc::p"),
            ("SELECT :other, :p_, :P", "SELECT :other, :p_, :P"),
            ("SELECT ::p", "SELECT ::p"),
        ];
        for (sql, expected) in cases {
            assert_eq!(bound(sql, Value::Integer(7)), expected, "{sql}");
        }
    }

    #[test]
    fn a_statement_that_does_not_end_is_an_error() {
        assert!(bind("SELECT 'x", &[Parameter::new("p", Value::Null)]).is_err());
    }

    #[test]
    fn the_api_gets_strings_with_their_types() {
        assert_eq!(Parameter::new("a", Value::Null).to_json(), json!({"name": "a", "type": "STRING"}));
        assert_eq!(
            Parameter::new("a", Value::Integer(1 << 40)).to_json(),
            json!({"name": "a", "type": "BIGINT", "value": "1099511627776"})
        );
        assert_eq!(Parameter::new("a", Value::Double(f64::NAN)).to_json(), json!({"name": "a", "type": "DOUBLE", "value": "NaN"}));
    }
}
