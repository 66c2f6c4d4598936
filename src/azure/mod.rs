//! What the adapters of Azure share: the identity of the machine, how often a request is sent again, and what of an error may be told.
//!
//! Owns no service and no secret. The identity's tokens are cached by `azure_identity` itself, behind a lock, until shortly before they
//! expire (read in its source, version 1.0); the Cosmos SDK asks for one with every request.

use std::sync::Arc;

use azure_core::{
    credentials::TokenCredential,
    error::ErrorKind,
    http::{ClientOptions, ExponentialRetryOptions, RetryOptions},
};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

/// How often a request is sent again. By its default the SDK asks a dead endpoint for 82 seconds.
const RETRIES: u32 = 3;

/// The managed identity of this machine: the user-assigned one with `client_id`, else the system-assigned one. Asks for nothing yet.
///
/// # Errors
/// When this machine has a kind of identity that is not supported.
pub fn managed_identity(client_id: Option<&str>) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let user_assigned_id = client_id.map(|id| UserAssignedId::ClientId(id.to_owned()));
    let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options: client_options() };
    Ok(ManagedIdentityCredential::new(Some(options))?)
}

/// Options of every client.
pub(crate) fn client_options() -> ClientOptions {
    let retry = RetryOptions::exponential(ExponentialRetryOptions { max_retries: RETRIES, ..Default::default() });
    ClientOptions { retry, ..Default::default() }
}

/// What of an error may be told and logged: no query of an address, because a signature may be in it.
pub(crate) fn describe(error: &azure_core::Error) -> String {
    match error.kind() {
        ErrorKind::HttpResponse { status, error_code, .. } => {
            let code = error_code.as_deref().unwrap_or("no error code");
            format!("it answered {} ({code})", u16::from(*status))
        }
        kind => {
            let sources = std::iter::successors(std::error::Error::source(error), |source| source.source());
            let told = sources.fold(format!("{kind}: {error}"), |told, source| format!("{told}: {source}"));
            without_queries(&told)
        }
    }
}

fn without_queries(text: &str) -> String {
    let mut parts = text.split('?');
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || matches!(c, ')' | '"' | '\'' | '>')).unwrap_or(part.len());
        told.push_str("?…");
        told.push_str(&part[end..]);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_query_of_an_address_is_told() {
        let told = without_queries("error sending request for url (https://a.queue.core.windows.net/q?sv=1&sig=secret): refused");
        assert_eq!(told, "error sending request for url (https://a.queue.core.windows.net/q?…): refused");
        assert_eq!(without_queries("get https://h/x?sig=secret"), "get https://h/x?…");
        assert_eq!(without_queries("why? because"), "why?… because");
        assert_eq!(without_queries("nothing to hide"), "nothing to hide");
    }
}
