//! The composition root: builds the ports from the configuration. The only file that names concrete adapters.

use std::{fmt::Write, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};

use crate::{
    cache::{Cache, memory::MemoryCache, redis::RedisCache},
    config::{self, Config},
    conversation::Budgets,
    http,
    limit::{Ledger, Limits, redis::RedisLedger},
    model::{
        Model,
        offline::Planner,
        openai::{self, AnswerFormat, Authentication, Endpoint, OpenAi},
    },
    queue::{Receiver, Sender},
    redis::Redis,
    runtime::{connections, worker},
    service::{Fails, Policy, Ports, Quotas, Recall, Scope, Service, Settings},
    sql::{Catalog, Guard, Lake, catalog::Fault, prompt::Profile},
    store::Store,
    warehouse::{
        Warehouse,
        behalf::OnBehalf,
        flight::{self, FlightSql},
    },
};
#[cfg(feature = "local")]
use crate::{eval::Bench, model::recorded::Recorded as RecordedModel, tape::Tape, warehouse::recorded::Recorded as RecordedWarehouse};

/// Everything a way to run needs.
pub struct App {
    /// The use cases.
    pub service: Service,
    /// Where the standalone server receives wakes.
    pub receiver: Arc<dyn Receiver>,
    /// How it receives them.
    pub worker: worker::Settings,
    /// What HTTP is told.
    pub http: http::Settings,
    /// What clients may take of the connections.
    pub limits: connections::Limits,
}

impl App {
    /// Builds the ports that `config` asks for, and the service whose steps take `times` at most: a longer time of the model in `config`
    /// is cut. Opens the embedded file; starts and reaches nothing else.
    ///
    /// # Errors
    /// When the catalog has faults, an adapter is not in this build, or the embedded file cannot be opened.
    pub fn build(config: &Config, times: Settings) -> anyhow::Result<Self> {
        Ok(Self::assemble(config, times, |model, warehouse| (model, warehouse))?.0)
    }

    /// Builds what `config` asks for, but with model and warehouse behind a tape, and with an embedded store and queue that are gone
    /// with the bench; and with it what an evaluation needs.
    ///
    /// # Errors
    /// As [`App::build`].
    #[cfg(feature = "local")]
    pub fn evaluated(config: &Config, times: Settings, tape: Tape) -> anyhow::Result<(Self, Bench)> {
        let tape = Arc::new(tape);
        let folder = tempfile::Builder::new().prefix("asklake-eval-").tempdir()?;
        let mut config = config.clone();
        (config.store, config.queue, config.data_dir) = (config::Store::Embedded, config::Queue::Embedded, folder.path().to_owned());
        let (app, Parts { lake, warehouse }) = Self::assemble(&config, times, |model, warehouse| {
            (
                Arc::new(RecordedModel::new(model, Arc::clone(&tape))) as _,
                Arc::new(RecordedWarehouse::new(warehouse, Arc::clone(&tape))) as _,
            )
        })?;
        let service = app.service.clone();
        Ok((app, Bench { service, lake, warehouse, tape, folder }))
    }

