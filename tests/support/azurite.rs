//! Azurite, a real implementation of Azure Queue Storage: one process for all tests, and an account of its own for each of them, because
//! queue names are constant.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Accounts of one process.
const ACCOUNTS: usize = 200;
/// The key of each of them: base64, as Azurite wants it.
pub const KEY: &str = "YXNrbGFrZSB0ZXN0cyB1c2UgdGhpcyBrZXkgb24gdGhpcyBtYWNoaW5lIG9ubHk=";

/// A process on a port and a folder of its own, which it keeps when it is stopped and started.
#[derive(Debug)]
pub struct Azurite {
    port: u16,
    folder: TempDir,
    process: Mutex<Option<Child>>,
    used: AtomicUsize,
}

impl Azurite {
    /// Starts one.
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let azurite = Self { port, folder, process: Mutex::new(None), used: AtomicUsize::new(0) };
        azurite.resume();
        azurite
    }

    /// The one that all tests of this process share. It ends with this process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Azurite> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The connection string of an account that nobody else has.
    pub fn account(&self) -> String {
        let number = self.used.fetch_add(1, Ordering::SeqCst);
        assert!(number < ACCOUNTS, "Azurite was started with {ACCOUNTS} accounts");
        let port = self.port;
        format!(
            "DefaultEndpointsProtocol=http;AccountName=test{number};AccountKey={KEY};QueueEndpoint=http://127.0.0.1:{port}/test{number};"
        )
    }

    /// Ends it in good order, so that it has written what it holds: a queue of Azure loses nothing either.
    pub fn stop(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
    }

    /// Starts it again, with what it had stored, and waits until it listens.
    pub fn resume(&self) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/azurite/node_modules/azurite/dist/src/queue/main.js");
        assert!(script.exists(), "these tests need Azurite: there is no {}; `make test` installs it first", script.display());
        let accounts: Vec<String> = (0..ACCOUNTS).map(|number| format!("test{number}:{KEY}")).collect();
        // It dies with this process, whatever ends this one: the guard reads a pipe that only this process holds.
        let guard = r#""$@" & node=$!; cat > /dev/null; kill -TERM $node; wait $node"#;
        let child = Command::new("sh")
            .args(["-c", guard, "azurite", "node"])
            .arg(script)
            .args(["--queueHost", "127.0.0.1", "--queuePort", &self.port.to_string(), "--location"])
            .arg(self.folder.path())
            .args(["--silent", "--disableTelemetry", "--skipApiVersionCheck"])
            .env("AZURITE_ACCOUNTS", accounts.join(";"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.process.lock().unwrap() = Some(child);
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "Azurite does not listen on port {}", self.port);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.stop();
    }
}
