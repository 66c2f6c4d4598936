//! The store on the wire: what it sends, and what it makes of answers that the emulator cannot give.
//!
//! The other side is a proxy in front of the emulator that notes every request and may answer itself, with the statuses and headers of the
//! service (its list of status codes, the SDK's sources) and bodies of our own wording, or cut the connection. Nothing was recorded
//! from a real account; `docs/testing.md` says how to try one.

use std::{
    io,
    sync::{Arc, Mutex},
};

use asklake::{
    conversation::ConversationId,
    store::{ETag, Error, HistoryFilter, Store, cosmos::Credential},
};
use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    time::{Duration, OffsetDateTime},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::{TTL, open_as};
use crate::{
    contract::store::{advanced, asked},
    support::{cosmos::Emulator, scripted::ScriptedWarehouse},
};

const KEY: &str = "c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA==";

/// A credential with a token that only a proxy takes.
#[derive(Debug, Default)]
pub struct FakeCredential;

#[async_trait]
impl TokenCredential for FakeCredential {
    async fn get_token(&self, scopes: &[&str], _options: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://cosmos.azure.com/.default"]);
        Ok(AccessToken::new(Secret::from("a-fake-token"), OffsetDateTime::now_utc() + Duration::hours(1)))
    }
}

/// A request, with the headers of its answer once there is one.
#[derive(Clone, Debug, Default)]
struct Seen {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    answered: Vec<(String, String)>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    fn is_item(&self) -> bool {
        self.path.contains("/docs")
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// What the proxy does with a request.
#[derive(Clone, Copy)]
enum Reaction {
    Forward,
    Answer {
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
    },
    /// Has it done, and closes the connection instead of answering.
    CutAfterwards,
}

type Script = dyn Fn(&Seen, usize) -> Reaction + Send + Sync;

/// The proxy. Its script gets each request on an item and how many there were before.
struct Proxy {
    endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Proxy {
    async fn start(script: impl Fn(&Seen, usize) -> Reaction + Send + Sync + 'static) -> Self {
        Self::start_for_all(move |request, before| if request.is_item() { script(request, before) } else { Reaction::Forward }).await
    }

    /// One whose script gets the requests for metadata as well, but counts only those on items.
    async fn start_for_all(script: impl Fn(&Seen, usize) -> Reaction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let (seen, script): (Arc<Mutex<Vec<Seen>>>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let (shared, own) = (Arc::clone(&seen), endpoint.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, script, own) = (Arc::clone(&shared), Arc::clone(&script), own.clone());
                tokio::spawn(serve(stream, seen, script, own));
            }
        });
        Self { endpoint, seen }
    }

    fn store(&self) -> asklake::store::cosmos::CosmosStore {
        self.store_as(Credential::Key(Secret::from(KEY)))
    }

    fn store_as(&self, credential: Credential) -> asklake::store::cosmos::CosmosStore {
        open_as(&self.endpoint, credential, &Uuid::new_v4().to_string(), TTL)
    }

    /// The requests on items so far.
    fn items(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.is_item()).cloned().collect()
    }

    fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// HTTP/1 and HTTP/2: the SDK speaks the latter.
async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, script: Arc<Script>, own: String) {
    let client = reqwest::Client::new();
    let answer = service_fn(move |request: Request<Incoming>| {
        let (client, seen, script, own) = (client.clone(), Arc::clone(&seen), Arc::clone(&script), own.clone());
        async move { answer(request, &client, &seen, &*script, &own).await }
    });
    // A connection that is cut is an error here.
    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await.ok();
}

/// An error cuts the connection (in HTTP/2, what of it the request has).
async fn answer(
    request: Request<Incoming>,
    client: &reqwest::Client,
    seen: &Mutex<Vec<Seen>>,
    script: &Script,
    own: &str,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let request = read(request).await;
    let (reaction, index) = {
        let mut seen = seen.lock().unwrap();
        let before = seen.iter().filter(|seen| seen.is_item()).count();
        seen.push(request.clone());
        (script(&request, before), seen.len() - 1)
    };
    let (status, headers, body) = match reaction {
        Reaction::Answer { status, headers, body } => {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            (status, headers, body.as_bytes().to_vec())
        }
        Reaction::Forward => forward(client, &request, own).await,
        Reaction::CutAfterwards => {
            forward(client, &request, own).await;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    };
    seen.lock().unwrap()[index].answered.clone_from(&headers);
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(body)).unwrap())
}

