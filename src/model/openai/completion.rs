//! One chat completion, put together from a stream of server-sent events or read from one JSON body: a server that ignores `stream`
//! sends the latter.
//!
//! Forgiving where servers differ (an `index` that is missing or always 0, arguments as an object), strict where something is lost: a
//! stream that ends before it said why is no completion.

use serde::Deserialize;
use serde_json::Value;

/// Bytes of a reply that are read at most: far above what any limit of tokens allows.
const MAX_BYTES: usize = 8 << 20;

/// What the model wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Completion {
    /// Its text.
    pub(super) content: String,
    /// Why it refuses, in its own words, where the server tells.
    pub(super) refusal: String,
    /// Its tool calls.
    pub(super) calls: Vec<Call>,
    /// Why it stopped.
    pub(super) finish: Option<String>,
    /// Tokens it read; 0 where the server does not tell.
    pub(super) prompt_tokens: u64,
    /// Tokens it wrote.
    pub(super) completion_tokens: u64,
}

/// A tool call as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    /// Its place among the calls of a stream.
    pub(super) index: Option<u64>,
}

/// Why there is no completion.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// The body is longer than any reply.
    TooLong,
    /// It ended too early.
    CutOff,
    /// It is not what an OpenAI-compatible server sends.
    Foreign,
    /// It is an error object, though the status was that of a success.
    Error(Value),
}

/// A body that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    completion: Completion,
    line: Vec<u8>,
    read: usize,
    kind: Option<Kind>,
    is_done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Events,
    Json,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default, alias = "message")]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: FunctionDelta,
}

#[derive(Default, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl Completion {
    /// What the model wrote, as one text: for telling it what was wrong.
    pub(super) fn as_written(&self) -> String {
        let calls = self.calls.iter().map(|call| format!("{}({})", call.name, call.arguments));
        std::iter::once(self.content.clone()).chain(calls).collect::<Vec<_>>().join("\n")
    }
}

