//! No secret is printed, logged or answered: the real program runs with a canary in every secret variable, logs all that it can, meets
//! servers that refuse it and say its credentials back to it, and nothing that leaves it has a canary in it.
//!
//! Which variables are secret stands in `config::VARIABLES`; a new one belongs into a configuration below, or a test fails.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use asklake::config::{Config, VARIABLES};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{
    cli::{User, within},
    support::issuer::{AUDIENCE, Issuer},
};

/// What every canary has within.
const MARK: &str = "canary";

fn secret_names() -> Vec<&'static str> {
    VARIABLES.iter().filter(|variable| variable.is_secret).map(|variable| variable.name).collect()
}

/// A value for a secret variable that the server can work with, and what of it must never be seen.
struct Canary {
    value: String,
    hidden: Vec<String>,
}

fn canary(name: &str) -> Canary {
    let plain = format!("{MARK}-{}-5f1d", name.to_ascii_lowercase());
    let key = STANDARD.encode(format!("{plain:-<64}"));
    match name {
        "API_KEYS" => {
            let hash = format!("{:0<64}", "c0ffee5f1d");
            Canary { value: format!("nightly:{hash}"), hidden: vec![hash] }
        }
        "AzureWebJobsStorage" => {
            let endpoint = "DefaultEndpointsProtocol=http;QueueEndpoint=http://127.0.0.1:1/devstoreaccount1;AccountName=devstoreaccount1";
            Canary { value: format!("{endpoint};AccountKey={key}"), hidden: vec![key] }
        }
        "DELEGATION_KEY" => {
            let key = STANDARD.encode(format!("{plain:-<32}"));
            Canary { value: key.clone(), hidden: vec![key] }
        }
        "COSMOS_KEY" => Canary { value: key.clone(), hidden: vec![key] },
        "APPLICATIONINSIGHTS_CONNECTION_STRING" => {
            let key = "0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b";
            Canary { value: format!("InstrumentationKey={key};IngestionEndpoint=http://127.0.0.1:1/"), hidden: vec![key.into()] }
        }
        "OTEL_EXPORTER_OTLP_HEADERS" => Canary { value: format!("x-key={plain}"), hidden: vec![plain] },
        "REDIS_URL" => Canary { value: format!("redis://:{plain}@127.0.0.1:1"), hidden: vec![plain] },
        _ => Canary { value: plain.clone(), hidden: vec![STANDARD.encode(format!("principal:{plain}")), plain] },
    }
}

/// A server that refuses whatever it is asked and says the credentials back, as a careless one does.
struct Careless {
    base: String,
    heard: Arc<Mutex<String>>,
}

impl Careless {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<String>>::default();
        let (book, own) = (Arc::clone(&heard), base.clone());
        // It ends with the tests' process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (book, own) = (Arc::clone(&book), own.clone());
                std::thread::spawn(move || refuse(stream, &own, &book));
            }
        });
        Self { base, heard }
    }
}

/// Whether the head is there, and as much after it as it says.
fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    request.len() >= head + 4 + length.unwrap_or_default()
}

fn refuse(mut stream: TcpStream, base: &str, heard: &Mutex<String>) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut piece) {
            Ok(read @ 1..) => request.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let is_credential =
        |line: &&str| line.to_ascii_lowercase().starts_with("authorization:") || line.to_ascii_lowercase().starts_with("api-key:");
    let form = request.lines().last().filter(|_| request.contains("/oidc/v1/token"));
    let credentials: Vec<&str> = request.lines().filter(is_credential).chain(form).collect();
    *heard.lock().unwrap() += &credentials.join("\n");
    let told = format!("not accepted: {}", credentials.join(" "));
    // Where Databricks says who gives out tokens (OAuth 2.0, RFC 8414).
    let (status, body) = if request.contains("/.well-known/") {
        ("200 OK", json!({"token_endpoint": format!("{base}/token")}))
    } else {
        ("401 Unauthorized", json!({"error": {"message": told, "code": "invalid"}, "message": told, "error_code": "UNAUTHENTICATED"}))
    };
    // Where it exchanges tokens (RFC 6749, section 5.2).
    let (status, body) = match form {
        Some(_) => ("400 Bad Request", json!({"error": "invalid_grant", "error_description": told})),
        None => (status, body),
    };
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes());
}

type Variables = BTreeMap<&'static str, String>;

