//! The scripted handler under the emulated host, with its store and its warehouse at hand.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use asklake::conversation::{ConversationId, JobStatus, Role, Stage};
use tempfile::TempDir;

use crate::support::{
    azurite::Azurite,
    cosmos::Emulator,
    counted::Counted,
    handler::{Kept, Script, VARIABLE, run_if_asked},
    host::{FunctionApp, Launch, Running, Settings},
};

/// Not a test by itself: the handler's process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process() {
    run_if_asked().await;
}

/// What a machine is to be like.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Queries of every conversation, one after the other.
    pub queries: usize,
    /// Time of every reply of the model.
    pub model: Duration,
    /// Time of every statement.
    pub warehouse: Duration,
    /// Whose queue.
    pub azurite: &'a Azurite,
    /// Whose Cosmos DB; the embedded store when there is none.
    pub cosmos: Option<&'a Emulator>,
}

impl Plan<'_> {
    /// One query, and all of it quick.
    pub fn quick() -> Self {
        let (model, warehouse) = (Duration::from_millis(100), Duration::from_millis(100));
        Self { queries: 1, model, warehouse, azurite: Azurite::shared(), cosmos: None }
    }
}

/// A Function App whose model and warehouse take a set time, and whose warehouse honours launch tokens.
pub struct Machine {
    pub host: Running,
    pub warehouse: Counted,
    settings: Settings,
    queries: usize,
    store: Kept,
    _folder: TempDir,
}

impl Machine {
    pub async fn start(plan: Plan<'_>, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Counted::start(plan.warehouse).await;
        let storage = plan.azurite.account();
        let store = match plan.cosmos {
            None => Kept::Embedded { folder: folder.path().to_str().unwrap().to_owned() },
            Some(cosmos) => Kept::Cosmos { endpoint: cosmos.endpoint().to_owned(), container: uuid::Uuid::new_v4().to_string() },
        };
        let launch = Launch {
            program: std::env::current_exe().unwrap(),
            arguments: ["--exact", "faults::handler::process", "--nocapture"].map(str::to_owned).to_vec(),
            settings: Vec::new(),
            root: folder.path().to_owned(),
        };
        let mut settings = Settings::new(FunctionApp::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR"))), launch, &storage);
        settings.app.queues.visibility_timeout = Duration::from_secs(1);
        change(&mut settings);
        let script = Script {
            store: store.clone(),
            storage,
            warehouse: warehouse.url(),
            model_ms: u64::try_from(plan.model.as_millis()).unwrap(),
            queries: plan.queries,
            function_timeout_ms: u64::try_from(settings.app.function_timeout.as_millis()).unwrap(),
        };
        settings.launch.settings.push((VARIABLE.into(), serde_json::to_string(&script).unwrap()));
        let host = Running::start(settings.clone()).await;
        Self { host, warehouse, settings, queries: plan.queries, store, _folder: folder }
    }

    /// A second instance of the Function App on the same queue and store, as when the platform scales out.
    pub async fn scale_out(&self) -> Running {
        Running::start(self.settings.clone()).await
    }

    /// Ends the host, then holds what must be true of `ids` in the store and the warehouse.
    pub async fn check(self, ids: &[ConversationId]) -> Ends {
        drop(self.host);
        let store = self.store.open();
        let launches = launches(&self.warehouse);
        let twice: Vec<_> = launches.values().filter(|tokens| tokens.len() > 1).collect();
        assert!(twice.is_empty(), "launched twice for one decision: {twice:?}");
        let mut ends = Ends::default();
        for id in ids {
            let stored = store.load(*id).await.unwrap_or_else(|error| panic!("{id} cannot be read: {error}"));
            let conversation = stored.unwrap_or_else(|| panic!("{id} got its 202 and is gone")).conversation;
            match conversation.stage {
                Stage::Completed => ends.completed += 1,
                Stage::Failed => ends.failed += 1,
                other => panic!("{id} is left {other:?}"),
            }
            if conversation.stage == Stage::Completed {
                assert_eq!(conversation.databricks_jobs.len(), self.queries, "{id}");
                let own = launches.keys().filter(|decision| decision.starts_with(&id.to_string())).count();
                assert_eq!(own, self.queries, "{id}: one launch per decision");
                let answers = conversation.messages.iter().filter(|said| said.role == Role::Assistant && said.tool_calls.is_empty());
                assert_eq!(answers.count(), 1, "{id}: one answer");
            }
            for (index, job) in conversation.databricks_jobs.iter().enumerate().filter(|(_, job)| job.status == JobStatus::Completed) {
                let rows = store.result(*id, u32::try_from(index + 1).unwrap()).await.unwrap().expect("its rows are there");
                assert_eq!(Some(rows.row_count), job.row_count, "{id}");
            }
        }
        ends
    }
}

/// The tokens of every decision: a token is made of conversation, query and number of losses.
fn launches(warehouse: &Counted) -> BTreeMap<String, Vec<String>> {
    let mut launches: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for token in warehouse.started().into_keys() {
        let (decision, _) = token.rsplit_once('-').unwrap();
        launches.entry(decision.to_owned()).or_default().push(token);
    }
    launches
}

/// How conversations ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    pub completed: usize,
    pub failed: usize,
}
