//! Quotas: the ledgers by their contract, and how they hold for clients.

mod book;
mod ledgers;
