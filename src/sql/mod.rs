//! SQL on its way to a warehouse: what the lake holds (`catalog`) and which statements may reach it (`guard`).

pub mod catalog;
pub mod guard;

pub use catalog::Catalog;
pub use guard::{Admitted, Guard, Refusal};