    fn assemble(
        config: &Config,
        times: Settings,
        wrap: impl FnOnce(Arc<dyn Model>, Arc<dyn Warehouse>) -> (Arc<dyn Model>, Arc<dyn Warehouse>),
    ) -> anyhow::Result<(Self, Parts)> {
        let catalog = Arc::new(catalog(config)?);
        let lake = Lake::new(Arc::clone(&catalog), config.max_rows);
        check_queries(&catalog, &lake.guard)?;
        let redis = config.redis_url.as_ref().map(|url| Redis::new(url.expose()).context("REDIS_URL").map(Arc::new)).transpose()?;
        let (Storage { store, sender, receiver, ledger }, times) = storage(config, redis.as_ref(), times)?;
        // The model keeps to its time by itself, and knows better what took it.
        let model_timeout = times.model_timeout.min(config.model_call.timeout + MODEL_GRACE);
        let model = model(config, model_timeout.saturating_sub(MODEL_GRACE), &catalog)?;
        let (model, warehouse) = wrap(model, warehouse(config, &catalog)?);
        let ports = Ports { store, wakes: sender, model, warehouse: Arc::clone(&warehouse) };
        let advises = config.model_call.profile != config::ModelProfile::Plain;
        // The others stop a query themselves, counting from the moment that it is sent.
        let is_databricks = matches!(config.warehouse, config::Warehouse::Databricks { .. });
        let query_time_limit = is_databricks.then_some(config.query_timeout);
        let times = Settings {
            model_timeout,
            query_time_limit,
            advises,
            data_only: config.data_only,
            tells_content: config.telemetry.tells_content,
            ..times
        };
        let made_from = made_from(config, &catalog, ports.model.name())?;
        let service = Service::new(ports, lake.clone(), Budgets::default(), times);
        let service = within_quotas(ledger, policy(config), recalling(config, redis, made_from, service));
        let service = match &config.behalf {
            Some(behalf) => service.on_behalf(databricks::persons(&config.warehouse, behalf, &catalog)?),
            None => service,
        };
        let http = http::Settings {
            cors_allowed_origins: config.cors_allowed_origins.clone(),
            example_questions: catalog.questions.iter().take(6).cloned().collect(),
            lake_description: catalog.description.clone(),
            lake_title: catalog.name.clone(),
            authenticator: Arc::new(sign_in::authenticator(&config.auth)?),
            trusted_proxies: config.quotas.trusted_proxies,
            ..http::Settings::default()
        };
        let worker = worker::Settings { concurrency: config.worker_concurrency, ..worker::Settings::default() };
        Ok((Self { service, receiver, worker, http, limits: connections::Limits::default() }, Parts { lake, warehouse }))
    }
}

/// What an app is made of that an evaluation needs as well.
#[cfg_attr(not(feature = "local"), expect(dead_code, reason = "evaluations need the embedded store"))]
struct Parts {
    lake: Lake,
    warehouse: Arc<dyn Warehouse>,
}

/// `service`, giving answers again as `config` says.
fn recalling(config: &Config, redis: Option<Arc<Redis>>, made_from: String, service: Service) -> Service {
    let Some(at_most) = config.cache_ttl else { return service };
    let scope = match config.cache_scope {
        config::CacheScope::App => Scope::App,
        config::CacheScope::Principal => Scope::Principal,
    };
    let cache: Arc<dyn Cache> = match redis {
        Some(redis) => Arc::new(RedisCache::new(redis)),
        None => Arc::new(MemoryCache::default()),
    };
    service.recalling(cache, Recall { at_most, scope, made_from })
}

/// What `config` lets callers use.
fn policy(config: &Config) -> Policy {
    let limits = |limits: &config::UseLimits| Limits {
        requests: limits.requests_per_minute,
        at_once: limits.questions_at_once,
        questions: limits.questions_per_day,
        tokens: limits.tokens_per_day,
        warehouse: limits.warehouse_seconds_per_day,
    };
    let config::Quotas { principal, address, app, fails_open, .. } = &config.quotas;
    let fails = if *fails_open { Fails::Open } else { Fails::Closed };
    Policy { principal: limits(principal), address: limits(address), app: limits(app), fails }
}

/// `service`, holding callers to `policy` where that limits anything.
fn within_quotas(ledger: Arc<dyn Ledger>, policy: Policy, service: Service) -> Service {
    if policy.is_limiting() { service.within(Quotas::new(ledger, policy)) } else { service }
}

/// What the answers of this configuration are made from, and by which build. Secrets show nothing of themselves here.
fn made_from(config: &Config, catalog: &Catalog, model: &str) -> anyhow::Result<String> {
    let Config { warehouse, behalf, model: endpoint, model_call, data_only, max_rows, .. } = config;
    let sources = format!("{warehouse:?} {behalf:?} {endpoint:?} {model_call:?} {data_only} {max_rows}");
    Ok(serde_json::json!([env!("CARGO_PKG_VERSION"), model, sources, serde_json::to_value(catalog)?]).to_string())
}

