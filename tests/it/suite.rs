//! The shipped suites of `asklake eval`: that they are graded, ask no question twice, and that every statement in them passes the guard
//! and gives rows that tell something on the sample lake. Judging answers is `eval`'s matter.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use asklake::{
    conversation::{ResultSet, RunId},
    eval::{
        Suite,
        suite::{Expected, Level},
    },
    sql::{Catalog, Guard},
    warehouse::sail::{self, Sail},
};

use crate::{contract::warehouse::Fixture, lake};

/// More rows than a person reads as an answer.
const MAX_ROWS: u64 = 200;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every suite in `catalog/`, with the name of its file.
fn suites() -> Vec<(String, Suite)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("catalog")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".eval.yaml"));
    files.sort();
    assert!(!files.is_empty(), "no suite in catalog/");
    let read = |file: PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let suite = Suite::load(&file).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
        (name, suite)
    };
    files.into_iter().map(read).collect()
}

/// Letters and digits alone: two questions that differ in nothing else are the same.
fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether the id is lower-case words joined by hyphens.
fn is_kebab(id: &str) -> bool {
    id.split('-').all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
}

#[test]
fn every_suite_is_graded_and_names_its_questions_by_level() {
    for (file, suite) in suites() {
        assert!(suite.questions.len() >= 60, "{file}: {} questions", suite.questions.len());
        for level in Level::ALL {
            let count = suite.questions.iter().filter(|question| question.level == level).count();
            assert!(count >= 10, "{file}: {count} questions of the level {level}");
        }
        for question in &suite.questions {
            let id = &question.id;
            assert!(is_kebab(id) && id.starts_with(&format!("{}-", question.level)), "{file}: {id} should be {}-…", question.level);
        }
    }
}

/// A suite measures something only where the model has not seen the question with its answer, and two suites only where they differ.
#[test]
fn no_question_is_an_example_of_the_catalog_or_asked_twice() {
    let catalog = Catalog::embedded().unwrap();
    let examples = catalog.queries.iter().map(|query| (folded(&query.question), "an example of the catalog".to_owned()));
    let declined = catalog.unanswerable.iter().map(|example| (folded(&example.question), "an example of the catalog".to_owned()));
    let mut known: BTreeMap<String, String> = examples.chain(declined).collect();
    for (file, suite) in suites() {
        for question in &suite.questions {
            let place = format!("{file}: {}", question.id);
            if let Some(before) = known.insert(folded(&question.text), place.clone()) {
                panic!("{place} asks the same as {before}");
            }
        }
    }
}

#[tokio::test]
async fn every_statement_passes_the_guard_and_gives_rows_that_tell_something() {
    let folder = root().join("lake");
    let catalog = Catalog::embedded().unwrap();
    let profile = catalog.profile_for(|table| sail::row_count(&folder, table)).expect("a profile for the sample lake").to_owned();
    let catalog = catalog.in_profile(&profile).unwrap();
    let guard = Guard::new(&catalog, MAX_ROWS);
    let fixture =
        Fixture { warehouse: Arc::new(Sail::new(sail::Config::new(lake::sail_binary(), folder), &catalog)), unknown_run: RunId::Number(0) };
    let shows = std::env::var_os("SHOW_ROWS").is_some();
    for (file, suite) in suites() {
        for question in &suite.questions {
            let Expected::Rows(statements) = &question.expected else { continue };
            for (index, statement) in statements.iter().enumerate() {
                let place = format!("{file}: {}, statement {}", question.id, index + 1);
                let admitted = guard.admit(&catalog.fill(statement)).unwrap_or_else(|refusal| panic!("{place}: {}", refusal.reason));
                let run = fixture.launch(&place, &admitted.sql, MAX_ROWS).await;
                let end = fixture.end(&run).await;
                let asklake::warehouse::RunState::Succeeded(result) = end else { panic!("{place}: {end:?}") };
                if shows {
                    println!("{place}: {}\n  {:?}", question.text, result.rows);
                }
                tells_something(&place, &result);
            }
        }
    }
}

fn tells_something(place: &str, result: &ResultSet) {
    assert!(!result.rows.is_empty(), "{place} gives no rows");
    assert!(!result.truncated, "{place} gives more than {MAX_ROWS} rows");
    assert!(result.rows.iter().flatten().any(|cell| !cell.is_null()), "{place} gives nothing but nulls");
}
