//! Queries in the name of whoever asks: over the whole product with a real issuer of tokens before it and the stand-in behind it, and the
//! exchange with Entra ID against what its documents say of it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use asklake::{
    app::App,
    config::Config,
    conversation::{ConversationId, Delegation, Owner, Timestamp},
    runtime::standalone::Server,
    service::Settings,
    sqlite::{Database, FILE_NAME, Options},
    store::{Store, sqlite::SqliteStore},
    warehouse::{
        behalf::{Error, Holder, OnBehalf, Proof},
        databricks::{ClientProof, Credential, Exchange, Persons, Seal, SqlWarehouse, Workspace},
    },
};
use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use warp::Filter;

use super::with_token;
use crate::{
    contract::eventually,
    lake,
    support::{
        databricks::{Fault, Manner, StandIn, TOKEN, WAREHOUSE_ID},
        issuer::{AUDIENCE, Issuer},
        scripted::ScriptedWarehouse,
    },
};

/// 32 bytes, and 32 others.
const KEYS: [&str; 2] = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="];
const STATEMENTS: &str = "/api/2.0/sql/statements";

/// A server that people of an issuer ask, over a workspace that federates it.
struct World {
    stand_in: StandIn,
    issuer: Issuer,
    server: Server,
    base: String,
    data: TempDir,
}

impl World {
    async fn start(manner: Manner) -> Self {
        let stand_in = StandIn::start(Arc::new(ScriptedWarehouse::new(Duration::ZERO)), manner).await;
        let (issuer, data) = (Issuer::start().await, tempfile::tempdir().unwrap());
        let as_the_user = [("WAREHOUSE_IDENTITY", "user"), ("DELEGATION_KEY", KEYS[0])];
        let server = serve(&stand_in, &issuer, &data, &as_the_user).await;
        let base = format!("http://{}/api/chat", server.address());
        Self { stand_in, issuer, server, base, data }
    }

    /// The same, served by another process that was configured to query as asklake.
    async fn started_again_as_asklake(self) -> Self {
        self.server.stop().await;
        let server = serve(&self.stand_in, &self.issuer, &self.data, &[]).await;
        let base = format!("http://{}/api/chat", server.address());
        Self { server, base, ..self }
    }

    async fn post(&self, token: &str, path: &str, body: &Value) -> Response {
        reqwest::Client::new().request(Method::POST, format!("{}/{path}", self.base)).bearer_auth(token).json(body).send().await.unwrap()
    }

    async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let response = reqwest::Client::new().get(format!("{}/{path}", self.base)).bearer_auth(token).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Asks as the person that the token is of.
    async fn ask(&self, token: &str) -> String {
        let started: Value =
            self.post(token, "start", &json!({"question": "What are the top 10 science fiction films?"})).await.json().await.unwrap();
        started["conversation_id"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned()
    }

    async fn until(&self, token: &str, id: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async {
            let (_, status) = self.get(token, &format!("{id}/status?wait=1")).await;
            is_it(&status).then_some(status)
        })
        .await
    }

    async fn end(&self, token: &str, id: &str) -> Value {
        self.until(token, id, "the turn ends", |status| status["status"] != "processing").await
    }

    /// What is stored of a conversation beside its text.
    async fn delegation(&self, id: &str) -> Option<Box<Delegation>> {
        let database = Database::open(self.data.path(), Options::default()).unwrap();
        let store = SqliteStore::new(database, Duration::from_secs(3600)).unwrap();
        store.load(id.parse().unwrap()).await.unwrap().expect("stored").conversation.delegation
    }
}

