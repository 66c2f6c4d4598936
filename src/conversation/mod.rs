//! The domain: what a conversation is and how it moves. Pure: no async, no I/O, no clock (`now` is an argument).
//!
//! Owns the stored shape of a conversation, its stages and published progress, and the state machine with its budgets.
//! Refuses to know HTTP, SQL text beyond carrying it, and every vendor.

pub mod account;
pub mod caller;
pub mod chart;
pub mod grounding;
pub mod machine;
pub mod model;
pub mod recall;
pub mod requests;
pub mod result;
pub mod retry;
pub mod stage;
pub mod story;
pub mod trace;

pub use account::{Account, Scope};
pub use caller::{Access, Caller, Owner};
pub use chart::Chart;
pub use machine::{Cancellation, Decision, Effect, Outcome, QueryDecision, Transition, apply, effect};
pub use model::{
    Answer, AnswerBasis, Conversation, ConversationId, Delegation, Draft, EndedTurn, ErrorCode, ErrorDetail, Job, JobStatus, LimitSource,
    Lookup, Message, NewConversation, Phase, PublicJobStatus, ResultSummary, Review, Revision, Role, RunId, Spent, Timestamp, ToolCall,
    ToolOutcome, ToolStatus, Usage,
};
pub use recall::{Answered, Recalled, recall};
pub use requests::{Declined, Feedback, FollowUp, KeyedRequest, Rating, RequestKey, cancel, follow_up, note_recompute, rate};
pub use result::{Column, ResultSet};
pub use retry::Budgets;
pub use stage::{Progress, PublicStatus, Stage};
pub use story::{Event, EventKind, story};
pub use trace::TraceParent;