async fn read(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Seen { method: head.method.to_string(), path, headers, body, answered: Vec::new() }
}

/// Asks the emulator, whose address becomes the proxy's in what it answers.
async fn forward(client: &reqwest::Client, request: &Seen, own: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let emulator = Emulator::shared().endpoint();
    let url = format!("{}{}", emulator.trim_end_matches('/'), request.path);
    let mut forwarded = client.request(request.method.parse().unwrap(), url).body(request.body.clone());
    for (name, value) in request.headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str())) {
        forwarded = forwarded.header(name, value);
    }
    let answer = forwarded.send().await.unwrap();
    let status = answer.status().as_u16();
    let kept = answer.headers().iter().filter(|(name, _)| !["content-length", "transfer-encoding"].contains(&name.as_str()));
    let headers = kept.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let body = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap().replace(emulator, own);
    (status, headers, body.into_bytes())
}

/// As the service throttles.
const TOO_MANY_REQUESTS: Reaction = Reaction::Answer {
    status: 429,
    headers: &[
        ("content-type", "application/json"),
        ("x-ms-substatus", "3200"),
        ("x-ms-retry-after-ms", "3"),
        ("x-ms-request-charge", "0.38"),
    ],
    body: r#"{"code":"429","message":"Message: {\"Errors\":[\"Request rate is large. More Request Units may be needed, so no changes were made. Please retry this request later.\"]}"}"#,
};

/// As the service answers when two writes of one item met.
const RETRY_WITH: Reaction = Reaction::Answer {
    status: 449,
    headers: &[("content-type", "application/json"), ("x-ms-substatus", "5353")],
    body: r#"{"code":"449","message":"Conflicting request to resource has been attempted. Retry to avoid conflicts."}"#,
};

/// As the service answers when no replica is as new as the session token asks.
const READ_SESSION_NOT_AVAILABLE: Reaction = Reaction::Answer {
    status: 404,
    headers: &[("content-type", "application/json"), ("x-ms-substatus", "1002")],
    body: r#"{"code":"NotFound","message":"The read session is not available for the input session token."}"#,
};

/// As the service answers when the container is missing.
const OWNER_NOT_FOUND: Reaction = Reaction::Answer {
    status: 404,
    headers: &[("content-type", "application/json"), ("x-ms-substatus", "1003")],
    body: r#"{"code":"NotFound","message":"Message: {\"Errors\":[\"Owner resource does not exist\"]}"}"#,
};

/// As the service answers an identity without a role.
const FORBIDDEN: Reaction = Reaction::Answer {
    status: 403,
    headers: &[("content-type", "application/json"), ("x-ms-substatus", "5302")],
    body: r#"{"code":"Forbidden","message":"Request is blocked because principal [p] does not have required RBAC permissions to perform action [Microsoft.DocumentDB/databaseAccounts/readMetadata] on resource [/]."}"#,
};

/// As the service answers a key that is not its own.
const UNAUTHORIZED: Reaction = Reaction::Answer {
    status: 401,
    headers: &[("content-type", "application/json")],
    body: r#"{"code":"Unauthorized","message":"The input authorization token can't serve the request. The wrong key is being used or the expected payload is not built as per the protocol."}"#,
};