/// Time that a model has beyond its own.
const MODEL_GRACE: Duration = Duration::from_secs(5);

fn model(config: &Config, timeout: Duration, catalog: &Arc<Catalog>) -> anyhow::Result<Arc<dyn Model>> {
    let (endpoint, authentication) = match &config.model {
        config::Model::Offline => return Ok(Arc::new(Planner::new(Arc::clone(catalog)))),
        config::Model::AzureOpenAi { endpoint, deployment, api_version, credential } => {
            let (resource, deployment, api_version) = (endpoint.clone(), deployment.clone(), api_version.clone());
            let authentication = match credential {
                config::AzureCredential::Key(key) => Authentication::ApiKey(key.expose().to_owned()),
                config::AzureCredential::ManagedIdentity { client_id } => cloud::model_identity(client_id.as_deref())?,
            };
            (Endpoint::Azure { resource, deployment, api_version }, authentication)
        }
        config::Model::OpenAi { base_url, model, key } => {
            let authentication = key.as_ref().map_or(Authentication::None, |key| Authentication::Bearer(key.expose().to_owned()));
            (Endpoint::OpenAi { base_url: base_url.clone(), model: model.clone() }, authentication)
        }
    };
    let config::ModelCall { temperature_hundredths, max_tokens, structured_answer, profile, .. } = config.model_call.clone();
    let temperature = f64::from(temperature_hundredths) / 100.0;
    let answer_format = if structured_answer { AnswerFormat::JsonSchema } else { AnswerFormat::Text };
    let profile = match profile {
        config::ModelProfile::Large => Profile::Large,
        config::ModelProfile::Small => Profile::Small,
        config::ModelProfile::Plain => Profile::Plain,
    };
    let settings = openai::Config { endpoint, timeout, temperature, max_tokens, answer_format, max_rows: config.max_rows, profile };
    Ok(Arc::new(OpenAi::new(settings, authentication, catalog)?))
}

/// The catalog with the parameters of the profile that fits the lake.
///
/// # Errors
/// Every fault of the file, or that the profile named does not exist.
fn catalog(config: &Config) -> anyhow::Result<Catalog> {
    let catalog = read_catalog(config.catalog_file.as_deref())?;
    let profile = config.catalog_profile.clone().or_else(|| catalog.profile_for(|table| local::rows(config, table)).map(str::to_owned));
    match profile {
        Some(profile) => catalog.in_profile(&profile).map_err(|error| anyhow::anyhow!("CATALOG_PROFILE: {error}")),
        None => Ok(catalog),
    }
}

/// The catalog in `file`, else the one in the binary.
///
/// # Errors
/// Every fault of the file.
pub fn read_catalog(file: Option<&Path>) -> anyhow::Result<Catalog> {
    file.map_or_else(Catalog::embedded, Catalog::load).map_err(|faults| {
        let name = file.map_or_else(|| "the catalog in the binary".to_owned(), |file| file.display().to_string());
        anyhow::anyhow!("{name} has faults:{}", lines(&faults))
    })
}

/// Refuses a catalog whose own queries and views the guard would not admit.
fn check_queries(catalog: &Catalog, guard: &Guard) -> anyhow::Result<()> {
    let faults = catalog.check_queries(|sql| guard.admit(sql).map(drop).map_err(|refusal| refusal.reason));
    if faults.is_empty() { Ok(()) } else { bail!("the catalog has queries that the guard refuses:{}", lines(&faults)) }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |mut lines, fault| {
        // Writing to a String cannot fail.
        let _ = write!(lines, "\n  {fault}");
        lines
    })
}

/// The store and the queue.
struct Storage {
    store: Arc<dyn Store>,
    sender: Arc<dyn Sender>,
    receiver: Arc<dyn Receiver>,
    ledger: Arc<dyn Ledger>,
}

