//! The Sail process: spawned with what it may know, watched to its end, and ended with us.
//!
//! Owns the child, its output and its scratch folder. Speaks no SQL.
//!
//! The child must not outlive us, and the Functions host ends us with SIGKILL, which runs no code of ours. So a guard, a POSIX shell
//! blocked in `read` on a pipe that only we hold open, is spawned beside it: when the pipe closes, for whatever reason, it kills the
//! child and removes the scratch folder. Before killing it checks that the pid still is the child, by the port in its command line.

use std::{
    collections::VecDeque,
    io,
    os::unix::{fs::DirBuilderExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// `$1` is the pid, `$2` the port, `$3` the scratch folder.
const GUARD: &str = r#"
trap '' HUP INT TERM
read -r _
command=$(tr '\0' ' ' <"/proc/$1/cmdline" || ps -o command= -p "$1")
case "$command" in *"--port $2"*) kill -9 "$1" ;; esac
rm -rf -- "$3"
"#;

/// Lines of output kept for error messages.
const KEPT_LINES: usize = 20;
/// Time for the guard to clean up after the child.
const CLEAN_UP: Duration = Duration::from_secs(5);
/// What the child gets of our environment: none of our secrets. Names ending in `*` are prefixes.
const ENVIRONMENT: [&str; 9] = ["PATH", "HOME", "LANG", "LC_*", "LD_LIBRARY_PATH", "DYLD_*", "VIRTUAL_ENV", "PYTHON*", "SAIL_*"];

/// Why the process is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody else ended it, or it gave up.
    Exited,
    /// It crashed: a query overflowed its stack, or hit a bug.
    Crashed,
    /// It took more memory than it may.
    Memory,
    /// It went on computing a query that was stopped.
    Leftover,
    /// asklake is shutting down.
    Shutdown,
}

/// A running Sail, or one that has stopped. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    request: watch::Sender<Option<Stop>>,
    stopped: watch::Receiver<Option<Stop>>,
    output: Arc<Output>,
}

impl Process {
    /// Starts `binary` as a Flight SQL server on `port` of the loopback, with `settings` in its environment.
    ///
    /// # Errors
    /// The operating system's, when the binary, the guard or the scratch folder cannot be had.
    pub(super) fn spawn(binary: &Path, port: u16, settings: &[(&str, String)], shutdown: CancellationToken) -> io::Result<Self> {
        let scratch = Scratch::make()?;
        let mut child = Command::new(binary)
            .args(["flight", "server", "--ip", "127.0.0.1", "--port", &port.to_string()])
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed_on)))
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            // Times without a zone are UTC, as on Databricks, whatever the machine's zone.
            .env("TZ", "UTC")
            .env("TMPDIR", &scratch.0)
            .current_dir(&scratch.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: Ctrl-C in the terminal is for us, and we end it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process ended at once"))?;
        let guard = Guard::spawn(pid, port, scratch)?;
        let output = Arc::new(Output::default());
        listen(child.stdout.take(), &output);
        listen(child.stderr.take(), &output);
        let (request, requested) = watch::channel(None);
        let (stop, stopped) = watch::channel(None);
        tokio::spawn(async move {
            let why = end(&mut child, requested, shutdown).await;
            guard.finish().await;
            stop.send_replace(Some(why));
        });
        Ok(Self { pid, request, stopped, output })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills the process, unless it has been asked to stop already.
    pub(super) fn stop(&self, why: Stop) {
        self.request.send_if_modified(|request| {
            let is_first = request.is_none();
            request.get_or_insert(why);
            is_first
        });
    }

    /// Whether it runs and is to go on running.
    pub(super) fn is_running(&self) -> bool {
        self.request.borrow().is_none() && self.why_stopped().is_none()
    }

    /// Why the process stopped; absent while it is there.
    pub(super) fn why_stopped(&self) -> Option<Stop> {
        *self.stopped.borrow()
    }

    /// Waits until the process has stopped.
    pub(super) async fn stopped(&self) -> Stop {
        let mut stopped = self.stopped.clone();
        // Without its task, the runtime is shutting down.
        stopped.wait_for(Option::is_some).await.ok().and_then(|why| *why).unwrap_or(Stop::Shutdown)
    }

    /// The last lines it printed.
    pub(super) fn last_lines(&self) -> String {
        let lines = self.output.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

fn is_passed_on(name: &str) -> bool {
    ENVIRONMENT.iter().any(|known| known.strip_suffix('*').map_or(*known == name, |prefix| name.starts_with(prefix)))
}

/// Waits for the end of `child` and brings it about when asked. The child is reaped afterwards.
async fn end(child: &mut Child, mut requested: watch::Receiver<Option<Stop>>, shutdown: CancellationToken) -> Stop {
    let why = tokio::select! {
        status = child.wait() => return unexpected(status),
        // An error means that nobody is left to ask: the engine was dropped.
        request = requested.wait_for(Option::is_some) => request.ok().and_then(|request| *request).unwrap_or(Stop::Shutdown),
        () = shutdown.cancelled() => Stop::Shutdown,
    };
    if let Err(error) = child.kill().await {
        tracing::warn!(%error, "could not kill Sail");
    }
    why
}

fn unexpected(status: io::Result<ExitStatus>) -> Stop {
    tracing::warn!(?status, "Sail ended unexpectedly");
    // Signals that a process brings on itself; 9 and 15 come from others.
    const ILL_ABRT_BUS_FPE_SEGV: [i32; 6] = [4, 6, 7, 8, 10, 11];
    match status.ok().and_then(|status| status.signal()) {
        Some(signal) if ILL_ABRT_BUS_FPE_SEGV.contains(&signal) => Stop::Crashed,
        _ => Stop::Exited,
    }
}

/// A folder for what Sail spills; nobody else's to read. Dropped, it is removed, until the guard sees to that.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Scratch {
    fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("asklake-sail-{}", Uuid::new_v4()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

/// The shell that outlives us for as long as it takes to kill the child.
struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    fn spawn(pid: u32, port: u16, mut scratch: Scratch) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", GUARD, "asklake-guard", &pid.to_string(), &port.to_string()])
            .arg(&scratch.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        // Now it is the guard's.
        scratch.0.clear();
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// The child is dead: lets the guard remove the scratch folder.
    async fn finish(mut self) {
        drop(self.pipe.take());
        if !matches!(tokio::time::timeout(CLEAN_UP, self.shell.wait()).await, Ok(Ok(_))) {
            tracing::warn!("the scratch folder of Sail may be left behind");
        }
    }
}

/// The last lines of output.
#[derive(Debug, Default)]
struct Output(Mutex<VecDeque<String>>);

impl Output {
    fn push(&self, line: String) {
        tracing::debug!(target: "asklake::sail", "{line}");
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

fn listen(stream: Option<impl AsyncRead + Unpin + Send + 'static>, output: &Arc<Output>) {
    let Some(stream) = stream else { return };
    let output = Arc::clone(output);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            output.push(line);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_gets_none_of_our_secrets() {
        for name in ["COSMOS_KEY", "OPENAI_API_KEY", "DATABRICKS_TOKEN", "AWS_SECRET_ACCESS_KEY", "PATHS"] {
            assert!(!is_passed_on(name), "{name}");
        }
        for name in ["PATH", "LC_ALL", "SAIL_EXECUTION__BATCH_SIZE"] {
            assert!(is_passed_on(name), "{name}");
        }
    }
}
