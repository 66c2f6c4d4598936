//! What a test logs.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;

/// What is logged by this thread for as long as it is kept: a test of one thread sees what its own server logs, and no other's.
pub struct Log {
    lines: Lines,
    _another: tracing::Dispatch,
    _guard: tracing::subscriber::DefaultGuard,
}

/// Where a subscriber writes.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to listen, to everything from info up.
    pub fn begin() -> Self {
        Self::by(|lines| tracing_subscriber::fmt().with_ansi(false).with_writer(lines).finish())
    }

    /// Begins to listen by a subscriber that writes to the lines it is given.
    pub fn by<S: Subscriber + Send + Sync + 'static>(subscriber: impl FnOnce(Lines) -> S) -> Self {
        // With a single subscriber tracing asks the thread that first logs, which may be another test's, whether anybody listens.
        let another = tracing::Dispatch::new(tracing_subscriber::registry());
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(subscriber(lines.clone()));
        Self { lines, _another: another, _guard: guard }
    }

    /// What was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}