/// Store and queue as they are configured, each by itself, and the times that suit that store. Quotas are counted in Redis, or where there is
/// none beside the conversations.
fn storage(config: &Config, redis: Option<&Arc<Redis>>, times: Settings) -> anyhow::Result<(Storage, Settings)> {
    let embedded = local::Embedded::new(config);
    let (store, ledger, times) = match &config.store {
        config::Store::Embedded => (embedded.store()?, embedded.ledger()?, times),
        config::Store::Cosmos { .. } => {
            let (store, ledger) = cloud::store(config)?;
            (store, ledger, cloud::times(times))
        }
    };
    let ledger = redis.map_or(ledger, |redis| Arc::new(RedisLedger::new(Arc::clone(redis))));
    let (sender, receiver) = match &config.queue {
        config::Queue::Embedded => embedded.queue()?,
        config::Queue::ConnectionString(_) | config::Queue::ManagedIdentity { .. } => cloud::queue(config)?,
    };
    Ok((Storage { store, sender, receiver, ledger }, times))
}

fn warehouse(config: &Config, catalog: &Catalog) -> anyhow::Result<Arc<dyn Warehouse>> {
    match &config.warehouse {
        config::Warehouse::Databricks { host, credential, compute } => {
            databricks::warehouse(host, credential, compute, config.max_rows, catalog)
        }
        config::Warehouse::FlightSql { url, token } => {
            let token = token.as_ref().map(|token| token.expose().to_owned());
            let (query_time_limit, max_concurrency) = (config.query_timeout, config.worker_concurrency);
            Ok(Arc::new(FlightSql::new(flight::Config { url: url.clone(), token, query_time_limit, max_concurrency }, catalog)))
        }
        config::Warehouse::Sail { .. } => local::sail(config, catalog),
    }
}

mod sign_in {
    //! Who may ask, as it is configured.

    use super::*;
    use crate::{
        auth::{
            ApiKeys, AppService, Authenticator, SignIn, Tokens,
            api_key::HashedKey,
            issuer,
            jwt::{self, PageClient, TokenIssuer},
        },
        config::{ApiKeySource, Auth, AuthMode, TokenAuth},
    };

    pub(super) fn authenticator(auth: &Auth) -> anyhow::Result<Authenticator> {
        let sign_in = match &auth.mode {
            AuthMode::Anonymous { .. } => return Ok(Authenticator::Anonymous),
            AuthMode::Tokens(tokens) => SignIn::Tokens(Box::new(Tokens::new(settings(tokens))?)),
            AuthMode::AppService(grants) => {
                SignIn::AppService(AppService { required: grants.required.clone(), admin_role: grants.admin_role.clone() })
            }
            AuthMode::ApiKeysOnly => SignIn::ApiKeysOnly,
        };
        Ok(Authenticator::Required { sign_in, api_keys: api_keys(auth.api_keys.as_ref())? })
    }

    fn settings(tokens: &TokenAuth) -> jwt::Settings {
        let issuer = |(name, tenant): &(String, Option<String>)| TokenIssuer { name: name.clone(), tenant: tenant.clone() };
        jwt::Settings {
            keys: issuer::Settings::new(&tokens.issuer),
            issuers: tokens.names.iter().map(issuer).collect(),
            audiences: tokens.audiences.clone(),
            required: tokens.grants.required.clone(),
            admin_role: tokens.grants.admin_role.clone(),
            page: tokens.page.clone().map(|(id, scopes)| PageClient { id, scopes }),
        }
    }

    fn api_keys(source: Option<&ApiKeySource>) -> anyhow::Result<ApiKeys> {
        let (name, lines) = match source {
            None => return Ok(ApiKeys::default()),
            Some(ApiKeySource::Lines(lines)) => ("API_KEYS", lines.iter().map(|line| line.expose().to_owned()).collect::<Vec<_>>()),
            Some(ApiKeySource::File(file)) => {
                let text = std::fs::read_to_string(file).with_context(|| format!("API_KEYS_FILE: cannot read {}", file.display()))?;
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                ("API_KEYS_FILE", lines.map(str::to_owned).collect())
            }
        };
        if lines.is_empty() {
            bail!("{name} has no key; `asklake key NAME` makes one");
        }
        let key =
            |(at, line): (usize, &String)| HashedKey::parse(line).map_err(|fault| anyhow::anyhow!("{name}: entry {}: {fault}", at + 1));
        Ok(ApiKeys::new(lines.iter().enumerate().map(key).collect::<Result<_, _>>()?))
    }
}