impl Assembler {
    /// Takes the next piece of the body; `true` when nothing more is expected.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<bool, Fault> {
        self.read += piece.len();
        if self.read > MAX_BYTES {
            return Err(Fault::TooLong);
        }
        for byte in piece {
            if self.kind.is_none() && !byte.is_ascii_whitespace() {
                self.kind = Some(if *byte == b'{' { Kind::Json } else { Kind::Events });
            }
            if *byte == b'\n' && self.kind == Some(Kind::Events) {
                self.end_line()?;
            } else {
                self.line.push(*byte);
            }
        }
        Ok(self.is_done)
    }

    /// What there is of it.
    pub(super) fn so_far(&self) -> &Completion {
        &self.completion
    }

    /// The body has ended.
    pub(super) fn finish(mut self) -> Result<Completion, Fault> {
        match self.kind {
            None => Err(Fault::CutOff),
            Some(Kind::Json) => {
                let body: Value = serde_json::from_slice(&self.line).map_err(|_| Fault::CutOff)?;
                if body.get("choices").and_then(Value::as_array).is_none_or(Vec::is_empty) {
                    return Err(body.get("error").map_or(Fault::Foreign, |error| Fault::Error(error.clone())));
                }
                self.merge(body)?;
                Ok(self.completion)
            }
            Some(Kind::Events) => {
                self.end_line()?;
                if self.is_done || self.completion.finish.is_some() { Ok(self.completion) } else { Err(Fault::CutOff) }
            }
        }
    }

    fn end_line(&mut self) -> Result<(), Fault> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        let Some(data) = text.strip_prefix("data:").map(str::trim) else {
            let is_other_field =
                text.is_empty() || text.starts_with(':') || ["event:", "id:", "retry:"].iter().any(|it| text.starts_with(it));
            return if is_other_field { Ok(()) } else { Err(Fault::Foreign) };
        };
        if data == "[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(data).map_err(|_| Fault::CutOff)?;
        match chunk.get("error") {
            Some(error) if !error.is_null() => Err(Fault::Error(error.clone())),
            _ => self.merge(chunk),
        }
    }

    fn merge(&mut self, chunk: Value) -> Result<(), Fault> {
        let chunk: Chunk = serde_json::from_value(chunk).map_err(|_| Fault::Foreign)?;
        if let Some(usage) = chunk.usage {
            // The last one counts: some servers send a running total with every chunk.
            (self.completion.prompt_tokens, self.completion.completion_tokens) = (usage.prompt_tokens, usage.completion_tokens);
        }
        let Some(Choice { delta, finish_reason }) = chunk.choices.into_iter().next() else { return Ok(()) };
        self.completion.content.push_str(delta.content.as_deref().unwrap_or_default());
        self.completion.refusal.push_str(delta.refusal.as_deref().unwrap_or_default());
        for call in delta.tool_calls.unwrap_or_default() {
            self.merge_call(call);
        }
        self.completion.finish = finish_reason.or(self.completion.finish.take());
        Ok(())
    }

    fn merge_call(&mut self, delta: CallDelta) {
        let id = delta.id.unwrap_or_default();
        let calls = &mut self.completion.calls;
        let same_place = match delta.index {
            Some(index) => calls.iter().rposition(|call| call.index == Some(index)),
            None => calls.len().checked_sub(1),
        };
        // Some servers number every call 0: another id means another call.
        let known = same_place.filter(|at| calls.get(*at).is_some_and(|call| id.is_empty() || call.id.is_empty() || call.id == id));
        let at = known.unwrap_or_else(|| {
            calls.push(Call { index: delta.index, ..Call::default() });
            calls.len() - 1
        });
        let Some(call) = calls.get_mut(at) else { return };
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = delta.function.name.unwrap_or_default();
        }
        match delta.function.arguments {
            Value::Null => {}
            Value::String(piece) => call.arguments.push_str(&piece),
            whole => call.arguments.push_str(&whole.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Completion, Fault> {
        // Byte by byte: characters and events may be cut anywhere.
        let mut assembler = Assembler::default();
        for byte in body.as_bytes() {
            assembler.push(&[*byte])?;
        }
        assembler.finish()
    }

    fn call(completion: &Completion, at: usize) -> (&str, &str, &str) {
        let call = &completion.calls[at];
        (&call.id, &call.name, &call.arguments)
    }

    #[test]
    fn a_stream_is_put_together() {
        let body = ": ping\n\nevent: x\ndata: {\"choices\":[]}\r\n\r\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Za\"}}]}\n\n\
                    data:{\"choices\":[{\"delta\":{\"content\":\"żółć\"},\"finish_reason\":null}]}\n\n\
                    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
        let completion = read(body).expect("a completion");
        assert_eq!((completion.content.as_str(), completion.finish.as_deref()), ("Zażółć", Some("stop")));
        assert_eq!((completion.prompt_tokens, completion.completion_tokens), (7, 2));
    }

    #[test]
    fn the_pieces_of_several_tool_calls_find_their_call() {
        let piece = |calls: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{calls}]}}}}]}}\n");
        let by_index = [
            piece(r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#),
            piece(r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}"#),
            piece(r#"{"index":0,"function":{"arguments":"{}"}},{"index":1,"function":{"arguments":":1}"}}"#),
        ];
        let always_zero = [
            piece(r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#),
            piece(r#"{"index":0,"id":"b","function":{"name":"g","arguments":"{\"y\":1}"}}"#),
        ];
        let without_index = [
            piece(r#"{"id":"a","function":{"name":"f","arguments":{}}}"#),
            piece(r#"{"id":"b","function":{"name":"g","arguments":{"y":1}}}"#),
        ];
        for pieces in [by_index.as_slice(), &always_zero, &without_index] {
            let completion = read(&format!("{}data: [DONE]\n", pieces.concat())).expect("a completion");
            assert_eq!(completion.calls.len(), 2, "{pieces:?}");
            assert_eq!(call(&completion, 0), ("a", "f", "{}"));
            assert_eq!(call(&completion, 1), ("b", "g", "{\"y\":1}"));
        }
    }

    #[test]
    fn a_server_that_does_not_stream_is_read_too() {
        let body = "\n {\"choices\":[{\"message\":{\"content\":\"hi\",\"tool_calls\":null},\"finish_reason\":\"length\"}],\n\"usage\":{\"prompt_tokens\":1}}";
        let completion = read(body).expect("a completion");
        assert_eq!((completion.content.as_str(), completion.finish.as_deref(), completion.prompt_tokens), ("hi", Some("length"), 1));
    }

    #[test]
    fn what_is_no_completion_is_told_apart() {
        let cut = "data: {\"choices\":[{\"delta\":{\"content\":\"Za\"}}]}\n\n";
        for (body, fault) in [
            ("", Fault::CutOff),
            (cut, Fault::CutOff),
            ("data: {\"choices\":[{\"del", Fault::CutOff),
            ("{\"choices\":[", Fault::CutOff),
            ("<html>", Fault::Foreign),
            ("Ollama is running", Fault::Foreign),
            ("{\"models\":[]}", Fault::Foreign),
            ("data: {\"choices\":3}\n", Fault::Foreign),
            ("data: {\"error\":{\"code\":\"x\"}}\n", Fault::Error(serde_json::json!({"code": "x"}))),
            ("{\"error\":\"busy\"}", Fault::Error("busy".into())),
        ] {
            assert_eq!(read(body), Err(fault), "{body}");
        }
        assert_eq!(Assembler::default().push(&vec![b'x'; MAX_BYTES + 1]), Err(Fault::TooLong));
    }
}
