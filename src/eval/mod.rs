//! Evaluation: asks a suite of questions as a user would, and compares the rows an answer rests on with those of a statement that is
//! known to be right.
//!
//! Owns the suite file, the comparison, the judgement and the figures. Asks through the use cases like everybody else; only the
//! statements that are known to be right go through guard and warehouse directly. Refuses to print: that is the command's.

pub mod compare;
pub mod figures;
pub mod order;
pub mod report;
pub mod run;
pub mod suite;

pub use report::Report;
pub use run::Bench;
pub use suite::Suite;
