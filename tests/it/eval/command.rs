//! `asklake eval` over the sample lake, and the recordings in `tests/eval/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use asklake::eval::{Report, report::markdown, run::Verdict};
use tempfile::TempDir;

use crate::lake;

const SUITE: &str = "
name: trial
questions:
  - id: films
    level: simple
    question: How many movies are there?
    sql: SELECT COUNT(*) FROM imdb.movies_delta WHERE titleType = 'movie'
  - id: top
    level: join
    question: What are the 3 movies with the most votes?
    sql: |
      SELECT m.primaryTitle, r.numVotes FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON r.tconst = m.tconst
      WHERE m.titleType = 'movie' ORDER BY r.numVotes DESC LIMIT 3
  - id: mistaken
    level: simple
    question: How many movies were released in 1999?
    sql: SELECT COUNT(*) FROM imdb.movies_delta WHERE startYear = 1888
  - id: refused
    level: trap
    question: Xyzzy plugh frobnicate?
    sql: SELECT COUNT(*) FROM imdb.movies_delta
  - id: budget
    level: unanswerable
    question: What was the budget of Titanic?
    missing: budgets
";

struct Trial {
    folder: TempDir,
}

impl Trial {
    fn new(suite: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("suite.yaml"), suite).unwrap();
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_asklake"));
        command.arg("eval").args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("LAKE_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/lake")).env("SAIL_BIN", lake::sail_binary());
        command.env("TMPDIR", self.folder.path()).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str], code: i32) -> (String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(code), "stdout: {out}\nstderr: {err}");
        (out, err)
    }

    fn report(&self, file: &str) -> Report {
        read(&self.folder.path().join(file))
    }

    fn verdicts(&self, file: &str) -> Vec<(String, Verdict)> {
        self.report(file).questions.into_iter().map(|judged| (judged.id, judged.verdict)).collect()
    }
}

fn read(file: &Path) -> Report {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn a_suite_is_asked_judged_recorded_and_judged_again_without_model_and_warehouse() {
    let trial = Trial::new(SUITE);
    let (out, _) = trial.run(&["suite.yaml", "--json", "live.json", "--record", "tape.jsonl", "--price-in", "2", "--price-out", "8"], 0);
    assert!(out.contains("execution accuracy       50.0 % (2 of 4; "), "{out}");
    let expected = [("films", Verdict::Right), ("top", Verdict::Right), ("mistaken", Verdict::Wrong), ("refused", Verdict::Refused)];
    let expected: Vec<_> = expected.into_iter().chain([("budget", Verdict::Right)]).map(|(id, verdict)| (id.to_owned(), verdict)).collect();
    assert_eq!(trial.verdicts("live.json"), expected);
    let live = trial.report("live.json");
    assert_eq!((live.figures.live, live.figures.cost), (5, Some(0.0)));
    assert!(live.questions[2].reason.is_some() && live.questions[2].known_sql.is_some() && live.questions[2].rows.is_some());

    // Sail is not even there.
    let mut offline = trial.command(&["suite.yaml", "--json", "played.json", "--replay", "tape.jsonl", "--offline"]);
    assert!(offline.env("SAIL_BIN", "/nowhere").output().unwrap().status.success());
    assert_eq!(trial.verdicts("played.json"), expected);
    assert_eq!(trial.report("played.json").figures.live, 0);

    fs::write(trial.folder.path().join("more.yaml"), SUITE.replace("in 1999", "in 2001").replace("LIMIT 3", "LIMIT 2")).unwrap();
    let (out, _) = trial.run(&["more.yaml", "--json", "more.json", "--replay", "tape.jsonl", "--offline", "--only", "join,mistaken"], 0);
    assert!(out.contains("2 questions ask model or warehouse something new"), "{out}");
    assert!(trial.verdicts("more.json").iter().all(|(_, verdict)| *verdict == Verdict::Unrecorded));

    let (out, _) = trial.run(&["--compare", "live.json", "played.json"], 0);
    assert!(out.contains("5 questions ended alike; execution accuracy 50.0 % -> 50.0 %"), "{out}");
    let (out, _) = trial.run(&["--table", "live.json", "played.json"], 0);
    assert_eq!(out, markdown(&[live, trial.report("played.json")]));
    let (_, err) = trial.run(&["suite.yaml", "--replay", "tape.jsonl", "--offline", "--at-least", "60"], 1);
    assert!(err.contains("below --at-least"), "{err}");
    let left: Vec<PathBuf> = fs::read_dir(trial.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!left.iter().any(|path| path.to_string_lossy().contains("asklake-eval")), "stores are removed: {left:?}");
}

#[test]
fn a_suite_that_is_wrong_is_told_so() {
    let trial = Trial::new(&SUITE.replace("startYear = 1888", "startYear = 1888 GROUP BY startYear"));
    let (out, err) = trial.run(&["suite.yaml", "--only", "mistaken"], 1);
    assert!(out.contains("FAULT") && out.contains("gives no rows") && err.contains("the suite is at fault"), "{out}{err}");
    let (_, err) = trial.run(&["suite.yaml", "--only", "easy"], 1);
    assert!(err.contains("no question and no level `easy`"), "{err}");
    fs::write(trial.folder.path().join("suite.yaml"), SUITE.replace("level: trap", "level: trick")).unwrap();
    let (_, err) = trial.run(&["suite.yaml"], 1);
    assert!(err.contains("suite.yaml has faults") && err.contains("line 18") && err.contains("trick"), "{err}");
}

/// What model and warehouse once said is judged as it was then, where they would be asked the same today. Where prompt or catalog have
/// changed since, `make eval` tells what that is worth, and records again.
#[test]
fn recorded_questions_end_as_they_did() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let trial = Trial::new(SUITE);
    for entry in fs::read_dir(root.join("tests/eval")).unwrap() {
        let recording = entry.unwrap().path();
        let figures = root.join("docs/eval").join(recording.file_name().unwrap()).with_extension("json");
        if recording.extension().is_none_or(|extension| extension != "jsonl") || !figures.exists() {
            continue;
        }
        let then = read(&figures);
        let suite = root.join("catalog/imdb.eval.yaml");
        let mut arguments = vec![suite.to_str().unwrap(), "--offline", "--json", "now.json", "--replay", recording.to_str().unwrap()];
        if then.profile.as_deref() == Some("plain") {
            arguments.push("--baseline");
        }
        let mut command = trial.command(&arguments);
        if let Some(profile) = &then.profile {
            command.envs([("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"), ("OPENAI_MODEL", &then.model)]);
            command.env("MODEL_PROFILE", if profile == "large" { "large" } else { "small" });
        }
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        for now in trial.report("now.json").questions.iter().filter(|now| now.verdict != Verdict::Unrecorded) {
            let Some(before) = then.questions.iter().find(|before| before.id == now.id) else { continue };
            assert_eq!(now.verdict, before.verdict, "{}, {}: {:?}", recording.display(), now.id, now.reason);
        }
    }
}