/// A server over these parts.
async fn serve(stand_in: &StandIn, issuer: &Issuer, data: &TempDir, more: &[(&str, &str)]) -> Server {
    let usual = [
        ("ASKLAKE_DATA_DIR", data.path().to_str().unwrap()),
        ("CATALOG_PROFILE", "sample"),
        ("DATABRICKS_HOST", &stand_in.host),
        ("DATABRICKS_TOKEN", TOKEN),
        ("DATABRICKS_WAREHOUSE_ID", WAREHOUSE_ID),
        ("AUTH_MODE", "oidc"),
        ("AUTH_ISSUER", &issuer.name),
        ("AUTH_AUDIENCE", AUDIENCE),
    ];
    let variables = usual.iter().chain(more);
    let config = Config::from_lookup(|name| variables.clone().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
    let app = App::build(&config.expect("valid"), Settings::default()).expect("built");
    Server::start(app, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
}

#[tokio::test]
async fn each_queries_as_themselves_and_nobody_as_asklake() {
    let world = World::start(Manner::default()).await;
    let (ann, bob) = (world.issuer.token("ann"), world.issuer.token("bob"));
    for token in [&ann, &ann, &bob] {
        let id = world.ask(token).await;
        let status = world.end(token, &id).await;
        assert_eq!(status["status"], "completed", "{status:#}");
        assert_eq!(world.delegation(&id).await, None, "the right to query ends with the turn");
    }
    let bearers = world.stand_in.bearers(STATEMENTS);
    assert!(bearers.contains(&"of-ann-0".into()) && bearers.contains(&"of-bob-1".into()), "{bearers:?}");
    assert!(bearers.iter().all(|bearer| bearer == "of-ann-0" || bearer == "of-bob-1"), "one exchange for each: {bearers:?}");
    world.server.stop().await;
}

#[tokio::test]
async fn an_answer_is_given_again_to_its_own_person_alone() {
    let world = World::start(Manner::default()).await;
    let (ann, bob) = (world.issuer.token("ann"), world.issuer.token("bob"));
    let mut cached = Vec::new();
    for token in [&ann, &ann, &bob] {
        let id = world.ask(token).await;
        cached.push(world.end(token, &id).await["cached"].is_object());
    }
    assert_eq!(cached, [false, true, false]);
    world.server.stop().await;
}

#[tokio::test]
async fn a_follow_up_and_rows_that_are_computed_again_are_queried_by_whoever_wants_them() {
    let world = World::start(Manner::default()).await;
    let ann = world.issuer.token("ann");
    let id = world.ask(&ann).await;
    world.end(&ann, &id).await;
    let asked = world.post(&ann, &format!("{id}/messages"), &json!({"question": "Who directed Jaws?"})).await;
    assert_eq!(asked.status(), 202);
    let status = world.end(&ann, &id).await;
    assert_eq!((&status["status"], &status["turn"]), (&json!("completed"), &json!(2)), "{status:#}");

    // As if they had expired.
    let file = rusqlite::Connection::open(world.data.path().join(FILE_NAME)).unwrap();
    file.execute("DELETE FROM results", []).unwrap();
    let path = format!("{id}/results/1");
    assert_eq!(world.get(&ann, &path).await.0, 410);
    world.stand_in.forget_everything();
    assert_eq!(world.post(&ann, &path, &json!({})).await.status(), 202);
    eventually("rows", || async { (world.get(&ann, &path).await.0 == 200).then_some(()) }).await;
    assert!(world.stand_in.bearers(STATEMENTS).iter().all(|bearer| bearer == "of-ann-0"));
    world.server.stop().await;
}

#[tokio::test]
async fn what_is_kept_while_a_query_runs_is_sealed_and_a_cancellation_is_theirs_too() {
    let world = World::start(Manner { is_stuck: true, ..Manner::default() }).await;
    let ann = world.issuer.token("ann");
    let id = world.ask(&ann).await;
    world.until(&ann, &id, "a query runs", |status| status["databricks_jobs"][0]["status"] == "running").await;
    let kept = world.delegation(&id).await.expect("it is needed to go on");
    let bytes = URL_SAFE_NO_PAD.decode(&kept.sealed).unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"of-ann") && !format!("{kept:?}").contains(&kept.sealed), "{kept:?}");
    for path in ["status", "messages"] {
        let (_, body) = world.get(&ann, &format!("{id}/{path}")).await;
        assert!(!body.to_string().contains(&kept.sealed), "{path} tells it");
    }
    assert_eq!(world.post(&ann, &format!("{id}/cancel"), &json!({})).await.status(), 202);
    assert_eq!(world.end(&ann, &id).await["error_detail"]["code"], "canceled");
    let canceled_by = world.stand_in.bearers("/cancel");
    assert!(!canceled_by.is_empty() && canceled_by.iter().all(|bearer| bearer == "of-ann-0"), "{canceled_by:?}");
    world.server.stop().await;
}

