//! Which results say the same.

use asklake::{
    conversation::{Column, ResultSet},
    eval::{
        compare::{Edge, Order, compare},
        order::{edge, order_of, widened},
    },
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

fn table(columns: &[&str], rows: Vec<Vec<Value>>) -> ResultSet {
    let columns = columns.iter().map(|name| Column { name: (*name).into(), data_type: "any".into() }).collect();
    ResultSet { columns, row_count: rows.len() as u64, rows, truncated: false, limit_source: None }
}

fn rows(value: Value) -> Vec<Vec<Value>> {
    serde_json::from_value(value).unwrap()
}

fn agrees(sql: &str, known: &Value, answer: &Value) -> Result<usize, String> {
    let known = table(&["title", "votes"], rows(known.clone()));
    let answer = rows(answer.clone());
    let names: Vec<String> = (0..answer[0].len()).map(|column| format!("c{column}")).collect();
    let answer = table(&names.iter().map(String::as_str).collect::<Vec<_>>(), answer);
    compare(&known, &answer, &order_of(sql, &known, None)).map(|agreement| agreement.extra_columns)
}

const UNORDERED: &str = "SELECT title, votes FROM films";
const TOP: &str = "SELECT title, votes FROM films ORDER BY votes DESC LIMIT 3";
const HIDDEN: &str = "SELECT title, votes FROM films ORDER BY year";

#[test]
fn names_and_order_of_columns_and_further_columns_do_not_matter() {
    let known = json!([["A", 1], ["B", 2]]);
    assert_eq!(agrees(UNORDERED, &known, &json!([[2, "B"], [1, "A"]])), Ok(0));
    assert_eq!(agrees(UNORDERED, &known, &json!([[2, 7, "B"], [1, 7, "A"]])), Ok(1));
    assert!(agrees(UNORDERED, &known, &json!([["A"], ["B"]])).unwrap_err().contains("1 column instead of 2"));
    assert!(agrees(UNORDERED, &known, &json!([["A", 2], ["B", 1]])).unwrap_err().contains("not in the same rows"));
    assert!(agrees(UNORDERED, &known, &json!([["A", 1], ["C", 2]])).unwrap_err().contains("no column has the values of `title`"));
    assert!(agrees(UNORDERED, &known, &json!([["A", 1]])).unwrap_err().contains("1 row instead of 2"));
}

#[test]
fn a_column_that_looks_like_another_one_is_not_taken_for_it() {
    // Both columns of the answer hold 1 and 2; only one of them beside the right titles.
    assert_eq!(agrees(UNORDERED, &json!([["A", 1], ["B", 2]]), &json!([[2, "A", 1], [1, "B", 2]])), Ok(1));
    // Two known columns need two of the answer.
    assert!(agrees(UNORDERED, &json!([[1, 1], [2, 2]]), &json!([[1, "x"], [2, "x"]])).is_err());
}

#[test]
fn how_often_a_row_stands_there_matters() {
    assert!(agrees(UNORDERED, &json!([["A", 1], ["A", 1], ["B", 2]]), &json!([["A", 1], ["B", 2], ["B", 2]])).is_err());
}

#[test]
fn numbers_agree_within_rounding() {
    let same = |one: Value, other: Value| agrees(UNORDERED, &json!([["A", one]]), &json!([["A", other]])).is_ok();
    assert!(same(json!(8.3333), json!(8.33)) && same(json!(8.33), json!(8.3333)) && same(json!(7), json!(7.0)));
    assert!(same(json!(0.1 + 0.2), json!(0.3)) && same(json!(8.35), json!(8.4)) && same(json!(1e21), json!(1e21)));
    assert!(!same(json!(8.33), json!(8.34)) && !same(json!(8), json!(8.33)) && !same(json!(100), json!(101)));
    assert!(!same(json!(0.04), json!(0.0)) && !same(json!(1), json!("1")) && !same(json!(null), json!(0)));
    assert!(same(json!(null), json!(null)) && same(json!(" x"), json!("x ")) && !same(json!("x"), json!("X")));
    assert!(same(json!(["a", 1.0]), json!(["a", 1])) && !same(json!(["a", "b"]), json!(["b", "a"])));
}

#[test]
fn rows_must_be_in_the_order_of_the_known_statement() {
    let known = json!([["A", 3], ["B", 2], ["C", 1]]);
    assert!(agrees(TOP, &known, &known).is_ok());
    assert!(agrees(TOP, &known, &json!([["B", 2], ["A", 3], ["C", 1]])).unwrap_err().contains("not their order: row 1"));
    assert!(agrees(UNORDERED, &known, &json!([["B", 2], ["A", 3], ["C", 1]])).is_ok());
    // What it is ordered by is not to be seen, so nobody can say which rows may change places.
    assert!(agrees(HIDDEN, &known, &json!([["B", 2], ["A", 3], ["C", 1]])).is_ok());
}

#[test]
fn rows_that_tie_may_be_in_any_order_and_a_limit_may_keep_any_of_them() {
    let known = json!([["A", 3], ["B", 3], ["C", 1]]);
    assert!(agrees(TOP, &known, &json!([["B", 3], ["A", 3], ["D", 1]])).is_ok());
    assert!(agrees(TOP, &known, &json!([["A", 3], ["X", 3], ["C", 1]])).is_err(), "these are not at the edge");
    assert!(agrees(TOP, &known, &json!([["A", 3], ["B", 3], ["C", 2]])).is_err());
    let everything = TOP.replace("LIMIT 3", "LIMIT 4");
    assert!(agrees(&everything, &known, &json!([["A", 3], ["B", 3], ["D", 1]])).is_err(), "the limit did not cut");
}

#[test]
fn what_a_wider_limit_shows_says_which_rows_tie() {
    let known = table(&["title", "votes"], rows(json!([["A", 3], ["B", 2]])));
    let wide = |beyond: Value| table(&["title", "votes"], rows(json!([["A", 3], ["B", 2]])).into_iter().chain(rows(beyond)).collect());
    let answer = |title: &str| table(&["title", "votes"], rows(json!([["A", 3], [title, 2]])));
    let agrees = |edge: Edge, title: &str| compare(&known, &answer(title), &Order { keys: vec![1], is_required: true, edge }).is_ok();
    let clean = edge(&known, &wide(json!([["C", 1]])), &[1]);
    assert!(agrees(clean.clone(), "B") && !agrees(clean, "C"));
    let tied = edge(&known, &wide(json!([["C", 2], ["D", 1]])), &[1]);
    assert!(agrees(tied.clone(), "B") && agrees(tied.clone(), "C") && !agrees(tied, "D"));
    let open = edge(&known, &wide(Value::Array((0..100).map(|n| json!([format!("T{n}"), 2])).collect())), &[1]);
    assert_eq!(open, Edge::Open);
    assert_eq!(
        widened("SELECT title FROM films ORDER BY votes DESC LIMIT 2").unwrap(),
        "SELECT title FROM films ORDER BY votes DESC LIMIT 102"
    );
    assert_eq!(widened("SELECT title FROM films ORDER BY votes DESC"), None);
}

#[test]
fn keys_are_found_by_name_place_and_expression() {
    let rows = table(&["title", "n"], vec![vec![json!("A"), json!(1)]]);
    let keys = |sql: &str| order_of(sql, &rows, None).keys;
    assert_eq!(keys("SELECT f.title, COUNT(*) AS n FROM films f GROUP BY 1 ORDER BY COUNT(*) DESC, f.title"), [1, 0]);
    assert_eq!(keys("SELECT title, COUNT(*) n FROM films GROUP BY title ORDER BY 2 DESC, N"), [1]);
    assert_eq!(keys("WITH x AS (SELECT 1 ORDER BY 1) SELECT title, n FROM x"), [0_usize; 0]);
    assert_eq!(keys("SELECT title, n FROM films ORDER BY n, year, title"), [1], "after one that is hidden no key counts");
}

#[test]
fn the_suite_may_say_that_order_does_or_does_not_matter() {
    let known = table(&["title", "votes"], rows(json!([["A", 3], ["B", 2]])));
    let turned = table(&["title", "votes"], rows(json!([["B", 2], ["A", 3]])));
    assert!(compare(&known, &turned, &order_of(TOP, &known, Some(false))).is_ok());
    assert!(compare(&known, &turned, &order_of(UNORDERED, &known, Some(true))).is_err());
}

#[test]
fn an_empty_known_result_agrees_with_nothing() {
    let empty = table(&["title"], vec![]);
    assert!(compare(&empty, &empty, &Order::default()).unwrap_err().contains("nothing can be compared"));
}

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (0..4_i64).prop_map(|number| json!(number)),
        (0..400_u16).prop_map(|number| json!(f64::from(number) / 16.0)),
        "[a-c]".prop_map(|text| json!(text)),
    ]
}

