//! The command line, run as a user runs it: what it prints, where, and how it ends. And a server that is killed at its work.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use asklake::model;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sysinfo::{Pid, ProcessStatus, ProcessesToUpdate, System};
use tempfile::TempDir;

use crate::{
    import, lake,
    openai::fake::{Answer, Fake},
    support::{
        scripted::{SQL, ScriptedModel, ScriptedWarehouse},
        server::TestServer,
    },
};

const QUESTION: &str = "What are the top 10 science fiction films?";

/// A user's folder: nothing of this machine's environment but `PATH`.
pub struct User {
    folder: TempDir,
}

impl User {
    pub fn new() -> Self {
        let user = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(user.scratch()).unwrap();
        user
    }

    /// Where the commands run.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What a server that was started here has logged.
    pub fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("serve.log")
    }

    /// Where Sail spills.
    fn scratch(&self) -> std::path::PathBuf {
        self.folder.path().join("tmp")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let lake = concat!(env!("CARGO_MANIFEST_DIR"), "/lake");
        let mut command = Command::new(env!("CARGO_BIN_EXE_asklake"));
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(self.folder.path());
        command.env("LAKE_DIR", lake).env("SAIL_BIN", lake::sail_binary()).env("TMPDIR", self.scratch());
        // Whoever sets this for their own programs is not to read ours of every error.
        command.env("RUST_BACKTRACE", "1").stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    fn serve(&self) -> Served {
        self.serve_with(&[])
    }

    /// Starts a server with these variables set as well.
    pub fn serve_with(&self, variables: &[(&str, &str)]) -> Served {
        let log = self.log();
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        while !printed.contains("/status?wait=") {
            let line = lines.next().unwrap_or_else(|| panic!("serve ended: {}", fs::read_to_string(&log).unwrap())).unwrap();
            printed += &(line + "\n");
        }
        let base = printed.split_once("listens on ").unwrap().1.split_once("/ ").unwrap().0.to_owned();
        Served { child, base, printed }
    }

    /// The guard beside Sail removes its folder, a moment after the command has ended.
    pub fn assert_scratch_is_emptied(&self) {
        within(Duration::from_secs(120), "Sail's folder is removed", || {
            fs::read_dir(self.scratch()).unwrap().next().is_none().then_some(())
        });
    }
}

pub struct Ended {
    code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// Ended with 1, and told why in one sentence on standard error.
    #[track_caller]
    pub fn assert_failed(&self, parts: &[&str]) {
        self.assert_code(1);
        assert!(parts.iter().all(|part| self.err.contains(part)), "{parts:?} in {}", self.err);
        assert!(self.err.starts_with("asklake: ") && self.err.lines().count() == 1, "{}", self.err);
        assert!(!self.err.contains("backtrace") && !self.err.contains("panicked"), "{}", self.err);
        assert_eq!(self.out, "");
    }
}

/// A server in a process of its own. Dropped, it is killed.
pub struct Served {
    child: Child,
    pub base: String,
    printed: String,
}

