//! What the whole machine does when parts of it fail: through the emulated host, against a real queue.
//!
//! After every fault the same is held: whatever got its 202 ends as `completed` or `error` in time, no query is launched twice for one
//! decision, progress and revision never go back, and every stored document can be read.

mod clock;
mod cosmos;
mod delivery;
mod handler;
mod kills;
mod queue;
pub mod watch;