#[tokio::test]
async fn a_write_names_its_partition_and_a_commit_the_version_it_replaces() {
    let proxy = Proxy::start(|_, _| Reaction::Forward).await;
    let store = proxy.store();
    let conversation = asked("q");
    let etag = store.create(&conversation).await.unwrap();
    store.commit(&advanced(&conversation), &etag).await.unwrap();
    let [create, replace] = &proxy.items()[..] else { panic!("{:?}", proxy.items()) };
    let key = format!("[\"{}\"]", conversation.id);
    assert_eq!(
        (create.method.as_str(), create.header("if-match"), create.header("x-ms-documentdb-partitionkey")),
        ("POST", None, Some(key.as_str()))
    );
    assert_eq!(replace.header("if-match"), Some(etag.0.as_str()));
    assert_eq!((replace.method.as_str(), replace.header("x-ms-documentdb-partitionkey")), ("PUT", Some(key.as_str())));
    let body: serde_json::Value = serde_json::from_slice(&replace.body).expect("plain JSON");
    assert_eq!(body["ttl"], TTL.as_secs());
}

#[tokio::test]
async fn what_is_no_etag_is_never_sent_as_a_condition() {
    let proxy = Proxy::start(|_, _| Reaction::Forward).await;
    let store = proxy.store();
    let conversation = asked("q");
    store.create(&conversation).await.unwrap();
    for etag in ["", "*", "\"\"", "plain"] {
        let refused = store.commit(&advanced(&conversation), &ETag(etag.into())).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{etag:?}: {refused:?}");
    }
    assert_eq!(proxy.items().len(), 1, "the create alone");
}

#[tokio::test]
async fn a_key_signs_requests_and_is_not_sent() {
    let proxy = Proxy::start(|_, _| Reaction::Forward).await;
    proxy.store().create(&asked("q")).await.unwrap();
    for request in proxy.all() {
        assert!(
            request.header("authorization").is_some_and(|value| value.starts_with("type%3Dmaster%26ver%3D1.0%26sig%3D")),
            "{request:?}"
        );
        assert!(!format!("{request:?}").contains(KEY));
    }
}

#[tokio::test]
async fn an_identity_sends_its_token() {
    let proxy = Proxy::start(|_, _| Reaction::Forward).await;
    let container = Uuid::new_v4().to_string();
    // The emulator lets everybody create; an identity finds it created.
    open_as(&proxy.endpoint, Credential::Key(Secret::from(KEY)), &container, TTL).probe().await.unwrap();
    let before = proxy.all().len();
    open_as(&proxy.endpoint, Credential::Token(Arc::new(FakeCredential)), &container, TTL).create(&asked("q")).await.unwrap();
    let authorizations: Vec<_> = proxy.all().split_off(before);
    assert!(authorizations.len() > 1);
    for request in authorizations {
        assert_eq!(request.header("authorization"), Some("type%3Daad%26ver%3D1.0%26sig%3Da-fake-token"), "{request:?}");
    }
}

#[tokio::test]
async fn a_refused_key_and_an_identity_without_a_role_are_told_what_to_do() {
    for (credential, reaction, advice) in [
        (Credential::Key(Secret::from(KEY)), UNAUTHORIZED, "COSMOS_KEY"),
        (Credential::Token(Arc::new(FakeCredential)), FORBIDDEN, "Cosmos DB Built-in Data Contributor"),
    ] {
        let proxy = Proxy::start_for_all(move |_, _| reaction);
        let refused = proxy.await.store_as(credential).probe().await;
        let Err(Error::Unavailable(detail)) = refused else { panic!("{refused:?}") };
        assert!(detail.contains(advice) && !detail.contains(KEY) && !detail.contains("a-fake-token"), "{detail}");
    }
}

#[tokio::test]
async fn a_read_carries_the_session_token_of_the_last_write() {
    let proxy = Proxy::start(|_, _| Reaction::Forward).await;
    let store = proxy.store();
    let conversation = asked("q");
    store.create(&conversation).await.unwrap();
    store.load(conversation.id).await.unwrap();
    let [create, load] = &proxy.items()[..] else { panic!("{:?}", proxy.items()) };
    let token = find(&create.answered, "x-ms-session-token").expect("the service gives one");
    assert_eq!(load.header("x-ms-session-token"), Some(token));
}

#[tokio::test]
async fn a_create_whose_connection_broke_after_it_was_done_has_succeeded() {
    let proxy = Proxy::start(|_, before| if before == 0 { Reaction::CutAfterwards } else { Reaction::Forward }).await;
    let conversation = asked("q");
    let store = proxy.store();
    let etag = store.create(&conversation).await.expect("it was ours");
    assert_eq!(store.load(conversation.id).await.unwrap().unwrap().etag, etag);
}