/// Rows of one width.
fn results() -> impl Strategy<Value = Vec<Vec<Value>>> {
    (1..4_usize).prop_flat_map(|width| vec(vec(cell(), width), 1..12))
}

proptest! {
    #[test]
    fn what_is_turned_and_widened_still_agrees(rows in results(), turn in 0..4_usize, seed in any::<u64>()) {
        let width = rows[0].len();
        let known = table(&["a", "b", "c"][..width], rows.clone());
        let mut other: Vec<Vec<Value>> = rows.into_iter().enumerate().map(|(number, mut row)| {
            row.rotate_left(turn % width);
            row.insert(0, json!(number));
            row
        }).collect();
        other.sort_by_key(|row| row[0].as_u64().unwrap().wrapping_mul(seed | 1));
        let other = table(&["x", "c", "b", "a"][..=width], other);
        prop_assert_eq!(compare(&known, &other, &Order::default()).map(|agreement| agreement.extra_columns), Ok(1));
    }

    #[test]
    fn one_other_value_is_seen(rows in results(), at in any::<prop::sample::Index>()) {
        let known = table(&["a", "b", "c"][..rows[0].len()], rows.clone());
        let mut other = rows;
        let row = at.index(other.len());
        let column = at.index(other[row].len());
        other[row][column] = json!("another one");
        let other = table(&["a", "b", "c"][..known.columns.len()], other);
        prop_assert!(compare(&known, &other, &Order::default()).is_err());
        prop_assert!(compare(&other, &known, &Order::default()).is_err());
    }

    #[test]
    fn a_required_order_is_kept(rows in results()) {
        let mut rows = rows;
        for (number, row) in rows.iter_mut().enumerate() {
            row[0] = json!(number);
        }
        let known = table(&["a", "b", "c"][..rows[0].len()], rows.clone());
        let order = Order { keys: vec![0], is_required: true, edge: Edge::Clean };
        prop_assert!(compare(&known, &known, &order).is_ok());
        let mut turned = rows.clone();
        turned.rotate_left(1);
        let turned = table(&["a", "b", "c"][..known.columns.len()], turned);
        prop_assert_eq!(compare(&known, &turned, &order).is_ok(), rows.len() == 1);
        let unordered = Order { is_required: false, ..order };
        prop_assert!(compare(&known, &turned, &unordered).is_ok());
    }
}