/// The two sides of a queue.
type Sides = (Arc<dyn Sender>, Arc<dyn Receiver>);

#[cfg(feature = "azure")]
mod cloud {
    //! The adapters of Azure. None of them reaches anything before it is used.

    use super::*;
    use crate::{
        azure,
        limit::cosmos::CosmosLedger,
        queue::{
            self,
            azure::{Account, AzureQueue},
        },
        store::cosmos::{self, CosmosStore},
    };

    pub(super) fn store(config: &Config) -> anyhow::Result<(Arc<dyn Store>, Arc<dyn Ledger>)> {
        let config::Store::Cosmos { endpoint, credential, database, container } = &config.store else {
            bail!("no Cosmos DB is configured")
        };
        let credential = match credential {
            config::AzureCredential::Key(key) => cosmos::Credential::Key(key.expose().to_owned().into()),
            config::AzureCredential::ManagedIdentity { client_id } => {
                cosmos::Credential::Token(azure::managed_identity(client_id.as_deref()).context("no identity for Cosmos DB")?)
            }
        };
        let (endpoint, database, container) = (endpoint.clone(), database.clone(), container.clone());
        let store = CosmosStore::new(cosmos::Config { endpoint, credential, database, container, ttl: config.conversation_ttl });
        let store = Arc::new(store.context("COSMOS_ENDPOINT")?);
        Ok((Arc::clone(&store) as _, Arc::new(CosmosLedger::new(store))))
    }

    /// Cosmos DB is paid by the read, and answers from replicas.
    pub(super) fn times(times: Settings) -> Settings {
        Settings { read_interval: Duration::from_secs(1), replica_lag: Duration::from_millis(500), ..times }
    }

    pub(super) fn model_identity(client_id: Option<&str>) -> anyhow::Result<Authentication> {
        Ok(Authentication::Identity(azure::managed_identity(client_id).context("no identity for Azure OpenAI")?))
    }

    pub(super) fn queue(config: &Config) -> anyhow::Result<Sides> {
        let account = match &config.queue {
            config::Queue::Embedded => bail!("no Azure Queue Storage is configured"),
            config::Queue::ConnectionString(text) => Account::parse(text.expose()).context("AzureWebJobsStorage")?,
            config::Queue::ManagedIdentity { service_uri, client_id } => {
                let identity = azure::managed_identity(client_id.as_deref()).context("no identity for Azure Queue Storage")?;
                Account::with_identity(service_uri, identity).context("AzureWebJobsStorage__queueServiceUri")?
            }
        };
        let queue = Arc::new(AzureQueue::new(&account, queue::NAME).context("AzureWebJobsStorage")?);
        Ok((Arc::clone(&queue) as _, queue))
    }
}

#[cfg(not(feature = "azure"))]
mod cloud {
    //! A build without the adapters of Azure says so when one is asked for.

    use super::*;

    pub(super) fn store(_config: &Config) -> anyhow::Result<(Arc<dyn Store>, Arc<dyn Ledger>)> {
        bail!("COSMOS_ENDPOINT is set, but this build was made without the feature `azure`")
    }

    pub(super) fn times(times: Settings) -> Settings {
        times
    }

    pub(super) fn model_identity(_client_id: Option<&str>) -> anyhow::Result<Authentication> {
        bail!("AZURE_OPENAI_API_KEY is not set, and this build was made without the feature `azure`, so without managed identities")
    }

    pub(super) fn queue(_config: &Config) -> anyhow::Result<Sides> {
        bail!("AzureWebJobsStorage is set, but this build was made without the feature `azure`")
    }
}

