//! The Cosmos DB emulator: one process for all tests of the binary, which ends with it in whatever way.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// A running emulator.
pub struct Emulator {
    endpoint: String,
    /// Ends when its standard input is closed: at the end of this process at the latest.
    child: Child,
}

impl Emulator {
    /// The one that all tests share. Each uses a container of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Emulator> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One for a single test, which may order faults for all containers of it.
    pub fn start() -> Self {
        Self::listening_on("127.0.0.1:0")
    }

    /// An empty one at the address that another one had.
    pub fn start_at(endpoint: &str) -> Self {
        Self::listening_on(endpoint.trim_start_matches("http://").trim_end_matches('/'))
    }

    fn listening_on(address: &str) -> Self {
        let program = program();
        let mut child = Command::new(&program)
            .args(["--listen", address, "--end-with-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}; `make test` builds it first", program.display()));
        let mut endpoint = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
        assert!(endpoint.starts_with("http://"), "the emulator told no address but {endpoint:?}");
        Self { endpoint: endpoint.trim().to_owned(), child }
    }

    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Orders a fault; see `emulators/cosmos`.
    pub async fn order(&self, fault: Value) {
        let ordered = reqwest::Client::new().post(format!("{}_faults", self.endpoint)).json(&fault).send().await.unwrap();
        assert!(ordered.status().is_success(), "{fault}: {}", ordered.text().await.unwrap());
    }

    /// Operations so far on the items of `database/container`, by kind.
    pub async fn operations(&self, container: &str) -> Value {
        let all = reqwest::get(format!("{}_operations", self.endpoint)).await.unwrap();
        all.json::<Value>().await.unwrap()[container].take()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// `COSMOS_EMULATOR`, else what cargo built beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let beside = || tests.ancestors().nth(2).unwrap().join("cosmos-emulator");
    std::env::var_os("COSMOS_EMULATOR").map_or_else(beside, PathBuf::from)
}