#[tokio::test]
async fn a_commit_whose_connection_broke_after_it_was_done_has_succeeded() {
    let proxy = Proxy::start(|_, before| if before == 1 { Reaction::CutAfterwards } else { Reaction::Forward }).await;
    let store = proxy.store();
    let conversation = asked("q");
    let etag = store.create(&conversation).await.unwrap();
    let next = advanced(&conversation);
    let etag = store.commit(&next, &etag).await.expect("it was ours");
    let methods: Vec<_> = proxy.items().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "PUT", "PUT", "GET"], "sent again, refused, looked at");
    store.commit(&advanced(&next), &etag).await.expect("with the ETag of what is stored");
}

#[tokio::test]
async fn rows_whose_connection_broke_after_they_were_stored_are_stored_once() {
    let proxy = Proxy::start(|_, before| if before == 2 { Reaction::CutAfterwards } else { Reaction::Forward }).await;
    let store = proxy.store();
    let conversation = asked("q");
    store.create(&conversation).await.unwrap();
    store.put_result(conversation.id, 1, &ScriptedWarehouse::rows()).await.unwrap();
    assert_eq!(store.result(conversation.id, 1).await.unwrap(), Some(ScriptedWarehouse::rows()));
}

#[tokio::test]
async fn a_write_that_met_another_is_sent_again() {
    let proxy = Proxy::start(|_, before| if before < 2 { RETRY_WITH } else { Reaction::Forward }).await;
    proxy.store().create(&asked("q")).await.expect("in the end");
    assert_eq!(proxy.items().len(), 3);
}

#[tokio::test]
async fn throttling_ends_after_some_tries_with_the_time_that_was_asked_for() {
    let proxy = Proxy::start(|_, _| TOO_MANY_REQUESTS).await;
    let throttled = proxy.store().load(ConversationId::random()).await;
    assert!(matches!(throttled, Err(Error::Throttled { retry_after }) if retry_after.as_millis() == 3), "{throttled:?}");
    let tries = proxy.items().len();
    assert!((2..=20).contains(&tries), "{tries} tries");
}

#[tokio::test]
async fn a_throttled_query_is_told_of() {
    let proxy = Proxy::start(|_, _| TOO_MANY_REQUESTS).await;
    let throttled = proxy.store().history(&HistoryFilter::default(), 10, None).await;
    assert!(matches!(throttled, Err(Error::Throttled { .. })), "{throttled:?}");
}

#[tokio::test]
async fn a_replica_that_is_behind_does_not_make_a_conversation_unknown() {
    let proxy = Proxy::start(|request, _| if request.method == "GET" { READ_SESSION_NOT_AVAILABLE } else { Reaction::Forward }).await;
    let store = proxy.store();
    let conversation = asked("q");
    store.create(&conversation).await.unwrap();
    let read = store.load(conversation.id).await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
}

#[tokio::test]
async fn a_missing_container_does_not_make_a_conversation_unknown() {
    let proxy = Proxy::start(|_, before| if before == 0 { OWNER_NOT_FOUND } else { Reaction::Forward }).await;
    let store = proxy.store();
    let read = store.load(ConversationId::random()).await;
    assert!(matches!(&read, Err(Error::Unavailable(detail)) if detail.contains("is gone")), "{read:?}");
    let metadata = proxy.all().len();
    assert_eq!(store.load(ConversationId::random()).await.unwrap(), None);
    assert!(proxy.all().len() > metadata + 1, "it was looked for anew");
}

#[tokio::test]
async fn the_client_is_made_once_by_many() {
    let proxy = Proxy::start(|_, _| Reaction::Forward).await;
    let store = Arc::new(proxy.store());
    let probes = (0..10).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.probe().await })
    });
    for probe in probes.collect::<Vec<_>>() {
        probe.await.unwrap().unwrap();
    }
    let accounts = proxy.all().iter().filter(|request| request.method == "GET" && request.path == "/").count();
    assert_eq!(accounts, 1);
}