#[cfg(feature = "azure")]
mod databricks {
    //! The adapters of Databricks.

    use super::*;
    use crate::{
        azure,
        config::{ApplicationProof, Behalf, DatabricksCompute, DatabricksCredential, DatabricksParameter, TokenExchange},
        warehouse::databricks::{ClientProof, Credential, Exchange, Job, Parameters, Persons, Seal, SqlWarehouse, Workspace},
    };

    /// The SQL warehouse of `warehouse` in the name of whoever asks.
    pub(super) fn persons(warehouse: &config::Warehouse, behalf: &Behalf, names: &Catalog) -> anyhow::Result<Arc<dyn OnBehalf>> {
        let config::Warehouse::Databricks { host, credential, compute: DatabricksCompute::SqlWarehouse { id, catalog, schema } } =
            warehouse
        else {
            bail!("WAREHOUSE_IDENTITY: only a SQL warehouse of Databricks is queried in the name of a user")
        };
        let workspace = Workspace { host: host.clone(), credential: sign_in(credential)? };
        let warehouse = SqlWarehouse::new(workspace, id.clone(), catalog.clone(), schema.clone(), names)?;
        let exchange = match &behalf.exchange {
            TokenExchange::Workspace => Exchange::Workspace { host: host.clone() },
            TokenExchange::Entra { token_endpoint, client_id, proof } => Exchange::Entra {
                token_endpoint: token_endpoint.clone(),
                client_id: client_id.clone(),
                proof: match proof {
                    ApplicationProof::Secret(secret) => ClientProof::Secret(secret.expose().to_owned()),
                    ApplicationProof::Identity(client_id) => {
                        ClientProof::Identity(azure::managed_identity(Some(client_id)).context("no identity to exchange tokens with")?)
                    }
                },
            },
        };
        let seal = Seal::parse(behalf.key.expose()).context("DELEGATION_KEY: it must be 32 bytes in Base64")?;
        Ok(Arc::new(Persons::new(warehouse, exchange, seal)?))
    }

    pub(super) fn warehouse(
        host: &str,
        credential: &DatabricksCredential,
        compute: &DatabricksCompute,
        max_rows: u64,
        names: &Catalog,
    ) -> anyhow::Result<Arc<dyn Warehouse>> {
        let workspace = Workspace { host: host.to_owned(), credential: sign_in(credential)? };
        Ok(match compute {
            DatabricksCompute::SqlWarehouse { id, catalog, schema } => {
                Arc::new(SqlWarehouse::new(workspace, id.clone(), catalog.clone(), schema.clone(), names)?)
            }
            DatabricksCompute::Job { id, parameter } => {
                let parameters = match parameter {
                    DatabricksParameter::Job => Parameters::Job,
                    DatabricksParameter::Notebook => Parameters::Notebook,
                };
                Arc::new(Job::new(workspace, *id, parameters, max_rows, names)?)
            }
        })
    }

    fn sign_in(credential: &DatabricksCredential) -> anyhow::Result<Credential> {
        Ok(match credential {
            DatabricksCredential::Token(token) => Credential::Token(token.expose().to_owned()),
            DatabricksCredential::ServicePrincipal { client_id, client_secret } => {
                Credential::ServicePrincipal { client_id: client_id.clone(), client_secret: client_secret.expose().to_owned() }
            }
            DatabricksCredential::ManagedIdentity { client_id } => {
                Credential::Entra(azure::managed_identity(client_id.as_deref()).context("no identity for Databricks")?)
            }
        })
    }
}

#[cfg(not(feature = "azure"))]
mod databricks {
    //! A build without the adapters of Azure says so when one is asked for.

    use super::*;

    pub(super) fn warehouse(
        _host: &str,
        _credential: &config::DatabricksCredential,
        _compute: &config::DatabricksCompute,
        _max_rows: u64,
        _names: &Catalog,
    ) -> anyhow::Result<Arc<dyn Warehouse>> {
        bail!("DATABRICKS_HOST is set, but this build was made without the feature `azure`")
    }