#[tokio::test]
async fn who_is_nobody_in_the_workspace_is_told_so_and_nothing_is_begun() {
    let world = World::start(Manner::default()).await;
    let carol = world.issuer.token("carol");
    let refused = world.post(&carol, "start", &json!({"question": "Which films?"})).await;
    assert_eq!(refused.status(), 403);
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["type"].as_str().unwrap().ends_with("/not-represented"), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("invalid_grant") && !detail.contains(&carol), "{detail}");
    assert_eq!(world.get(&carol, "history").await.1["conversations"], json!([]));
    assert!(world.stand_in.bearers(STATEMENTS).is_empty());
    world.server.stop().await;
}

#[tokio::test]
async fn a_sign_in_that_ends_in_the_middle_ends_the_turn_with_words_for_the_person() {
    let world = World::start(Manner { is_stuck: true, ..Manner::default() }).await;
    let ann = world.issuer.token("ann");
    let id = world.ask(&ann).await;
    world.until(&ann, &id, "a query runs", |status| status["databricks_jobs"][0]["status"] == "running").await;
    world.stand_in.revoke();
    let status = world.end(&ann, &id).await;
    assert_eq!(status["error_detail"]["code"], "warehouse_unavailable", "{status:#}");
    let error = status["error"].as_str().unwrap();
    assert!(error.contains("does not accept your sign-in") && !error.contains("DATABRICKS_TOKEN"), "{error}");
    // The token is not used again.
    world.ask(&ann).await;
    assert_eq!(world.stand_in.count("POST /oidc/v1/token"), 2);
    world.server.stop().await;
}

#[tokio::test]
async fn a_turn_that_began_as_a_person_does_not_go_on_as_asklake() {
    let world = World::start(Manner { is_stuck: true, ..Manner::default() }).await;
    let ann = world.issuer.token("ann");
    let id = world.ask(&ann).await;
    world.until(&ann, &id, "a query runs", |status| status["databricks_jobs"][0]["status"] == "running").await;
    let world = world.started_again_as_asklake().await;
    let status = world.end(&ann, &id).await;
    assert_eq!(status["error_detail"]["code"], "warehouse_unavailable", "{status:#}");
    assert!(world.stand_in.bearers(STATEMENTS).iter().all(|bearer| bearer == "of-ann-0"));
    world.server.stop().await;
}

#[tokio::test]
async fn a_token_that_ends_before_a_question_could_be_answered_is_a_401() {
    let world = World::start(Manner { person_life: 100, ..Manner::default() }).await;
    let refused = world.post(&world.issuer.token("ann"), "start", &json!({"question": "Which films?"})).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    world.server.stop().await;
}

#[tokio::test]
async fn a_start_that_is_sent_again_finds_its_conversation_although_the_sign_in_is_down() {
    let world = World::start(Manner::default()).await;
    let send = async |token: &str| {
        let request = reqwest::Client::new().post(format!("{}/start", world.base)).bearer_auth(token);
        let response = request.header("idempotency-key", "k").json(&json!({"question": "Which films?"})).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap()["conversation_id"].clone())
    };
    let first = send(&world.issuer.token("ann")).await;
    // Another token of hers, which is not exchanged yet.
    world.stand_in.fail("/oidc/v1/token", Fault::Instead(500, None, "down"));
    let later = world.issuer.claims("ann").as_object().unwrap().clone().into_iter().chain([("jti".to_owned(), json!("2"))]);
    let claims = Value::Object(later.collect()).to_string();
    let token = world.issuer.keys.rs256(r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa"}"#, &claims);
    assert_eq!((first.0, send(&token).await), (202, first));
    world.server.stop().await;
}

