//! The rule that decides what a delivered wake means: pure, and shared with the model check in `tests/it/protocol.rs`.
//!
//! Every worker action is fenced by the revision in its wake. A wake may be lost only together with the process that was to
//! send it, and then the message that woke that process is delivered again: *repair* sends the missing wake.
//!
//! Requests commit too. One that begins a turn finds no wake under way, and promises nothing before it has sent its own. One that cancels
//! a running turn makes the wake that is under way an old one and may die before it sends another: so whoever finds a conversation that is
//! being canceled sends the wake again.

use crate::conversation::{Revision, Stage};

/// What a wake for one revision means for a conversation stored at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The wake is for the stored revision: perform the effect.
    Perform,
    /// The conversation has moved on: repair if need be, then acknowledge.
    Advanced,
    /// The read is older than the wake: fail the invocation, the message comes again.
    StaleRead,
}

/// Compares the revision of a wake with the one that was read.
#[must_use]
pub fn fence(wake: Revision, read: Revision) -> Fence {
    match wake.cmp(&read) {
        std::cmp::Ordering::Equal => Fence::Perform,
        std::cmp::Ordering::Less => Fence::Advanced,
        std::cmp::Ordering::Greater => Fence::StaleRead,
    }
}

/// Whether the wake for the stored revision must be sent again before acknowledging a message that is older: an earlier
/// delivery of it (`dequeue_count`) may have died between its commit and its send.
///
/// A repairing wake (`is_repair`) is repaired in turn. A worker that lost its lease goes on to further effects without a
/// message of its own; when it dies, only the repair that the second delivery sent can carry the conversation on, and that
/// one may be older than the worker's last commit by then. The model check finds this history when the flag is ignored.
///
/// A turn that is being canceled (`stage`) was committed by a request: the message at hand may be the only one there is.
#[must_use]
pub fn needs_repair(dequeue_count: u32, is_repair: bool, stage: Stage) -> bool {
    (dequeue_count > 1 || is_repair || stage == Stage::Canceling) && !stage.is_terminal()
}

/// What a refused commit means once the conversation is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Somebody else committed: repair if need be, then acknowledge.
    Overtaken,
    /// The read does not show the other commit yet: fail the invocation, the message comes again.
    StaleRead,
}

/// Compares the revision that a commit was refused over with the one read afterwards.
#[must_use]
pub fn conflict(refused_over: Revision, reread: Revision) -> Conflict {
    if reread > refused_over { Conflict::Overtaken } else { Conflict::StaleRead }
}

/// Deliveries after which a wake for a conversation that cannot be read counts as one for a conversation that is gone
/// (expired or deleted) rather than one that is not visible yet.
pub const DELIVERIES_UNTIL_GONE: u32 = 3;
