//! What every adapter of a port has to do, told once and run against each of them.
//!
//! An adapter's test module writes a harness and names it: `store_contract!(fresh)`. A case gets a harness of its own. A harness that
//! cannot run here (its emulator is not installed) is `None` after a message, and its cases are skipped. Time is the harness's: one with
//! a clock of its own moves it, one of a real service sleeps. So a case may demand that something is still there right after less time
//! than it lives, and waits by [`eventually`] for what a service may do late.

pub mod cache;
pub mod limit;
pub mod queue;
pub mod store;
#[cfg(feature = "local")]
pub mod warehouse;

use std::time::{Duration, Instant};

/// How long a case waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks again until the answer is there; fails with `what` after [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes a test of every case named for the harness that `$fresh` makes.
macro_rules! cases {
    ($suite:path, $fresh:path, [$($case:ident),* $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                use $suite as suite;
                if let Some(harness) = $fresh().await {
                    suite::$case(&harness).await;
                }
            }
        )*
    };
}
pub(crate) use cases;