impl Served {
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    pub fn ended(&mut self) -> Option<i32> {
        let code = || self.child.try_wait().unwrap();
        within(Duration::from_secs(120), "the server ends", code).code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `find` finds, asked again and again until the deadline.
pub fn within<T>(deadline: Duration, what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(began.elapsed() < deadline, "{what}: not within {deadline:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes below `pid`.
fn descendants(pid: u32) -> Vec<Pid> {
    let mut system = System::new().unwrap();
    system.refresh_processes(ProcessesToUpdate::All, true);
    let mut found = vec![Pid::from_u32(pid)];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = system.processes().values().filter(|process| process.thread_kind().is_none() && process.parent() == Some(parent));
        found.extend(children.map(sysinfo::Process::pid).collect::<Vec<_>>());
        next += 1;
    }
    found.split_off(1)
}

fn is_alive(pid: Pid) -> bool {
    let mut system = System::new().unwrap();
    system.refresh_processes(ProcessesToUpdate::Some(&[pid]), true);
    // An orphan that nobody has reaped is no longer running.
    system.process(pid).is_some_and(|process| !matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead))
}

fn assert_gone(processes: &[Pid]) {
    within(Duration::from_secs(120), "the processes of the server end with it", || {
        (!processes.iter().any(|pid| is_alive(*pid))).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_tells_what_happened_when_from_the_store_beside_a_server_that_runs() {
    let user = User::new();
    let served = tokio::task::block_in_place(|| user.serve());
    let client = reqwest::Client::new();
    let started = client.post(format!("{}/api/chat/start", served.base)).json(&json!({"question": QUESTION})).send().await.unwrap();
    let id = started.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned();
    let watcher = crate::faults::watch::Watcher::new(served.base.clone());
    let status = watcher.ended(id.parse().unwrap(), crate::faults::watch::patience()).await;
    assert_eq!(status["status"], "completed", "{status:#}");

    let told = tokio::task::block_in_place(|| user.run(&["trace", &id]));
    told.assert_code(0);
    let mut rest = told.out.as_str();
    for part in ["Completed, turn 1", "asked", QUESTION, "decided", "SELECT", "launched", "succeeded", "10 rows", "answered", "used: "] {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} and what comes after it in {}", told.out)).1;
    }
    let document: Value = serde_json::from_str(&tokio::task::block_in_place(|| user.run(&["trace", &id, "--json"])).out).unwrap();
    let kinds: Vec<&str> = document["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"asked"), Some(&"answered")), "{kinds:?}");
    assert_eq!(document["usage"]["queries"], 1, "{document:#}");

    // Asked again, it is answered with what stands above: those queries ran for another conversation, before this one.
    let started = client.post(format!("{}/api/chat/start", served.base)).json(&json!({"question": QUESTION})).send().await.unwrap();
    let again = started.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned();
    let document: Value = serde_json::from_str(&tokio::task::block_in_place(|| user.run(&["trace", &again, "--json"])).out).unwrap();
    let kinds: Vec<&str> = document["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["asked", "recalled", "recalled", "answered"], "{document:#}");

    let unknown = uuid::Uuid::new_v4().to_string();
    tokio::task::block_in_place(|| user.run(&["trace", &unknown])).assert_failed(&["no conversation", &unknown]);
}

#[test]
fn ask_prints_the_sql_the_rows_and_the_answer() {
    let user = User::new();
    let ended = user.run(&["ask", QUESTION]);
    ended.assert_code(0);
    let parts = ["-- Query 1: ", "SELECT", "primaryTitle", "┌", "│", "└", "Answered by asklake's offline planner"];
    let positions: Vec<usize> =
        parts.iter().map(|part| ended.out.find(part).unwrap_or_else(|| panic!("{part} in {}", ended.out))).collect();
    assert!(positions[0] < positions[1] && positions[1] < positions[3] && positions[5] < positions[6], "{}", ended.out);
    assert!(ended.out.contains("1. ") && ended.out.contains("10. "), "the answer has ten films: {}", ended.out);
    assert_eq!(ended.err, "", "nothing else is said where standard error is no terminal");
    user.assert_scratch_is_emptied();
}

#[test]
fn ask_json_prints_one_document_with_the_rows() {
    let ended = User::new().run(&["ask", "--json", QUESTION]);
    ended.assert_code(0);
    let document: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(document["status"], "completed");
    assert_eq!(document["question"], QUESTION);
    assert_eq!(document["results"].as_array().unwrap().len(), document["databricks_jobs"].as_array().unwrap().len());
    assert_eq!(document["results"][0]["rows"].as_array().unwrap().len(), 10, "{document:#}");
    assert_eq!(document["results"][0]["sql_query"], document["databricks_jobs"][0]["sql_query"]);
}

#[test]
fn a_question_that_is_not_understood_gets_an_honest_answer() {
    let ended = User::new().run(&["ask", "--json", "What will the weather be in Paris tomorrow?"]);
    ended.assert_code(0);
    let document: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&document["status"], &document["answer_basis"]), (&json!("completed"), &json!("none")), "{document:#}");
    assert_eq!((&document["databricks_jobs"], &document["results"]), (&json!([]), &json!([])), "nothing is guessed");
    assert!(!document["suggested_questions"].as_array().unwrap().is_empty(), "{document:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ask_asks_another_server() {
    let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let server = TestServer::start(Arc::new(ScriptedModel::querying(1, Duration::ZERO)), warehouse).await;
    let arguments = ["ask", "--server", &format!("{}/", server.base()), "--language", "de", "which films?"];
    let ended = tokio::task::block_in_place(|| User::new().run(&arguments));
    ended.assert_code(0);
    let on_one_line = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [SQL, "=One, \"two\"", "two films", "Assumed: a film is a movie", "scripted model"] {
        assert!(on_one_line.contains(part), "{part} in {}", ended.out);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ask_ends_with_1_when_there_is_no_answer() {
    let refusing = ScriptedModel::new(Duration::ZERO, |_, _| Err(model::Error::Refused("content filter".into())));
    let server = TestServer::start(Arc::new(refusing), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let ended = tokio::task::block_in_place(|| User::new().run(&["ask", "--server", server.base(), "which films?"]));
    ended.assert_code(1);
    assert!(ended.out.contains("Error: The model refused the request: content filter"), "{}", ended.out);
    let refused = tokio::task::block_in_place(|| User::new().run(&["ask", "--server", server.base(), "  "]));
    refused.assert_failed(&["400", "question must have 1 to 4000 characters"]);
}

#[test]
fn a_server_that_cannot_be_reached_is_named_soon() {
    let began = Instant::now();
    let ended = User::new().run(&["ask", "--server", "http://127.0.0.1:1", "which films?"]);
    ended.assert_failed(&["cannot reach http://127.0.0.1:1; is the server running?"]);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

const ID: &str = "9c0c3e1a-7d3b-4a52-8f0e-2d1c5b6a7e8f";

/// What stands before a server says that there is none at the moment.
fn page(status: u16) -> Answer {
    Answer::new(status, "<html>come again</html>").header("content-type", "text/html")
}

/// A server that takes a question, has no events, and gives these answers to whoever follows it.
pub async fn that_took_a_question(then: Vec<Answer>) -> Fake {
    let taken = Answer::new(202, json!({"conversation_id": ID}).to_string());
    Fake::start([vec![taken, page(404)], then].concat()).await
}

/// A server that does as [`that_took_a_question`] and is away for longer than anybody waits.
pub async fn that_goes_away() -> Fake {
    that_took_a_question(vec![page(503).header("retry-after", "3600")]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ask_follows_a_server_that_is_away_for_a_moment() {
    let progress = json!({"current_step": "Completed", "percentage": 100});
    let answered = json!({"status": "completed", "revision": 3, "progress": progress, "final_answer": "Two films."});
    let away = vec![page(503), page(429).header("retry-after", "2"), page(502), page(504)];
    let server = that_took_a_question([away, vec![Answer::new(200, answered.to_string())]].concat()).await;
    let began = Instant::now();
    let ended = tokio::task::block_in_place(|| User::new().run(&["ask", "--server", &server.base, "which films?"]));
    ended.assert_code(0);
    assert!(ended.out.contains("Two films."), "{}", ended.out);
    assert!(began.elapsed() >= Duration::from_secs(2), "it is asked again when it wants to be: {:?}", began.elapsed());
    let polls = server.seen().iter().filter(|seen| seen.target == format!("/api/chat/{ID}/status")).count();
    assert_eq!((polls, server.seen().len()), (5, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_was_taken_can_be_come_back_to_when_the_server_goes_away() {
    let server = that_goes_away().await;
    let ended = tokio::task::block_in_place(|| User::new().run(&["ask", "--server", &server.base, "which films?"]));
    ended.assert_failed(&["the server answered 503 Service Unavailable", "the question was taken", &format!("`asklake chat {ID}`")]);
    assert!(!ended.err.contains("JSON"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_turned_away_is_not_sent_again() {
    let server = Fake::start(vec![page(503)]).await;
    let ended = tokio::task::block_in_place(|| User::new().run(&["ask", "--server", &server.base, "which films?"]));
    ended.assert_failed(&["asklake: the server answered 503 Service Unavailable\n"]);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn commands_without_a_caller_refuse_to_ask_where_queries_run_in_the_callers_name() {
    let variables = [
        ("DATABRICKS_HOST", "http://127.0.0.1:1"),
        ("DATABRICKS_WAREHOUSE_ID", "w"),
        ("AUTH_MODE", "oidc"),
        ("AUTH_ISSUER", "https://login.example"),
        ("AUTH_AUDIENCE", "a"),
        ("WAREHOUSE_IDENTITY", "user"),
        ("DELEGATION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ];
    let suite = concat!(env!("CARGO_MANIFEST_DIR"), "/catalog/imdb.eval.yaml");
    for arguments in [["ask", "Which films?"], ["eval", suite]] {
        let output = User::new().command(&arguments).envs(variables).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("WAREHOUSE_IDENTITY is user, and nobody signs in here"), "{arguments:?}: {told}");
    }
}

#[test]
fn check_ends_with_0_when_all_answers() {
    let user = User::new();
    let ended = user.run(&["check"]);
    ended.assert_code(0);
    for part in [
        "Everything answers.",
        "store",
        "queue",
        "warehouse",
        "ok, ",
        "answers are written by: asklake offline planner",
        "queries run as: asklake",
    ] {
        assert!(ended.out.contains(part), "{part} in {}", ended.out);
    }
    user.assert_scratch_is_emptied();
}

#[test]
fn check_lists_every_bad_variable_at_once_without_its_secret() {
    let bad = [
        ("MAX_ROWS", "many"),
        ("QUERY_TIMEOUT_SECONDS", "0"),
        ("CORS_ALLOWED_ORIGINS", "here"),
        ("COSMOS_ENDPOINT", "x.example"),
        ("FLIGHT_SQL_TOKEN", "hunter2"),
    ];
    let user = User::new();
    let ended = Ended::of(user.command(&["check"]).envs(bad).output().unwrap());
    ended.assert_code(1);
    let (_, errors) = ended.out.split_once("Configuration errors").unwrap();
    assert!(bad.iter().all(|(name, _)| errors.contains(&format!("  {name}: "))), "{errors}");
    assert!(!ended.out.contains("hunter2"), "{}", ended.out);
    // The same stop every other command, with the same words.
    let ended = Ended::of(user.command(&["ask", QUESTION]).envs(bad).output().unwrap());
    ended.assert_code(1);
    assert!(bad.iter().all(|(name, _)| ended.err.contains(&format!("  {name}: "))), "{}", ended.err);
}

#[test]
fn check_says_how_to_get_sail_and_a_lake() {
    let user = User::new();
    for (name, value) in [("SAIL_BIN", "/nowhere/sail"), ("LAKE_DIR", "/nowhere/lake")] {
        let ended = Ended::of(user.command(&["check"]).env(name, value).output().unwrap());
        ended.assert_code(1);
        assert!([value, "make tools", "FAILED", "Not everything works"].iter().all(|part| ended.out.contains(part)), "{}", ended.out);
    }
}

/// A catalog of the tiny lake, with nothing but tables.
const TINY: &str = "\
name: tiny
tables:
  - name: lake.films
    description: Films.
    columns:
      - {name: tconst, type: string, description: Identity.}
      - {name: startYear, type: bigint, description: Year.}
      - {name: genres, type: array<string>, description: Genres.}
  - name: lake.ratings
    description: Ratings.
    columns:
      - {name: tconst, type: string, description: Identity.}
      - {name: numVotes, type: int, description: Votes.}
views:
  - name: lake.years
    description: Years of films.
    columns:
      - {name: startYear, type: int, description: Year.}
    sql: SELECT f.startYear FROM lake.films f
";

/// Checks a lake against a catalog, and gives what is said below the configuration.
fn checked(user: &User, lake: &TempDir, catalog: &str) -> Ended {
    let file = user.folder.path().join("catalog.yaml");
    fs::write(&file, catalog).unwrap();
    Ended::of(user.command(&["check"]).env("CATALOG_FILE", &file).env("LAKE_DIR", lake.path()).output().unwrap())
}

#[test]
fn check_lists_all_of_the_lake_that_is_not_as_the_catalog_describes_it() {
    let (user, lake) = (User::new(), lake::write());
    let ended = checked(&user, &lake, TINY);
    ended.assert_code(0);
    assert!(ended.out.contains("as the catalog says    ok"), "{}", ended.out);

    fs::write(lake.path().join("lake/ratings/b.parquet"), "no Parquet").unwrap();
    let wrong = TINY
        .replace("startYear, type: bigint", "startYear, type: string")
        .replace("genres, type: array<string>", "genre, type: array<string>")
        .replace("SELECT f.startYear", "SELECT f.startYear AS year");
    let ended = checked(&user, &lake, &wrong);
    ended.assert_code(1);
    for part in [
        "as the catalog says    FAILED:",
        "    lake.films.startYear is int, but string in the catalog\n",
        "    lake.films has no column genre; nearest: genres\n",
        "    lake.ratings cannot be read: ",
        "files of the lake that are no Parquet: lake/ratings/b.parquet\n",
        "    lake.years has no column startYear; nearest: year\n",
        "Not everything works: see above.",
    ] {
        assert!(ended.out.contains(part), "{part} in {}", ended.out);
    }
}

#[test]
fn check_lists_what_a_view_gives_otherwise_than_it_is_said_to() {
    let (user, lake) = (User::new(), lake::write());
    let ended = checked(&user, &lake, &TINY.replace("SELECT f.startYear", "SELECT f.startYear + 0.5 AS startYear, f.tconst"));
    ended.assert_code(1);
    assert!(ended.out.contains("    lake.years.startYear is decimal("), "{}", ended.out);
}

#[test]
fn check_says_which_questions_the_planner_will_refuse_for_want_of_words() {
    let (user, lake) = (User::new(), lake::write());
    let ended = checked(&user, &lake, TINY);
    ended.assert_code(0);
    for part in ["It will refuse every question, because the catalog has no `planner` section", "Everything answers, but see above"] {
        assert!(ended.out.contains(part), "{part} in {}", ended.out);
    }
    let queries = "queries:\n  - {question: How many films are there?, sql: SELECT COUNT(*) AS films FROM lake.films}\n";
    let ended = checked(&user, &lake, &format!("{TINY}{queries}"));
    assert!(ended.out.contains("It will refuse every question that is not word for word a verified query"), "{}", ended.out);
    let file = user.folder.path().join("catalog.yaml");
    let mut command = user.command(&["ask", "how many films are there"]);
    let ended = Ended::of(command.env("CATALOG_FILE", &file).env("LAKE_DIR", lake.path()).output().unwrap());
    ended.assert_code(0);
    assert!(ended.out.contains("films: 3."), "{}", ended.out);
}

#[test]
fn import_names_the_broken_file_and_line() {
    let user = User::new();
    let folder = user.folder.path().join("imdb");
    fs::create_dir(&folder).unwrap();
    let broken = import::RATINGS.replace("\t9\t", "\tnine\t");
    assert_ne!(broken, import::RATINGS);
    for (name, text) in [
        ("title.basics.tsv", import::BASICS),
        ("title.ratings.tsv", &broken),
        ("name.basics.tsv", import::NAMES),
        ("title.principals.tsv", import::PRINCIPALS),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let lake = user.folder.path().join("made");
    let arguments = ["import", folder.to_str().unwrap(), "--lake", lake.to_str().unwrap()];
    user.run(&arguments).assert_failed(&["title.ratings.tsv: line 3: ", "nine"]);
    assert!(!lake.exists());
    fs::write(folder.join("title.ratings.tsv"), import::RATINGS).unwrap();
    let ended = user.run(&arguments);
    assert!(ended.assert_code(0).out.contains("rows from"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_says_where_it_is_and_what_to_ask_and_ends_with_0_at_sigterm() {
    let user = User::new();
    let mut served = tokio::task::block_in_place(|| user.serve());
    assert!(served.printed.contains(QUESTION) && served.printed.contains("curl -s"), "{}", served.printed);
    let client = Client::new(&served.base);
    let id = client.start(QUESTION).await;
    assert_eq!(client.ended(&id).await["status"], "completed");
    let processes = descendants(served.child.id());
    assert!(!processes.is_empty(), "Sail runs below the server");
    served.signal("-TERM");
    assert_eq!(tokio::task::block_in_place(|| served.ended()), Some(0));
    assert_gone(&processes);
    user.assert_scratch_is_emptied();
}

#[test]
fn serve_on_an_occupied_port_says_so() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let ended = User::new().run(&["serve", "--listen", &address]);
    ended.assert_failed(&[&format!("cannot listen on {address}"), "--listen", "in use"]);
}

/// Speaks to a server in another process.
struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    fn new(base: &str) -> Self {
        Self { base: base.to_owned(), http: reqwest::Client::new() }
    }

    async fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}{path}", self.base)).send().await.unwrap().json().await.unwrap()
    }

    async fn start(&self, question: &str) -> String {
        let body = json!({"question": question, "user_id": "u"});
        let response = self.http.post(format!("{}/api/chat/start", self.base)).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 202);
        response.json::<Value>().await.unwrap()["conversation_id"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, id: &str) -> Value {
        // Longer than the lease that a killed process leaves, and the deliveries after it.
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut after = 0;
        while Instant::now() < deadline {
            let status = self.get(&format!("/api/chat/{id}/status?wait=20&after={after}")).await;
            if status["status"] != "processing" {
                return status;
            }
            after = status["revision"].as_u64().unwrap();
        }
        panic!("conversation {id} did not end");
    }

    async fn processing(&self) -> usize {
        let history = self.get("/api/chat/history?user_id=u&limit=100").await;
        history["conversations"].as_array().unwrap().iter().filter(|summary| summary["status"] == "processing").count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_conversations_survive_the_kill_of_the_server() {
    let user = User::new();
    let mut served = tokio::task::block_in_place(|| user.serve());
    let client = Client::new(&served.base);
    let ids = join_all((1..=50).map(|n| client.start(if n % 2 == 0 { QUESTION } else { "Films per decade" }))).await;
    // The first answer tells that Sail is there and at work for the others.
    let first = futures_util::future::select_all(ids.iter().map(|id| Box::pin(client.ended(id)))).await.0;
    assert_eq!(first["status"], "completed");
    let processes = descendants(served.child.id());
    served.signal("-KILL");
    assert_eq!(tokio::task::block_in_place(|| served.ended()), None, "killed");
    assert!(!processes.is_empty(), "Sail ran below the server");
    assert_gone(&processes);
    user.assert_scratch_is_emptied();

    let served = tokio::task::block_in_place(|| user.serve());
    let client = Client::new(&served.base);
    let interrupted = client.processing().await;
    assert!(interrupted > 0, "the kill came when all was done");
    let ended = join_all(ids.iter().map(|id| client.ended(id))).await;
    let failed: Vec<&Value> = ended.iter().filter(|status| status["status"] != "completed").collect();
    assert!(failed.is_empty(), "{} of 50: {:#}", failed.len(), failed[0]);
    println!("{interrupted} of 50 conversations were interrupted, and all are completed");
}
