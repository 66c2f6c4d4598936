//! Ways to run: the standalone server and the custom handler of the Functions host. It owns the process's life: listening, receiving
//! wakes, ending cleanly.

pub mod connections;
pub mod functions;
pub mod standalone;
pub mod worker;

use std::time::Duration;

/// How long open requests and running work have to end after a stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Resolves at SIGINT or SIGTERM, which are listened for from now on.
///
/// # Errors
/// When the signals cannot be listened for.
pub fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
