//! What the adapters of Azure share: the managed identity, the patience of their HTTP requests and error texts without secrets.
//!
//! Refuses to know a service: names, accounts and keys belong to the adapters.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    error::ErrorKind,
    http::{
        ClientOptions, Context, ExponentialRetryOptions, Request, RetryOptions,
        policies::{Policy, PolicyResult},
    },
};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

/// How long one try of a request may take. Without a limit a connection that has died silently costs the client's 60 s.
const TRY: Duration = Duration::from_secs(4);

/// How often a request is sent again. The client's 8 tries of a dead endpoint take 82 s, which is longer than a message is leased.
const RETRIES: u32 = 3;

/// A managed identity that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the managed identity cannot be used: {0}")]
pub struct IdentityError(String);

/// The identity of this machine: the one assigned by the user that has `client_id`, or the one that the system assigned.
///
/// It asks App Service's endpoint (`IDENTITY_ENDPOINT`, `IDENTITY_HEADER`) when there is one and the instance metadata service otherwise,
/// and nothing before the first token is wanted. The credential may be asked for every request: `azure_identity` keeps a token for each
/// scope until 5 minutes before it expires, and callers that come while it asks for a new one wait for that one. So there is no
/// cache here; `tests/it/azure_identity.rs` holds that.
///
/// # Errors
/// [`IdentityError`] when the environment names a kind of identity that is not supported, or an endpoint that is no address.
pub fn managed_identity(client_id: Option<&str>) -> Result<Arc<dyn TokenCredential>, IdentityError> {
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client_id.map(|id| UserAssignedId::ClientId(id.to_owned())),
        client_options: client_options(),
    };
    let credential = ManagedIdentityCredential::new(Some(options)).map_err(|error| IdentityError(error_text(&error)))?;
    Ok(credential)
}

/// Retries with exponential backoff from 200 ms and a limit for each try.
pub(crate) fn client_options() -> ClientOptions {
    ClientOptions {
        retry: RetryOptions::exponential(ExponentialRetryOptions { max_retries: RETRIES, ..Default::default() }),
        per_try_policies: vec![Arc::new(TryLimit(TRY))],
        ..Default::default()
    }
}

/// What `error` says, in one line and without anything secret: the status and the service's code of an answer, otherwise the message and
/// its first cause. The bodies of answers are left out, because one about a wrong signature tells what was signed, and so are the
/// queries of addresses, because they may be a shared access signature.
pub(crate) fn error_text(error: &azure_core::Error) -> String {
    if let ErrorKind::HttpResponse { status, error_code, .. } = error.kind() {
        return match error_code {
            Some(code) => format!("HTTP {} {code}", u16::from(*status)),
            None => format!("HTTP {}", u16::from(*status)),
        };
    }
    let message = error.to_string();
    let cause = innermost(error);
    without_queries(&if cause == message { message } else { format!("{message}: {cause}") })
}

/// The innermost cause: the outer ones mostly say only that sending failed.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// `text` without what follows a question mark, up to the next space or bracket.
fn without_queries(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut is_query = false;
    for letter in text.chars() {
        is_query = (is_query || letter == '?') && !(letter.is_whitespace() || matches!(letter, ')' | '"' | '\''));
        if !is_query {
            kept.push(letter);
        }
    }
    kept
}

/// Ends a try that takes too long as a broken connection, which the policy of retries above it sends again.
#[derive(Debug)]
struct TryLimit(Duration);

#[async_trait]
impl Policy for TryLimit {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let Some((first, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(ErrorKind::Other, "the pipeline has no transport"));
        };
        tokio::time::timeout(self.0, first.send(context, request, rest))
            .await
            .unwrap_or_else(|_| Err(azure_core::Error::with_message(ErrorKind::Io, format!("no answer within {:?}", self.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_have_no_queries_of_addresses() {
        let text = "cannot send (http://a/b?sig=secret&x=1): why? http://c/?sig=secret end";
        assert_eq!(without_queries(text), "cannot send (http://a/b): why http://c/ end");
    }

    #[test]
    fn an_error_text_has_the_first_cause() {
        let cause = std::io::Error::other("refused");
        let error = azure_core::Error::with_error(ErrorKind::Io, cause, "cannot connect");
        assert_eq!(error_text(&error), "cannot connect: refused");
        assert_eq!(error_text(&azure_core::Error::with_message(ErrorKind::Io, "alone")), "alone");
    }
}
