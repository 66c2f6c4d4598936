//! Configuration from the environment: read once, every error at once, nothing secret ever printed.
//!
//! Each variable stands in [`VARIABLES`] with its meaning, so that `asklake check` and `docs/configuration.md` cannot miss one.

mod behalf;
mod quota;
mod reader;
mod sign_in;
mod variables;

use std::{fmt, path::PathBuf, time::Duration};

pub use behalf::{ApplicationProof, Behalf, TokenExchange};
use reader::Reader;
pub use sign_in::{ApiKeySource, Auth, AuthMode, Grants, TokenAuth};
pub use variables::{VARIABLES, Variable};

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

/// Where conversations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// In a file of the data folder.
    Embedded,
    /// In Azure Cosmos DB.
    Cosmos {
        /// Address of the account.
        endpoint: String,
        /// How to sign in there.
        credential: AzureCredential,
        /// Name of the database.
        database: String,
        /// Name of the container.
        container: String,
    },
}

/// How to sign in to Cosmos DB or Azure OpenAI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureCredential {
    /// With a key of the account or resource.
    Key(Secret),
    /// As the identity of the machine.
    ManagedIdentity {
        /// Its client id; absent for the system-assigned one.
        client_id: Option<String>,
    },
}

/// Where wakes are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queue {
    /// To a file of the data folder.
    Embedded,
    /// To Azure Queue Storage by a connection string.
    ConnectionString(Secret),
    /// To Azure Queue Storage as the identity of the machine.
    ManagedIdentity {
        /// Address of the queue service.
        service_uri: String,
        /// Its client id; absent for the system-assigned one.
        client_id: Option<String>,
    },
}

/// Who decides on queries and writes answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// The planner in the binary, which is no language model.
    Offline,
    /// A deployment of Azure OpenAI.
    AzureOpenAi {
        /// Address of the resource, without a path.
        endpoint: String,
        /// Name of the deployment.
        deployment: String,
        /// Version of the API; `v1` for the path without versions.
        api_version: String,
        /// How to sign in there.
        credential: AzureCredential,
    },
    /// A model on a server with OpenAI's API.
    OpenAi {
        /// What stands before `/chat/completions`.
        base_url: String,
        /// Name of the model.
        model: String,
        /// Its key.
        key: Option<Secret>,
    },
}

/// How to sign in to Databricks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabricksCredential {
    /// With a personal access token.
    Token(Secret),
    /// As a service principal.
    ServicePrincipal {
        /// Its application id.
        client_id: String,
        /// Its OAuth secret.
        client_secret: Secret,
    },
    /// As the identity of the machine.
    ManagedIdentity {
        /// Its client id; absent for the system-assigned one.
        client_id: Option<String>,
    },
}

/// What a call of a language model may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCall {
    /// Time of one call, with all that is sent again.
    pub timeout: Duration,
    /// Sampling temperature in hundredths.
    pub temperature_hundredths: u16,
    /// Tokens of one reply.
    pub max_tokens: u32,
    /// Whether the answer is asked for as JSON of a schema.
    pub structured_answer: bool,
    /// For how much of a model the prompt is written.
    pub profile: ModelProfile,
}

/// For how much of a language model the prompt is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelProfile {
    /// One that follows written rules.
    Large,
    /// One that follows examples.
    Small,
    /// Any, told of nothing but tables and columns: what `eval --baseline` measures. No variable asks for it.
    Plain,
}

/// What of a Databricks workspace runs statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabricksCompute {
    /// A SQL warehouse.
    SqlWarehouse {
        /// Its id.
        id: String,
        /// Where tables without a catalog are looked up.
        catalog: Option<String>,
        /// Where tables without a schema are looked up.
        schema: Option<String>,
    },
    /// A job with a notebook.
    Job {
        /// Its id.
        id: u64,
        /// How the statement reaches the notebook.
        parameter: DatabricksParameter,
    },
}

/// How a statement reaches the notebook of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabricksParameter {
    /// As a parameter of the job.
    Job,
    /// As a parameter of the notebook.
    Notebook,
}

