//! The subcommands that a person runs in a terminal. They print their result to standard output, all else to standard error.

use std::{io::Write, net::SocketAddr};

use crate::auth::api_key;

#[cfg(feature = "local")]
pub mod ask;
#[cfg(feature = "local")]
pub mod chat;
pub mod check;
#[cfg(feature = "local")]
mod client;
#[cfg(feature = "local")]
pub mod eval;
#[cfg(feature = "local")]
mod follow;
#[cfg(feature = "local")]
pub mod import;
#[cfg(feature = "local")]
mod screen;
#[cfg(feature = "local")]
pub mod trace;

/// Prints a new API key and the line by which a server knows it.
///
/// # Errors
/// When the name is none, or standard output cannot be written.
pub fn key(name: &str) -> anyhow::Result<()> {
    let (key, line) = api_key::generate(name).map_err(anyhow::Error::msg)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "The key, which is shown only here:\n  {key}\nThe server's entry in API_KEYS, or in the file of API_KEYS_FILE:\n  {line}"
    )?;
    Ok(out.flush()?)
}

/// Tells on standard output where the server listens and what to ask first, with the header that a script has to send.
///
/// # Errors
/// When standard output cannot be written.
pub fn banner(address: SocketAddr, question: &str, model: &str, header: Option<&str>) -> std::io::Result<()> {
    let body = serde_json::json!({"question": question});
    let header = header.map(|header| format!(" -H '{header}'")).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    writeln!(out, "asklake listens on http://{address}/ (answers are written by: {model})\n")?;
    writeln!(out, "Open the address, or ask from another terminal:")?;
    writeln!(out, "  curl -s http://{address}/api/chat/start{header} -H 'Content-Type: application/json' -d '{body}'")?;
    writeln!(out, "  curl -s{header} 'http://{address}/api/chat/CONVERSATION_ID/status?wait=20'")?;
    out.flush()
}