#[tokio::test]
async fn a_sign_in_that_does_not_answer_is_a_503_and_the_next_try_works() {
    let world = World::start(Manner::default()).await;
    let ann = world.issuer.token("ann");
    world.stand_in.fail("/oidc/v1/token", Fault::Instead(500, None, "down"));
    assert_eq!(world.post(&ann, "start", &json!({"question": "Which films?"})).await.status(), 503);
    let id = world.ask(&ann).await;
    assert_eq!(world.end(&ann, &id).await["status"], "completed");
    world.server.stop().await;
}

/// Persons of a workspace, without a server before it.
fn persons(stand_in: &StandIn, exchange: Exchange, key: &str) -> Persons {
    let warehouse = SqlWarehouse::new(with_token(stand_in), WAREHOUSE_ID.into(), None, None, &lake::catalog()).expect("TLS");
    Persons::new(warehouse, exchange, Seal::parse(key).expect("a key")).expect("TLS")
}

async fn idle() -> StandIn {
    StandIn::start(Arc::new(ScriptedWarehouse::new(Duration::ZERO)), Manner::default()).await
}

#[tokio::test]
async fn a_delegation_opens_for_its_conversation_and_owner_on_every_instance_with_the_key_until_its_time() {
    let stand_in = idle().await;
    let issuer = Issuer::start().await;
    let exchange = Exchange::Workspace { host: stand_in.host.clone() };
    let [here, there, other] = [KEYS[0], KEYS[0], KEYS[1]].map(|key| persons(&stand_in, exchange.clone(), key));
    let [ann, bob] = ["ann", "bob"].map(|name| Owner::new(&issuer.name, name).unwrap());
    let holder = Holder { conversation: ConversationId::random(), owner: &ann };
    let now = Timestamp::now();
    let delegation = here.delegate(&Proof::new(issuer.token("ann")), holder, now).await.expect("delegated");
    there.warehouse(&delegation, holder, now).expect("another instance").probe().await.expect("as ann");
    assert_eq!(stand_in.bearers("/warehouses"), ["of-ann-0", "of-ann-0"], "once to see whether she is known");

    let opens = |persons: &Persons, holder, now| persons.warehouse(&delegation, holder, now).err();
    assert_eq!(opens(&other, holder, now), Some(Error::Over), "another key");
    assert_eq!(opens(&here, Holder { owner: &bob, ..holder }, now), Some(Error::Over), "another owner");
    assert_eq!(opens(&here, Holder { conversation: ConversationId::random(), ..holder }, now), Some(Error::Over), "another conversation");
    assert_eq!(opens(&here, holder, now.plus(Duration::from_secs(3599))), Some(Error::Over), "later");
}

#[tokio::test]
async fn a_token_is_exchanged_anew_once_half_of_its_time_is_over() {
    let stand_in = idle().await;
    let issuer = Issuer::start().await;
    let persons = persons(&stand_in, Exchange::Workspace { host: stand_in.host.clone() }, KEYS[0]);
    let ann = Owner::new(&issuer.name, "ann").unwrap();
    let (proof, start) = (Proof::new(issuer.token("ann")), Timestamp::now());
    for (minutes, exchanges) in [(0, 1), (29, 1), (31, 2), (32, 2)] {
        let holder = Holder { conversation: ConversationId::random(), owner: &ann };
        persons.delegate(&proof, holder, start.plus(Duration::from_secs(minutes * 60))).await.expect("delegated");
        assert_eq!(stand_in.count("POST /oidc/v1/token"), exchanges, "after {minutes} minutes");
    }
}

/// The fields of each form that was sent.
type Forms = Vec<Vec<(String, String)>>;

/// The token endpoint of a tenant: answers what it is told to, and keeps the forms that it was sent.
async fn entra(status: u16, answer: Value) -> (String, Arc<Mutex<Forms>>) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = format!("http://{}/tenant/oauth2/v2.0/token", listener.local_addr().unwrap());
    let forms: Arc<Mutex<Forms>> = Arc::default();
    let sent = Arc::clone(&forms);
    let routes = warp::post().and(warp::path!("tenant" / "oauth2" / "v2.0" / "token")).and(warp::body::form()).map(move |form| {
        sent.lock().unwrap().push(form);
        warp::reply::with_status(warp::reply::json(&answer), warp::http::StatusCode::from_u16(status).unwrap())
    });
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    (address, forms)
}

