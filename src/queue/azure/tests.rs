//! What cannot be seen against Azurite: tokens, which it takes only over TLS, and answers that it does not give.

use std::{collections::VecDeque, sync::Mutex};

use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    http::{AsyncRawResponse, HttpClient, Request, Transport, headers::Headers},
    time::OffsetDateTime,
};

use super::*;
use crate::conversation::{ConversationId, Revision};

/// Gives the same token for everything and remembers what it was asked for.
#[derive(Debug, Default)]
struct Identity(Mutex<Vec<String>>);

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        self.0.lock().unwrap().push(scopes.join(" "));
        Ok(AccessToken::new("the-token", OffsetDateTime::now_utc() + Duration::from_secs(3600)))
    }
}

/// Answers requests in turn with a status, a code and a body, and with the last of them from then on.
#[derive(Debug)]
struct Service {
    answers: Mutex<VecDeque<(u16, &'static str, &'static str)>>,
    requests: Mutex<Vec<(String, Option<String>)>>,
}

#[async_trait]
impl HttpClient for Service {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let authorization = request.headers().iter().find(|(name, _)| name.as_str() == "authorization");
        let authorization = authorization.map(|(_, value)| value.as_str().to_owned());
        self.requests.lock().unwrap().push((format!("{} {}", request.method().as_ref(), request.url()), authorization));
        let mut answers = self.answers.lock().unwrap();
        let (status, code, body) = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] };
        let mut headers = Headers::new();
        if !code.is_empty() {
            headers.insert("x-ms-error-code", code);
        }
        headers.insert("x-ms-popreceipt", "next");
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}

/// The queue `q` of a service that gives these answers, used by an identity.
fn queue(answers: &[(u16, &'static str, &'static str)]) -> (AzureQueue, Arc<Service>, Arc<Identity>) {
    let service = Arc::new(Service { answers: Mutex::new(answers.iter().copied().collect()), requests: Mutex::default() });
    let identity = Arc::new(Identity::default());
    let account = Account::with_identity("https://acc.queue.core.windows.net/", Arc::clone(&identity) as _).unwrap();
    let options = ClientOptions { transport: Some(Transport::new(Arc::clone(&service) as _)), ..azure::client_options() };
    (AzureQueue::with_options(&account, "q", &options).unwrap(), service, identity)
}

fn wake() -> Wake {
    Wake::at(ConversationId::random(), Revision(1))
}

fn held() -> Lease {
    Lease { message_id: "m".into(), receipt: "r".into() }
}

impl Service {
    /// Method and path of every request so far.
    fn seen(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|(line, _)| azure_free(line)).collect()
    }
}

/// A request line without the host and the query.
fn azure_free(line: &str) -> String {
    line.split('?').next().unwrap().replace("https://acc.queue.core.windows.net", "")
}

#[tokio::test]
async fn an_identity_sends_its_token_to_the_queue_service() {
    let (queue, service, identity) = queue(&[(200, "", "")]);
    for _ in 0..3 {
        queue.probe().await.unwrap();
    }
    let requests = service.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 3);
    for (line, authorization) in requests {
        assert_eq!(line, "GET https://acc.queue.core.windows.net/q?comp=metadata");
        assert_eq!(authorization.as_deref(), Some("Bearer the-token"));
    }
    let scopes = identity.0.lock().unwrap().clone();
    assert!(!scopes.is_empty() && scopes.iter().all(|scope| scope == "https://storage.azure.com/.default"), "{scopes:?}");
}

#[tokio::test]
async fn an_identity_is_not_used_without_encryption() {
    let error = Account::with_identity("http://acc.queue.core.windows.net", Arc::new(Identity::default())).unwrap_err();
    assert!(error.to_string().contains("https"), "{error}");
}

