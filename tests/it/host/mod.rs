//! The emulator of the Functions host, proven against a toy before anything of asklake runs under it.

mod envelope;
mod front;
mod listener;
mod reply;
mod toy;
