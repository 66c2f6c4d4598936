//! Whatever the columns and the rows are, there is a chart that Vega-Lite takes, or none.

use asklake::conversation::{Chart, Column, LimitSource, ResultSet};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::assert_sound;

const TYPES: &[&str] = &[
    "int",
    "bigint",
    "double",
    "decimal(12,2)",
    "string",
    "date",
    "timestamp",
    "timestamp_ntz",
    "boolean",
    "array<string>",
    "binary",
    "?",
];
const NAMES: &[&str] = &[
    "year",
    "month",
    "day",
    "region",
    "kind",
    "orders",
    "avg_price",
    "share",
    "id",
    "rank",
    "value",
    "series",
    "a.b",
    "a[0]",
    "",
    "é\"'\\",
    "x",
    "x",
];
const QUESTIONS: &[&str] = &[
    "orders per year",
    "what share",
    "as a pie chart",
    "scatter plot",
    "histogram",
    "distribution",
    "correlation",
    "north vs south",
    "line chart",
    "area chart",
    "bar chart",
    "plot it",
    "",
];

/// A cell that may belong to the type, or not.
fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (1_i64..20).prop_map(|n| json!(n)),
        2 => (1990_i64..2010).prop_map(|n| json!(n)),
        2 => any::<f64>().prop_map(|n| json!(n)),
        1 => any::<u64>().prop_map(|n| json!(n)),
        2 => (1_u8..13, 1_u8..29).prop_map(|(month, day)| json!(format!("2024-{month:02}-{day:02}"))),
        1 => (1_u8..13, 0_u8..24).prop_map(|(month, hour)| json!(format!("2024-{month:02}-01T{hour:02}:00:00Z"))),
        3 => select(vec!["north", "south", "east", "west", "", "NaN", "1e400", "\u{0}", "é"]).prop_map(|text| json!(text)),
        1 => ".{0,200}".prop_map(|text| json!(text)),
        1 => any::<bool>().prop_map(|flag| json!(flag)),
        1 => Just(json!(null)),
        1 => Just(json!(["a"])),
    ]
}

fn result() -> impl Strategy<Value = ResultSet> {
    let columns = vec((select(NAMES), select(TYPES)), 0..5);
    (columns, 0_usize..60, any::<bool>(), any::<bool>()).prop_flat_map(|(columns, count, truncated, is_limited)| {
        // A column keeps to one kind of cell more often than not.
        let width = columns.len();
        (vec(vec(cell(), width), count), Just((columns, truncated, is_limited))).prop_map(|(rows, (columns, truncated, is_limited))| {
            ResultSet {
                row_count: rows.len() as u64,
                columns: columns.into_iter().map(|(name, data_type)| Column { name: name.into(), data_type: data_type.into() }).collect(),
                rows,
                truncated,
                limit_source: is_limited.then_some(LimitSource::Model),
            }
        })
    })
}

/// Cells that are all of their column's type, so that most results have a chart.
fn typed() -> impl Strategy<Value = ResultSet> {
    let columns = vec((select(NAMES), select(TYPES)), 1..5);
    (columns, 2_usize..60, any::<u64>(), any::<bool>()).prop_map(|(columns, count, seed, truncated)| {
        let cell = |data_type: &str, column: usize, row: usize| {
            let n = (seed as usize).wrapping_add(row * (column + 1) * 7) % 97;
            match data_type {
                "string" => json!(format!("name {}", if seed % 2 == 0 { row } else { n % 6 })),
                "date" => json!(format!("2024-{:02}-{:02}", n % 12 + 1, row % 28 + 1)),
                "timestamp" | "timestamp_ntz" => json!(format!("2024-{:02}-01T{:02}:00:00", n % 12 + 1, row % 24)),
                "boolean" => json!(n.is_multiple_of(2)),
                "double" => json!(n as f64 / 7.0),
                "int" => json!(1980 + row),
                _ => json!(n),
            }
        };
        let rows = (0..count).map(|row| columns.iter().enumerate().map(|(column, (_, data_type))| cell(data_type, column, row)).collect());
        ResultSet {
            rows: rows.collect(),
            columns: columns.iter().map(|(name, data_type)| Column { name: (*name).into(), data_type: (*data_type).into() }).collect(),
            row_count: count as u64,
            truncated,
            limit_source: None,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_result_has_a_sound_chart_or_none(result in prop_oneof![result(), typed()], question in select(QUESTIONS)) {
        if let Some(chart) = Chart::of(question, 1, &result) {
            assert_sound(&chart, &result);
            let stored: Chart = serde_json::from_str(&serde_json::to_string(&chart).unwrap()).unwrap();
            prop_assert_eq!(&stored, &chart);
        }
    }

    #[test]
    fn the_order_of_columns_that_are_not_drawn_changes_nothing(result in typed()) {
        let mut with_text = result.clone();
        with_text.columns.push(Column { name: "note".into(), data_type: "binary".into() });
        with_text.rows.iter_mut().for_each(|row| row.push(json!("AAAA")));
        prop_assert_eq!(Chart::of("orders", 1, &with_text), Chart::of("orders", 1, &result));
    }
}