/// Configurations that the server starts with; together they have every secret.
fn configurations(base: &str) -> Vec<Variables> {
    let plain = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>();
    let flight = plain(&[("FLIGHT_SQL_URL", "http://127.0.0.1:1")]);
    let openai = plain(&[("OPENAI_BASE_URL", &format!("{base}/v1")), ("OPENAI_MODEL", "m")]);
    let azure = plain(&[("AZURE_OPENAI_ENDPOINT", base), ("AZURE_OPENAI_DEPLOYMENT", "d")]);
    let databricks = plain(&[("DATABRICKS_HOST", base), ("DATABRICKS_WAREHOUSE_ID", "w")]);
    let as_the_user = plain(&[
        ("WAREHOUSE_IDENTITY", "user"),
        ("AUTH_MODE", "entra"),
        ("AUTH_CLIENT_ID", "app"),
        ("AUTH_TENANTS", "9a7b330a-a736-51e5-af7f-feaf819cdc9f"),
    ]);
    let with = |plain: &[&[(&'static str, String)]], names: &[&'static str]| -> Variables {
        let secrets = names.iter().map(|name| (*name, canary(name).value));
        plain.concat().into_iter().chain(secrets).collect()
    };
    vec![
        with(&[&flight, &openai], &["FLIGHT_SQL_TOKEN", "OPENAI_API_KEY"]),
        with(&[&databricks, &azure], &["AZURE_OPENAI_API_KEY", "DATABRICKS_TOKEN"]),
        with(&[&databricks], &["DATABRICKS_TOKEN"]),
        with(&[&databricks, &plain(&[("DATABRICKS_CLIENT_ID", "principal")])], &["DATABRICKS_CLIENT_SECRET"]),
        with(&[&flight, &plain(&[("COSMOS_ENDPOINT", base)])], &["COSMOS_KEY", "AzureWebJobsStorage"]),
        with(&[&flight, &plain(&[("AUTH_MODE", "api_key")])], &["API_KEYS"]),
        with(&[&databricks, &as_the_user], &["AUTH_CLIENT_SECRET", "DELEGATION_KEY"]),
        with(&[&flight], &["REDIS_URL"]),
        with(
            &[&flight, &plain(&[("OTEL_EXPORTER_OTLP_ENDPOINT", base)])],
            &["APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_HEADERS"],
        ),
    ]
}

/// Fails when a text has a canary in it.
#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for name in secret_names() {
        for hidden in canary(name).hidden {
            let at = text.find(&hidden);
            let near = at.map(|at| text[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect::<String>());
            assert!(at.is_none(), "{what} has {name} in it, after: …{}", near.unwrap_or_default());
        }
    }
}

fn command(user: &User, arguments: &[&str], variables: &Variables) -> Command {
    let mut command = user.command(arguments);
    command.envs(variables).env("ASKLAKE_LOG", "trace").env("RUST_LOG", "trace").env("MODEL_TIMEOUT_SECONDS", "2");
    command
}

/// Runs a command to its end and returns all that it printed.
fn printed(user: &User, arguments: &[&str], variables: &Variables) -> String {
    let output = command(user, arguments, variables).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A server with its files of output. Dropped, it is killed.
struct Served {
    user: User,
    child: Child,
}

impl Served {
    fn start(arguments: &[&str], variables: &Variables) -> Self {
        let user = User::new();
        let file = |name: &str| File::create(user.folder().join(name)).unwrap();
        let child = command(&user, arguments, variables).stdout(Stdio::from(file("out"))).stderr(Stdio::from(file("err"))).spawn().unwrap();
        Self { user, child }
    }

    fn printed(&self) -> String {
        ["out", "err"].map(|name| String::from_utf8_lossy(&fs::read(self.user.folder().join(name)).unwrap()).into_owned()).concat()
    }

    /// Its address; none when it has ended.
    fn base(&mut self) -> Option<String> {
        within(Duration::from_secs(300), "the server starts or ends", || {
            let printed = self.printed();
            let told = printed.split_once("listens on ").and_then(|(_, rest)| rest.split_once("/ "));
            let logged = printed.split_once(r#""the handler listens","address":""#).and_then(|(_, rest)| rest.split_once('"'));
            let base = told.map(|(base, _)| base.to_owned()).or(logged.map(|(address, _)| format!("http://{address}")));
            let has_ended = self.child.try_wait().unwrap().is_some();
            base.map(Some).or(has_ended.then_some(None))
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks a question and all that can be asked of it with these headers; returns heads and bodies of the answers.
async fn drive(base: &str, headers: &[(&'static str, String)]) -> String {
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect();
    let http = reqwest::Client::builder().default_headers(headers).build().unwrap();
    let mut seen = String::new();
    let mut get = async |path: &str| {
        let response = http.get(format!("{base}{path}")).send().await.unwrap();
        seen += &format!("{:?}\n", response.headers());
        let body = response.text().await.unwrap();
        seen += &body;
        serde_json::from_str::<Value>(&body).unwrap_or_default()
    };
    let question = json!({"question": "What are the top 10 science fiction films?"});
    let started = http.post(format!("{base}/api/chat/start")).json(&question).send().await;
    let started = started.unwrap().text().await.unwrap();
    let id = serde_json::from_str::<Value>(&started).unwrap()["conversation_id"].as_str().unwrap_or("none").to_owned();
    // A turn whose warehouse cannot be reached is tried again for longer than anybody would wait here: a few states are enough.
    let mut after = 0;
    for _ in 0..8 {
        let status = get(&format!("/api/chat/{id}/status?wait=2&after={after}")).await;
        after = status["revision"].as_u64().unwrap_or_default();
        if status["status"] != "processing" {
            break;
        }
    }
    for path in ["/api/ready", "/api/health", "/api/chat/history", "/api/openapi.json", "/"] {
        get(path).await;
    }
    for part in ["messages", "results/1", "status"] {
        get(&format!("/api/chat/{id}/{part}")).await;
    }
    seen + &started
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_server_prints_or_answers_has_a_secret_in_it() {
    let careless = Careless::start();
    let key = canary("OPENAI_API_KEY").value;
    let headers = [("x-api-key", key.clone()), ("authorization", format!("Bearer {key}"))];
    for variables in configurations(&careless.base) {
        let names = format!("{:?}", variables.keys());
        let mut served = Served::start(&["serve", "--listen", "127.0.0.1:0"], &variables);
        if let Some(base) = tokio::task::block_in_place(|| served.base()) {
            assert_clean(&format!("an answer of the server with {names}"), &drive(&base, &headers).await);
        }
        let printed = served.printed();
        assert!(printed.contains("\"level\":\"TRACE\""), "nothing was logged with {names}: {printed}");
        assert_clean(&format!("the log of the server with {names}"), &printed);
    }
    let heard = careless.heard.lock().unwrap().clone();
    for name in ["AZURE_OPENAI_API_KEY", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_TOKEN", "OPENAI_API_KEY"] {
        assert!(canary(name).hidden.iter().any(|hidden| heard.contains(hidden)), "{name} was not sent: the test tries nothing");
    }
}

/// What App Service adds to a request: who asks, and the tokens that it holds for them ("Work with OAuth tokens in Azure App Service
/// authentication").
fn signed_in_by_app_service() -> Vec<(&'static str, String)> {
    let token = canary("OPENAI_API_KEY").value;
    let claims = json!({"auth_typ": "aad", "claims": [{"typ": "access_token", "val": &token}]}).to_string();
    vec![
        ("x-ms-client-principal-id", "7".into()),
        ("x-ms-client-principal-idp", "aad".into()),
        ("x-ms-client-principal", STANDARD.encode(claims)),
        ("x-ms-token-aad-access-token", token.clone()),
        ("cookie", format!("AppServiceAuthSession={token}")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_the_handler_of_a_function_app_prints_or_answers_has_a_secret_in_it() {
    let careless = Careless::start();
    let sign_in = [("AUTH_MODE", "easyauth"), ("WEBSITE_AUTH_ENABLED", "True"), ("FUNCTIONS_CUSTOMHANDLER_PORT", "0")];
    // Together, because the queue that cannot be reached takes its time in each.
    // That of Entra ID's users has a sign-in of its own, which nobody can pass here.
    let configurations = configurations(&careless.base).into_iter().filter(|variables| !variables.contains_key("WAREHOUSE_IDENTITY"));
    let handlers = configurations.map(async |mut variables| {
        variables.extend(sign_in.map(|(name, value)| (name, value.to_owned())));
        variables.insert("AzureWebJobsStorage", canary("AzureWebJobsStorage").value);
        let names = format!("{:?}", variables.keys());
        let mut served = Served::start(&["functions"], &variables);
        let base = tokio::task::block_in_place(|| served.base()).unwrap_or_else(|| panic!("{names}: {}", served.printed()));
        let answers = drive(&base, &signed_in_by_app_service()).await;
        assert!(answers.contains("\"conversations\"") || answers.contains("\"status\":503"), "nobody was let in: {answers}");
        assert_clean(&format!("an answer of the handler with {names}"), &answers);
        let printed = served.printed();
        assert!(printed.contains("\"level\":\"TRACE\""), "nothing was logged with {names}: {printed}");
        assert_clean(&format!("the log of the handler with {names}"), &printed);
    });
    futures_util::future::join_all(handlers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_callers_token_shows_where_its_exchange_is_refused() {
    let (careless, issuer) = (Careless::start(), Issuer::start().await);
    let token = issuer.token("ann");
    let variables = BTreeMap::from(
        [
            ("DATABRICKS_HOST", careless.base.as_str()),
            ("DATABRICKS_WAREHOUSE_ID", "w"),
            ("DATABRICKS_TOKEN", &canary("DATABRICKS_TOKEN").value),
            ("AUTH_MODE", "oidc"),
            ("AUTH_ISSUER", &issuer.name),
            ("AUTH_AUDIENCE", AUDIENCE),
            ("WAREHOUSE_IDENTITY", "user"),
            ("DELEGATION_KEY", &canary("DELEGATION_KEY").value),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    let mut served = Served::start(&["serve", "--listen", "127.0.0.1:0"], &variables);
    let base = tokio::task::block_in_place(|| served.base()).unwrap_or_else(|| panic!("{}", served.printed()));
    let answers = drive(&base, &[("authorization", format!("Bearer {token}"))]).await;
    assert!(answers.contains("/not-represented") && careless.heard.lock().unwrap().contains(&token), "{answers}");
    let signature = token.rsplit('.').next().unwrap();
    for (what, text) in [("an answer", answers), ("the log", served.printed())] {
        assert!(!text.contains(signature), "{what} has the token in it");
        assert_clean(what, &text);
    }
}

#[test]
fn nothing_that_a_command_prints_has_a_secret_in_it() {
    let careless = Careless::start();
    let user = User::new();
    let token = canary("OPENAI_API_KEY").value;
    let ask = BTreeMap::from([("ASKLAKE_TOKEN", token)]);
    assert_clean("ask", &printed(&user, &["ask", "--server", &careless.base, "Which films are there?"], &ask));
    assert_clean("the help of ask", &printed(&user, &["ask", "--help"], &ask));
    for variables in configurations(&careless.base) {
        let text = printed(&user, &["check"], &variables);
        assert!(text.contains("Not everything works") || text.contains("Configuration"), "{text}");
        assert_clean(&format!("check with {:?}", variables.keys()), &text);
    }
}

#[test]
fn no_configuration_error_and_no_debug_output_has_a_secret_in_it() {
    let mut bad: Variables = secret_names().into_iter().map(|name| (name, canary(name).value)).collect();
    bad.insert("MAX_ROWS", "many".into());
    let user = User::new();
    for arguments in [&["check"][..], &["serve"], &["ask", "Which films?"], &["eval", "none.yaml"]] {
        let text = printed(&user, arguments, &bad);
        assert!(text.contains("MAX_ROWS: "), "{arguments:?}: {text}");
        assert_clean(&format!("{arguments:?} with a bad configuration"), &text);
    }
    let read = |variables: &Variables| Config::from_lookup(|name| variables.get(name).cloned());
    assert_clean("the errors of a bad configuration", &format!("{:?}", read(&bad).unwrap_err()));
    for variables in configurations("http://127.0.0.1:1") {
        assert_clean("Debug of a configuration", &format!("{:#?}", read(&variables).unwrap()));
    }
}

#[test]
fn every_secret_has_a_configuration_in_which_it_is_used() {
    let configurations = configurations("http://127.0.0.1:1");
    let unused: Vec<&str> = secret_names().into_iter().filter(|name| !configurations.iter().any(|set| set.contains_key(name))).collect();
    assert!(unused.is_empty() && secret_names().len() >= 8, "{unused:?}");
    let looks_secret = |name: &str| ["_KEY", "_TOKEN", "SECRET", "PASSWORD"].iter().any(|part| name.ends_with(part));
    let plain = VARIABLES.iter().filter(|variable| !variable.is_secret && looks_secret(variable.name)).map(|variable| variable.name);
    assert_eq!(plain.collect::<Vec<_>>(), Vec::<&str>::new(), "named like a secret and not one");
}
