//! Evaluation: comparison, recordings, and the command as a person runs it.

mod command;
mod compare;
mod recorded;
