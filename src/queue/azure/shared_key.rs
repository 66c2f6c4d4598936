//! Signs requests with the key of a storage account ("Authorize with Shared Key", REST API of Azure Storage): the crate knows tokens and
//! SAS only, Azurite and many an account know keys only.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    Bytes,
    credentials::Secret,
    hmac::hmac_sha256,
    http::{
        Context, Request,
        policies::{Policy, PolicyResult},
    },
    time::{OffsetDateTime, to_rfc7231},
};

/// The policy that signs, at every try anew because the date is signed with it.
#[derive(Debug)]
pub(super) struct SharedKey {
    account: String,
    key: Secret,
}

impl SharedKey {
    pub(super) fn new(account: String, key: Secret) -> Self {
        Self { account, key }
    }

    fn authorization(&self, request: &Request) -> azure_core::Result<String> {
        let signature = hmac_sha256(&self.text(request), &self.key)?;
        Ok(format!("SharedKey {}:{signature}", self.account))
    }

    /// What is signed: method, the standard headers that we send, all `x-ms-` headers in order, the resource with its query in order.
    fn text(&self, request: &Request) -> String {
        let header = |wanted: &str| request.headers().iter().find(|(name, _)| name.as_str() == wanted).map(|(_, value)| value.as_str());
        let own = request.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-ms-"));
        let mut own: Vec<String> = own.map(|(name, value)| format!("{}:{}\n", name.as_str(), value.as_str().trim())).collect();
        own.sort();
        let mut query: Vec<String> =
            request.url().query_pairs().map(|(name, value)| format!("\n{}:{value}", name.to_lowercase())).collect();
        query.sort();
        let length = match Bytes::from(request.body()).len() {
            0 => String::new(),
            length => length.to_string(),
        };
        // In order: Content-Encoding, Content-Language, Content-Length, Content-MD5, Content-Type, Date, If-Modified-Since, If-Match,
        // If-None-Match, If-Unmodified-Since, Range. The date is that of x-ms-date.
        format!(
            "{}\n\n\n{length}\n\n{}\n\n\n\n\n\n\n{}/{}{}{}",
            request.method().as_ref(),
            header("content-type").unwrap_or_default(),
            own.concat(),
            self.account,
            request.url().path(),
            query.concat()
        )
    }
}

#[async_trait]
impl Policy for SharedKey {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        request.insert_header("x-ms-date", to_rfc7231(&OffsetDateTime::now_utc()));
        let authorization = self.authorization(request)?;
        request.insert_header("authorization", authorization);
        match next.split_first() {
            Some((policy, rest)) => policy.send(context, request, rest).await,
            None => Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Other, "no policy sends the request")),
        }
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::{Method, Url};

    use super::*;

    #[test]
    fn what_is_signed_has_headers_and_query_in_order() {
        let url = Url::parse("http://127.0.0.1:10001/devstoreaccount1/q/messages?visibilitytimeout=5&messagettl=-1").expect("an address");
        let mut request = Request::new(url, Method::Post);
        for (name, value) in
            [("x-ms-version", "2025-11-05"), ("accept", "application/xml"), ("content-type", "application/xml"), ("x-ms-date", "then")]
        {
            request.insert_header(name, value);
        }
        request.set_body("<a/>");
        let key = SharedKey::new("devstoreaccount1".into(), Secret::from("a2V5"));
        let expected = "POST\n\n\n4\n\napplication/xml\n\n\n\n\n\n\nx-ms-date:then\nx-ms-version:2025-11-05\n\
                        /devstoreaccount1/devstoreaccount1/q/messages\nmessagettl:-1\nvisibilitytimeout:5";
        assert_eq!(key.text(&request), expected);
        assert_eq!(key.authorization(&request).expect("signed"), "SharedKey devstoreaccount1:MtPtpNdRZQ0KYrVpXrOpqjixQcuA/4KoFABlpPj9B4g=");
        assert!(!format!("{key:?}").contains("a2V5"));
    }
}
