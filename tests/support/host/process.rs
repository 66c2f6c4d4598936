//! The handler process: started, probed, restarted when it dies, ended by SIGKILL and by nothing else.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{mpsc, oneshot, watch},
};

use super::wire;

/// How often `GET /` is sent until something answers.
const PROBE_INTERVAL: Duration = Duration::from_millis(25);
/// How long the process has to answer.
const START_LIMIT: Duration = Duration::from_secs(120);

/// What is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// App settings; nothing else of this process's environment is passed on.
    pub settings: Vec<(String, String)>,
    /// `FUNCTIONS_APP_ROOT_PATH`, and where it runs.
    pub root: PathBuf,
}

/// A process that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Its process id.
    pub pid: u32,
    /// 1 for the first process, 2 for the one after it.
    pub generation: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready(Live),
    /// It ended with 0: a real host leaves it at that.
    Gone,
}

/// What the host calls a line of the handler's standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Standard output.
    Information,
    /// Standard error.
    Error,
}

type Logs = Arc<Mutex<Vec<(Level, String)>>>;

struct Kill {
    generation: Option<usize>,
    done: oneshot::Sender<()>,
}

/// The handler, whichever process is it at the moment.
#[derive(Debug)]
pub struct Handler {
    state: watch::Receiver<State>,
    kills: mpsc::UnboundedSender<Kill>,
    logs: Logs,
    supervisor: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Kill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kill({:?})", self.generation)
    }
}

impl Handler {
    /// Starts `launch` and keeps it running.
    pub fn start(launch: Launch) -> Self {
        let (sender, state) = watch::channel(State::Starting);
        let (kills, orders) = mpsc::unbounded_channel();
        let logs = Logs::default();
        let supervisor = tokio::spawn(Supervisor { launch, state: sender, orders, logs: Arc::clone(&logs) }.run());
        Self { state, kills, logs, supervisor }
    }

    /// The process, once it answers.
    pub async fn ready(&self) -> Result<Live, String> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| *state != State::Starting);
        match tokio::time::timeout(START_LIMIT, settled).await {
            Ok(Ok(state)) => match *state {
                State::Ready(live) => Ok(live),
                State::Starting | State::Gone => Err("the handler has ended with exit code 0".to_owned()),
            },
            Ok(Err(_)) => Err("the host is gone".to_owned()),
            Err(_) => Err(format!("no handler answered within {START_LIMIT:?}")),
        }
    }

    /// Sends SIGKILL to the process, or to that of `generation` if it is still the one; returns when it is dead.
    pub async fn kill(&self, generation: Option<usize>) {
        let (done, dead) = oneshot::channel();
        if self.kills.send(Kill { generation, done }).is_ok() {
            let _ = dead.await;
        }
    }

    /// How many processes there have been.
    pub fn generation(&self) -> usize {
        match *self.state.borrow() {
            State::Ready(live) => live.generation,
            State::Starting | State::Gone => 0,
        }
    }

    /// Lines that all processes have written so far.
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.logs.lock().unwrap().clone()
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // The child dies with the task.
        self.supervisor.abort();
    }
}

struct Supervisor {
    launch: Launch,
    state: watch::Sender<State>,
    orders: mpsc::UnboundedReceiver<Kill>,
    logs: Logs,
}

impl Supervisor {
    async fn run(mut self) {
        for generation in 1.. {
            let port = free_port();
            let mut child = self.spawn(port);
            let is_ready = tokio::select! {
                _ = child.wait() => false,
                answered = answers(port) => answered,
            };
            if is_ready {
                self.state.send_replace(State::Ready(Live { port, pid: child.id().unwrap_or(0), generation }));
                self.guard(&mut child, generation).await;
            }
            let _ = child.kill().await;
            if child.wait().await.is_ok_and(|ended| ended.success()) {
                self.state.send_replace(State::Gone);
                let Some(order) = self.orders.recv().await else { return };
                let _ = order.done.send(());
            }
            self.state.send_replace(State::Starting);
            if !is_ready {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    fn spawn(&self, port: u16) -> Child {
        let mut command = Command::new(&self.launch.program);
        command
            .args(&self.launch.arguments)
            .env_clear()
            .envs(self.launch.settings.iter().cloned())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", uuid::Uuid::new_v4().to_string())
            .env("FUNCTIONS_APP_ROOT_PATH", &self.launch.root)
            .current_dir(&self.launch.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.launch.program.display()));
        tokio::spawn(keep_lines(child.stdout.take().unwrap(), Level::Information, Arc::clone(&self.logs)));
        tokio::spawn(keep_lines(child.stderr.take().unwrap(), Level::Error, Arc::clone(&self.logs)));
        child
    }

    /// Returns when the process has died or is to die.
    async fn guard(&mut self, child: &mut Child, generation: usize) {
        loop {
            let order = tokio::select! {
                _ = child.wait() => return,
                order = self.orders.recv() => order,
            };
            let Some(order) = order else { return };
            let is_meant = order.generation.is_none_or(|meant| meant == generation);
            if is_meant {
                let _ = child.kill().await;
                self.state.send_replace(State::Starting);
            }
            let _ = order.done.send(());
            if is_meant {
                return;
            }
        }
    }
}

async fn keep_lines(from: impl AsyncRead + Unpin, level: Level, logs: Logs) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        logs.lock().unwrap().push((level, line));
    }
}

/// Any HTTP answer to `GET /` means ready.
async fn answers(port: u16) -> bool {
    let until = Instant::now() + START_LIMIT;
    while Instant::now() < until {
        let probe = hyper::Request::get("/").header("host", "127.0.0.1").body(wire::empty()).unwrap();
        if matches!(tokio::time::timeout(Duration::from_secs(5), wire::send(port, probe)).await, Ok(Ok(_))) {
            return true;
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
    false
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
