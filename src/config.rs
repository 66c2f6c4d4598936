//! Configuration from the environment: read once, every error at once, nothing secret ever printed.
//!
//! Each variable stands in [`VARIABLES`] with its meaning, so that `asklake check` and `docs/configuration.md` cannot miss one.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one who sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {fault}")]
pub struct Error {
    /// Which variable.
    pub variable: &'static str,
    /// What is wrong, and what to do.
    pub fault: String,
}

/// A variable that is read: its name, its default, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What applies when it is not set.
    pub default: &'static str,
    /// One sentence.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning }
}

/// Every variable that is read.
pub const VARIABLES: &[Variable] = &[
    variable("ASKLAKE_DATA_DIR", ".asklake", "Folder of the embedded store and queue."),
    variable("CATALOG_FILE", "the IMDb catalog in the binary", "Catalog file that describes the lake."),
    variable("CATALOG_PROFILE", "chosen by the size of the lake", "Profile of the catalog whose parameters apply."),
    variable("CONVERSATION_TTL_SECONDS", "86400", "How long a conversation and its results live after its last update."),
    variable("CORS_ALLOWED_ORIGINS", "none", "Origins, separated by commas, whose pages may call the API; * admits all."),
    variable("FLIGHT_SQL_TOKEN", "none", "Bearer token for FLIGHT_SQL_URL."),
    variable(
        "FLIGHT_SQL_URL",
        "none",
        "Arrow Flight SQL endpoint to run statements on instead of the local Sail, such as http://host:32010.",
    ),
    variable("LAKE_DIR", "lake", "Folder of the local Parquet lake: one folder per schema, one file or folder per table."),
    variable("MAX_ROWS", "1000", "Rows a query may return at most."),
    variable("QUERY_TIMEOUT_SECONDS", "120", "How long a query may run on Sail or over Flight SQL."),
    variable("SAIL_BIN", ".tools/venv/bin/sail", "The sail command of pysail."),
    variable("SAIL_MEMORY_MIB", "half of the machine's, at most 4096", "Memory the local Sail may use."),
    variable("WORKER_CONCURRENCY", "64", "Conversations worked on at once by the standalone server."),
];

/// Variables of adapters that this version does not have: set, they are an error rather than silently ignored.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("AZURE_OPENAI_ENDPOINT", "Azure OpenAI"),
    ("AzureWebJobsStorage", "Azure Queue Storage"),
    ("AzureWebJobsStorage__queueServiceUri", "Azure Queue Storage"),
    ("COSMOS_ENDPOINT", "Azure Cosmos DB"),
    ("DATABRICKS_HOST", "Databricks"),
    ("DATABRICKS_JOB_ID", "Databricks"),
    ("DATABRICKS_WAREHOUSE_ID", "Databricks"),
    ("OPENAI_BASE_URL", "OpenAI-compatible models"),
    ("REDIS_URL", "Redis"),
];

/// Which warehouse to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warehouse {
    /// A Flight SQL endpoint.
    FlightSql {
        /// Its address.
        url: String,
        /// Its bearer token.
        token: Option<Secret>,
    },
    /// Sail as a child process.
    Sail {
        /// The command.
        binary: PathBuf,
        /// The lake.
        lake: PathBuf,
        /// Memory it may use, in bytes.
        memory_limit: Option<u64>,
    },
}

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Folder of the embedded store and queue.
    pub data_dir: PathBuf,
    /// Catalog file; the one in the binary when absent.
    pub catalog_file: Option<PathBuf>,
    /// Profile of the catalog; chosen by the lake's size when absent.
    pub catalog_profile: Option<String>,
    /// Life of a conversation after its last update.
    pub conversation_ttl: Duration,
    /// Origins that pages may call from.
    pub cors_allowed_origins: Vec<String>,
    /// Which warehouse.
    pub warehouse: Warehouse,
    /// Rows a query may return.
    pub max_rows: u64,
    /// How long a query may run.
    pub query_timeout: Duration,
    /// Conversations worked on at once.
    pub worker_concurrency: usize,
}

impl Config {
    /// Reads the configuration through `lookup`.
    ///
    /// # Errors
    /// Every [`Error`] there is.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Error>> {
        let mut reader = Reader { lookup: &lookup, errors: Vec::new() };
        reader.refuse_unsupported();
        let config = Self {
            data_dir: reader.text("ASKLAKE_DATA_DIR").map_or_else(|| ".asklake".into(), PathBuf::from),
            catalog_file: reader.text("CATALOG_FILE").map(PathBuf::from),
            catalog_profile: reader.text("CATALOG_PROFILE"),
            conversation_ttl: Duration::from_secs(reader.number("CONVERSATION_TTL_SECONDS", 86_400, 1, 31_536_000)),
            cors_allowed_origins: reader.origins("CORS_ALLOWED_ORIGINS"),
            warehouse: reader.warehouse(),
            max_rows: reader.number("MAX_ROWS", 1000, 1, 10_000),
            query_timeout: Duration::from_secs(reader.number("QUERY_TIMEOUT_SECONDS", 120, 1, 1500)),
            worker_concurrency: reader.number("WORKER_CONCURRENCY", 64, 1, 1024),
        };
        if reader.errors.is_empty() { Ok(config) } else { Err(reader.errors) }
    }

    /// Reads the configuration from the environment of this process.
    ///
    /// # Errors
    /// Every [`Error`] there is.
    pub fn from_env() -> Result<Self, Vec<Error>> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}

