//! The offline planner: what it understands, what it asks the lake, what it answers, and what it refuses.

use std::{path::Path, sync::Arc};

use asklake::{
    conversation::{
        Answer, AnswerBasis, Column, Decision, ResultSet,
        grounding::{Evidence, unverified},
    },
    model::{Entry, Model, Request, Shown, offline::Planner},
    sql::{Catalog, Guard},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use sqlparser::{dialect::DatabricksDialect, parser::Parser};

const QUESTIONS: &str = include_str!("../planner/questions.tsv");
const DOCUMENTED: &str = include_str!("../../docs/questions.md");

fn catalog() -> Catalog {
    Catalog::embedded().unwrap().in_profile("sample").unwrap()
}

fn planner() -> Planner {
    static SHARED: std::sync::LazyLock<Planner> = std::sync::LazyLock::new(|| Planner::new(Arc::new(catalog())));
    SHARED.clone()
}

fn shop() -> Planner {
    Planner::new(Arc::new(Catalog::parse(include_str!("../planner/shop.yaml")).unwrap()))
}

/// Columns and rows of a result.
fn rows(columns: &[&str], rows: Vec<Vec<Value>>) -> Result<Shown, String> {
    let columns = columns.iter().map(|name| Column { name: (*name).into(), data_type: "string".into() }).collect();
    let row_count = rows.len() as u64;
    Ok(Shown { result: ResultSet { columns, rows, row_count, truncated: false, limit_source: None } })
}

fn request(question: &str, results: &[Result<Shown, String>], queries_left: u32) -> Request {
    let mut transcript = vec![
        Entry::Question("an earlier question".into()),
        Entry::Query {
            call_id: "0".into(),
            sql_query: "SELECT 0".into(),
            lookup: None,
            reasoning: String::new(),
            result: Err("earlier".into()),
        },
        Entry::Answer("an earlier answer".into()),
        Entry::Question(question.into()),
    ];
    transcript.extend(results.iter().map(|result| Entry::Query {
        call_id: "1".into(),
        sql_query: "SELECT 1".into(),
        lookup: None,
        reasoning: String::new(),
        result: result.clone(),
    }));
    Request { language: None, transcript, queries_left }
}

fn decide(planner: &Planner, question: &str, results: &[Result<Shown, String>]) -> Decision {
    planner.decide(&request(question, results, 6 - u32::try_from(results.len()).unwrap()))
}

fn sql(planner: &Planner, question: &str, results: &[Result<Shown, String>]) -> String {
    match decide(planner, question, results) {
        Decision::Query(queries) => {
            assert_eq!(queries.len(), 1);
            assert!(!queries[0].reasoning.is_empty());
            queries[0].sql_query.clone()
        }
        Decision::Answer(answer) => panic!("{question}: answers instead of querying: {}", answer.text),
    }
}

fn answer(planner: &Planner, question: &str, results: &[Result<Shown, String>]) -> Answer {
    match decide(planner, question, results) {
        Decision::Answer(answer) => answer,
        Decision::Query(queries) => panic!("{question}: queries instead of answering: {}", queries[0].sql_query),
    }
}

fn table() -> Vec<(&'static str, &'static str)> {
    QUESTIONS.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('\t').expect("a tab")).collect()
}

fn understood(plan: &str) -> bool {
    !["not understood", "absent", "mostly unknown", "help"].iter().any(|start| plan.starts_with(start))
}

