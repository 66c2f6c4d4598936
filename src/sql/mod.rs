//! SQL on its way to a warehouse: what the lake holds (`catalog`), what a language model is told of it (`prompt`), which statements
//! may reach it (`guard`) and with what in place of their parameters (`parameters`).

pub mod catalog;
pub mod guard;
pub mod parameters;
pub mod prompt;

pub use catalog::Catalog;
pub use guard::{Admitted, Guard, Refusal};