/// Who may be given an answer that was made for somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheScope {
    /// Everybody.
    App,
    /// Nobody.
    Principal,
}

/// What one account may use; none where it is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UseLimits {
    /// Requests in a minute.
    pub requests_per_minute: Option<u64>,
    /// Questions that are being answered.
    pub questions_at_once: Option<u64>,
    /// Questions in a day.
    pub questions_per_day: Option<u64>,
    /// Tokens in a day that models read and write.
    pub tokens_per_day: Option<u64>,
    /// Seconds in a day that queries run.
    pub warehouse_seconds_per_day: Option<u64>,
}

/// What may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// By each principal.
    pub principal: UseLimits,
    /// By each client address.
    pub address: UseLimits,
    /// By all together.
    pub app: UseLimits,
    /// Whether everything is admitted while the ledger does not answer; else nothing is.
    pub fails_open: bool,
    /// Proxies before the server, each of which tells whom it saw.
    pub trusted_proxies: usize,
}

/// Which warehouse to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warehouse {
    /// A Databricks workspace.
    Databricks {
        /// Its address.
        host: String,
        /// How to sign in there.
        credential: DatabricksCredential,
        /// What runs statements there.
        compute: DatabricksCompute,
    },
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

/// Where telemetry goes, and what may be in it. Sampler, headers and limits are read by the OpenTelemetry SDK from its own variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Whether it goes to the collector at `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub otlp: bool,
    /// The Application Insights resource that it goes to.
    pub application_insights: Option<ApplicationInsights>,
    /// What this service is called there.
    pub service_name: String,
    /// Whether spans may have the text of questions, SQL, rows and answers.
    pub tells_content: bool,
}

/// An Application Insights resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationInsights {
    /// Its connection string: where it is, and its key.
    pub connection: Secret,
    /// What it lets this in by.
    pub credential: InsightsCredential,
}

/// What Application Insights lets somebody in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsightsCredential {
    /// The key in the connection string.
    InstrumentationKey,
    /// A token of the managed identity: of the one that the system assigned where there is no id.
    ManagedIdentity {
        /// Which one.
        client_id: Option<String>,
    },
}

impl Telemetry {
    /// Reads it from the environment of this process, as it is needed before anything else. What is wrong with it is for
    /// [`Config::from_env`] to report.
    #[must_use]
    pub fn from_env() -> Self {
        Reader { lookup: &|name: &str| std::env::var(name).ok(), errors: Vec::new() }.telemetry()
    }

    /// Nothing goes anywhere.
    #[must_use]
    pub fn off() -> Self {
        Reader { lookup: &|_: &str| None, errors: Vec::new() }.telemetry()
    }
}

/// The folder of the embedded store and queue, where none is named.
pub const DATA_DIR: &str = ".asklake";

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
    /// Where conversations are kept.
    pub store: Store,
    /// Where wakes are sent.
    pub queue: Queue,
    /// Who decides and answers.
    pub model: Model,
    /// What a call of it may use, unless it is offline.
    pub model_call: ModelCall,
    /// Whether answers from what a model remembers are refused.
    pub data_only: bool,
    /// Which warehouse.
    pub warehouse: Warehouse,
    /// How queries come to run in the name of whoever asks; none where they run as asklake.
    pub behalf: Option<Behalf>,
    /// How old an answer may be that is given again; none where each is made anew.
    pub cache_ttl: Option<Duration>,
    /// Who may be given an answer that was made for somebody else.
    pub cache_scope: CacheScope,
    /// What instances share; none where each is by itself.
    pub redis_url: Option<Secret>,
    /// Rows a query may return.
    pub max_rows: u64,
    /// How long a query may run.
    pub query_timeout: Duration,
    /// Conversations worked on at once.
    pub worker_concurrency: usize,
    /// Who may ask.
    pub auth: Auth,
    /// What they may use.
    pub quotas: Quotas,
    /// Where telemetry goes.
    pub telemetry: Telemetry,
}

