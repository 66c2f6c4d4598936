//! What a test logs.

use std::{
    io,
    sync::{Arc, Mutex},
};

/// What is logged by this thread for as long as it is kept: a test of one thread sees what its own server logs, and no other's.
pub struct Log {
    lines: Lines,
    _another: tracing::Dispatch,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

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
        // With a single subscriber tracing asks the thread that first logs, which may be another test's, whether anybody listens.
        let another = tracing::Dispatch::new(tracing_subscriber::registry());
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        Self { lines, _another: another, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// What was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}
