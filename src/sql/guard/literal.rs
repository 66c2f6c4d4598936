//! String literals: what Spark reads in them, and the one spelling in which they leave the guard.
//!
//! Spark's rules (<https://spark.apache.org/docs/latest/sql-ref-literals.html#string-literal>; Databricks has the same): a
//! backslash escapes the next character (`\n`, `\t`, `\r`, `\b`, `\0`, `\Z`, three octal digits, `\uXXXX`, `\UXXXXXXXX`),
//! `\%` and `\_` keep their backslash for LIKE, any other escaped character stands for itself; `r'…'` has no escapes.
//!
//! One departure: in `'it''s'` Spark (4.0.1 tried) and Sail see two neighbouring literals and join them to `its`, so that a film
//! would silently not be found. Whoever writes it means the quote of standard SQL, so it is read as `it's` and passed on as that.
//!
//! The canonical spelling contains no quote at all (`\u0027` instead) and only even runs of backslashes before its end, so every
//! reader, whatever its escape rule, sees the literal end at the same place. `${` is split by an escape because Spark substitutes
//! `${env:NAME}` in the text of a statement before parsing, also inside strings. Characters that a person cannot see are escaped.

use std::fmt::Write as _;

use super::Refusal;

/// What is wrong with a literal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault(String);

impl Fault {
    /// The fault as a refusal of the literal at `place`.
    pub(super) fn at(self, place: &str) -> Refusal {
        Refusal::new(format!("The string at {place} contains {}; write the character itself.", self.0))
    }
}

/// The value of the text between the quotes.
pub(super) fn decode(body: &str) -> Result<String, Fault> {
    let chars: Vec<char> = body.chars().collect();
    let mut value = String::with_capacity(body.len());
    let mut rest = chars.as_slice();
    while let [first, tail @ ..] = rest {
        rest = if *first == '\\' { escape(tail, &mut value)? } else { plain(*first, tail, &mut value) };
    }
    Ok(value)
}

fn plain<'a>(found: char, tail: &'a [char], value: &mut String) -> &'a [char] {
    value.push(found);
    tail
}

/// Reads what follows a backslash and returns the rest.
fn escape<'a>(tail: &'a [char], value: &mut String) -> Result<&'a [char], Fault> {
    match tail {
        ['u', digits @ ..] if hex(digits, 4).is_some() => numbered(digits, 4, value),
        ['U', digits @ ..] if hex(digits, 8).is_some() => numbered(digits, 8, value),
        [a @ '0'..='1', b @ '0'..='7', c @ '0'..='7', rest @ ..] => {
            let code = [a, b, c].iter().fold(0, |code, digit| code * 8 + digit.to_digit(8).unwrap_or(0));
            value.extend(char::from_u32(code));
            Ok(rest)
        }
        [escaped, rest @ ..] => {
            match escaped {
                '0' => value.push('\0'),
                'b' => value.push('\u{8}'),
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'Z' => value.push('\u{1a}'),
                '%' | '_' => value.extend(['\\', *escaped]),
                other => value.push(*other),
            }
            Ok(rest)
        }
        [] => Err(Fault("a lone backslash at its end".to_owned())),
    }
}

fn hex(digits: &[char], length: usize) -> Option<u32> {
    let digits = digits.get(..length)?;
    digits.iter().try_fold(0_u32, |code, digit| Some(code.wrapping_mul(16) + digit.to_digit(16)?))
}

fn numbered<'a>(digits: &'a [char], length: usize, value: &mut String) -> Result<&'a [char], Fault> {
    let code = hex(digits, length).unwrap_or(u32::MAX);
    let found = char::from_u32(code).ok_or_else(|| Fault(format!("the escape \\{code:04X}, which is no character")))?;
    value.push(found);
    Ok(digits.get(length..).unwrap_or(&[]))
}

/// The canonical text between single quotes.
pub(super) fn encode(value: &str) -> String {
    let mut body = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(found) = chars.next() {
        match found {
            '\\' => body.push_str("\\\\"),
            '\n' => body.push_str("\\n"),
            '\r' => body.push_str("\\r"),
            '\t' => body.push_str("\\t"),
            '\'' => body.push_str("\\u0027"),
            '$' if chars.peek() == Some(&'{') => body.push_str("\\u0024"),
            hidden if is_hidden(hidden) => {
                let code = u32::from(hidden);
                // Writing to a String cannot fail.
                let _ = if code > 0xFFFF { write!(body, "\\U{code:08X}") } else { write!(body, "\\u{code:04X}") };
            }
            visible => body.push(visible),
        }
    }
    body
}

/// Whether a character shows nothing or moves others about: controls, exotic spaces, zero-width, bidirectional and tag characters.
pub(super) fn is_hidden(found: char) -> bool {
    found.is_control()
        || (found.is_whitespace() && found != ' ')
        || matches!(found,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn escapes_mean_what_spark_documents() {
        assert_eq!(decode(r"a\nb\t\\d").as_deref(), Ok("a\nb\t\\d"));
        assert_eq!(decode(r"\w\'\x").as_deref(), Ok("w'x"));
        assert_eq!(decode(r"100\%\_").as_deref(), Ok(r"100\%\_"));
        assert_eq!(decode(r"\u0041\U0001F600\101").as_deref(), Ok("A\u{1F600}A"));
        assert_eq!(decode(r"\u12").as_deref(), Ok("u12"));
        assert!(decode(r"\uD800").is_err());
        assert!(decode("\\").is_err());
    }

    #[test]
    fn canonical_bodies_hold_no_quote_and_read_back() {
        for value in ["it's", "\\", "a\\'b", "${env:HOME}", "\u{202e}x\u{0}", "Amélie 東京", "\u{1d173}"] {
            let body = encode(value);
            assert!(!body.contains('\'') && !body.contains("${"), "{body}");
            assert_eq!(decode(&body).as_deref(), Ok(value));
        }
    }
}
