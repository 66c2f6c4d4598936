//! The SQL guard against its corpora (`tests/guard/`), and its limits: rows, sizes, depth, names.

use std::fmt::Write as _;

use asklake::{
    conversation::LimitSource,
    sql::{Catalog, Guard},
};

mod columns;
mod properties;

/// The guard of all these tests: the catalog beside the corpora, at most 1,000 rows.
pub fn guard() -> Guard {
    let catalog: Catalog = serde_saphyr::from_str(include_str!("../../guard/catalog.yaml")).expect("the test catalog is valid");
    Guard::new(&catalog, 1_000)
}

/// One statement of a corpus.
pub struct Entry {
    /// `category: comment`.
    pub title: String,
    /// Words that the refusal's reason or the admitted form contains.
    pub expected: Option<String>,
    pub sql: String,
}

/// Reads a corpus: `=== title => expected`, then the statement, with `<U+XXXX>` for characters that would hide.
pub fn corpus(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("=== ") {
            let (title, expected) = head.split_once(" => ").map_or((head, None), |(title, expected)| (title, Some(expected.to_owned())));
            entries.push(Entry { title: title.to_owned(), expected, sql: String::new() });
        } else if let Some(entry) = entries.last_mut() {
            let separator = if entry.sql.is_empty() { "" } else { "\n" };
            let _ = write!(entry.sql, "{separator}{}", revealed(line));
        }
    }
    entries
}

fn revealed(line: &str) -> String {
    let mut parts = line.split("<U+");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('>').expect("<U+XXXX> is closed");
        text.push(u32::from_str_radix(code, 16).ok().and_then(char::from_u32).expect("<U+XXXX> names a character"));
        text.push_str(rest);
    }
    text
}

pub fn hostile() -> Vec<Entry> {
    corpus(include_str!("../../guard/hostile.sql"))
}

pub fn legitimate() -> Vec<Entry> {
    corpus(include_str!("../../guard/legitimate.sql"))
}

