//! Tells of a completion while it is being written: the text of the answer, of a statement and of why it is wanted.
//!
//! It decides nothing and refuses nothing: `reading` says what the completion comes to once it is whole. What cannot be told apart
//! yet (text that may turn out to be a statement, what a model thinks aloud) is not told at all.

use super::{
    super::{Listener, Part, Piece},
    completion::Completion,
    messages::EXECUTE,
};

/// Characters of a field's name that are kept: longer than any name that counts.
const NAME_CHARS: usize = 64;

/// Who is told.
#[derive(Clone, Copy)]
pub(super) struct Audience<'a> {
    /// What is called with every piece.
    pub(super) listener: &'a Listener<'a>,
    /// Whether plain text can only be the answer.
    pub(super) text_is_answer: bool,
}

/// One completion as far as it was told.
pub(super) struct Telling<'a> {
    audience: Audience<'a>,
    content: Content,
    content_read: usize,
    calls: Vec<CallRead>,
    /// From where each part was told last: text before calls, calls in order.
    sources: [Option<usize>; Part::ALL.len()],
}

#[derive(Default)]
struct CallRead {
    read: usize,
    fields: Fields,
}

impl<'a> Telling<'a> {
    /// Begins anew: what an earlier try wrote does not count.
    pub(super) fn begin(audience: Audience<'a>) -> Self {
        for part in Part::ALL {
            (audience.listener)(Piece { part, is_anew: true, text: "" });
        }
        Self { audience, content: Content::default(), content_read: 0, calls: Vec::new(), sources: [None; Part::ALL.len()] }
    }

    /// Tells what has come since the last time.
    pub(super) fn go_on(&mut self, completion: &Completion) {
        let Self { audience, content, content_read, calls, sources } = self;
        let mut tell = |source: usize, part: Part, text: &str| {
            let Some(known) = sources.get_mut(part as usize) else { return };
            // Statements may be written at once; the last one begun is shown.
            if known.is_none_or(|known| known <= source) && !text.is_empty() {
                (audience.listener)(Piece { part, is_anew: *known != Some(source), text });
                *known = Some(source);
            }
        };
        content.push(unread(&completion.content, content_read), audience.text_is_answer, &mut |part, text| tell(0, part, text));
        calls.resize_with(completion.calls.len().max(calls.len()), CallRead::default);
        for (at, (call, seen)) in completion.calls.iter().zip(calls).enumerate() {
            if call.name == EXECUTE {
                seen.fields.push(unread(&call.arguments, &mut seen.read), &mut |part, text| tell(at + 1, part, text));
            }
        }
    }
}

/// What was appended to `text` since the last time.
fn unread<'t>(text: &'t str, read: &mut usize) -> &'t str {
    let new = text.get(*read..).unwrap_or_default();
    *read = text.len();
    new
}

/// The text of a reply.
#[derive(Debug)]
enum Content {
    /// What there is so far may become anything.
    Undecided(String),
    /// An answer in its JSON form, or a call written as text.
    Json(Fields),
    /// An answer.
    Answer,
    /// What cannot be told before it is whole.
    Untold,
}

impl Default for Content {
    fn default() -> Self {
        Self::Undecided(String::new())
    }
}

impl Content {
    fn push(&mut self, text: &str, text_is_answer: bool, tell: &mut dyn FnMut(Part, &str)) {
        match self {
            Self::Undecided(held) => {
                held.push_str(text);
                let Some((mut decided, rest)) = decide(held, text_is_answer) else { return };
                let rest = rest.to_owned();
                decided.push(&rest, text_is_answer, tell);
                *self = decided;
            }
            Self::Json(fields) => fields.push(text, tell),
            Self::Answer => tell(Part::Answer, text),
            Self::Untold => {}
        }
    }
}

