//! Every variable by name: what is read and what is refused. Owns no value.

/// A variable that is read: its name, its default, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What applies when it is not set.
    pub default: &'static str,
    /// One sentence.
    pub meaning: &'static str,
    /// Whether its value must not be printed: it is read as a [`super::Secret`] and in no other way.
    pub is_secret: bool,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning, is_secret: false }
}

const fn secret(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning, is_secret: true }
}

/// Every variable that is read.
pub const VARIABLES: &[Variable] = &[
    variable(
        "ALLOW_ANONYMOUS",
        "0",
        "1 lets everybody ask who can reach the server: without it, AUTH_MODE=anonymous is refused in Azure and on any address but the loopback.",
    ),
    secret(
        "API_KEYS",
        "none",
        "Keys of scripts, separated by commas, each as NAME:SHA256, or NAME:SHA256:admin for one that may read everything; `asklake key NAME` \
         makes one. Beside any AUTH_MODE but anonymous.",
    ),
    variable("API_KEYS_FILE", "none", "File with such keys, one a line; what begins with # is skipped."),
    variable(
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        "none",
        "Authorization=AAD, or ClientId=ID;Authorization=AAD: Application Insights is sent tokens of this managed identity, by asklake and by the \
         Functions host alike. Without it the key in the connection string counts.",
    ),
    secret(
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        "none",
        "Application Insights resource that traces and metrics are sent to, and logs where no Functions host sends them.",
    ),
    variable("ASKLAKE_DATA_DIR", ".asklake", "Folder of the embedded store and queue."),
    variable(
        "AUTH_ADMIN_ROLE",
        "none",
        "Role (claim roles) whose holders may read every conversation, which is logged; they change only their own.",
    ),
    variable(
        "AUTH_AUDIENCE",
        "with entra AUTH_CLIENT_ID and api://AUTH_CLIENT_ID",
        "Whom a token must be for (claim aud): one of these, separated by commas.",
    ),
    variable("AUTH_CLIENT_ID", "none", "Application id by which the page signs in, as a public client without a secret."),
    secret(
        "AUTH_CLIENT_SECRET",
        "the managed identity AZURE_CLIENT_ID as a federated credential",
        "Secret of AUTH_CLIENT_ID, by which tokens are exchanged with WAREHOUSE_IDENTITY=user and AUTH_MODE=entra.",
    ),
    variable("AUTH_ISSUER", "none", "Issuer of the tokens for AUTH_MODE=oidc, exactly as it writes itself (claim iss)."),
    variable(
        "AUTH_MODE",
        "anonymous",
        "How callers prove who they are: anonymous (they do not), entra or oidc (a bearer token), easyauth (App Service's own authentication) or \
         api_key (API_KEYS alone).",
    ),
    variable(
        "AUTH_PAGE_SCOPES",
        "openid, and with entra api://AUTH_CLIENT_ID/.default",
        "Scopes that the page asks for when it signs in, separated by spaces.",
    ),
    variable(
        "AUTH_REQUIRED",
        "none",
        "Scopes or roles, separated by commas, of which a caller needs one; else every user of the issuer may ask.",
    ),
    variable("AUTH_TENANTS", "none", "Ids of the Entra tenants, separated by commas, whose users may ask with AUTH_MODE=entra."),
    variable(
        "AZURE_CLIENT_ID",
        "the system-assigned identity",
        "Client id of the user-assigned managed identity for Cosmos DB, Azure OpenAI and Databricks.",
    ),
    secret("AZURE_OPENAI_API_KEY", "the managed identity", "Key of the Azure OpenAI resource."),
    variable("AZURE_OPENAI_API_VERSION", "2024-10-21", "Version of Azure OpenAI's API; v1 for the path /openai/v1, which has none."),
    variable("AZURE_OPENAI_DEPLOYMENT", "none", "Name of the deployment of AZURE_OPENAI_ENDPOINT that answers."),
    variable(
        "AZURE_OPENAI_ENDPOINT",
        "none",
        "Address of the Azure OpenAI resource that answers instead of the offline planner, such as https://NAME.openai.azure.com.",
    ),
    secret(
        "AzureWebJobsStorage",
        "none",
        "Connection string of the storage account whose queue carries the wakes, with a key or a SAS; UseDevelopmentStorage=true for Azurite.",
    ),
    variable(
        "AzureWebJobsStorage__accountName",
        "none",
        "Name of that account, when it is reached by managed identity and lies in the public cloud.",
    ),
    variable("AzureWebJobsStorage__clientId", "AZURE_CLIENT_ID", "Client id of the user-assigned managed identity for that account."),
    variable(
        "AzureWebJobsStorage__queueServiceUri",
        "none",
        "Address of its queue service, when it is reached by managed identity, such as https://NAME.queue.core.windows.net.",
    ),
    variable(
        "CACHE_SCOPE",
        "app, and with WAREHOUSE_IDENTITY=user principal",
        "Who may be given an answer that was made for somebody else: app for everybody, principal for nobody.",
    ),
    variable("CACHE_TTL_SECONDS", "900", "How old an answer may be that is given again to the same question; 0 makes every answer anew."),
    variable("CATALOG_FILE", "the IMDb catalog in the binary", "Catalog file that describes the lake."),
    variable("CATALOG_PROFILE", "chosen by the size of the lake", "Profile of the catalog whose parameters apply."),
    variable("CONVERSATION_TTL_SECONDS", "86400", "How long a conversation and its results live after its last update."),
    variable("CORS_ALLOWED_ORIGINS", "none", "Origins, separated by commas, whose pages may call the API; * admits all."),
    variable("COSMOS_CONTAINER", "conversations", "Container of conversations; its partition key is /partition_key."),
    variable("COSMOS_DATABASE", "imdb_chat", "Database of that container."),
    variable(
        "COSMOS_ENDPOINT",
        "none",
        "Address of the Cosmos DB account that keeps conversations instead of the embedded store, such as https://NAME.documents.azure.com.",
    ),
    secret("COSMOS_KEY", "the managed identity", "Key of that account."),
    variable(
        "DATA_ONLY",
        "0",
        "1 refuses answers that rest on what a model remembers: then every answer rests on rows, or says what is missing.",
    ),
    variable("DATABRICKS_CATALOG", "the workspace's default", "Catalog of tables that are named without one, on the SQL warehouse."),
    variable("DATABRICKS_CLIENT_ID", "none", "Application id of the service principal that signs in to Databricks."),
    secret("DATABRICKS_CLIENT_SECRET", "none", "OAuth secret of that service principal."),
    variable(
        "DATABRICKS_HOST",
        "none",
        "Databricks workspace to run statements in instead of the local Sail, such as https://adb-1234567890123456.7.azuredatabricks.net; \
         with neither a token nor a service principal, it is signed in to as the managed identity.",
    ),
    variable("DATABRICKS_JOB_ID", "none", "Job that runs statements where DATABRICKS_WAREHOUSE_ID is not set; deploy/databricks has one."),
    variable(
        "DATABRICKS_JOB_PARAMETER",
        "job_parameters",
        "How the statement reaches that job as sql_text: job_parameters, or notebook_params for a job without parameters of its own.",
    ),
    variable("DATABRICKS_SCHEMA", "the workspace's default", "Schema of tables that are named without one, on the SQL warehouse."),
    secret("DATABRICKS_TOKEN", "none", "Personal access token that signs in to Databricks."),
    variable("DATABRICKS_WAREHOUSE_ID", "none", "SQL warehouse of that workspace that runs statements."),
    secret(
        "DELEGATION_KEY",
        "none",
        "32 random bytes in Base64, the same on every instance, by which the tokens of WAREHOUSE_IDENTITY=user are encrypted where conversations are \
         kept; `openssl rand -base64 32` makes one.",
    ),
    secret("FLIGHT_SQL_TOKEN", "none", "Bearer token for FLIGHT_SQL_URL."),
    variable(
        "FLIGHT_SQL_URL",
        "none",
        "Arrow Flight SQL endpoint to run statements on instead of the local Sail, such as http://host:32010.",
    ),
    variable("LAKE_DIR", "lake", "Folder of the local Parquet lake: one folder per schema, one file or folder per table."),
    variable("MAX_ROWS", "1000", "Rows a query may return at most."),
    variable(
        "MODEL_ANSWER_FORMAT",
        "json_schema for OpenAI and Azure, else text",
        "Whether a language model is made to answer as JSON of a schema (json_schema), or writes text.",
    ),
    variable("MODEL_MAX_TOKENS", "4096, or 600 with MODEL_PROFILE=small", "Tokens of one reply of a language model at most."),
    variable(
        "MODEL_PROFILE",
        "large",
        "For how much of a language model the prompt is written: large for one that follows rules, small for one of few billion parameters, \
         which follows examples.",
    ),
    variable("MODEL_TEMPERATURE", "0", "Sampling temperature of a language model, from 0 to 2."),
    variable("MODEL_TIMEOUT_SECONDS", "90", "How long one call of a language model may take, with all that is sent again."),
    secret("OPENAI_API_KEY", "none", "Key for OPENAI_BASE_URL, sent as a bearer token."),
    variable(
        "OPENAI_BASE_URL",
        "none",
        "Address of a server with OpenAI's API that answers instead of the offline planner, up to and with /v1.",
    ),
    variable("OPENAI_MODEL", "none", "Name of the model on OPENAI_BASE_URL."),
    variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "none",
        "OpenTelemetry collector that traces, metrics and logs are sent to, such as http://localhost:4318; docs/observability.md has the other variables of the SDK.",
    ),
    secret("OTEL_EXPORTER_OTLP_HEADERS", "none", "Headers for that collector as NAME=VALUE, separated by commas: its key, for example."),
    variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "Protocol of that collector; asklake speaks no other."),
    variable("OTEL_SDK_DISABLED", "0", "1 sends no telemetry, whatever else is set."),
    variable("OTEL_SERVICE_NAME", "asklake", "What this service is called in telemetry."),
    variable("OTEL_TRACES_SAMPLER", "parentbased_always_on", "Which traces are recorded, such as parentbased_traceidratio."),
    variable("OTEL_TRACES_SAMPLER_ARG", "1", "The share of traces for that one, from 0 to 1."),
    variable(
        "QUERY_TIMEOUT_SECONDS",
        "120",
        "How long a query may run. On Databricks the time in which it is queued or the warehouse starts does not count.",
    ),
    variable("QUOTA_ADDRESS_QUESTIONS_AT_ONCE", "none", "Questions that may be answered at once for one client address (at most 1000)."),
    variable("QUOTA_ADDRESS_QUESTIONS_PER_DAY", "none", "Questions that one client address may ask in a day."),
    variable(
        "QUOTA_ADDRESS_REQUESTS_PER_MINUTE",
        "none",
        "Requests to /api/chat that one client address may send in a minute, reads of the status included.",
    ),
    variable("QUOTA_ADDRESS_TOKENS_PER_DAY", "none", "Tokens that models may read and write for one client address in a day."),
    variable("QUOTA_ADDRESS_WAREHOUSE_SECONDS_PER_DAY", "none", "Seconds that queries may run for one client address in a day."),
    variable("QUOTA_APP_QUESTIONS_AT_ONCE", "none", "Questions that may be answered at once for everybody together (at most 1000)."),
    variable("QUOTA_APP_QUESTIONS_PER_DAY", "none", "Questions that everybody together may ask in a day."),
    variable(
        "QUOTA_APP_REQUESTS_PER_MINUTE",
        "none",
        "Requests to /api/chat that everybody together may send in a minute, reads of the status included.",
    ),
    variable("QUOTA_APP_TOKENS_PER_DAY", "none", "Tokens that models may read and write for everybody together in a day."),
    variable("QUOTA_APP_WAREHOUSE_SECONDS_PER_DAY", "none", "Seconds that queries may run for everybody together in a day."),
    variable(
        "QUOTA_FAILS",
        "open",
        "What happens while the ledger of quotas does not answer: open admits everything, closed answers 503 to all of /api/chat.",
    ),
    variable("QUOTA_PRINCIPAL_QUESTIONS_AT_ONCE", "none", "Questions that may be answered at once for one principal (at most 1000)."),
    variable("QUOTA_PRINCIPAL_QUESTIONS_PER_DAY", "none", "Questions that one principal may ask in a day."),
    variable(
        "QUOTA_PRINCIPAL_REQUESTS_PER_MINUTE",
        "none",
        "Requests to /api/chat that one principal may send in a minute, reads of the status included.",
    ),
    variable("QUOTA_PRINCIPAL_TOKENS_PER_DAY", "none", "Tokens that models may read and write for one principal in a day."),
    variable("QUOTA_PRINCIPAL_WAREHOUSE_SECONDS_PER_DAY", "none", "Seconds that queries may run for one principal in a day."),
    secret(
        "REDIS_URL",
        "none",
        "Redis in which instances share answers that are given again and what counts against quotas, such as rediss://:PASSWORD@HOST:6380; \
         without it each keeps its own answers, and quotas are counted in the store of conversations.",
    ),
    variable("SAIL_BIN", ".tools/venv/bin/sail", "The sail command of pysail."),
    variable("SAIL_MEMORY_MIB", "half of the machine's, at most 4096", "Memory the local Sail may use."),
    variable(
        "TELEMETRY_CONTENT",
        "0",
        "1 puts the text of questions, SQL, rows and answers into traces; without it none of that leaves the process as telemetry.",
    ),
    variable(
        "TRUSTED_PROXIES",
        "0",
        "Proxies before the server, each of which adds to X-Forwarded-For whom it saw: the client's address is what the outermost of them \
         added. 0 takes the address that connects, and believes no header.",
    ),
    variable(
        "WAREHOUSE_IDENTITY",
        "app",
        "Whose rights queries have on a SQL warehouse of Databricks: app for those of asklake, user for those of whoever asks, with AUTH_MODE=entra \
         or oidc.",
    ),
    variable(
        "WORKER_CONCURRENCY",
        "64",
        "Conversations worked on at once by the standalone server; under the Functions host, host.json decides.",
    ),
];

/// Set by Azure on every instance that it runs.
pub(super) const AZURE_INSTANCE: &str = "WEBSITE_INSTANCE_ID";
