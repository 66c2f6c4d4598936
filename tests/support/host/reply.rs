//! What the host makes of a queue function's reply: pure, and all of it read in the host's source rather than seen live.

use serde::Deserialize;
use serde_json::Value;

/// How an invocation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message is deleted.
    Success,
    /// The message is delivered again, or poisoned.
    Failure(String),
    /// Nobody completes the invocation: it lasts until `functionTimeout`, and then the host kills the process.
    Hang,
}

/// The fields of a reply. The host's reader ignores case and further fields.
#[derive(Deserialize)]
struct Reply {
    #[serde(default, alias = "outputs", rename = "Outputs")]
    _outputs: Option<serde_json::Map<String, Value>>,
    #[serde(default, alias = "logs", rename = "Logs")]
    _logs: Option<Vec<Option<String>>>,
    #[serde(default, alias = "returnValue", rename = "ReturnValue")]
    _return_value: Value,
}

/// Judges a reply. Statements about 2xx replies are [code]: an empty body and `null` are read as "no result", which the host waits for
/// without end.
pub fn judge(status: u16, content_type: Option<&str>, body: &[u8]) -> Verdict {
    if !(200..300).contains(&status) {
        return Verdict::Failure(format!("the handler answered {status}: {}", String::from_utf8_lossy(body)));
    }
    if body.is_empty() || status == 204 {
        return Verdict::Hang;
    }
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(media_type.as_str(), "application/json" | "text/json") {
        return Verdict::Failure(format!("no reader for a reply of type {media_type:?}"));
    }
    // White space alone is read like nothing at all.
    if body.iter().all(u8::is_ascii_whitespace) {
        return Verdict::Hang;
    }
    match serde_json::from_slice::<Option<Reply>>(body) {
        Ok(None) => Verdict::Hang,
        // A struct is also read from an array, which the host does not.
        Ok(Some(_)) if body.trim_ascii_start().starts_with(b"[") => Verdict::Failure("the reply is an array".to_owned()),
        Ok(Some(_)) => Verdict::Success,
        Err(error) => Verdict::Failure(format!("the reply cannot be read: {error}")),
    }
}