/// What the text is, and from where on; `None` as long as that cannot be said.
fn decide(text: &str, text_is_answer: bool) -> Option<(Content, &str)> {
    let text = text.trim_start();
    if let Some(thoughts) = text.strip_prefix("<think>") {
        return decide(thoughts.split_once("</think>")?.1, text_is_answer);
    }
    if let Some(rest) = text.strip_prefix("<tool_call>") {
        return Some((Content::Json(Fields::default()), rest));
    }
    if let Some(fence) = text.strip_prefix("```") {
        let (_language, inner) = fence.split_once('\n')?;
        let first = inner.trim_start().chars().next()?;
        return Some(if first == '{' { (Content::Json(Fields::default()), inner) } else { (Content::Untold, "") });
    }
    if ["<think>", "<tool_call>", "```"].iter().any(|mark| mark.starts_with(text)) {
        return None;
    }
    Some(match text.chars().next()? {
        '{' => (Content::Json(Fields::default()), text),
        _ if text_is_answer => (Content::Answer, text),
        _ => (Content::Untold, ""),
    })
}

/// Reads the fields that count out of a JSON object that arrives in pieces, cut anywhere between two characters. It is as forgiving
/// as `reading`: line breaks within a string count as escaped, and what comes after the object is left alone.
#[derive(Debug, Default)]
struct Fields {
    place: Place,
    name: String,
    text: JsonText,
    follows_colon: bool,
    depth: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Between,
    /// In a string that is a field's name, or an element of a list.
    Name,
    /// In a string that is a field's value.
    Value(Option<Part>),
    /// After the object.
    Over,
}

impl Fields {
    fn push(&mut self, text: &str, tell: &mut dyn FnMut(Part, &str)) {
        let mut written = String::new();
        for c in text.chars() {
            match self.place {
                Place::Between => self.between(c),
                Place::Name => {
                    let mut read = String::new();
                    if self.text.take(c, &mut read) {
                        self.place = Place::Between;
                    } else if self.name.len() < NAME_CHARS {
                        self.name.push_str(&read);
                    }
                }
                Place::Value(part) => {
                    let is_over = self.text.take(c, &mut written);
                    if is_over {
                        tell_some(part, &mut written, tell);
                        (self.place, self.follows_colon) = (Place::Between, false);
                    }
                }
                Place::Over => return,
            }
        }
        if let Place::Value(part) = self.place {
            tell_some(part, &mut written, tell);
        }
    }

    fn between(&mut self, c: char) {
        match c {
            '"' => {
                self.text = JsonText::default();
                self.place = if self.follows_colon { Place::Value(part(&self.name)) } else { Place::Name };
                if !self.follows_colon {
                    self.name.clear();
                }
            }
            ':' => self.follows_colon = true,
            ',' => self.follows_colon = false,
            '{' | '[' => (self.depth, self.follows_colon) = (self.depth.saturating_add(1), false),
            '}' | ']' => {
                (self.depth, self.follows_colon) = (self.depth.saturating_sub(1), false);
                if self.depth == 0 {
                    self.place = Place::Over;
                }
            }
            _ => {}
        }
    }
}

fn tell_some(part: Option<Part>, written: &mut String, tell: &mut dyn FnMut(Part, &str)) {
    if let Some(part) = part.filter(|_| !written.is_empty()) {
        tell(part, written);
    }
    written.clear();
}

/// What a field of that name is. The names that `reading` takes as well.
fn part(name: &str) -> Option<Part> {
    match name {
        "answer" => Some(Part::Answer),
        "sql_query" | "sql" | "query" | "statement" => Some(Part::Sql),
        "reasoning" | "reason" | "explanation" => Some(Part::Reasoning),
        _ => None,
    }
}

/// The inside of a JSON string, character by character (RFC 8259, section 7). Gives out whole characters only: an escape, or a pair of
/// them for one character, is held until it is complete. Half a pair becomes U+FFFD.
#[derive(Debug, Default)]
struct JsonText {
    escape: Escape,
    high_surrogate: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    None,
    /// After a backslash.
    Begun,
    /// After `\u` and some digits.
    Digits { count: u8, value: u16 },
}

