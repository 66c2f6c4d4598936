//! SQL on its way to a warehouse: what the lake holds (`catalog`), what a language model is told of it (`prompt`) and which statements
//! may reach it (`guard`).

pub mod catalog;
pub mod guard;
pub mod prompt;

pub use catalog::Catalog;
pub use guard::{Admitted, Guard, Refusal};