struct Reader<'a, L> {
    lookup: &'a L,
    errors: Vec<Error>,
}

impl<L: Fn(&str) -> Option<String>> Reader<'_, L> {
    /// The value of a variable; an empty one counts as not set.
    fn text(&self, name: &'static str) -> Option<String> {
        debug_assert!(VARIABLES.iter().any(|variable| variable.name == name), "{name} is documented");
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn fault(&mut self, variable: &'static str, fault: impl Into<String>) {
        self.errors.push(Error { variable, fault: fault.into() });
    }

    fn number<T: FromStr + PartialOrd + fmt::Display + Copy>(&mut self, name: &'static str, default: T, least: T, most: T) -> T {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if number >= least && number <= most => number,
            _ => {
                self.fault(name, format!("{text:?} is not a whole number from {least} to {most}"));
                default
            }
        }
    }

    fn origins(&mut self, name: &'static str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let origins: Vec<String> =
            text.split(',').map(|origin| origin.trim().trim_end_matches('/').to_owned()).filter(|origin| !origin.is_empty()).collect();
        for origin in &origins {
            let is_origin = origin == "*"
                || origin
                    .split_once("://")
                    .is_some_and(|(scheme, host)| matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/'));
            if !is_origin {
                self.fault(name, format!("{origin:?} is not an origin such as https://example.org"));
            }
        }
        origins
    }

    fn warehouse(&mut self) -> Warehouse {
        let memory: u64 = self.number("SAIL_MEMORY_MIB", 0, 256, 1_048_576);
        let token = self.text("FLIGHT_SQL_TOKEN").map(Secret);
        if let Some(url) = self.text("FLIGHT_SQL_URL") {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                self.fault("FLIGHT_SQL_URL", "it must begin with http:// or https://");
            }
            return Warehouse::FlightSql { url, token };
        }
        if token.is_some() {
            self.fault("FLIGHT_SQL_TOKEN", "it is set, but FLIGHT_SQL_URL is not");
        }
        Warehouse::Sail {
            binary: command(self.text("SAIL_BIN").as_deref().unwrap_or(".tools/venv/bin/sail")),
            lake: self.text("LAKE_DIR").map_or_else(|| "lake".into(), PathBuf::from),
            memory_limit: (memory > 0).then_some(memory * 1024 * 1024),
        }
    }

    fn refuse_unsupported(&mut self) {
        for (name, adapter) in UNSUPPORTED {
            if (self.lookup)(name).is_some_and(|value| !value.trim().is_empty()) {
                self.fault(name, format!("this version has no adapter for {adapter}; unset it to use the embedded default"));
            }
        }
        if (self.lookup)("WEBSITE_INSTANCE_ID").is_some() {
            self.fault(
                "WEBSITE_INSTANCE_ID",
                "in Azure an embedded store, queue or warehouse would lose what it holds; this version has no other",
            );
        }
    }
}

/// A path is made absolute, because Sail runs in a folder of its own; a bare name is looked up in `PATH`.
fn command(text: &str) -> PathBuf {
    let path = PathBuf::from(text);
    if path.components().count() == 1 { path } else { std::path::absolute(&path).unwrap_or(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Vec<Error>> {
        Config::from_lookup(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn an_empty_environment_is_a_laptop() {
        let config = read(&[]).expect("defaults are valid");
        assert!(matches!(config.warehouse, Warehouse::Sail { .. }));
        assert_eq!(config.conversation_ttl.as_secs(), 86_400);
    }

    #[test]
    fn every_error_is_reported_at_once() {
        let errors =
            read(&[("MAX_ROWS", "many"), ("FLIGHT_SQL_URL", "host:1"), ("COSMOS_ENDPOINT", "https://x"), ("CORS_ALLOWED_ORIGINS", "here")]);
        let names: Vec<&str> = errors.expect_err("four faults").iter().map(|error| error.variable).collect();
        assert_eq!(names, ["COSMOS_ENDPOINT", "CORS_ALLOWED_ORIGINS", "FLIGHT_SQL_URL", "MAX_ROWS"]);
    }

    #[test]
    fn a_secret_does_not_print() {
        let config = read(&[("FLIGHT_SQL_URL", "http://h"), ("FLIGHT_SQL_TOKEN", "hunter2")]).expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
