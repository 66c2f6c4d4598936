//! The managed identity against an endpoint like that of App Service, which its environment names: so each test asks in a process of its
//! own, which is this one's program again.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::json;

/// Tells the child from the parent, and which client id to use.
const CHILD: &str = "ASKLAKE_TEST_IDENTITY";

/// Answers every request with a token that lives for `life` seconds, and returns the request lines and secrets it saw.
pub fn endpoint(life: u64) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/msi/token", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(vec![]));
    let requests = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let secret = head.iter().find(|line| line.to_lowercase().starts_with("x-identity-header")).cloned().unwrap_or_default();
            requests.lock().unwrap().push(format!("{} {secret}", head[0]));
            let expires_on = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + life;
            let token = json!({
                "access_token": "the-token", "expires_on": expires_on.to_string(), "resource": "r", "token_type": "Bearer",
            });
            let body = token.to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
            write!(stream, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    (address, seen)
}

/// What the endpoint saw of a process that asks as `client_id` ("" for none) many times, at once and one after the other.
fn seen_of(client_id: &str, life: u64) -> Vec<String> {
    let (address, seen) = endpoint(life);
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "azure_identity::asks_many_times", "--nocapture"])
        .env(CHILD, client_id)
        .env("IDENTITY_ENDPOINT", address)
        .env("IDENTITY_HEADER", "the-secret")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    seen.lock().unwrap().clone()
}

/// The other process. In this one there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_many_times() {
    let Ok(client_id) = std::env::var(CHILD) else { return };
    let identity = asklake::azure::managed_identity(Some(client_id.as_str()).filter(|id| !id.is_empty())).unwrap();
    let asking = (0..20).map(|_| {
        let identity = Arc::clone(&identity);
        tokio::spawn(async move { identity.get_token(&["https://storage.azure.com/.default"], None).await })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap().unwrap().token.secret(), "the-token");
    }
    for _ in 0..3 {
        identity.get_token(&["https://storage.azure.com/.default"], None).await.unwrap();
    }
}

#[test]
fn a_token_is_asked_for_once_and_kept() {
    let seen = seen_of("the-client", 3600);
    assert_eq!(seen.len(), 1, "{seen:?}");
    for part in ["GET /msi/token?", "resource=https%3A%2F%2Fstorage.azure.com&", "client_id=the-client", "x-identity-header: the-secret"] {
        assert!(seen[0].contains(part), "{part}: {seen:?}");
    }
}

#[test]
fn the_identity_of_the_system_has_no_client_id() {
    let seen = seen_of("", 3600);
    assert!(seen.len() == 1 && !seen[0].contains("client_id"), "{seen:?}");
}

#[test]
fn a_token_is_replaced_before_it_expires() {
    let seen = seen_of("", 200);
    assert_eq!(seen.len(), 23, "with less than 5 minutes left it is not used again");
}
