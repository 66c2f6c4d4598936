//! A Cosmos DB account in memory, over HTTP: the emulator that the Azure SDK for Rust carries for its own tests, behind a server.
//!
//! For tests and laptops only. `cosmos-emulator --listen 127.0.0.1:0` prints its address as one line, such as
//! `http://127.0.0.1:41234/`, and ends at SIGTERM or SIGINT. Any key is accepted. Databases and containers are made through the SDK.
//!
//! What it adds to the SDK's emulator: items that have expired are deleted (`expiry`), operations are counted per container
//! (`GET /_operations`), and faults can be ordered:
//!
//! ```text
//! POST   /_faults   {"kind": "429", "count": 3, "retry_after_ms": 100}
//! GET    /_faults   the faults that are left
//! DELETE /_faults   all is well again
//! ```
//!
//! `kind` is one of
//! - `429`, `503`, `412`: that status, and nothing is done (`412` meets only writes that have an If-Match);
//! - `timeout`: nothing is done, and no answer is given until the client goes away;
//! - `lost`: it is done, but the answer is a 503, as when a connection breaks before the answer is read;
//! - `stale`: a read of an item shows it as it was before its last write (not there, when that made it).
//!
//! `count` (how many operations it meets) and `duration_ms` (for how long) bound it, whichever ends first; with neither it stays until
//! `DELETE`. `on` is `reads`, `writes` or `all` (the default) and `container` a `database/container`; a fault meets only operations on
//! items, never those on the account, databases and containers.
//!
//! It refuses to be a store: what is in it goes with the process.

mod account;
mod expiry;
mod faults;
mod operation;
mod server;

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use tokio::{
    io::AsyncReadExt as _,
    signal::unix::{Signal, SignalKind, signal},
};

/// A Cosmos DB account in memory, for tests and laptops
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// End when standard input is closed, as it is when the process that started this one has ended in whatever way
    #[arg(long)]
    end_with_stdin: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(run(arguments));
    // Waits neither for the thread that reads standard input nor for requests that are never answered.
    runtime.shutdown_background();
    ended
}

#[allow(clippy::print_stdout, reason = "the address is the output of the command")]
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", arguments.listen))?;
    let account = account::Account::at(listener.local_addr()?)?;
    // Before the address is told: whoever knows it may want the end at once.
    let terminate = signal(SignalKind::terminate())?;
    println!("{}", account.endpoint());
    tokio::select! {
        () = server::run(listener, account.clone()) => Ok(()),
        ended = tokio::spawn(expiry::sweep_forever(account)) => ended?,
        ended = told_to_end(terminate, arguments.end_with_stdin) => ended,
    }
}

/// Resolves at SIGINT, at SIGTERM and, if so wished, at the end of standard input.
async fn told_to_end(mut terminate: Signal, end_with_stdin: bool) -> anyhow::Result<()> {
    tokio::select! {
        ended = tokio::signal::ctrl_c() => Ok(ended?),
        _ = terminate.recv() => Ok(()),
        () = stdin_closed(), if end_with_stdin => Ok(()),
    }
}

async fn stdin_closed() {
    let (mut stdin, mut buffer) = (tokio::io::stdin(), [0; 64]);
    while stdin.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}
