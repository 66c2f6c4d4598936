//! SQL on its way to a warehouse: what the lake holds (`catalog`), what a language model is told of it (`prompt`) and which statements
//! may reach it (`guard`).

pub mod assumptions;
pub mod catalog;
pub mod guard;
mod lake;
pub mod lookup;
pub mod prompt;
pub mod repair;
pub mod similar;

pub use catalog::Catalog;
pub use guard::{Admitted, Guard, Refusal};
pub use lake::Lake;