impl Config {
    /// Reads the configuration through `lookup`.
    ///
    /// # Errors
    /// Every [`Error`] there is.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Error>> {
        let mut reader = Reader { lookup: &lookup, errors: Vec::new() };
        let model = reader.model();
        let auth = reader.auth();
        let warehouse = reader.warehouse();
        let behalf = reader.behalf(&auth, &warehouse);
        let config = Self {
            data_dir: reader.text("ASKLAKE_DATA_DIR").map_or_else(|| DATA_DIR.into(), PathBuf::from),
            catalog_file: reader.text("CATALOG_FILE").map(PathBuf::from),
            catalog_profile: reader.text("CATALOG_PROFILE"),
            conversation_ttl: Duration::from_secs(reader.number("CONVERSATION_TTL_SECONDS", 86_400, 1, 31_536_000)),
            cors_allowed_origins: reader.origins("CORS_ALLOWED_ORIGINS"),
            store: reader.store(),
            queue: reader.queue(),
            model_call: reader.model_call(&model),
            cache_ttl: Some(reader.number("CACHE_TTL_SECONDS", 900, 0, 86_400)).filter(|ttl| *ttl > 0).map(Duration::from_secs),
            cache_scope: reader.cache_scope(behalf.is_some()),
            redis_url: reader.redis_url(),
            data_only: reader.flag("DATA_ONLY"),
            model,
            warehouse,
            behalf,
            max_rows: reader.number("MAX_ROWS", 1000, 1, 10_000),
            query_timeout: Duration::from_secs(reader.number("QUERY_TIMEOUT_SECONDS", 120, 1, 1500)),
            worker_concurrency: reader.number("WORKER_CONCURRENCY", 64, 1, 1024),
            quotas: reader.quotas(&auth),
            auth,
            telemetry: reader.telemetry(),
        };
        reader.refuse_embedded_in_azure(&config.store, &config.queue, &config.warehouse);
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
            read(&[("MAX_ROWS", "many"), ("FLIGHT_SQL_URL", "host:1"), ("COSMOS_ENDPOINT", "x"), ("CORS_ALLOWED_ORIGINS", "here")]);
        let names: Vec<&str> = errors.expect_err("four faults").iter().map(|error| error.variable).collect();
        assert_eq!(names, ["FLIGHT_SQL_URL", "CORS_ALLOWED_ORIGINS", "COSMOS_ENDPOINT", "MAX_ROWS"]);
    }

    #[test]
    fn quotas_are_off_unless_they_are_set_and_refused_where_nobody_would_be_counted() {
        assert_eq!(read(&[]).expect("valid").quotas.app, UseLimits::default());
        let quotas = read(&[("QUOTA_ADDRESS_QUESTIONS_AT_ONCE", "2"), ("QUOTA_APP_TOKENS_PER_DAY", "")]).expect("valid").quotas;
        assert_eq!(quotas.address, UseLimits { questions_at_once: Some(2), ..UseLimits::default() });
        assert_eq!((quotas.app.tokens_per_day, quotas.fails_open), (None, true));
        let names =
            |pairs: &[(&str, &str)]| -> Vec<&str> { read(pairs).expect_err("a fault").iter().map(|error| error.variable).collect() };
        assert_eq!(names(&[("QUOTA_PRINCIPAL_QUESTIONS_PER_DAY", "5")]), ["QUOTA_PRINCIPAL_QUESTIONS_PER_DAY"]);
        assert_eq!(names(&[("QUOTA_FAILS", "half")]), ["QUOTA_FAILS"]);
        let in_azure = names(&[("WEBSITE_INSTANCE_ID", "i"), ("QUOTA_ADDRESS_QUESTIONS_PER_DAY", "5"), ("ALLOW_ANONYMOUS", "1")]);
        assert!(in_azure.contains(&"QUOTA_ADDRESS_QUESTIONS_PER_DAY"), "{in_azure:?}");
    }

    #[test]
    fn a_quota_of_0_is_refused_rather_than_taken_for_none() {
        for (name, value) in [("QUOTA_APP_TOKENS_PER_DAY", "0"), ("QUOTA_ADDRESS_QUESTIONS_AT_ONCE", " 00 ")] {
            let errors = read(&[(name, value)]).expect_err("a fault");
            assert_eq!(errors.iter().map(|error| error.variable).collect::<Vec<_>>(), [name]);
            assert!(errors[0].fault.contains("unset it for no limit"), "{errors:?}");
        }
        for value in ["-1", "1001", "two"] {
            let errors = read(&[("QUOTA_APP_QUESTIONS_AT_ONCE", value)]).expect_err("a fault");
            assert!(errors.len() == 1 && errors[0].fault.contains("from 1 to 1000"), "{errors:?}");
        }
    }

    #[test]
    fn redis_is_named_by_an_address_that_is_never_told() {
        let config = read(&[("REDIS_URL", "rediss://:hunter2@h:6380")]).expect("valid");
        assert_eq!(config.redis_url.as_ref().map(Secret::expose), Some("rediss://:hunter2@h:6380"));
        assert!(!format!("{config:?}").contains("hunter2"));
        let errors = read(&[("REDIS_URL", "h:6380,password=hunter2")]).expect_err("a fault");
        assert_eq!(errors.iter().map(|error| error.variable).collect::<Vec<_>>(), ["REDIS_URL"]);
        assert!(!format!("{errors:?}").contains("hunter2"));
    }

    #[test]
    fn application_insights_is_sent_a_key_or_tokens_of_an_identity() {
        let name = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING";
        let credential = |text: &str| -> Result<InsightsCredential, Vec<Error>> {
            let config = read(&[("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=k"), (name, text)])?;
            Ok(config.telemetry.application_insights.expect("configured").credential)
        };
        let identity = |client_id: Option<&str>| InsightsCredential::ManagedIdentity { client_id: client_id.map(str::to_owned) };
        assert_eq!(credential("").expect("valid"), InsightsCredential::InstrumentationKey);
        assert_eq!(credential("Authorization=AAD").expect("valid"), identity(None));
        assert_eq!(credential("ClientId=i;Authorization=AAD").expect("valid"), identity(Some("i")));
        assert_eq!(credential("authorization=AAD;clientid=i").expect("valid"), identity(Some("i")));
        for wrong in [
            "AAD",
            "ClientId=AAD0",
            "ClientId=i",
            "ClientId=;Authorization=AAD",
            "ClientId=i;ClientId=j;Authorization=AAD",
            "Key=k;Authorization=AAD",
        ] {
            let errors = credential(wrong).expect_err(wrong);
            assert_eq!(errors.iter().map(|error| error.variable).collect::<Vec<_>>(), [name], "{wrong}");
        }
    }

    const HOST: (&str, &str) = ("DATABRICKS_HOST", "adb-1.2.azuredatabricks.net/");
    const WAREHOUSE: (&str, &str) = ("DATABRICKS_WAREHOUSE_ID", "abc");

    #[test]
    fn databricks_is_signed_in_to_by_token_as_a_service_principal_or_as_the_identity_of_the_machine() {
        let credential = |pairs: &[(&str, &str)]| match read(&[&[HOST, WAREHOUSE], pairs].concat()).expect("valid").warehouse {
            Warehouse::Databricks { host, credential, .. } if host == "https://adb-1.2.azuredatabricks.net" => credential,
            other => panic!("{other:?}"),
        };
        let identity = |client_id: Option<&str>| DatabricksCredential::ManagedIdentity { client_id: client_id.map(str::to_owned) };
        assert_eq!(credential(&[]), identity(None));
        assert_eq!(credential(&[("AZURE_CLIENT_ID", "i")]), identity(Some("i")));
        assert_eq!(credential(&[("DATABRICKS_TOKEN", "t")]), DatabricksCredential::Token(Secret("t".into())));
        assert_eq!(
            credential(&[("DATABRICKS_CLIENT_ID", "p"), ("DATABRICKS_CLIENT_SECRET", "s")]),
            DatabricksCredential::ServicePrincipal { client_id: "p".into(), client_secret: Secret("s".into()) }
        );
    }

    #[test]
    fn a_sql_warehouse_is_preferred_to_a_job() {
        let compute = |pairs: &[(&str, &str)]| match read(&[&[HOST], pairs].concat()).expect("valid").warehouse {
            Warehouse::Databricks { compute, .. } => compute,
            other => panic!("{other:?}"),
        };
        let job = |parameter| DatabricksCompute::Job { id: 7, parameter };
        let (id, older) = (("DATABRICKS_JOB_ID", "7"), ("DATABRICKS_JOB_PARAMETER", "notebook_params"));
        assert!(matches!(compute(&[WAREHOUSE, id]), DatabricksCompute::SqlWarehouse { .. }));
        assert_eq!(compute(&[id]), job(DatabricksParameter::Job));
        assert_eq!(compute(&[id, older]), job(DatabricksParameter::Notebook));
    }

    #[test]
    fn half_a_configuration_of_databricks_is_an_error() {
        let faults =
            |pairs: &[(&str, &str)]| -> Vec<&str> { read(pairs).expect_err("a fault").iter().map(|error| error.variable).collect() };
        assert_eq!(faults(&[HOST]), ["DATABRICKS_WAREHOUSE_ID"]);
        assert_eq!(faults(&[WAREHOUSE]), ["DATABRICKS_WAREHOUSE_ID"]);
        assert_eq!(faults(&[HOST, WAREHOUSE, ("DATABRICKS_CLIENT_ID", "p")]), ["DATABRICKS_CLIENT_SECRET"]);
        assert_eq!(faults(&[HOST, WAREHOUSE, ("DATABRICKS_CLIENT_SECRET", "s")]), ["DATABRICKS_CLIENT_ID"]);
        assert_eq!(faults(&[HOST, ("DATABRICKS_JOB_ID", "seven")]), ["DATABRICKS_JOB_ID"]);
        assert_eq!(faults(&[HOST, ("DATABRICKS_JOB_ID", "7"), ("DATABRICKS_JOB_PARAMETER", "x")]), ["DATABRICKS_JOB_PARAMETER"]);
        assert_eq!(faults(&[HOST, WAREHOUSE, ("FLIGHT_SQL_URL", "http://h")]), ["FLIGHT_SQL_URL"]);
    }

    #[test]
    fn cosmos_is_signed_in_to_by_key_or_as_the_identity_of_the_machine() {
        let store = |pairs: &[(&str, &str)]| read(pairs).expect("valid").store;
        let cosmos = |credential| Store::Cosmos {
            endpoint: "https://c".into(),
            credential,
            database: "imdb_chat".into(),
            container: "conversations".into(),
        };
        assert_eq!(store(&[("COSMOS_ENDPOINT", "https://c"), ("COSMOS_KEY", "k")]), cosmos(AzureCredential::Key(Secret("k".into()))));
        let identity = |client_id: Option<&str>| cosmos(AzureCredential::ManagedIdentity { client_id: client_id.map(str::to_owned) });
        assert_eq!(store(&[("COSMOS_ENDPOINT", "https://c")]), identity(None));
        assert_eq!(store(&[("COSMOS_ENDPOINT", "https://c"), ("AZURE_CLIENT_ID", "i")]), identity(Some("i")));
        assert!(read(&[("COSMOS_KEY", "k")]).is_err(), "a key for nothing");
    }

    #[test]
    fn the_queue_is_the_one_the_functions_host_reads() {
        let queue = |pairs: &[(&str, &str)]| read(pairs).expect("valid").queue;
        let identity = |client_id: Option<&str>| Queue::ManagedIdentity {
            service_uri: "https://a.queue.core.windows.net".into(),
            client_id: client_id.map(str::to_owned),
        };
        assert_eq!(queue(&[]), Queue::Embedded);
        assert_eq!(
            queue(&[("AzureWebJobsStorage", "UseDevelopmentStorage=true")]),
            Queue::ConnectionString(Secret("UseDevelopmentStorage=true".into()))
        );
        assert_eq!(queue(&[("AzureWebJobsStorage__accountName", "a")]), identity(None));
        let uri = ("AzureWebJobsStorage__queueServiceUri", "https://a.queue.core.windows.net");
        assert_eq!(queue(&[uri, ("AZURE_CLIENT_ID", "i")]), identity(Some("i")));
        assert_eq!(queue(&[uri, ("AZURE_CLIENT_ID", "i"), ("AzureWebJobsStorage__clientId", "j")]), identity(Some("j")));
    }

    #[test]
    fn a_model_is_on_azure_or_on_a_server_and_signed_in_to_by_key_or_identity() {
        let model = |pairs: &[(&str, &str)]| read(pairs).expect("valid").model;
        let azure = [("AZURE_OPENAI_ENDPOINT", "https://n.openai.azure.com/openai/v1/"), ("AZURE_OPENAI_DEPLOYMENT", "d")];
        let on_azure = |api_version: &str, credential| Model::AzureOpenAi {
            endpoint: "https://n.openai.azure.com".into(),
            deployment: "d".into(),
            api_version: api_version.into(),
            credential,
        };
        let identity = AzureCredential::ManagedIdentity { client_id: Some("i".into()) };
        assert_eq!(model(&[azure[0], azure[1], ("AZURE_CLIENT_ID", "i")]), on_azure("v1", identity));
        let key = AzureCredential::Key(Secret("k".into()));
        let older = ("AZURE_OPENAI_ENDPOINT", "https://n.openai.azure.com/");
        assert_eq!(model(&[older, azure[1], ("AZURE_OPENAI_API_KEY", "k")]), on_azure("2024-10-21", key));

        let server = [("OPENAI_BASE_URL", "http://localhost:11434/v1/"), ("OPENAI_MODEL", "m")];
        let expected = Model::OpenAi { base_url: "http://localhost:11434/v1".into(), model: "m".into(), key: None };
        assert_eq!(model(&server), expected);
        assert_eq!(model(&[("OPENAI_API_KEY", "k")]), Model::Offline, "many have that key set for other programs");
        assert!(!read(&server).expect("valid").model_call.structured_answer, "not every server takes a schema together with tools");

        for (pairs, variable) in [
            (&[azure[0]][..], "AZURE_OPENAI_DEPLOYMENT"),
            (&[azure[1]], "AZURE_OPENAI_DEPLOYMENT"),
            (&[server[0]], "OPENAI_MODEL"),
            (&[server[1]], "OPENAI_MODEL"),
            (&[azure[0], azure[1], server[0], server[1]], "OPENAI_BASE_URL"),
            (&[server[0], server[1], ("MODEL_TEMPERATURE", "warm")], "MODEL_TEMPERATURE"),
            (&[server[0], server[1], ("MODEL_ANSWER_FORMAT", "xml")], "MODEL_ANSWER_FORMAT"),
        ] {
            let faults = read(pairs).expect_err("a fault");
            assert_eq!(faults.iter().map(|fault| fault.variable).collect::<Vec<_>>(), [variable], "{pairs:?}");
        }
    }

    #[test]
    fn in_azure_nothing_may_be_embedded() {
        let errors = read(&[("WEBSITE_INSTANCE_ID", "1")]).expect_err("four faults");
        let names: Vec<&str> = errors.iter().map(|error| error.variable).collect();
        assert_eq!(names, ["AUTH_MODE", "COSMOS_ENDPOINT", "AzureWebJobsStorage", "DATABRICKS_HOST"]);
        let cloud = [
            ("WEBSITE_INSTANCE_ID", "1"),
            ("COSMOS_ENDPOINT", "https://c"),
            ("AzureWebJobsStorage__accountName", "a"),
            ("FLIGHT_SQL_URL", "https://f"),
            ("ALLOW_ANONYMOUS", "1"),
        ];
        assert!(read(&cloud).is_ok());
    }

    #[test]
    fn a_secret_does_not_print() {
        let config = read(&[("FLIGHT_SQL_URL", "http://h"), ("FLIGHT_SQL_TOKEN", "hunter2")]).expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"));
        let config = read(&[HOST, WAREHOUSE, ("DATABRICKS_TOKEN", "hunter2")]).expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
