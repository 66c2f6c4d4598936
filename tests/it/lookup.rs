//! Lookups of stored values and advice on repairs, against Sail: statements that really run, errors that it really gives.

use std::sync::Arc;

use asklake::{
    conversation::RunId,
    sql::{Guard, lookup, repair},
    warehouse::sail::Sail,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{contract::warehouse::Fixture, lake};

fn sail() -> (Fixture, TempDir) {
    let lake = lake::write();
    let warehouse = Arc::new(Sail::new(lake::config(&lake), &lake::catalog()));
    (Fixture { warehouse, unknown_run: RunId::Number(0) }, lake)
}

async fn values(fixture: &Fixture, column: &str, text: &str) -> Vec<String> {
    let catalog = lake::catalog();
    let sql = lookup::statement(column, text, &catalog).unwrap();
    let admitted = Guard::new(&catalog, 1_000).admit(&sql).unwrap_or_else(|refusal| panic!("{}: {sql}", refusal.reason));
    let result = fixture.rows(&admitted.sql, admitted.max_rows).await;
    result.rows.iter().filter_map(|row| row.first().and_then(Value::as_str).map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_name_in_another_spelling_finds_the_stored_one() {
    let (fixture, _lake) = sail();
    for (text, expected) in [
        ("Metropolis", "Metropolis"),
        ("metropolis", "Metropolis"),
        ("Metroplis", "Metropolis"),
        ("Metro", "Metropolis"),
        ("tropol", "Metropolis"),
        ("amelie", "Amélie"),
        ("untitlde", "Untitled"),
    ] {
        assert_eq!(values(&fixture, "lake.films.primaryTitle", text).await, [expected], "{text}");
    }
}

#[tokio::test]
async fn a_value_in_an_array_is_found_and_counted() {
    let (fixture, _lake) = sail();
    for (text, expected) in [("sci fi", "Sci-Fi"), ("SCI-FI", "Sci-Fi"), ("romanse", "Romance"), ("dram", "Drama")] {
        assert_eq!(values(&fixture, "genres", text).await, [expected], "{text}");
    }
    let sql = lookup::statement("genres", "comedy", &lake::catalog()).unwrap();
    assert_eq!(fixture.rows(&sql, 10).await.rows, [[serde_json::json!("Comedy"), serde_json::json!(1)]]);
}

#[tokio::test]
async fn wildcards_and_quotes_are_letters_like_others() {
    let (fixture, _lake) = sail();
    for text in ["%", "_", "M%s", "%%%%%%%%%%%%", "' OR 1 = 1 --", "\\", "nothing like it at all"] {
        assert!(values(&fixture, "primaryTitle", text).await.is_empty(), "{text}");
    }
}

#[tokio::test]
async fn advice_understands_what_the_local_warehouse_says() {
    let (fixture, _lake) = sail();
    let catalog = lake::catalog();
    for (sql, expected) in [
        ("SELECT title FROM lake.films", "There is no column title in the tables of the statement; nearest: primaryTitle."),
        ("SELECT f.votes FROM lake.films f JOIN lake.ratings r ON f.tconst = r.tconst", "nearest: numVotes"),
        ("SELECT numVotes FROM lake.films", "numVotes is a column of lake.ratings"),
        ("SELECT 1 FROM lake.film", "There is no table lake.film; nearest: lake.films"),
        ("SELECT startYear, primaryTitle, count(*) FROM lake.films GROUP BY startYear", "must stand in GROUP BY"),
        ("SELECT string_agg(primaryTitle, ',') + group_concat(primaryTitle) FROM lake.films", "array_join(collect_list(x), ', ')"),
        ("SELECT startYear FROM lake.films WHERE count(*) > 1", "HAVING"),
        ("SELECT tconst FROM lake.films LIMIT 1 UNION SELECT tconst FROM lake.ratings", "in parentheses"),
        ("SELECT startYear AS year FROM lake.films WHERE year > 2000", "year is an alias of SELECT"),
        ("SELECT tconst FROM lake.films WHERE genres = 'Drama'", "array_contains(genres, 'value')"),
    ] {
        let error = fixture.error(sql).await;
        let advice = repair::advice(sql, &error, &catalog);
        assert!(advice.contains(expected), "{sql}\n{error}\n{advice}");
    }
}