#[tokio::test]
async fn a_missing_queue_is_created_and_a_quicker_creator_is_no_failure() {
    for created in [(201, "", ""), (204, "", ""), (409, "QueueAlreadyExists", "")] {
        let (queue, service, _) = queue(&[(404, "QueueNotFound", ""), created, (200, "", "")]);
        queue.probe().await.unwrap();
        assert_eq!(service.seen(), ["GET /q", "PUT /q", "GET /q"]);
    }
    let (queue, ..) = queue(&[(404, "QueueNotFound", ""), (409, "QueueBeingDeleted", "")]);
    let error = queue.probe().await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("QueueBeingDeleted")), "{error}");
}

#[tokio::test]
async fn what_the_service_says_of_a_lost_lease_is_a_lost_lease() {
    for answer in [(404, "MessageNotFound", ""), (400, "PopReceiptMismatch", ""), (400, "InvalidQueryParameterValue", "")] {
        let (queue, ..) = queue(&[answer]);
        assert!(matches!(queue.delete(Lane::Work, &held()).await, Err(Error::LeaseLost(id)) if id == "m"), "{answer:?}");
        assert!(matches!(queue.renew(Lane::Work, &held(), POISONING).await, Err(Error::LeaseLost(_))), "{answer:?}");
    }
    let (queue, ..) = queue(&[(403, "AuthenticationFailed", "the text that was signed")]);
    let error = queue.delete(Lane::Work, &held()).await.unwrap_err().to_string();
    assert!(error.contains("AuthenticationFailed") && error.contains("role") && !error.contains("signed"), "{error}");
}

#[tokio::test]
async fn a_wake_is_in_the_poison_queue_before_it_leaves_the_work_queue() {
    let delivery = Delivery { body: "text".into(), dequeue_count: 6, lease: held() };
    let sent = "<QueueMessagesList></QueueMessagesList>";
    let (poisoned, service, _) = queue(&[(204, "", ""), (201, "", sent), (204, "", "")]);
    poisoned.poison(&delivery).await.unwrap();
    assert_eq!(service.seen(), ["PUT /q/messages/m", "POST /q-poison/messages", "DELETE /q/messages/m"]);
    let deleted = service.requests.lock().unwrap()[2].0.clone();
    assert!(deleted.contains("popreceipt=next"), "the receipt of the renewal: {deleted}");
    let (failing, service, _) = queue(&[(204, "", ""), (403, "AuthorizationFailure", "")]);
    assert!(matches!(failing.poison(&delivery).await, Err(Error::Unavailable(_))));
    assert_eq!(service.seen(), ["PUT /q/messages/m", "POST /q-poison/messages"], "it stays in the work queue");
    let (lost, ..) = queue(&[(204, "", ""), (201, "", sent), (404, "MessageNotFound", "")]);
    lost.poison(&delivery).await.expect("it is in the poison queue");
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let (queue, service, _) = queue(&[(503, "ServerBusy", ""), (500, "OperationTimedOut", ""), (200, "", "")]);
    queue.probe().await.unwrap();
    assert_eq!(service.seen().len(), 3);
}

#[tokio::test]
async fn wakes_never_expire_and_come_within_seven_days() {
    let (queue, service, _) = queue(&[(201, "", "<QueueMessagesList></QueueMessagesList>")]);
    for (delay, expected) in [(0, 0), (1_500, 2), (700_000_000, 604_800)] {
        queue.send(&wake(), Duration::from_millis(delay)).await.unwrap();
        let line = service.requests.lock().unwrap().pop().unwrap().0;
        let parameters = format!("messages?messagettl=-1&visibilitytimeout={expected}");
        assert!(line.ends_with(&parameters), "{line}");
    }
}

#[test]
fn texts_that_nobody_encoded_are_delivered_as_they_are() {
    for (text, expected) in [("e30=", "{}"), ("{}", "{}"), ("not base64", "not base64"), ("/////w==", "/////w=="), ("", "")] {
        assert_eq!(decoded(text.into()), expected);
    }
}