#[test]
fn every_hostile_statement_is_refused_for_its_own_reason() {
    let (guard, entries) = (guard(), hostile());
    assert!(entries.len() >= 150, "only {} entries", entries.len());
    let mut faults = String::new();
    for entry in entries {
        let expected = entry.expected.expect("every hostile entry names its reason");
        match guard.admit(&entry.sql) {
            Ok(admitted) => writeln!(faults, "{}: admitted as {}", entry.title, admitted.sql).unwrap(),
            Err(refusal) if refusal.reason.contains(&expected) => {}
            Err(refusal) => writeln!(faults, "{}: expected {expected:?} in: {}", entry.title, refusal.reason).unwrap(),
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn every_legitimate_statement_is_admitted() {
    let (guard, entries) = (guard(), legitimate());
    assert!(entries.len() >= 150, "only {} entries", entries.len());
    let mut faults = String::new();
    for entry in entries {
        match guard.admit(&entry.sql) {
            Err(refusal) => writeln!(faults, "{}: {}", entry.title, refusal.reason).unwrap(),
            Ok(admitted) if entry.expected.as_ref().is_none_or(|expected| admitted.sql.contains(expected)) => {}
            Ok(admitted) => writeln!(faults, "{}: expected {:?} in: {}", entry.title, entry.expected, admitted.sql).unwrap(),
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn no_statement_of_the_corpora_is_there_twice() {
    let mut statements: Vec<String> = hostile().into_iter().chain(legitimate()).map(|entry| entry.sql).collect();
    statements.sort();
    let doubles: Vec<&[String]> = statements.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(doubles.is_empty(), "{doubles:?}");
}

#[test]
fn the_limit_says_who_set_it_and_leaves_room_for_the_probe() {
    let guard = guard();
    let judged = |sql: &str| {
        let admitted = guard.admit(sql).unwrap();
        (admitted.max_rows, admitted.limit_source, admitted.sql.rsplit("LIMIT ").next().map(str::to_owned).unwrap())
    };
    let table = "SELECT tconst FROM imdb.movies_delta";
    assert_eq!(judged(table), (1_000, LimitSource::Server, "1001".to_owned()));
    assert_eq!(judged(&format!("{table} LIMIT 1000")), (1_000, LimitSource::Model, "1000".to_owned()));
    assert_eq!(judged(&format!("{table} LIMIT 1001")), (1_000, LimitSource::Server, "1001".to_owned()));
    assert_eq!(judged(&format!("{table} LIMIT 3 OFFSET 2")), (3, LimitSource::Model, "3 OFFSET 2".to_owned()));
    assert_eq!(judged(&format!("({table} LIMIT 3)")), (3, LimitSource::Model, "3".to_owned()));
    assert_eq!(judged(&format!("({table} LIMIT 3) LIMIT 2000")), (1_000, LimitSource::Server, "1001".to_owned()));
    assert_eq!(judged(&format!("WITH t AS ({table} LIMIT 3) SELECT * FROM t")), (1_000, LimitSource::Server, "1001".to_owned()));
    assert_eq!(judged(&format!("{table} UNION ALL ({table} LIMIT 3)")), (1_000, LimitSource::Server, "1001".to_owned()));
    assert_eq!(judged(&format!("{table} UNION ALL {table} LIMIT 3")), (3, LimitSource::Model, "3".to_owned()));
}

#[test]
fn a_name_in_two_schemas_must_be_written_with_its_schema() {
    let text = "name: x\ntables:\n- {name: a.t, description: '', columns: []}\n- {name: B.t, description: '', columns: []}\n- {name: b.order, description: '', columns: []}\n";
    let guard = Guard::new(&serde_saphyr::from_str(text).unwrap(), 10);
    let refusal = guard.admit("SELECT * FROM t").unwrap_err();
    assert_eq!(refusal.reason, "t is ambiguous: write one of a.t, B.t.");
    assert_eq!(guard.admit("SELECT * FROM b.T").unwrap().sql, "SELECT * FROM B.t LIMIT 11");
    assert_eq!(guard.admit("SELECT * FROM `order`").unwrap().sql, "SELECT * FROM b.`order` LIMIT 11");
}

#[test]
fn a_refusal_says_what_where_and_what_instead() {
    let reason = guard().admit("SELECT *\nFROM imdb.movie_delta").unwrap_err().reason;
    assert_eq!(
        reason,
        "imdb.movie_delta (line 2, column 6) is not a table of this lake; nearest: imdb.movies_delta. Tables: imdb.movies_delta, \
         imdb.ratings_delta, imdb.persons_delta, imdb.principals_delta, imdb.movies_with_ratings, imdb.movie_cast."
    );
}

/// Runs on a stack as small as those of tokio's workers, in half of it.
fn on_a_small_stack(check: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(check).unwrap().join().unwrap();
}

#[test]
fn sizes_and_depths_end_in_a_refusal_not_in_a_crash() {
    on_a_small_stack(|| {
        let guard = guard();
        let refused = |sql: String, expected: &str| {
            let reason = guard.admit(&sql).unwrap_err().reason;
            assert!(reason.contains(expected), "{reason}");
        };
        refused(format!("SELECT '{}'", "x".repeat(64 * 1024)), "bytes");
        let depth = 10_000;
        refused(format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth)), "nests deeper");
        refused(format!("SELECT * FROM {}imdb.movies_delta{}", "(".repeat(depth), ")".repeat(depth)), "nests deeper");
        refused(format!("{}SELECT 1{}", "(".repeat(depth), ")".repeat(depth)), "nests deeper");
        refused(format!("SELECT {}1{}", "f(".repeat(depth), ")".repeat(depth)), "nests deeper");
        refused(format!("SELECT {}1", "NOT ".repeat(depth)), "more than");
        refused(format!("SELECT 1{}", " + 1".repeat(depth)), "more than");
        refused(format!("SELECT 1{}", " IS NULL".repeat(4_000)), "more than");
        refused(format!("SELECT 1{}", " UNION SELECT 1".repeat(4_000)), "more than");
        refused(format!("SELECT 1{}", "::int".repeat(depth)), "more than");
        refused(format!("SELECT a{}", " COLLATE b".repeat(5_000)), "more than");
    });
}

#[test]
fn long_statements_within_the_bounds_are_admitted() {
    on_a_small_stack(|| {
        let guard = guard();
        let admitted = |sql: String| drop(guard.admit(&sql).unwrap_or_else(|refusal| panic!("{}", refusal.reason)));
        let years = (0..490).map(|year| format!("startYear = {year}")).collect::<Vec<_>>();
        admitted(format!("SELECT tconst FROM imdb.movies_delta WHERE {}", years.join(" OR ")));
        admitted(format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(450)));
        admitted(format!("SELECT {}", vec!["1"; 900].join(" + ")));
        admitted(format!("SELECT {}", vec!["'x'"; 900].join(" || ")));
        admitted(format!("SELECT 1{}", " IS NULL".repeat(300)));
        admitted(format!("SELECT tconst FROM imdb.movies_delta WHERE tconst IN ({})", vec!["'tt0000001'"; 3_000].join(", ")));
        admitted(format!("SELECT {}1{}", "(".repeat(20), ")".repeat(20)));
        admitted(format!("SELECT * FROM {}imdb.movies_delta{}", "(SELECT * FROM ".repeat(12), ") AS t".repeat(12)));
    });
}

#[test]
fn nested_parentheses_cost_no_exponential_time() {
    let guard = guard();
    let started = std::time::Instant::now();
    for opening in
        ["SELECT * FROM ", "SELECT ", "", "SELECT 1 WHERE EXISTS ", "SELECT transform(a, x -> ", "SELECT 1 IN ", "SELECT CASE WHEN "]
    {
        for depth in [10, 30, 60] {
            let _ = guard.admit(&format!("{opening}{}a, b{}", "(".repeat(depth), ")".repeat(depth)));
            let _ = guard.admit(&format!("{opening}{}", "(".repeat(depth)));
        }
    }
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}