/// A managed identity that is a federated credential of the application.
#[derive(Debug)]
struct Identity;

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["api://AzureADTokenExchange/.default"]);
        Ok(AccessToken::new("an-assertion", OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1)))
    }
}

/// What comes of an exchange, where the workspace knows whom `of-databricks` is of.
async fn exchanged(status: u16, answer: Value, proof: ClientProof) -> (Result<Delegation, Error>, Forms) {
    let stand_in = idle().await;
    stand_in.accept("of-databricks");
    let (token_endpoint, forms) = entra(status, answer).await;
    let persons = persons(&stand_in, Exchange::Entra { token_endpoint, client_id: "app".into(), proof }, KEYS[0]);
    let ann = Owner::new("https://login.microsoftonline.com/t/v2.0", "ann").unwrap();
    let holder = Holder { conversation: ConversationId::random(), owner: &ann };
    let delegation = persons.delegate(&Proof::new("the-token-of-ann"), holder, Timestamp::now()).await;
    let forms = forms.lock().unwrap().clone();
    (delegation, forms)
}

#[tokio::test]
async fn entra_is_asked_as_its_on_behalf_of_flow_says_with_a_secret_or_with_a_managed_identity() {
    let secret = ClientProof::Secret("hunter2".into());
    assert!(!format!("{secret:?}").contains("hunter2"));
    let by_assertion =
        [("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), ("client_assertion", "an-assertion")];
    for (proof, last) in [(secret, &[("client_secret", "hunter2")][..]), (ClientProof::Identity(Arc::new(Identity)), &by_assertion)] {
        let (delegation, forms) = exchanged(200, json!({"access_token": "of-databricks", "expires_in": 3600}), proof).await;
        assert!(delegation.expect("delegated").until > Timestamp::now());
        let usual = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("requested_token_use", "on_behalf_of"),
            ("assertion", "the-token-of-ann"),
            ("scope", "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default"),
            ("client_id", "app"),
        ];
        let expected: Vec<(String, String)> =
            usual.iter().chain(last).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(forms, [expected]);
    }
}

#[tokio::test]
async fn a_refusal_of_entra_is_the_persons_the_operators_or_nobodys_and_repeats_no_token() {
    let told = |error: &str| json!({"error": error, "error_description": "AADSTS65001: consent is missing. the-token-of-ann hunter2"});
    let is_for_another = json!({"error": "invalid_grant", "error_description": "AADSTS500131: AADSTS65001 hunter2"});
    let granted = |token: &str, seconds: u64| json!({"access_token": token, "expires_in": seconds});
    let cases = [
        (400, is_for_another, "misconfigured"),
        (200, granted("of-nobody", 3600), "refused"),
        (200, granted("of-databricks", 100), "ends soon"),
        (400, told("invalid_grant"), "refused"),
        (400, told("interaction_required"), "refused"),
        (401, told("invalid_client"), "misconfigured"),
        (400, json!("no object"), "misconfigured"),
        (503, json!({}), "unavailable"),
        (302, json!({}), "unavailable"),
        (200, json!({"token": "without its name"}), "unavailable"),
    ];
    for (status, answer, kind) in cases {
        let error = exchanged(status, answer.clone(), ClientProof::Secret("hunter2".into())).await.0.expect_err("no delegation");
        let is = match &error {
            Error::Refused(_) => "refused",
            Error::Misconfigured(_) => "misconfigured",
            Error::Unavailable(_) => "unavailable",
            Error::EndsSoon => "ends soon",
            Error::NoProof | Error::Over => "another",
        };
        assert_eq!(is, kind, "{status} {answer}: {error:?}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && !text.contains("the-token-of-ann"), "{text}");
        assert_eq!(text.contains("AADSTS65001"), answer.to_string().contains("AADSTS65001"), "its number is told or logged: {text}");
    }
}

#[test]
fn a_person_of_the_workspace_does_not_show_their_token() {
    let workspace = Workspace { host: "http://w".into(), credential: Credential::Person("hunter2".into()) };
    assert!(!format!("{workspace:?} {:?}", Proof::new("hunter2")).contains("hunter2"));
}
