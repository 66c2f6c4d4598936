//! The way to Redis: one connection that all tasks of the process share, made with the first command and made again after a loss.
//!
//! It starts nothing and blocks no start: where Redis is away, a command fails within `LIMIT`. A command is never sent twice by it,
//! because a lost answer does not tell whether Redis has run the command. What the keys mean is for whoever uses it.

use std::{fmt, sync::OnceLock, time::Duration};

use redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// How long connecting may take, and how long an answer may.
const STEP: Duration = Duration::from_millis(500);

/// How long a command may take, connecting included.
const LIMIT: Duration = Duration::from_secs(1);

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be read. It may hold a password, so it is not repeated.
    #[error("the address of Redis must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS")]
    BadAddress,
    /// Redis does not answer in time, or refuses.
    #[error("Redis at {address}: {fault}")]
    Unavailable {
        /// Host and port.
        address: String,
        /// What happened.
        fault: String,
    },
}

/// A Redis server.
pub struct Redis {
    client: Client,
    address: String,
    connection: OnceLock<ConnectionManager>,
}

impl Redis {
    /// The server at `url`. Reaches nothing.
    ///
    /// # Errors
    /// [`Error::BadAddress`].
    pub fn new(url: &str) -> Result<Self, Error> {
        let info = url.into_connection_info().map_err(|_| Error::BadAddress)?;
        let address = info.addr().to_string();
        let client = Client::open(info).map_err(|_| Error::BadAddress)?;
        Ok(Self { client, address, connection: OnceLock::new() })
    }

    /// Runs `command`, once at most.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; whether Redis has run the command is unknown then.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let mut connection = self.connection().map_err(|error| self.unavailable(error))?;
        match tokio::time::timeout(LIMIT, command.query_async(&mut connection)).await {
            Ok(answer) => answer.map_err(|error: RedisError| self.unavailable(error)),
            Err(_) => Err(self.unavailable(format_args!("no answer within {} ms", LIMIT.as_millis()))),
        }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn probe(&self) -> Result<(), Error> {
        self.run(&redis::cmd("PING")).await
    }

    /// Made within a runtime, which its tasks belong to.
    fn connection(&self) -> Result<ConnectionManager, RedisError> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(STEP))
            .set_response_timeout(Some(STEP))
            // The next command tries again; a queue of waiting ones would only fail later.
            .set_number_of_retries(0);
        let made = self.client.get_connection_manager_lazy(config)?;
        Ok(self.connection.get_or_init(|| made).clone())
    }

    fn unavailable(&self, fault: impl fmt::Display) -> Error {
        Error::Unavailable { address: self.address.clone(), fault: fault.to_string() }
    }
}

impl fmt::Debug for Redis {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("address", &self.address).finish_non_exhaustive()
    }
}