#[test]
fn every_phrasing_gives_the_plan_beside_it() {
    let planner = planner();
    let wrong: Vec<String> = table()
        .into_iter()
        .filter_map(|(question, plan)| {
            let got = planner.explain(question);
            (got != plan).then(|| format!("{question}\n  expected {plan}\n  got      {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(table().iter().filter(|(_, plan)| understood(plan)).count() >= 120);
    assert!(table().iter().filter(|(_, plan)| !understood(plan)).count() >= 25);
}

#[test]
fn word_order_does_not_change_the_query() {
    let planner = planner();
    for group in [
        &[
            "best horror films since 1990",
            "since 1990, the best horror films",
            "Horror films since 1990, best first please",
            "which are the best horror movies since 1990?",
        ][..],
        &[
            "comedies in the 1990s",
            "1990s comedies",
            "in the 90s: comedies",
            "comedies of the nineties",
            "comedies from the '90s",
            "COMEDIES FROM 1990 TO 1999",
        ],
        &[
            "top 10 films by rating",
            "by rating, the top 10 films",
            "the 10 best films",
            "10 best rated movies",
            "What are the top ten films?",
        ],
        &[
            "who directed Jaws",
            "director of Jaws",
            "Who is the director of Jaws?",
            "Jaws director",
            "please tell me who directed the film Jaws",
        ],
        &["when did Jaws come out", "when was Jaws released?", "in which year was Jaws made", "what is the release year of Jaws"],
        &["films by Tim Burton", "films directed by Tim Burton", "what did Tim Burton direct?", "which movies has Tim Burton made"],
        &["average rating by genre", "average rating per genre", "the average rating for each genre"],
        &["how many comedies are there", "number of comedies", "count the comedies", "How many comedies do you have?"],
    ] {
        let first = sql(&planner, group[0], &[]);
        for other in &group[1..] {
            assert_eq!(sql(&planner, other, &[]), first, "{other} differs from {}", group[0]);
        }
    }
}

#[test]
fn every_query_is_databricks_sql_that_the_guard_admits() {
    let planner = planner();
    let guard = Guard::new(&catalog(), 100);
    let mut seen = 0;
    for (question, plan) in table() {
        if !understood(plan) {
            continue;
        }
        for sql in all_queries(&planner, question) {
            seen += 1;
            let statements = Parser::parse_sql(&DatabricksDialect {}, &sql).unwrap_or_else(|error| panic!("{question}: {error}\n{sql}"));
            assert_eq!(statements.len(), 1);
            guard.admit(&sql).unwrap_or_else(|refusal| panic!("{question}: {refusal}\n{sql}"));
        }
    }
    assert!(seen > 300, "{seen}");
}

/// The queries of a turn in which names are never found at first, then once; and of one in which they are found at once.
fn all_queries(planner: &Planner, question: &str) -> Vec<String> {
    let mut all = Vec::new();
    for miss in [true, false] {
        let mut results = Vec::new();
        for turn in 0..7 {
            match decide(planner, question, &results) {
                Decision::Answer(_) => break,
                Decision::Query(queries) => {
                    assert!(turn < 6, "{question} takes more than six queries");
                    all.push(queries[0].sql_query.clone());
                    results.push(if miss && turn == 0 { rows(&["id"], Vec::new()) } else { found() });
                }
            }
        }
    }
    all
}

#[test]
fn its_answers_rest_on_rows_and_on_what_was_said() {
    let planner = planner();
    let catalog = catalog();
    let mut seen = 0;
    for (question, _) in table() {
        for miss in [true, false] {
            let (mut results, mut statements) = (Vec::new(), Vec::new());
            let answer = loop {
                match decide(&planner, question, &results) {
                    Decision::Answer(answer) => break answer,
                    Decision::Query(queries) => {
                        statements.push(queries[0].sql_query.clone());
                        results.push(if miss && results.is_empty() { rows(&["id"], Vec::new()) } else { found() });
                    }
                }
            };
            let shown: Vec<&ResultSet> = results.iter().flatten().map(|shown| &shown.result).collect();
            let mut said: Vec<&str> = statements.iter().map(String::as_str).chain([question]).collect();
            if answer.basis == AnswerBasis::None {
                said.extend(catalog.questions.iter().map(String::as_str));
            }
            let objections = unverified(&answer.text, &Evidence { results: &shown, said: &said, words: &[], is_refusal: false });
            assert!(objections.is_empty(), "{question}: {objections:?}\n{}\n{statements:#?}", answer.text);
            seen += 1;
        }
    }
    assert!(seen > 300, "{seen}");
}

/// A row that a lookup of either kind understands.
fn found() -> Result<Shown, String> {
    rows(
        &["id", "name", "kind", "fact_0", "fact_1", "fact_2", "fact_3", "dim_0", "in_role", "in_any", "closeness", "total", "number"],
        vec![vec![
            json!("x1"),
            json!("X"),
            json!("movie"),
            json!(8.1),
            json!(100),
            json!(90),
            json!(1990),
            json!(["Drama"]),
            json!(3),
            json!(3),
            json!(0),
            json!(1),
            json!(1),
        ]],
    )
}

#[test]
fn documented_and_suggested_questions_are_understood() {
    let planner = planner();
    let documented: Vec<&str> = DOCUMENTED.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    assert!(documented.len() >= 40, "{}", documented.len());
    for question in documented {
        assert!(understood(&planner.explain(question)), "{question}: {}", planner.explain(question));
    }
    for question in &catalog().questions {
        assert!(understood(&planner.explain(question)), "{question}: {}", planner.explain(question));
    }
}

#[test]
fn what_is_not_understood_is_named_with_three_examples_that_work() {
    let planner = planner();
    for (question, said) in [
        ("films with a purple cover", "purple cover"),
        ("top 10 sploshy films", "sploshy"),
        ("films with high box office", "box office"),
        ("Which films won an Oscar?", "awards"),
        ("¿Cuál es la mejor película de los noventa?", "only read English"),
        ("", "did not understand"),
    ] {
        let answer = answer(
            &planner,
            question,
            if question.contains("sploshy") { vec![rows(&["id"], vec![]), rows(&["id"], vec![])] } else { vec![] }.as_slice(),
        );
        assert_eq!(answer.basis, AnswerBasis::None, "{question}");
        assert!(answer.text.contains(said), "{question}: {}", answer.text);
        assert!(answer.text.contains("offline planner"), "{}", answer.text);
        assert_eq!(answer.suggested_questions.len(), 3);
        for example in &answer.suggested_questions {
            assert!(understood(&planner.explain(example)), "{example}");
            assert!(answer.text.contains(example.as_str()));
        }
    }
}

#[test]
fn a_ranking_states_its_threshold_and_its_rule() {
    let planner = planner();
    insta::assert_snapshot!(sql(&planner, "top 3 sci-fi films of the 1980s", &[]), @r#"
    SELECT m.primaryTitle, m.startYear, r.averageRating, r.numVotes, COUNT(*) OVER () AS total
    FROM imdb.movies_delta AS m
    JOIN imdb.ratings_delta AS r ON r.tconst = m.tconst
    WHERE m.titleType = 'movie'
      AND array_contains(m.genres, 'Sci-Fi')
      AND m.startYear BETWEEN 1980 AND 1989
      AND r.numVotes >= 1000
    ORDER BY r.averageRating DESC NULLS LAST, r.numVotes DESC NULLS LAST, m.primaryTitle, m.tconst
    LIMIT 3
    "#);
    let result = rows(
        &["primaryTitle", "startYear", "averageRating", "numVotes", "total"],
        vec![
            vec![json!("A *bold* [Title]"), json!(1982), json!(8.3), json!(185_546), json!(41)],
            vec![json!("B"), json!(1985), json!(8.0), json!(1_598), json!(41)],
        ],
    );
    insta::assert_snapshot!(answer(&planner, "top 3 sci-fi films of the 1980s", &[result]).text, @r#"
    Sci-Fi films from 1980 to 1989, best first:

    1. **A \*bold\* \[Title\]** (1982): rating 8.3, 185,546 votes
    2. **B** (1985): rating 8, 1,598 votes

    There are 41 in all; these are the first 2.

    Assumed: ranking by rating needs at least 1,000 votes; a film is titleType = 'movie'.

    _Answered by asklake's offline planner, which is not a language model._
    "#);
}

#[test]
fn names_are_resolved_by_queries_and_what_was_assumed_is_said() {
    let planner = planner();
    let lookup = ["id", "name", "fact_0", "fact_1", "in_role", "in_any", "closeness"];
    let none = rows(&lookup, vec![]);
    let near = rows(&lookup, vec![vec![json!("nm7"), json!("Tim Burton"), Value::Null, Value::Null, json!(12), json!(12), json!(1)]]);
    assert!(sql(&planner, "how many films did Tim Burtn direct", &[]).contains("timburtn"));
    assert!(sql(&planner, "how many films did Tim Burtn direct", std::slice::from_ref(&none)).contains("levenshtein"));
    insta::assert_snapshot!(sql(&planner, "how many films did Tim Burtn direct", &[none.clone(), near.clone()]), @r#"
    SELECT COUNT(*) AS number
    FROM imdb.movies_delta AS m
    WHERE m.titleType = 'movie'
      AND m.tconst IN (SELECT c.tconst FROM imdb.principals_delta AS c WHERE c.nconst = 'nm7' AND c.category = 'director')
    "#);
    let count = rows(&["number"], vec![vec![json!(12)]]);
    insta::assert_snapshot!(answer(&planner, "how many films did Tim Burtn direct", &[none, near, count]).text, @r#"
    There are **12** films directed by Tim Burton.

    Assumed: by “Tim Burtn” you mean Tim Burton; a film is titleType = 'movie'.

    _Answered by asklake's offline planner, which is not a language model._
    "#);
}

#[test]
fn namesakes_are_listed_instead_of_guessed() {
    let planner = planner();
    let lookup = ["id", "name", "fact_0", "fact_1", "in_role", "in_any", "closeness"];
    let two = rows(
        &lookup,
        vec![
            vec![json!("nm1"), json!("Ridley Scott"), Value::Null, Value::Null, json!(14), json!(14), json!(1)],
            vec![json!("nm2"), json!("Tony Scott"), Value::Null, Value::Null, json!(12), json!(12), json!(1)],
        ],
    );
    insta::assert_snapshot!(answer(&planner, "films by Scott", &[two]).text, @r#"
    Several people fit “Scott”: did you mean **Ridley Scott** (14 titles) or **Tony Scott** (12 titles)? Ask again with the full name.

    Questions that work:

    - Films with "star" in the title
    - Worst horror films of the 2000s
    - Tell me about Pulp Fiction

    _Answered by asklake's offline planner, which is not a language model._
    "#);
}

#[test]
fn remakes_are_told_apart_by_their_year() {
    let planner = planner();
    let lookup = ["id", "name", "kind", "fact_0", "fact_1", "fact_2", "fact_3", "dim_0", "closeness"];
    let two = rows(
        &lookup,
        vec![
            vec![
                json!("t1"),
                json!("King Kong"),
                json!("movie"),
                json!(7.6),
                json!(132_720),
                json!(187),
                json!(2005),
                json!(["Adventure"]),
                json!(0),
            ],
            vec![
                json!("t2"),
                json!("King Kong"),
                json!("movie"),
                json!(8.0),
                json!(5_000),
                Value::Null,
                json!(1933),
                Value::Null,
                json!(0),
            ],
        ],
    );
    insta::assert_snapshot!(answer(&planner, "How long is King Kong?", std::slice::from_ref(&two)).text, @r#"
    The lake has 2 of that name:

    - **King Kong** (2005) runs 187 minutes.
    - The lake does not know the runtime of **King Kong** (1933).

    _Answered by asklake's offline planner, which is not a language model._
    "#);
    insta::assert_snapshot!(answer(&planner, "King Kong", &[two]).text, @r#"
    The lake has 2 of that name:

    - **King Kong** (2005): rating 7.6; 132,720 votes; 187 minutes; genre Adventure.
    - **King Kong** (1933): rating 8; 5,000 votes.

    _Answered by asklake's offline planner, which is not a language model._
    "#);
    assert!(sql(&planner, "How long is the 2005 King Kong?", &[]).contains("m.startYear = 2005"));
}

#[test]
fn a_question_that_goes_on_from_another_is_asked_for_whole() {
    let planner = planner();
    let first =
        |question: &str| planner.decide(&Request { language: None, transcript: vec![Entry::Question(question.into())], queries_left: 6 });
    for question in [
        "And in 1995?",
        "and the 90s?",
        "what about horror?",
        "How about comedies?",
        "only comedies",
        "how many of them are comedies?",
        "How many were rated above 8?",
        "Which are rated above 8?",
        "who directed it?",
        "When did it come out?",
        "who directed that?",
        "since 1990",
        "the longest",
        "What is their average rating?",
    ] {
        let answer = answer(&planner, question, &[]);
        assert_eq!(answer.basis, AnswerBasis::None, "{question}");
        assert!(answer.text.starts_with("I keep no context between questions: ask the whole question."), "{question}: {}", answer.text);
    }
    for question in [
        "comedies",
        "What is the highest rating?",
        "average rating by genre",
        "who directed It?",
        "is It Happened One Night good",
        "What came out in 1994?",
    ] {
        assert!(matches!(decide(&planner, question, &[]), Decision::Query(_)), "{question}");
    }
    assert!(matches!(first("since 1990"), Decision::Query(_)), "there is nothing it could go on from");
}

#[test]
fn what_has_no_value_at_all_has_not_that_one_either() {
    assert!(sql(&planner(), "How many films are not dramas?", &[]).contains("(m.genres IS NULL OR NOT array_contains(m.genres, 'Drama'))"));
    assert!(sql(&shop(), "products that are not kitchen", &[]).contains("(p.category IS NULL OR NOT p.category = 'Kitchen')"));
}

#[test]
fn people_are_counted_by_what_they_did() {
    let planner = planner();
    insta::assert_snapshot!(sql(&planner, "How many people directed horror films rated above 7?", &[]), @r#"
    SELECT COUNT(DISTINCT c.nconst) AS number
    FROM imdb.movies_delta AS m
    JOIN imdb.ratings_delta AS r ON r.tconst = m.tconst
    JOIN imdb.principals_delta AS c ON c.tconst = m.tconst
    WHERE m.titleType = 'movie'
      AND array_contains(m.genres, 'Horror')
      AND r.averageRating > 7
      AND c.category = 'director'
    "#);
    let count = rows(&["number"], vec![vec![json!(12)]]);
    insta::assert_snapshot!(answer(&planner, "How many people directed horror films rated above 7?", &[count]).text, @r#"
    The number of directors of Horror films with a rating of more than 7 is **12**.

    Assumed: a film is titleType = 'movie'.

    _Answered by asklake's offline planner, which is not a language model._
    "#);
}

#[test]
fn a_shared_first_place_says_with_whom() {
    let columns = ["primaryTitle", "startYear", "averageRating", "numVotes", "total"];
    let row = |name: &str, rating: f64| vec![json!(name), json!(1994), json!(rating), json!(5_000), json!(9)];
    let text = |found| answer(&planner(), "best film", &[rows(&columns, found)]).text;
    assert!(
        text(vec![row("A", 9.2), row("B", 9.2), row("C", 9.0)])
            .contains("It shares that place with **B** (1994): rating 9.2, 5,000 votes.")
    );
    assert!(text(vec![row("A", 9.2), row("B", 9.2)]).contains("votes, and perhaps with more."));
}

#[test]
fn a_failed_query_is_admitted() {
    let answer = answer(&planner(), "top 10 films", &[Err("the engine *stopped*".into())]);
    assert_eq!(answer.basis, AnswerBasis::None);
    assert!(answer.text.contains("The query failed, so there is no answer: the engine \\*stopped\\*"), "{}", answer.text);
}

#[test]
fn with_no_query_left_it_answers() {
    let Decision::Answer(answer) = planner().decide(&request("top 10 films", &[], 0)) else { panic!("queries") };
    assert_eq!(answer.basis, AnswerBasis::None);
}

#[test]
fn literals_are_escaped() {
    let hostile = sql(&planner(), r#"films with "x' OR 1=1 \ %_" in the title"#, &[]);
    assert!(hostile.contains(r"LIKE '%x\' or 1=1 \\\\ \\%\\_%'"), "{hostile}");
    assert_eq!(Parser::parse_sql(&DatabricksDialect {}, &hostile).unwrap().len(), 1);
    let named = sql(&planner(), r#"who directed "O'Hara\'; DROP TABLE x; --""#, &[]);
    assert_eq!(Parser::parse_sql(&DatabricksDialect {}, &named).unwrap().len(), 1, "{named}");
}

#[test]
fn another_catalog_needs_no_code() {
    let shop = shop();
    for (question, plan) in [
        ("Which products are the most expensive?", "list products by price desc"),
        ("What is the cheapest article?", "list products by price asc one"),
        ("best kitchen products under 50 euros", "list products [Kitchen] [price < 50] by stars desc"),
        ("how many menswear products were launched since 2020", "count products [Men's Wear] [launched >= 2020]"),
        ("average price per department", "average price of products per department desc"),
        ("which department has the most products?", "count of products per department desc one"),
        ("what did Dieter Rams design?", "list products [designer \"Dieter Rams\"] by ~launched asc"),
        ("who designed Chair 49?", "designer of \"Chair 49\""),
        ("how expensive is Chair 49", "price of \"Chair 49\""),
        ("when was Chair 49 launched?", "launched of \"Chair 49\""),
        ("is Chair 49 more expensive than Chair 50?", "compare \"Chair 49\" and \"Chair 50\" by price desc"),
        ("products with lamp in the name", "list products [name has \"lamp\"] by ~reviews desc"),
        ("products in stock", "absent: stock levels"),
        ("best horror films", "not understood: horror films"),
    ] {
        assert_eq!(shop.explain(question), plan, "{question}");
    }
    let sql = sql(&shop, "best menswear", &[]);
    assert!(sql.contains(r"p.category = 'Men\'s Wear'") && sql.contains("v.reviews >= 50"), "{sql}");
}

#[test]
fn the_catalog_of_the_documents_is_whole_and_its_questions_are_understood() {
    let document = include_str!("../../docs/catalog.md");
    let (_, rest) = document.split_once("```yaml\n").expect("an example");
    let (yaml, _) = rest.split_once("```").expect("its end");
    let catalog = Catalog::parse(yaml).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let guard = Guard::new(&catalog, 1000);
    assert_eq!(catalog.check_queries(|sql| guard.admit(sql).map(drop).map_err(|refusal| refusal.reason)), []);
    let planner = Planner::new(Arc::new(catalog));
    for (question, plan) in [
        ("What is the most expensive product?", "list products by price desc one"),
        ("best norwegian products", "list products [NO] by stars desc"),
        ("average price per country", "average price of products per country desc"),
    ] {
        assert_eq!(planner.explain(question), plan, "{question}");
    }
}

#[test]
fn without_a_planner_section_it_says_so() {
    let mut catalog = catalog();
    catalog.planner = None;
    let answer = answer(&Planner::new(Arc::new(catalog)), "top 10 films", &[]);
    assert!(answer.text.contains("no `planner` section"), "{}", answer.text);
}

#[test]
fn without_a_planner_section_a_verified_query_is_answered_word_for_word() {
    let mut catalog = catalog();
    catalog.planner = None;
    let planner = Planner::new(Arc::new(catalog.clone()));
    let known = &catalog.queries[0];
    let asked = known.question.to_uppercase().replace('?', " ?!");
    assert_eq!(sql(&planner, &asked, &[]), catalog.fill(&known.sql));

    let found =
        rows(&["primaryTitle", "genres"], vec![vec![json!("Jaws_2"), json!(["Drama", "Sci-Fi"])], vec![json!("Heat"), json!(null)]]);
    let told = answer(&planner, &known.question, std::slice::from_ref(&found));
    assert_eq!(told.basis, AnswerBasis::Data);
    assert!(told.text.starts_with("| primaryTitle | genres |\n| --- | --- |\n| Jaws\\_2 | Drama, Sci-Fi |\n| Heat | — |"), "{}", told.text);
    let shown = found.unwrap().result;
    let objections = unverified(&told.text, &Evidence { results: &[&shown], said: &[], words: &[], is_refusal: false });
    assert!(objections.is_empty(), "{objections:?}");

    let one = answer(&planner, &known.question, &[rows(&["films"], vec![vec![json!(3)]])]);
    assert!(one.text.starts_with("films: 3."), "{}", one.text);
    let none = answer(&planner, &known.question, &[rows(&["films"], vec![])]);
    assert!(none.text.contains("gives no rows"), "{}", none.text);
    let failed = answer(&planner, &known.question, &[Err("no such table".into())]);
    assert!(failed.text.contains("no such table") && failed.basis == AnswerBasis::None, "{}", failed.text);
}

#[test]
fn many_rows_of_a_verified_query_are_cut_off_and_counted() {
    let mut catalog = catalog();
    catalog.planner = None;
    let question = catalog.queries[0].question.clone();
    let many = rows(&["number", "name"], (0..50).map(|number| vec![json!(number), json!("x")]).collect());
    let told = answer(&Planner::new(Arc::new(catalog)), &question, &[many]);
    assert!(told.text.contains("| 19 | x |") && !told.text.contains("| 20 | x |"), "{}", told.text);
    assert!(told.text.contains("These are the first of 50 rows."), "{}", told.text);
}

#[test]
fn without_a_planner_section_the_questions_that_work_are_the_verified_ones() {
    let mut catalog = catalog();
    catalog.planner = None;
    catalog.queries.truncate(2);
    let verified: Vec<String> = catalog.queries.iter().map(|query| query.question.clone()).collect();
    let mut suggested = answer(&Planner::new(Arc::new(catalog)), "top 10 films", &[]).suggested_questions;
    suggested.sort_by_key(|question| verified.iter().position(|known| known == question));
    assert_eq!(suggested, verified);
}

#[test]
fn a_verified_query_that_the_words_give_no_plan_for_is_answered_all_the_same() {
    let mut catalog = catalog();
    let question = "Which quokkas were bought by the museum?";
    assert!(planner().explain(question).contains("not understood") || planner().explain(question).contains("unknown"));
    catalog.queries[0].question = question.into();
    let known = catalog.fill(&catalog.queries[0].sql);
    assert_eq!(sql(&Planner::new(Arc::new(catalog)), question, &[]), known);
}

#[test]
fn the_code_holds_no_word_of_the_shipped_lake() {
    const WORDS: [&str; 27] = [
        "film",
        "films",
        "movie",
        "movies",
        "actor",
        "actors",
        "actress",
        "director",
        "directors",
        "directed",
        "genre",
        "genres",
        "comedy",
        "horror",
        "western",
        "drama",
        "starring",
        "imdb",
        "screenplay",
        "runtime_minutes",
        "tconst",
        "nconst",
        "startyear",
        "primarytitle",
        "averagerating",
        "numvotes",
        "cinema",
    ];
    let mut checked = 0;
    for folder in ["src/model/offline", "src/model/offline/draft", "src/model/offline/answer", "src/model/offline/sql", "src/sql/catalog"] {
        for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                continue;
            }
            for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
                let comment = line.trim_start().starts_with("//") || line.contains("include_str!");
                let code = if comment { "" } else { line.split(" // ").next().unwrap_or_default() };
                let found = code
                    .to_lowercase()
                    .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                    .find(|word| WORDS.contains(word))
                    .map(str::to_owned);
                assert_eq!(found, None, "{}:{}: {line}", path.display(), number + 1);
            }
            checked += 1;
        }
    }
    assert!(checked >= 20, "{checked}");
}

#[tokio::test]
async fn it_answers_through_the_port() {
    let planner = planner();
    assert_eq!((planner.kind(), planner.name()), ("offline planner", "asklake offline planner"));
    planner.probe().await.unwrap();
    let reply = planner.reply(&request("top 10 films", &[], 6), &asklake::model::unheard).await.unwrap();
    assert!(matches!(reply.decision, Decision::Query(_)));
    assert_eq!(
        reply,
        planner.reply(&request("top 10 films", &[], 6), &asklake::model::unheard).await.unwrap(),
        "the same request gives the same reply"
    );
}

/// Words that questions are made of, so that random questions reach deep.
fn phrase() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "top",
        "10",
        "best",
        "films",
        "comedies",
        "by",
        "of",
        "in",
        "the",
        "1990s",
        "1994",
        "rated",
        "above",
        "8",
        "who",
        "directed",
        "Jaws",
        "'s",
        "\"x",
        "is",
        "longer",
        "than",
        "or",
        "and",
        "most",
        "votes",
        "per",
        "genre",
        "which",
        "how many",
        "average",
        "not",
        "with",
        "between",
        "Tim Burton",
        "director",
        "?",
        ",",
        "title",
        "é",
        "0",
    ]);
    prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!(["Drama", 1])),
        Just(json!(0)),
        Just(json!(1))
    ]
}

fn result() -> impl Strategy<Value = Result<Shown, String>> {
    let columns =
        ["id", "name", "kind", "fact_0", "fact_3", "dim_0", "in_role", "in_any", "closeness", "total", "number", "value", "value_0"];
    prop_oneof![
        1 => ".{0,8}".prop_map(Err),
        9 => prop::collection::vec(prop::collection::vec(cell(), 13), 0..4).prop_map(move |cells| rows(&columns, cells)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_question_and_no_rows_make_it_panic_or_loop(question in prop_oneof![phrase(), ".{0,60}"], results in prop::collection::vec(result(), 6)) {
        let planner = planner();
        for taken in 0..=6 {
            let decision = planner.decide(&request(&question, &results[..taken], 6 - u32::try_from(taken).unwrap()));
            if let Decision::Query(queries) = decision {
                prop_assert!(taken < 6);
                let parsed = Parser::parse_sql(&DatabricksDialect {}, &queries[0].sql_query);
                prop_assert!(parsed.is_ok_and(|statements| statements.len() == 1), "{}", queries[0].sql_query);
            } else {
                break;
            }
        }
    }
}
