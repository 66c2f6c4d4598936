//! Azurite's queue server, as `make test` installs it: one process, on a free port, with a folder of its own.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The account that every Azurite has, and its key.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Ends Azurite in good order when its input ends. So it also ends when the process that started it is killed, and no test leaves one.
const LEASH: &str = "process.stdin.resume().on('end', () => { process.emit('SIGINT'); setTimeout(() => process.exit(), 3000).unref(); });
require(process.argv[1]);";

/// How long it may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A queue server.
pub struct Azurite {
    port: u16,
    folder: TempDir,
    child: Option<Child>,
}

impl Azurite {
    /// Starts one that is empty, and waits until it answers.
    pub fn launch() -> Self {
        // Somebody else may take the port before Azurite does.
        for _ in 0..3 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut azurite = Self { port, folder: tempfile::tempdir().unwrap(), child: None };
            if azurite.try_start() {
                return azurite;
            }
        }
        panic!("Azurite does not start on any of three free ports");
    }

    /// What a client is configured with.
    pub fn connection_string(&self) -> String {
        format!("DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};QueueEndpoint={}", self.endpoint())
    }

    /// Address of the queue service.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    /// Ends it as an operator does: what it holds is written first.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        drop(child.stdin.take());
        let until = Instant::now() + Duration::from_secs(10);
        while child.try_wait().unwrap().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        end(child);
    }

    /// Starts it again, on the same port with what it held.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs");
        assert!(self.try_start(), "Azurite does not start again on port {}", self.port);
    }

    /// Whether it answers; not when it ended, as it does when the port is taken.
    fn try_start(&mut self) -> bool {
        let mut child = Command::new("node")
            .args(["-e", LEASH])
            .arg(installed())
            .args(["--queueHost", "127.0.0.1", "--queuePort", &self.port.to_string(), "--location"])
            .arg(self.folder.path())
            .args(["--silent", "--disableTelemetry", "--skipApiVersionCheck"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            if answers(self.port) {
                self.child = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        end(child);
        false
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.child.take().map(end);
    }
}

fn end(mut child: Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

fn installed() -> PathBuf {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/azurite/node_modules/azurite/dist/src/queue/main.js");
    assert!(main.is_file(), "{} is missing: `make test` installs Azurite before it runs the tests", main.display());
    main
}

/// Whether something speaks HTTP there.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1)) else {
        return false;
    };
    let mut answer = [0; 5];
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"HTTP/"
}
