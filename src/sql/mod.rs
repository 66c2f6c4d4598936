//! SQL on its way to a warehouse: what the lake holds (`catalog`), what a language model is told of it (`prompt`, `similar`, and
//! `repair` when a statement failed), which statements may reach it (`guard`), the one that finds a value's spelling (`lookup`), and what a
//! statement that ran read (`sources`), assumed (`assumptions`) and follows (`verified`).

pub mod assumptions;
pub mod catalog;
pub mod guard;
mod lake;
pub mod lookup;
pub mod prompt;
pub mod repair;
pub mod similar;
pub mod sources;
pub mod verified;
mod words;

pub use catalog::Catalog;
pub use guard::{Admitted, Guard, Refusal};
pub use lake::Lake;
