//! Signs requests with an account's key, which `azure_storage_queue` does not do.
//!
//! Owns the scheme "Shared Key" of the queue service:
//! <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>. Refuses streamed bodies: no request to a queue has one.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    credentials::Secret,
    error::ErrorKind,
    hmac::hmac_sha256,
    http::{
        Body, Context, Request,
        policies::{Policy, PolicyResult},
    },
    time::{OffsetDateTime, to_rfc7231},
};

/// Signs every try anew, because the date is part of what is signed and the service refuses one that is 15 minutes old.
pub(super) struct SharedKey {
    account: String,
    /// In base64, which was checked.
    key: Secret,
}

impl SharedKey {
    pub(super) fn new(account: &str, key: &str) -> Self {
        Self { account: account.to_owned(), key: key.to_owned().into() }
    }

    fn sign(&self, request: &mut Request, now: OffsetDateTime) -> azure_core::Result<()> {
        request.insert_header("x-ms-date", to_rfc7231(&now));
        let signature = hmac_sha256(&self.text_to_sign(request)?, &self.key)?;
        request.insert_header("authorization", format!("SharedKey {}:{signature}", self.account));
        Ok(())
    }

    fn text_to_sign(&self, request: &Request) -> azure_core::Result<String> {
        let Body::Bytes(body) = request.body() else {
            return Err(azure_core::Error::with_message(ErrorKind::Other, "a streamed body cannot be signed"));
        };
        let length = if body.is_empty() { String::new() } else { body.len().to_string() };
        let headers: BTreeMap<&str, &str> = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_str().trim())).collect();
        let standard = |name: &str| headers.get(name).copied().unwrap_or_default();
        // The date is empty because `x-ms-date` stands for it; no request here has one of the conditional headers after it.
        let mut text = format!(
            "{}\n{}\n{}\n{length}\n{}\n{}\n\n\n\n\n\n\n",
            request.method().as_ref(),
            standard("content-encoding"),
            standard("content-language"),
            standard("content-md5"),
            standard("content-type"),
        );
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push_str(&format!("/{}{}", self.account, request.url().path()));
        let mut query: Vec<_> = request.url().query_pairs().map(|(name, value)| (name.to_lowercase(), value)).collect();
        query.sort();
        for (name, value) in query {
            text.push_str(&format!("\n{name}:{value}"));
        }
        Ok(text)
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey").field("account", &self.account).finish_non_exhaustive()
    }
}

#[async_trait]
impl Policy for SharedKey {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let Some((first, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(ErrorKind::Other, "the pipeline has no transport"));
        };
        self.sign(request, OffsetDateTime::now_utc())?;
        first.send(context, request, rest).await
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::{Method, Url};

    use super::*;

    fn signed(method: Method, url: &str, headers: &[(&'static str, &'static str)], body: &'static str) -> (String, String) {
        let key = SharedKey::new("acc", "c2VjcmV0LWtleQ==");
        let mut request = Request::new(Url::parse(url).unwrap(), method);
        for (name, value) in headers {
            request.insert_header(*name, *value);
        }
        if !body.is_empty() {
            request.set_body(body);
        }
        key.sign(&mut request, OffsetDateTime::from_unix_timestamp(1_763_856_000).unwrap()).unwrap();
        let authorization = request.headers().iter().find(|(name, _)| name.as_str() == "authorization").unwrap().1.as_str().to_owned();
        (key.text_to_sign(&request).unwrap(), authorization)
    }

    /// The signatures were made with Python's `hmac` from the texts, and the texts by hand from the description of the scheme.
    #[test]
    fn requests_are_signed_as_the_service_does_it() {
        let (text, authorization) = signed(
            Method::Put,
            "http://h:1/acc/q/messages/m-1?visibilitytimeout=0&popreceipt=a%2Bb%3D",
            &[("x-ms-version", "2025-11-05")],
            "",
        );
        let expected = "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Sun, 23 Nov 2025 00:00:00 GMT\nx-ms-version:2025-11-05\n\
                        /acc/acc/q/messages/m-1\npopreceipt:a+b=\nvisibilitytimeout:0";
        assert_eq!(text, expected);
        assert_eq!(authorization, "SharedKey acc:xkwXBE8211JbT99VjDdUc24dlINQFVOs1eyJ7jSNWjw=");
        let (text, authorization) = signed(
            Method::Post,
            "https://acc.queue.core.windows.net/q/messages?messagettl=-1",
            &[("x-ms-version", "2025-11-05"), ("content-type", "application/xml"), ("accept", "application/xml")],
            "<QueueMessage/>",
        );
        let expected = "POST\n\n\n15\n\napplication/xml\n\n\n\n\n\n\nx-ms-date:Sun, 23 Nov 2025 00:00:00 GMT\nx-ms-version:2025-11-05\n\
                        /acc/q/messages\nmessagettl:-1";
        assert_eq!(text, expected);
        assert_eq!(authorization, "SharedKey acc:eweJoVPN8xKoLeLDmyML+LVDgZIJnlgG4+NlBTKukvM=");
    }

    #[test]
    fn debug_output_has_no_key() {
        let text = format!("{:?}", SharedKey::new("acc", "c2VjcmV0LWtleQ=="));
        assert!(text.contains("acc") && !text.contains("c2VjcmV0"), "{text}");
    }
}
