//! What every adapter of a port must do, as functions over the port: each adapter's tests call them.

pub mod warehouse;
