//! The documents against the code: the table of settings is made from it, no link leads nowhere, and what the threat model names is there.

use std::{fmt::Write as _, path::Path};

use asklake::config::VARIABLES;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn configuration() -> String {
    let mut text = String::from(
        "# Configuration\n\nEvery setting is an environment variable; `asklake check` says which are set and reports every error at once.\n\
         This table is made from `src/config.rs` by a test (`UPDATE_DOCS=1 cargo test docs` writes it).\n\n\
         | variable | default | meaning |\n| --- | --- | --- |\n",
    );
    for variable in VARIABLES {
        writeln!(text, "| `{}` | {} | {} |", variable.name, variable.default, variable.meaning).unwrap();
    }
    text.push_str(
        "\n`ASKLAKE_LOG` sets what is logged, such as `debug` or `asklake=debug,warn`. Logs go to standard error: for a person on a \
         terminal, as JSON lines otherwise. `asklake functions` logs JSON lines to standard output, where the Functions host reads them.\n\n\
         In Azure (`WEBSITE_INSTANCE_ID` is set there) an embedded store, queue or warehouse is an error rather than used.\n",
    );
    text
}

#[test]
fn the_table_of_settings_is_that_of_the_code() {
    let path = Path::new(ROOT).join("docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, configuration()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == configuration(), "docs/configuration.md is out of date: run `UPDATE_DOCS=1 cargo test docs`");
}

#[test]
fn every_relative_link_of_the_documents_leads_to_a_file() {
    let mut documents = vec![Path::new(ROOT).join("README.md"), Path::new(ROOT).join("data/README.md")];
    let docs = std::fs::read_dir(Path::new(ROOT).join("docs")).unwrap().map(|entry| entry.unwrap().path());
    documents.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = document.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.exists(), "{} links to {target}, which is not there", document.display());
        }
    }
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_test_name(word: &str) -> bool {
    word.matches('_').count() >= 3 && word.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
}

#[test]
fn every_threat_names_a_file_that_meets_it_and_a_test_that_exists() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/security.md")).unwrap();
    let threats = text.split_once("## Threats").unwrap().1.split_once("## What is not covered").unwrap().0;
    let rows: Vec<&str> =
        threats.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat ") && !line.contains("| ---")).collect();
    assert!(rows.len() >= 20, "{}", rows.len());
    for row in rows {
        let [_, threat, met, tested, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("not three columns: {row}") };
        for path in quoted(row).filter(|word| word.contains('/')) {
            assert!(Path::new(ROOT).join(path).exists(), "{threat}: there is no {path}");
        }
        assert!(quoted(met).any(|word| word.starts_with("src/")), "{threat}: no file meets it");
        let files: Vec<String> = quoted(tested)
            .filter(|word| word.ends_with(".rs"))
            .map(|file| std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap())
            .collect();
        for test in quoted(tested).filter(|word| is_test_name(word)) {
            assert!(files.iter().any(|file| file.contains(&format!("fn {test}("))), "{threat}: there is no test {test}");
        }
        let is_tested = quoted(tested).any(|word| is_test_name(word) || word.ends_with(".spec.ts"));
        assert!(is_tested || tested.contains("not tested"), "{threat}: no test is named");
    }
}
