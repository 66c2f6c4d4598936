//! `asklake chat`, and `ask` on a terminal: run as a user runs them, through a pipe and through a pseudo-terminal.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use asklake::{
    http,
    model::{Entry, Part},
};
use serde_json::Value;

use crate::{
    cli::{Ended, User, that_goes_away, within},
    live::{Act, told_server},
    support::{
        scripted::{ScriptedModel, ScriptedWarehouse, answer, query, statement},
        server::TestServer,
    },
};

/// A model that runs one query for each question and repeats the question in its answer.
fn echo() -> ScriptedModel {
    ScriptedModel::new(Duration::ZERO, |request, done| {
        let asked = |entry: &Entry| if let Entry::Question(question) = entry { Some(question.clone()) } else { None };
        let questions: Vec<String> = request.transcript.iter().filter_map(asked).collect();
        Ok(if done < questions.len() { query(&statement(done)) } else { answer(&format!("{}: two films", questions.join(" + "))) })
    })
}

async fn server() -> TestServer {
    let mut model = echo();
    model.pondered = Some("think for ever".into());
    TestServer::start(Arc::new(model), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await
}

impl User {
    /// A session with `lines` on its standard input.
    fn chat(&self, arguments: &[&str], lines: &[&str]) -> Ended {
        let arguments = [&["chat"], arguments].concat();
        let mut command = self.command(&arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
        Ended::of(child.wait_with_output().unwrap())
    }
}

/// Blocks this thread, while the server goes on on another one.
fn blocking<T>(run: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_asks_follow_ups_and_shows_what_is_behind_an_answer() {
    let server = server().await;
    let user = User::new();
    let lines = ["which films?", "/sql", "/rows", "and which others?", "/sql 1", "/csv out.csv", "/history", "/help"];
    let ended = blocking(|| user.chat(&["--server", server.base()], &lines));
    ended.assert_code(0);
    assert_eq!(ended.err, "");
    let parts = [
        "which films?: two films",
        "-- Query 1: to see the films",
        "LIMIT\n  2",
        "│ =One, \"two\"",
        "which films? + and which others?: two films",
        "-- Query 1: to see the films",
        "bytes to out.csv",
        "completed   which films?",
        "/csv FILE [N] [--overwrite]",
    ];
    let mut rest = ended.out.as_str();
    for part in parts {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part} in {rest}\nof {}", ended.out)).1;
    }
    let csv = fs::read_to_string(user.folder().join("out.csv")).unwrap();
    assert_eq!(csv, "primaryTitle\r\n\"'=One, \"\"two\"\"\"\r\n\"\"\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_opened_by_its_id_or_by_its_number_in_the_history() {
    let server = server().await;
    let (user, server_at) = (User::new(), ["--server", server.base()]);
    blocking(|| user.chat(&server_at, &["first?", "/new", "second?"])).assert_code(0);
    let ended = blocking(|| user.chat(&server_at, &["/history", "/history 2", "go on"]));
    ended.assert_code(0);
    let (list, opened) = ended.out.split_once("> first?").unwrap();
    assert!(list.find("second?").unwrap() < list.find("first?").unwrap(), "newest first: {list}");
    assert!(opened.contains("first?: two films") && opened.contains("first? + go on: two films"), "{opened}");

    let history: Value = server.json(&format!("/api/chat/history?device_id={}", device(&user))).await;
    assert_eq!(history["conversations"].as_array().unwrap().len(), 2);
    let id = history["conversations"][0]["id"].as_str().unwrap();
    let ended = blocking(|| User::new().chat(&["--server", server.base(), id], &["/sql", "/history"]));
    ended.assert_code(0);
    for part in ["> second?", "second?: two films", "-- Query 1", "no conversation was begun here yet"] {
        assert!(ended.out.contains(part), "{part} in {}", ended.out);
    }
    blocking(|| User::new().chat(&["--server", server.base(), "../health"], &[])).assert_failed(&["`../health` is not the id"]);
    let unknown = "9c0c3e1a-7d3b-4a52-8f0e-2d1c5b6a7e8f";
    blocking(|| User::new().chat(&["--server", server.base(), unknown], &[])).assert_failed(&["404"]);
}

fn device(user: &User) -> String {
    fs::read_to_string(user.folder().join(".asklake/device-id")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_fails_is_told_and_the_session_goes_on() {
    let server = server().await;
    let user = User::new();
    fs::write(user.folder().join("mine.csv"), "mine").unwrap();
    let lines = ["/sql", "/sqll", "/history 7", "which films?", "/sql 9", "/csv mine.csv", "/stop", "/csv mine.csv --overwrite", "/rows"];
    let ended = blocking(|| user.chat(&["--server", server.base()], &lines));
    ended.assert_code(1);
    let told: Vec<&str> = ended.err.lines().collect();
    let parts = ["ask a question first", "did you mean /sql?", "no number 7", "this conversation has 1", "--overwrite", "409"];
    assert_eq!(told.len(), parts.len(), "{}", ended.err);
    assert!(told.iter().zip(parts).all(|(line, part)| line.contains(part)), "{}", ended.err);
    assert!(ended.out.contains("which films?: two films") && ended.out.contains('│'), "{}", ended.out);
    assert!(fs::read_to_string(user.folder().join("mine.csv")).unwrap().starts_with("primaryTitle"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_events_is_polled() {
    let settings = http::Settings { concurrent_streams: 0, ..http::Settings::default() };
    let server = TestServer::start_with(Arc::new(echo()), Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await;
    let ended = blocking(|| User::new().chat(&["--server", server.base()], &["which films?", "and others?"]));
    ended.assert_code(0);
    assert!(ended.out.contains("which films? + and others?: two films"), "{}", ended.out);
    let ended = blocking(|| User::new().run(&["ask", "--server", server.base(), "which films?"]));
    ended.assert_code(0);
    assert!(ended.out.contains("which films?: two films"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_was_taken_can_be_opened_again_when_the_server_goes_away() {
    let server = that_goes_away().await;
    let ended = blocking(|| User::new().chat(&["--server", &server.base], &["which films?"]));
    ended.assert_code(1);
    for part in ["the question was taken", "/history", "asklake chat 9c0c3e1a-", "the server answered 503 Service Unavailable"] {
        assert!(ended.err.contains(part), "{part} in {}", ended.err);
    }
}

#[test]
fn a_session_starts_a_server_of_its_own() {
    let user = User::new();
    let ended = user.chat(&[], &["What are the top 3 science fiction films?", "/rows"]);
    ended.assert_code(0);
    assert!(ended.out.contains("1. ") && ended.out.contains('│'), "{}", ended.out);
    user.assert_scratch_is_emptied();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_a_model_cannot_steer_the_terminal() {
    let model = ScriptedModel::new(Duration::ZERO, |_, done| {
        let reasoning = "\u{1b}[2J\u{1b}]0;gone\u{7}";
        Ok(if done == 0 {
            query(&format!("SELECT primaryTitle /* {reasoning} */ FROM imdb.movies_delta"))
        } else {
            answer(&format!("{reasoning}two\u{9b}31m"))
        })
    });
    let server = TestServer::start(Arc::new(model), Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
    let ended = blocking(|| User::new().chat(&["--server", server.base()], &["which films?", "/sql"]));
    let harmless = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n');
    assert!(harmless(&ended.out) && harmless(&ended.err), "{:?} {:?}", ended.out, ended.err);
    assert!(ended.out.contains(" [2J ]0;gone two 31m"), "{:?}", ended.out);
}

/// A program on a pseudo-terminal, with what it has written so far.
struct Terminal {
    process: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// `asklake` with `arguments`, by the program `script`, which passes keys and screen on.
    fn run(user: &User, arguments: &[&str]) -> Self {
        let asklake = [&[env!("CARGO_BIN_EXE_asklake")], arguments].concat().iter().map(|word| format!("'{word}'")).collect::<Vec<_>>();
        let mut command = Command::new("script");
        // Instead of the shell, which would end of a Ctrl-C itself.
        let asklake = format!("exec {}", asklake.join(" "));
        command.args(["--quiet", "--return", "--echo", "never", "--command", &asklake, "/dev/null"]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.current_dir(user.folder()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut out, written) = (process.stdout.take().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut bytes) {
                *written.lock().unwrap() += &String::from_utf8_lossy(&bytes[..length]);
            }
        });
        let keys = process.stdin.take().unwrap();
        Self { process, keys, screen }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until `text` is shown, and forgets all up to it.
    #[track_caller]
    fn shows(&self, text: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(300);
        loop {
            let mut screen = self.screen.lock().unwrap();
            if let Some((_, rest)) = screen.split_once(text) {
                *screen = rest.to_owned();
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{text:?} is not shown: {screen:?}");
            drop(screen);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ended(&mut self) -> Option<i32> {
        within(Duration::from_secs(300), "the session ends", || self.process.try_wait().unwrap()).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_stopped_by_a_command_or_by_ctrl_c() {
    let server = server().await;
    let user = User::new();
    blocking(|| {
        let mut terminal = Terminal::run(&user, &["chat", "--server", server.base()]);
        terminal.shows("> ");
        for stop in ["/stop\n", "\u{3}"] {
            terminal.press("think for ever\r");
            terminal.shows("Analyzing");
            terminal.press(stop);
            terminal.shows("Stopping; Ctrl-C again leaves.");
            terminal.shows("Error: Canceled");
            terminal.shows("> ");
        }
        terminal.press("which films?\r");
        terminal.shows("which films?: two films");
        terminal.shows("(3 queries: /sql, /rows)");
        terminal.press("/quit\r");
        assert_eq!(terminal.ended(), Some(0));
    });
    let history = fs::read_to_string(user.folder().join(".asklake/chat-history")).unwrap();
    assert!(history.contains("think for ever") && history.contains("/quit"), "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_at_the_prompt_leaves_when_it_is_pressed_twice() {
    let server = server().await;
    let user = User::new();
    blocking(|| {
        let mut terminal = Terminal::run(&user, &["chat", "--server", server.base()]);
        terminal.shows("> ");
        terminal.press("half a line\u{3}");
        terminal.shows("Ctrl-C again or Ctrl-D leaves.");
        terminal.shows("> ");
        terminal.press("\u{3}");
        assert_eq!(terminal.ended(), Some(130));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_shown_as_it_is_written_and_only_once() {
    for command in ["ask", "chat"] {
        let (server, tell) = told_server().await;
        let user = User::new();
        let act = |act| tell.send(act).unwrap();
        blocking(|| {
            let question = if command == "ask" {
                vec!["ask", "--server", server.base(), "which films?"]
            } else {
                vec!["chat", "--server", server.base()]
            };
            let mut terminal = Terminal::run(&user, &question);
            if command == "chat" {
                terminal.shows("> ");
                terminal.press("which films?\r");
            }
            act(Act::Write(Part::Reasoning, false, "I wonder"));
            terminal.shows("I wonder");
            act(Act::Reply(query(&statement(0))));
            act(Act::Write(Part::Answer, false, "There are "));
            terminal.shows("There are ");
            act(Act::Write(Part::Answer, false, "two\u{1b}[2J"));
            terminal.shows("two [2J");
            act(Act::Write(Part::Answer, true, "Two "));
            terminal.shows("(It is written anew.)");
            terminal.shows("Two ");
            act(Act::Reply(answer("Two films.")));
            terminal.shows("films.");
            terminal.shows("Assumed: a film is a movie");
            let rest = terminal.screen.lock().unwrap().clone();
            assert!(!rest.contains("Two") && !rest.contains("In the end"), "{command}: {rest}");
            if command == "chat" {
                terminal.press("/quit\r");
            }
            assert_eq!(terminal.ended(), Some(0));
        });
    }
}