    pub(super) fn persons(_warehouse: &config::Warehouse, _behalf: &config::Behalf, _names: &Catalog) -> anyhow::Result<Arc<dyn OnBehalf>> {
        bail!("WAREHOUSE_IDENTITY is user, but this build was made without the feature `azure`")
    }
}

#[cfg(feature = "local")]
mod local {
    //! The adapters of a laptop.

    use std::cell::OnceCell;

    use super::*;
    use crate::{
        limit::sqlite::SqliteLedger,
        queue::sqlite::SqliteQueue,
        sqlite::{Database, Options},
        store::sqlite::SqliteStore,
        warehouse::sail,
    };

    pub(super) fn rows(config: &Config, table: &str) -> Option<u64> {
        match &config.warehouse {
            config::Warehouse::Sail { lake, .. } => sail::row_count(lake, table),
            config::Warehouse::Databricks { .. } | config::Warehouse::FlightSql { .. } => None,
        }
    }

    /// The one file under the embedded store and queue, opened when the first of them is asked for.
    pub(super) struct Embedded<'a> {
        config: &'a Config,
        database: OnceCell<Database>,
    }

    impl<'a> Embedded<'a> {
        pub(super) fn new(config: &'a Config) -> Self {
            Self { config, database: OnceCell::new() }
        }

        fn database(&self) -> anyhow::Result<Database> {
            if let Some(database) = self.database.get() {
                return Ok(database.clone());
            }
            let database = Database::open(&self.config.data_dir, Options::default()).context("cannot open the embedded store")?;
            Ok(self.database.get_or_init(|| database).clone())
        }

        pub(super) fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
            Ok(Arc::new(SqliteStore::new(self.database()?, self.config.conversation_ttl)?))
        }

        pub(super) fn ledger(&self) -> anyhow::Result<Arc<dyn Ledger>> {
            Ok(Arc::new(SqliteLedger::new(self.database()?)?))
        }

        pub(super) fn queue(&self) -> anyhow::Result<Sides> {
            let queue = Arc::new(SqliteQueue::new(self.database()?)?);
            Ok((Arc::clone(&queue) as _, queue))
        }
    }

    pub(super) fn sail(config: &Config, catalog: &Catalog) -> anyhow::Result<Arc<dyn Warehouse>> {
        let config::Warehouse::Sail { binary, lake, memory_limit } = &config.warehouse else { bail!("no Sail is configured") };
        let mut sail = sail::Config::new(binary.clone(), lake.clone());
        sail.query_time_limit = config.query_timeout;
        sail.memory_limit = memory_limit.unwrap_or(sail.memory_limit);
        Ok(Arc::new(sail::Sail::new(sail, catalog)))
    }
}

#[cfg(not(feature = "local"))]
mod local {
    //! A build without the adapters of a laptop says so when one is asked for.

    use super::*;

    pub(super) fn rows(_config: &Config, _table: &str) -> Option<u64> {
        None
    }

    pub(super) struct Embedded;

    impl Embedded {
        pub(super) fn new(_config: &Config) -> Self {
            Self
        }

        pub(super) fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
            bail!("this build has no embedded store (it was made without the feature `local`): set COSMOS_ENDPOINT")
        }

        pub(super) fn ledger(&self) -> anyhow::Result<Arc<dyn Ledger>> {
            bail!("this build has no embedded ledger of quotas (it was made without the feature `local`): set COSMOS_ENDPOINT")
        }

        pub(super) fn queue(&self) -> anyhow::Result<Sides> {
            bail!("this build has no embedded queue (it was made without the feature `local`): set AzureWebJobsStorage")
        }
    }

    pub(super) fn sail(_config: &Config, _catalog: &Catalog) -> anyhow::Result<Arc<dyn Warehouse>> {
        bail!("this build has no embedded warehouse (it was made without the feature `local`): set DATABRICKS_HOST or FLIGHT_SQL_URL")
    }
}
