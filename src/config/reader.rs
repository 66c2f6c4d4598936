//! Reads variables one by one and collects what is wrong with them.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use super::{
    ApplicationInsights, AzureCredential, CacheScope, DatabricksCompute, DatabricksCredential, DatabricksParameter, Error,
    InsightsCredential, Model, ModelCall, ModelProfile, Queue, Secret, Store, Telemetry, Warehouse,
    variables::{AZURE_INSTANCE, VARIABLES},
};

/// A pass over the environment.
pub(super) struct Reader<'a, L> {
    /// Where values come from.
    pub(super) lookup: &'a L,
    /// What was found wrong so far.
    pub(super) errors: Vec<Error>,
}

impl<L: Fn(&str) -> Option<String>> Reader<'_, L> {
    /// The value of a variable that is no secret; an empty one counts as not set.
    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        self.value(name, false)
    }

    /// The value of a variable that is one.
    pub(super) fn secret(&self, name: &'static str) -> Option<Secret> {
        self.value(name, true).map(Secret)
    }

    fn value(&self, name: &'static str, is_secret: bool) -> Option<String> {
        let is_documented = VARIABLES.iter().any(|variable| variable.name == name && variable.is_secret == is_secret);
        debug_assert!(is_documented, "{name} is in VARIABLES, as what it is read as");
        self.set(name)
    }

    /// Whatever a variable is set to, for who asks only whether it is.
    fn set(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.set(name).is_some()
    }

    pub(super) fn fault(&mut self, variable: &'static str, fault: impl Into<String>) {
        self.errors.push(Error { variable, fault: fault.into() });
    }

    pub(super) fn number<T: FromStr + PartialOrd + fmt::Display + Copy>(&mut self, name: &'static str, default: T, least: T, most: T) -> T {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if number >= least && number <= most => number,
            _ => {
                self.fault(name, format!("{text:?} is not a whole number from {least} to {most}"));
                default
            }
        }
    }

    pub(super) fn telemetry(&mut self) -> Telemetry {
        let is_disabled = self.flag("OTEL_SDK_DISABLED");
        if let Some(protocol) = self.text("OTEL_EXPORTER_OTLP_PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
            self.fault("OTEL_EXPORTER_OTLP_PROTOCOL", format!("{protocol:?} is not spoken; use http/protobuf, usually on port 4318"));
        }
        let endpoint = self.text("OTEL_EXPORTER_OTLP_ENDPOINT");
        if let Some(endpoint) = &endpoint {
            self.check_address("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        }
        let credential = self.insights_credential();
        let connection = self.secret("APPLICATIONINSIGHTS_CONNECTION_STRING").filter(|_| !is_disabled);
        Telemetry {
            otlp: endpoint.is_some() && !is_disabled,
            application_insights: connection.map(|connection| ApplicationInsights { connection, credential }),
            service_name: self.text("OTEL_SERVICE_NAME").unwrap_or_else(|| "asklake".to_owned()),
            tells_content: self.flag("TELEMETRY_CONTENT"),
        }
    }

    /// `Authorization=AAD`, with `ClientId=…` for an identity that a user assigned (Microsoft Learn, "App settings reference for Azure
    /// Functions", `APPLICATIONINSIGHTS_AUTHENTICATION_STRING`).
    fn insights_credential(&mut self) -> InsightsCredential {
        let name = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING";
        let Some(text) = self.text(name) else { return InsightsCredential::InstrumentationKey };
        let (mut client_id, mut is_entra) = (None, false);
        let is_understood = text.split(';').all(|part| match part.split_once('=') {
            Some((key, "AAD")) if key.eq_ignore_ascii_case("Authorization") => {
                is_entra = true;
                true
            }
            Some((key, id)) if key.eq_ignore_ascii_case("ClientId") && !id.is_empty() => client_id.replace(id.to_owned()).is_none(),
            _ => false,
        });
        if !(is_understood && is_entra) {
            self.fault(name, "must be Authorization=AAD, or ClientId=ID;Authorization=AAD");
        }
        InsightsCredential::ManagedIdentity { client_id }
    }

    pub(super) fn origins(&mut self, name: &'static str) -> Vec<String> {
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

    pub(super) fn warehouse(&mut self) -> Warehouse {
        let memory: u64 = self.number("SAIL_MEMORY_MIB", 0, 256, 1_048_576);
        let token = self.secret("FLIGHT_SQL_TOKEN");
        if let Some(databricks) = self.databricks() {
            return databricks;
        }
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

    fn databricks(&mut self) -> Option<Warehouse> {
        let Some(host) = self.text("DATABRICKS_HOST") else {
            for name in ["DATABRICKS_WAREHOUSE_ID", "DATABRICKS_JOB_ID", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET"] {
                if self.is_set(name) {
                    self.fault(name, "it is set, but DATABRICKS_HOST is not");
                }
            }
            return None;
        };
        // The portal shows the address without a scheme.
        let host = if host.contains("://") { host } else { format!("https://{host}") };
        let host = host.trim_end_matches('/').to_owned();
        self.check_address("DATABRICKS_HOST", &host);
        if self.text("FLIGHT_SQL_URL").is_some() {
            self.fault("FLIGHT_SQL_URL", "DATABRICKS_HOST is set as well; unset one of them");
        }
        Some(Warehouse::Databricks { host, credential: self.databricks_credential(), compute: self.databricks_compute() })
    }

    fn databricks_credential(&mut self) -> DatabricksCredential {
        if let Some(token) = self.secret("DATABRICKS_TOKEN") {
            return DatabricksCredential::Token(token);
        }
        match (self.text("DATABRICKS_CLIENT_ID"), self.secret("DATABRICKS_CLIENT_SECRET")) {
            (Some(client_id), Some(client_secret)) => return DatabricksCredential::ServicePrincipal { client_id, client_secret },
            (Some(_), None) => self.fault("DATABRICKS_CLIENT_SECRET", "it must be set together with DATABRICKS_CLIENT_ID"),
            (None, Some(_)) => self.fault("DATABRICKS_CLIENT_ID", "it must be set together with DATABRICKS_CLIENT_SECRET"),
            (None, None) => {}
        }
        DatabricksCredential::ManagedIdentity { client_id: self.text("AZURE_CLIENT_ID") }
    }

    fn databricks_compute(&mut self) -> DatabricksCompute {
        let (catalog, schema) = (self.text("DATABRICKS_CATALOG"), self.text("DATABRICKS_SCHEMA"));
        if let Some(id) = self.text("DATABRICKS_WAREHOUSE_ID") {
            return DatabricksCompute::SqlWarehouse { id, catalog, schema };
        }
        if self.text("DATABRICKS_JOB_ID").is_none() {
            self.fault("DATABRICKS_WAREHOUSE_ID", "DATABRICKS_HOST is set: set this as well, or DATABRICKS_JOB_ID");
        }
        let id = self.number("DATABRICKS_JOB_ID", 0, 1, u64::MAX);
        let parameter = match self.text("DATABRICKS_JOB_PARAMETER").as_deref() {
            None | Some("job_parameters") => DatabricksParameter::Job,
            Some("notebook_params") => DatabricksParameter::Notebook,
            Some(other) => {
                self.fault("DATABRICKS_JOB_PARAMETER", format!("{other:?} is neither job_parameters nor notebook_params"));
                DatabricksParameter::Job
            }
        };
        DatabricksCompute::Job { id, parameter }
    }

    pub(super) fn redis_url(&mut self) -> Option<Secret> {
        let url = self.secret("REDIS_URL")?;
        // Not repeated: there may be a password in it.
        if !["redis://", "rediss://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
            self.fault("REDIS_URL", "it must begin with redis:// or, for TLS, rediss://");
        }
        Some(url)
    }

    pub(super) fn store(&mut self) -> Store {
        let key = self.secret("COSMOS_KEY");
        let Some(endpoint) = self.text("COSMOS_ENDPOINT") else {
            if key.is_some() {
                self.fault("COSMOS_KEY", "it is set, but COSMOS_ENDPOINT is not");
            }
            return Store::Embedded;
        };
        self.check_address("COSMOS_ENDPOINT", &endpoint);
        let credential = self.credential(key);
        let database = self.text("COSMOS_DATABASE").unwrap_or_else(|| "imdb_chat".into());
        let container = self.text("COSMOS_CONTAINER").unwrap_or_else(|| "conversations".into());
        Store::Cosmos { endpoint, credential, database, container }
    }

    /// The key where there is one, else the identity of the machine.
    fn credential(&self, key: Option<Secret>) -> AzureCredential {
        key.map_or_else(|| AzureCredential::ManagedIdentity { client_id: self.text("AZURE_CLIENT_ID") }, AzureCredential::Key)
    }

    /// The same names as the Functions host reads, so that both find the same queue.
    pub(super) fn queue(&mut self) -> Queue {
        if let Some(connection_string) = self.secret("AzureWebJobsStorage") {
            return Queue::ConnectionString(connection_string);
        }
        let service_uri = match self.text("AzureWebJobsStorage__queueServiceUri") {
            Some(uri) => {
                self.check_address("AzureWebJobsStorage__queueServiceUri", &uri);
                uri
            }
            None => match self.text("AzureWebJobsStorage__accountName") {
                Some(account) => format!("https://{account}.queue.core.windows.net"),
                None => return Queue::Embedded,
            },
        };
        let client_id = self.text("AzureWebJobsStorage__clientId").or_else(|| self.text("AZURE_CLIENT_ID"));
        Queue::ManagedIdentity { service_uri, client_id }
    }

    pub(super) fn model(&mut self) -> Model {
        let azure = self.azure_openai();
        let Some(base_url) = self.text("OPENAI_BASE_URL") else {
            // A key alone is no fault: many have it set for other programs.
            if self.text("OPENAI_MODEL").is_some() {
                self.fault("OPENAI_MODEL", "it is set, but OPENAI_BASE_URL is not");
            }
            return azure.unwrap_or(Model::Offline);
        };
        if azure.is_some() {
            self.fault("OPENAI_BASE_URL", "it is set, and AZURE_OPENAI_ENDPOINT is too: unset one of them");
        }
        self.check_address("OPENAI_BASE_URL", &base_url);
        let model = self.text("OPENAI_MODEL").unwrap_or_else(|| {
            self.fault("OPENAI_MODEL", "OPENAI_BASE_URL is set, so the name of the model there must be too");
            String::new()
        });
        Model::OpenAi { base_url: base_url.trim_end_matches('/').to_owned(), model, key: self.secret("OPENAI_API_KEY") }
    }

    fn azure_openai(&mut self) -> Option<Model> {
        let endpoint = self.text("AZURE_OPENAI_ENDPOINT");
        let deployment = self.text("AZURE_OPENAI_DEPLOYMENT");
        let key = self.secret("AZURE_OPENAI_API_KEY");
        let Some(endpoint) = endpoint else {
            for (name, is_set) in [("AZURE_OPENAI_DEPLOYMENT", deployment.is_some()), ("AZURE_OPENAI_API_KEY", key.is_some())] {
                if is_set {
                    self.fault(name, "it is set, but AZURE_OPENAI_ENDPOINT is not");
                }
            }
            return None;
        };
        self.check_address("AZURE_OPENAI_ENDPOINT", &endpoint);
        let is_segment = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !deployment.as_deref().is_some_and(is_segment) {
            self.fault("AZURE_OPENAI_DEPLOYMENT", "it must be the name of a deployment of AZURE_OPENAI_ENDPOINT: letters, digits, - _ .");
        }
        // The address that the portal shows for the path without versions.
        let without_slash = endpoint.trim_end_matches('/');
        let (endpoint, shown) = without_slash.strip_suffix("/openai/v1").map_or((without_slash, "2024-10-21"), |bare| (bare, "v1"));
        let api_version = self.text("AZURE_OPENAI_API_VERSION").unwrap_or_else(|| shown.into());
        if !is_segment(&api_version) {
            self.fault("AZURE_OPENAI_API_VERSION", "it must be a version such as 2024-10-21, or v1");
        }
        let credential = self.credential(key);
        Some(Model::AzureOpenAi { endpoint: endpoint.to_owned(), deployment: deployment.unwrap_or_default(), api_version, credential })
    }

    pub(super) fn model_call(&mut self, model: &Model) -> ModelCall {
        let is_openai = match model {
            Model::AzureOpenAi { .. } => true,
            Model::OpenAi { base_url, .. } => base_url.starts_with("https://api.openai.com/"),
            Model::Offline => false,
        };
        let structured_answer = match self.text("MODEL_ANSWER_FORMAT").as_deref() {
            None => is_openai,
            Some("json_schema") => true,
            Some("text") => false,
            Some(other) => {
                let fault = format!("{other:?} is neither json_schema nor text");
                self.fault("MODEL_ANSWER_FORMAT", fault);
                false
            }
        };
        let profile = match self.text("MODEL_PROFILE").as_deref() {
            None | Some("large") => ModelProfile::Large,
            Some("small") => ModelProfile::Small,
            Some(other) => {
                let fault = format!("{other:?} is neither small nor large");
                self.fault("MODEL_PROFILE", fault);
                ModelProfile::Large
            }
        };
        ModelCall {
            profile,
            timeout: Duration::from_secs(self.number("MODEL_TIMEOUT_SECONDS", 90, 1, 300)),
            temperature_hundredths: self.hundredths("MODEL_TEMPERATURE", 200),
            max_tokens: self.number("MODEL_MAX_TOKENS", if profile == ModelProfile::Small { 600 } else { 4096 }, 64, 131_072),
            structured_answer,
        }
    }

    /// Who may be given an answer that was made for somebody else; nobody, where each may see other rows.
    pub(super) fn cache_scope(&mut self, is_on_behalf: bool) -> CacheScope {
        match self.text("CACHE_SCOPE").as_deref() {
            None if is_on_behalf => CacheScope::Principal,
            None | Some("app") => CacheScope::App,
            Some("principal") => CacheScope::Principal,
            Some(other) => {
                self.fault("CACHE_SCOPE", format!("{other:?} is neither app nor principal"));
                CacheScope::Principal
            }
        }
    }

    /// A choice that is off unless it is 1 or true.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).as_deref() {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(other) => {
                let fault = format!("{other:?} is neither 1 nor 0");
                self.fault(name, fault);
                false
            }
        }
    }

    /// A decimal number from 0 to `most` hundredths, in hundredths; 0 when it is not set.
    fn hundredths(&mut self, name: &'static str, most: u16) -> u16 {
        let Some(text) = self.text(name) else { return 0 };
        let hundredths = text.parse::<f64>().ok().map(|number| (number * 100.0).round()).filter(|number| *number >= 0.0);
        // A cast of a float that is too large gives the largest number.
        match hundredths.map(|number| number as u16).filter(|number| *number <= most) {
            Some(number) => number,
            None => {
                self.fault(name, format!("{text:?} is not a number from 0 to {}", f64::from(most) / 100.0));
                0
            }
        }
    }

    fn check_address(&mut self, name: &'static str, address: &str) {
        let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            self.fault(name, "it must be an address that begins with https:// (or http:// for an emulator)");
        }
    }

    /// What lives on the disk of an instance is gone with it, and no other instance sees it.
    pub(super) fn refuse_embedded_in_azure(&mut self, store: &Store, queue: &Queue, warehouse: &Warehouse) {
        if (self.lookup)(AZURE_INSTANCE).is_none() {
            return;
        }
        if *store == Store::Embedded {
            self.fault("COSMOS_ENDPOINT", "in Azure it must be set: an embedded store is lost with its instance");
        }
        if *queue == Queue::Embedded {
            self.fault(
                "AzureWebJobsStorage",
                "in Azure it, or AzureWebJobsStorage__queueServiceUri, must be set: no other instance sees an embedded queue",
            );
        }
        if matches!(warehouse, Warehouse::Sail { .. }) {
            self.fault(
                "DATABRICKS_HOST",
                "in Azure it must be set with DATABRICKS_WAREHOUSE_ID or DATABRICKS_JOB_ID, or else FLIGHT_SQL_URL: the embedded warehouse \
                 needs a lake on the instance's disk",
            );
        }
    }
}

/// A path is made absolute, because Sail runs in a folder of its own; a bare name is looked up in `PATH`.
fn command(text: &str) -> PathBuf {
    let path = PathBuf::from(text);
    if path.components().count() == 1 { path } else { std::path::absolute(&path).unwrap_or(path) }
}