impl JsonText {
    /// Reads one character; `true` when it closes the string.
    fn take(&mut self, c: char, out: &mut String) -> bool {
        match (self.escape, c) {
            (Escape::None, '\\') => self.escape = Escape::Begun,
            (Escape::None, '"') => {
                self.give_up_half(out);
                return true;
            }
            (Escape::None, c) => self.plain(c, out),
            (Escape::Begun, 'u') => self.escape = Escape::Digits { count: 0, value: 0 },
            (Escape::Begun, c) => {
                self.escape = Escape::None;
                self.plain(unescaped(c), out);
            }
            (Escape::Digits { count, value }, c) => match c.to_digit(16).and_then(|digit| u16::try_from(digit).ok()) {
                Some(digit) if count == 3 => {
                    self.escape = Escape::None;
                    self.unit(value << 4 | digit, out);
                }
                Some(digit) => self.escape = Escape::Digits { count: count + 1, value: value << 4 | digit },
                None => {
                    self.escape = Escape::None;
                    self.plain(char::REPLACEMENT_CHARACTER, out);
                    return self.take(c, out);
                }
            },
        }
        false
    }

    fn plain(&mut self, c: char, out: &mut String) {
        self.give_up_half(out);
        out.push(c);
    }

    /// One unit of UTF-16.
    fn unit(&mut self, unit: u16, out: &mut String) {
        match (self.high_surrogate, unit) {
            (Some(high), 0xDC00..=0xDFFF) => {
                self.high_surrogate = None;
                out.extend(char::decode_utf16([high, unit]).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)));
            }
            (_, 0xD800..=0xDBFF) => {
                self.give_up_half(out);
                self.high_surrogate = Some(unit);
            }
            (_, unit) => self.plain(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER), out),
        }
    }

    fn give_up_half(&mut self, out: &mut String) {
        if self.high_surrogate.take().is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

fn unescaped(c: char) -> char {
    match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex};

    use proptest::prelude::*;

    use super::{super::completion::Call, *};

    /// What a listener shows after all that it was told.
    #[derive(Default)]
    struct Shown(Mutex<HashMap<Part, String>>);

    impl Shown {
        fn hear(&self, piece: Piece<'_>) {
            let mut shown = self.0.lock().expect("sound");
            let text = shown.entry(piece.part).or_default();
            if piece.is_anew {
                text.clear();
            }
            text.push_str(piece.text);
        }

        fn of(&self, part: Part) -> String {
            self.0.lock().expect("sound").get(&part).cloned().unwrap_or_default()
        }
    }

    fn shown_of_content(pieces: &[&str], text_is_answer: bool) -> Shown {
        let shown = Shown::default();
        let listener = |piece: Piece<'_>| shown.hear(piece);
        let mut telling = Telling::begin(Audience { listener: &listener, text_is_answer });
        let mut completion = Completion::default();
        for piece in pieces {
            completion.content.push_str(piece);
            telling.go_on(&completion);
        }
        shown
    }

    fn characters(text: &str) -> Vec<&str> {
        text.split("").filter(|c| !c.is_empty()).collect()
    }

    fn call(name: &str, arguments: &str) -> Call {
        Call { name: name.into(), arguments: arguments.into(), ..Call::default() }
    }

    proptest! {
        #[test]
        fn a_field_is_told_as_it_was_meant_wherever_it_is_cut(
            answer in any::<String>(),
            sql in any::<String>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            escapes_all in any::<bool>(),
        ) {
            let quoted = |text: &str| {
                let units = || text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
                if escapes_all { format!("\"{}\"", units()) } else { serde_json::Value::from(text).to_string() }
            };
            let json = format!("{{\"x\":[\"answer\",1],\"answer\": {},\"n\":{{\"sql_query\":{}}}}} \"answer\":\"no\"", quoted(&answer), quoted(&sql));
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(json.len())).filter(|at| json.is_char_boundary(*at)).collect();
            at.extend([0, json.len()]);
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|cut| &json[cut[0]..cut[1]]).collect();
            let shown = shown_of_content(&pieces, false);
            prop_assert_eq!(shown.of(Part::Answer), answer);
            prop_assert_eq!(shown.of(Part::Sql), sql);
        }
    }

    #[test]
    fn half_an_escape_is_held_back() {
        let mut text = JsonText::default();
        let mut out = String::new();
        for (c, expected) in
            [('\\', ""), ('u', ""), ('d', ""), ('8', ""), ('3', ""), ('d', ""), ('\\', ""), ('u', ""), ('d', ""), ('e', "")]
        {
            assert!(!text.take(c, &mut out));
            assert_eq!(out, expected);
        }
        for c in "00\\".chars() {
            assert!(!text.take(c, &mut out));
        }
        assert_eq!(out, "\u{1F600}");
        assert!(!text.take('"', &mut out));
        assert!(text.take('"', &mut out));
        assert_eq!(out, "\u{1F600}\"");
    }

    #[test]
    fn half_a_pair_and_a_broken_escape_are_replaced() {
        for (json, expected) in [
            (r"\ud83d!", "\u{FFFD}!"),
            (r"\ud83d\ud83d\ude00", "\u{FFFD}\u{1F600}"),
            (r"\ude00", "\u{FFFD}"),
            (r"\ud83d\n", "\u{FFFD}\n"),
            (r"\u12x", "\u{FFFD}x"),
            (r"\u12\n", "\u{FFFD}\n"),
            (r"\ud83d", "\u{FFFD}"),
        ] {
            let shown = shown_of_content(&characters(&format!("{{\"answer\":\"{json}\"}}")), false);
            assert_eq!(shown.of(Part::Answer), expected, "{json}");
        }
    }

    #[test]
    fn text_is_told_where_it_can_only_be_the_answer() {
        for (content, text_is_answer, answer, sql) in [
            ("There are two.", true, "There are two.", ""),
            ("There are two.", false, "", ""),
            ("  <think>Count {them}.</think>\n There are two.", true, "There are two.", ""),
            ("<b>Two</b>", true, "<b>Two</b>", ""),
            ("SELECT 1", false, "", ""),
            ("```sql\nSELECT 1\n```", true, "", ""),
            ("```json\n{\"answer\":\"Two.\"}\n```", false, "Two.", ""),
            ("<tool_call>{\"name\":\"execute_spark_sql\",\"arguments\":{\"sql_query\":\"SELECT 1\"}}</tool_call>", false, "", "SELECT 1"),
            ("{\"name\":\"find_values\",\"arguments\":{\"column\":\"c\",\"text\":\"x\"}}", false, "", ""),
            ("{\"missing\":\"answer\",\"answer\":null,\"basis\":\"none\"}", false, "", ""),
        ] {
            for pieces in [characters(content), vec![content]] {
                let shown = shown_of_content(&pieces, text_is_answer);
                assert_eq!((shown.of(Part::Answer).as_str(), shown.of(Part::Sql).as_str()), (answer, sql), "{content}");
            }
        }
    }

    #[test]
    fn the_statement_of_the_last_call_is_shown() {
        let shown = Shown::default();
        let listener = |piece: Piece<'_>| shown.hear(piece);
        let mut telling = Telling::begin(Audience { listener: &listener, text_is_answer: false });
        let mut completion = Completion { calls: vec![call("", "")], ..Completion::default() };
        telling.go_on(&completion);
        completion.calls = vec![call(EXECUTE, r#"{"sql_query":"SELECT 1","reas"#)];
        telling.go_on(&completion);
        assert_eq!(shown.of(Part::Sql), "SELECT 1");
        completion.calls.push(call(EXECUTE, r#"{"sql_query":"SELECT"#));
        completion.calls[0].arguments.push_str(r#"oning":"first"}"#);
        telling.go_on(&completion);
        assert_eq!((shown.of(Part::Sql).as_str(), shown.of(Part::Reasoning).as_str()), ("SELECT", "first"));
        completion.calls.push(call("find_values", r#"{"text":"x","reasoning":"no"}"#));
        completion.calls[1].arguments.push_str(r#" 2","reasoning":"second"}"#);
        telling.go_on(&completion);
        assert_eq!((shown.of(Part::Sql).as_str(), shown.of(Part::Reasoning).as_str()), ("SELECT 2", "second"));
        let _next_try = Telling::begin(Audience { listener: &listener, text_is_answer: false });
        assert_eq!((shown.of(Part::Sql).as_str(), shown.of(Part::Reasoning).as_str()), ("", ""));
    }
}
