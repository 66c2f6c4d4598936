//! oidc-provider, a certified OpenID Connect provider: one process for all tests, which ends with this one.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// What its tokens are for.
pub const AUDIENCE: &str = "urn:asklake";

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    issuer: String,
    process: Child,
}

impl Provider {
    /// The one that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Provider> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join(".tools/oidc");
        assert!(
            folder.join("node_modules").exists(),
            "these tests need oidc-provider: there is no {}; `make test` installs it first",
            folder.display()
        );
        // Its input is a pipe that only this process holds, and its end is the provider's.
        let mut process = Command::new("node")
            .arg(root.join("tests/support/oidc.mjs"))
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut issuer = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut issuer).unwrap();
        assert!(issuer.starts_with("http://127.0.0.1:"), "the provider has not started: {issuer:?}");
        Self { issuer: issuer.trim().to_owned(), process }
    }

    /// Its name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// An access token of a client (ann, bob or support) for [`AUDIENCE`], or for the resource `AUDIENCE:suffix`: `es256` signs with that,
    /// `elsewhere` is another audience.
    pub async fn token(&self, client: &str, suffix: &str, scope: &str) -> String {
        let resource = if suffix.is_empty() { AUDIENCE.to_owned() } else { format!("{AUDIENCE}:{suffix}") };
        let form = format!("grant_type=client_credentials&resource={resource}&scope={scope}");
        let response = reqwest::Client::new()
            .post(format!("{}/token", self.issuer))
            .basic_auth(client, Some(format!("{client}-secret")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .unwrap();
        let body: Value = response.json().await.unwrap();
        body["access_token"].as_str().unwrap_or_else(|| panic!("no token: {body}")).to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}
