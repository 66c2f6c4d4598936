//! Charts: which one is chosen, whether Vega-Lite takes it, and that a client gets it.

mod choice;
mod properties;
mod wire;

use std::{fs, sync::LazyLock};

use asklake::conversation::{Chart, Column, LimitSource, ResultSet};
use serde_json::Value;

/// Vega-Lite's own schema, of the version that the page renders with.
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/vega-lite/node_modules/vega-lite/build/vega-lite-schema.json");

static VEGA_LITE: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = fs::read_to_string(SCHEMA).unwrap_or_else(|error| panic!("{SCHEMA}: {error}; `make test` installs it"));
    let mut schema = serde_json::from_str(&schema).unwrap();
    rename_definitions(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
});

/// The schema names definitions by their types, such as `Foo<(string|null)>`, which no URI reference may hold.
fn rename_definitions(schema: &mut Value) {
    let plain = |name: &str| -> String {
        name.chars()
            .map(|c| if c.is_ascii_alphanumeric() || "#/_-.".contains(c) { c.to_string() } else { format!("_{:x}", u32::from(c)) })
            .collect()
    };
    match schema {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(reference) if name == "$ref" => *reference = plain(reference),
                    Value::Object(definitions) if name == "definitions" => {
                        *definitions =
                            std::mem::take(definitions).into_iter().map(|(name, definition)| (plain(&name), definition)).collect();
                        definitions.values_mut().for_each(rename_definitions);
                    }
                    member => rename_definitions(member),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(rename_definitions),
        _ => {}
    }
}

/// A complete result with columns such as `year:int`.
fn result(columns: &[&str], rows: Vec<Vec<Value>>) -> ResultSet {
    let column = |text: &&str| {
        let (name, data_type) = text.rsplit_once(':').unwrap();
        Column { name: name.into(), data_type: data_type.into() }
    };
    let row_count = rows.len() as u64;
    ResultSet { columns: columns.iter().map(column).collect(), rows, row_count, truncated: false, limit_source: Some(LimitSource::Server) }
}

/// What holds for every chart, whatever it draws.
fn assert_sound(chart: &Chart, result: &ResultSet) {
    let spec = chart.specification();
    let faults: Vec<String> = VEGA_LITE.iter_errors(spec).map(|error| format!("{error} at {}", error.instance_path())).take(3).collect();
    assert!(faults.is_empty(), "{faults:#?} in {spec:#}");
    assert!(spec.to_string().len() <= asklake::conversation::chart::MOST_BYTES);
    let points = spec["data"]["values"].as_array().unwrap();
    assert!((2..=asklake::conversation::chart::MOST_POINTS).contains(&points.len()), "{} points", points.len());
    assert_no_expression(spec);
    for field in fields(&spec["encoding"]) {
        assert!(field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{field} needs an escape");
        assert!(points.iter().all(|point| point.get(field).is_some()), "{field} is missing in the data of {spec:#}");
    }
    let description = spec["description"].as_str().unwrap();
    assert!(description.len() > 10 && !description.chars().any(char::is_control), "{description}");
    assert_eq!(description.contains("there are more"), result.truncated, "{description}");
}

/// Vega evaluates these wherever they stand, so nothing of a row may become one.
fn assert_no_expression(value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| *name != "values") {
                assert!(
                    !["expr", "signal", "labelExpr", "calculate", "test", "filter", "transform", "params", "url", "href"]
                        .contains(&name.as_str())
                );
                assert_no_expression(member);
            }
        }
        Value::Array(values) => values.iter().for_each(assert_no_expression),
        _ => {}
    }
}

fn fields(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => {
            let own = members.get("field").and_then(Value::as_str);
            own.into_iter().chain(members.values().flat_map(fields)).collect()
        }
        Value::Array(values) => values.iter().flat_map(fields).collect(),
        _ => Vec::new(),
    }
}

/// A chart in one line: its mark and what each channel shows, such as `bar y=genre x=films`.
fn sketch(chart: Option<&Chart>) -> String {
    let Some(chart) = chart else { return "none".into() };
    let spec = chart.specification();
    let mut sketch = spec["mark"]["type"].as_str().unwrap().to_owned();
    for channel in ["row", "x", "y", "xOffset", "yOffset", "theta", "color"] {
        let Some(encoding) = spec["encoding"].get(channel) else { continue };
        let field = encoding["field"].as_str().or(encoding["aggregate"].as_str()).unwrap();
        sketch += &format!(" {channel}={field}");
        sketch += match encoding["type"].as_str().unwrap_or_default() {
            "temporal" => ":time",
            "ordinal" => ":step",
            _ => "",
        };
        for (key, mark) in [("/bin/maxbins", ":bins"), ("/scale/type", ":log")] {
            sketch += if encoding.pointer(key).is_some() { mark } else { "" };
        }
        sketch += match encoding["stack"].as_str() {
            Some("normalize") => ":normalize",
            Some("zero") => ":stack",
            _ => "",
        };
        sketch +=
            if encoding.pointer("/axis/format").and_then(Value::as_str).is_some_and(|format| format.ends_with('%')) { ":%" } else { "" };
    }
    sketch
}
