//! A plan written as Vega-Lite (<https://vega.github.io/vega-lite/docs/spec.html>): data, marks, axes, number formats, and a sentence for
//! those who do not see it.
//!
//! Decides nothing about what is drawn. Colours, fonts and the background are left to the reader's theme.

use serde_json::{Map, Value, json};

use super::{
    choice::{Parts, Plan},
    column::{Field, Kind, SERIES, Scale, VALUE, label},
};
use crate::conversation::result::ResultSet;

const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v6.json";
/// Points up to which each is marked on its line.
const MARKED_POINTS: usize = 40;
/// Bars stand upright up to so many, with labels of so many characters: more would not be readable in a narrow page.
const UPRIGHT_BARS: usize = 6;
/// See [`UPRIGHT_BARS`].
const UPRIGHT_LABEL: usize = 10;
/// From this ratio of the largest to the smallest value on, points need a logarithmic axis to be told apart.
const LOGARITHMIC: f64 = 1_000.0;
/// The height of a chart, in pixels.
const HEIGHT: usize = 260;
/// What a lying bar takes of the height, and each further one beside it, in pixels.
const BAR: usize = 24;
/// See [`BAR`].
const THIN_BAR: usize = 12;
/// Characters of a title.
const LONGEST_TITLE: usize = 120;

/// The specification of `plan`, which draws rows of `result`, query number `query`.
pub(super) fn specification(plan: &Plan<'_>, query: u32, result: &ResultSet) -> Value {
    let drawn = match plan {
        Plan::Line { x, measures, series, area } => line(x, measures, *series, *area),
        Plan::Panels { x, measures } => panels(x, measures),
        Plan::Bar { axis, measures, series, parts } => bar(axis, measures, *series, *parts),
        Plan::Pie { slices, measure, is_whole } => pie(slices, measure, *is_whole),
        Plan::Scatter { x, y, color, name } => scatter(x, y, *color, *name),
        Plan::Histogram { measure } => histogram(measure),
    };
    let mut title = json!({"text": label(&drawn.title, LONGEST_TITLE), "anchor": "start"});
    let mut description = format!("{}: {}. {}", drawn.shape, drawn.title, drawn.summary);
    if result.truncated {
        let note = format!("The first {} rows; there are more.", result.row_count);
        description = format!("{description} {note}");
        title["subtitle"] = note.into();
    }
    let mut specification = json!({
        "$schema": SCHEMA,
        "title": title,
        "description": description,
        "usermeta": {"query": query},
        "data": {"values": drawn.values},
    });
    if let (Some(all), Value::Object(rest)) = (specification.as_object_mut(), drawn.rest) {
        all.extend(rest);
        // Where there is no container to be as wide as, as in a file.
        all.insert("config".into(), json!({"view": {"continuousWidth": 480, "discreteWidth": 480}}));
    }
    specification
}

/// What the shapes differ in.
struct Drawn {
    /// The name of the shape, for the description.
    shape: &'static str,
    title: String,
    /// What the values come to, in a sentence.
    summary: String,
    values: Vec<Value>,
    /// Mark, encoding and size.
    rest: Value,
}

fn line(x: &Field, measures: &[&Field], series: Option<&Field>, area: bool) -> Drawn {
    let (values, encoded) = points(x, measures, series);
    let marked = values.len() <= MARKED_POINTS && !area;
    let mut y = encoded.y;
    let stacks = area && (series.is_some() || measures.len() > 1);
    if !area && let Some(zero) = from_zero(measures) {
        y["scale"] = json!({"zero": zero});
    }
    if stacks {
        y["stack"] = "zero".into();
    }
    let mark = if area { json!({"type": "area", "line": true, "opacity": 0.6}) } else { json!({"type": "line", "point": marked}) };
    let mut encoding = json!({"x": position(x), "y": y, "tooltip": encoded.tooltip});
    if let Some(color) = encoded.color {
        encoding["color"] = color;
    }
    Drawn {
        shape: if area { "Area chart" } else { "Line chart" },
        title: title_of(measures, x, series),
        summary: summary(x, measures, values.len()),
        values,
        rest: json!({"width": "container", "height": HEIGHT, "mark": mark, "encoding": encoding}),
    }
}

fn panels(x: &Field, measures: &[&Field]) -> Drawn {
    let (values, encoded) = points(x, measures, None);
    let mut y = encoded.y;
    y["title"] = Value::Null;
    y["scale"] = json!({"zero": false});
    let row = json!({"field": SERIES, "type": "nominal", "title": null, "header": {"labelOrient": "top", "labelAngle": 0, "labelAnchor": "start"}});
    // A chart of several panels cannot be as wide as its container.
    let rest = json!({
        "mark": {"type": "line", "point": values.len() <= MARKED_POINTS},
        "encoding": {"row": row, "x": position(x), "y": y, "tooltip": encoded.tooltip},
        "resolve": {"scale": {"y": "independent"}},
        "width": 480,
        "height": 120,
    });
    Drawn { shape: "Line charts", title: title_of(measures, x, None), summary: summary(x, measures, values.len()), values, rest }
}

fn bar(axis: &Field, measures: &[&Field], series: Option<&Field>, parts: Parts) -> Drawn {
    let (mut values, encoded) = points(axis, measures, series);
    let mut length = encoded.y;
    let mut tooltip = encoded.tooltip;
    match (parts, series, measures) {
        (Parts::Shares, None, [measure]) => {
            add_shares(&mut values, measure);
            tooltip.push(json!({"field": VALUE, "type": "quantitative", "title": "Share", "format": ".1%"}));
            length = json!({"field": VALUE, "type": "quantitative", "title": format!("Share of {}", in_sentence(&measure.title)), "axis": {"format": ".0%"}});
        }
        (Parts::Shares, ..) => {
            length["stack"] = "normalize".into();
            length["axis"] = json!({"format": ".0%"});
        }
        (Parts::Stacked, ..) => length["stack"] = "zero".into(),
        (Parts::Apart, ..) => {}
    }
    let is_beside = parts == Parts::Apart && encoded.color.is_some();
    if is_beside {
        // Else Vega-Lite adds them up.
        length["stack"] = Value::Null;
    }
    let is_flat = is_flat(axis);
    let (along, across, offset) = if is_flat { ("y", "x", "yOffset") } else { ("x", "y", "xOffset") };
    let mut encoding = Map::new();
    encoding.insert(along.into(), step(axis, is_flat));
    encoding.insert(across.into(), length);
    if let Some(color) = encoded.color {
        if is_beside {
            encoding.insert(offset.into(), json!({"field": color["field"], "sort": null}));
        }
        encoding.insert("color".into(), color);
    }
    encoding.insert("tooltip".into(), tooltip.into());
    // In pixels: Vega-Lite does not fit steps into a container.
    let beside = if is_beside { series.map_or(measures.len(), |series| series.distinct) } else { 1 };
    let height = if is_flat { axis.distinct * (BAR + THIN_BAR * (beside - 1)) } else { HEIGHT };
    Drawn {
        shape: "Bar chart",
        title: title_of(measures, axis, series),
        summary: summary(axis, measures, values.len()),
        values,
        rest: json!({"width": "container", "height": height, "mark": {"type": "bar"}, "encoding": encoding}),
    }
}

fn pie(slices: &Field, measure: &Field, is_whole: bool) -> Drawn {
    let (mut values, encoded) = points(slices, &[measure], None);
    let mut tooltip = encoded.tooltip;
    if is_whole {
        add_shares(&mut values, measure);
        tooltip.push(json!({"field": VALUE, "type": "quantitative", "title": "Share", "format": ".1%"}));
    }
    let encoding = json!({
        "theta": {"field": measure.key, "type": "quantitative", "stack": true},
        "color": {"field": slices.key, "type": "nominal", "title": slices.title, "sort": null},
        "order": {"field": measure.key, "type": "quantitative", "sort": "descending"},
        "tooltip": tooltip,
    });
    Drawn {
        shape: "Pie chart",
        title: title_of(&[measure], slices, None),
        summary: summary(slices, &[measure], values.len()),
        values,
        rest: json!({"width": "container", "height": HEIGHT, "mark": {"type": "arc", "padAngle": 0.01}, "encoding": encoding}),
    }
}

fn scatter(x: &Field, y: &Field, color: Option<&Field>, name: Option<&Field>) -> Drawn {
    let fields: Vec<&Field> = [Some(x), Some(y), color, name].into_iter().flatten().collect();
    let is_drawn = |row: &usize| [x, y].iter().all(|field| !cell(field, *row).is_null());
    let values: Vec<Value> = (0..x.cells.len()).filter(is_drawn).map(|row| object(&fields, row)).collect();
    let mut tooltip: Vec<&Field> = name.into_iter().chain(color).chain([x, y]).collect();
    tooltip.dedup_by_key(|field| field.at);
    let mut encoding = json!({
        "x": spread(x),
        "y": spread(y),
        "tooltip": tooltip.into_iter().map(tip).collect::<Vec<_>>(),
    });
    if let Some(color) = color {
        encoding["color"] = colored(&color.key, Some(&color.title), color.kind);
    }
    Drawn {
        shape: "Scatter plot",
        title: format!("{} against {}", y.title, in_sentence(&x.title)),
        summary: format!("{} points.", values.len()),
        values,
        rest: json!({"width": "container", "height": HEIGHT, "mark": {"type": "point", "filled": true, "opacity": 0.7}, "encoding": encoding}),
    }
}

fn histogram(measure: &Field) -> Drawn {
    let values: Vec<Value> =
        (0..measure.cells.len()).filter(|row| !cell(measure, *row).is_null()).map(|row| object(&[measure], row)).collect();
    let mut x = json!({"field": measure.key, "bin": {"maxbins": 20}, "type": "quantitative", "title": measure.title});
    set(&mut x, "axis", axis(measure));
    let y = json!({"aggregate": "count", "type": "quantitative", "title": "Rows", "axis": {"tickMinStep": 1}});
    let tooltip = json!([{"field": measure.key, "bin": {"maxbins": 20}, "title": measure.title}, {"aggregate": "count", "title": "Rows"}]);
    let range = measure.extent().map_or(String::new(), |(least, most)| format!(", from {} to {}", number(least), number(most)));
    Drawn {
        shape: "Histogram",
        title: format!("Distribution of {}", in_sentence(&measure.title)),
        summary: format!("{} values{range}.", values.len()),
        values,
        rest: json!({"width": "container", "height": HEIGHT, "mark": {"type": "bar"}, "encoding": {"x": x, "y": y, "tooltip": tooltip}}),
    }
}

/// How the values of [`points`] are encoded.
struct Encoded {
    y: Value,
    color: Option<Value>,
    tooltip: Vec<Value>,
}

/// The values along `axis`, one object for each point: several measures of a row become several points of named series.
fn points(axis: &Field, measures: &[&Field], series: Option<&Field>) -> (Vec<Value>, Encoded) {
    let is_drawn = |row: &usize| axis.kind == Kind::Category || !cell(axis, *row).is_null();
    let rows = (0..axis.cells.len()).filter(is_drawn);
    if let [measure] = measures {
        let fields: Vec<&Field> = [Some(axis), series, Some(*measure)].into_iter().flatten().collect();
        let color = series.map(|series| colored(&series.key, Some(&series.title), series.kind));
        let encoded = Encoded {
            y: quantity(&measure.key, Some(&measure.title), measures),
            color,
            tooltip: fields.iter().map(|field| tip(field)).collect(),
        };
        return (rows.map(|row| object(&fields, row)).collect(), encoded);
    }
    let values = rows
        .flat_map(|row| measures.iter().map(move |measure| (row, *measure)))
        .map(|(row, measure)| json!({axis.key.as_str(): cell(axis, row), SERIES: measure.title, VALUE: cell(measure, row)}));
    let mut value = json!({"field": VALUE, "type": "quantitative", "title": "Value"});
    set(&mut value, "format", tip_format(measures).map(Value::from));
    let tooltip = vec![tip(axis), json!({"field": SERIES, "type": "nominal", "title": "Series"}), value];
    let encoded = Encoded { y: quantity(VALUE, None, measures), color: Some(colored(SERIES, None, Kind::Category)), tooltip };
    (values.collect(), encoded)
}

fn cell(field: &Field, row: usize) -> &Value {
    field.cells.get(row).unwrap_or(&Value::Null)
}

fn object(fields: &[&Field], row: usize) -> Value {
    fields.iter().map(|field| (field.key.clone(), cell(field, row).clone())).collect::<Map<_, _>>().into()
}

/// Gives every point its part of the whole.
fn add_shares(values: &mut [Value], measure: &Field) {
    let whole: f64 = measure.numbers().flatten().sum();
    for value in values {
        let share = value[measure.key.as_str()].as_f64().filter(|_| whole > 0.0).map(|part| part / whole);
        value[VALUE] = share.into();
    }
}

/// A continuous axis, or one with a step for each value where there is no distance between them.
fn position(field: &Field) -> Value {
    match field.kind {
        Kind::Time(Scale::Calendar) => json!({"field": field.key, "type": "temporal", "title": field.title}),
        Kind::Time(Scale::Year) => json!({
            "field": field.key,
            "type": "quantitative",
            "title": field.title,
            "axis": {"format": "d", "tickMinStep": 1},
            "scale": {"zero": false, "nice": false},
        }),
        Kind::Measure { .. } => {
            let mut position = quantity(&field.key, Some(&field.title), &[field]);
            position["scale"] = json!({"zero": false});
            position
        }
        Kind::Time(Scale::Period) | Kind::Category => step(field, false),
    }
}

/// An axis with a step for each value: names in the order of the rows, times and numbers ascending.
fn step(field: &Field, is_flat: bool) -> Value {
    let (kind, sort) = if field.kind == Kind::Category { ("nominal", Value::Null) } else { ("ordinal", "ascending".into()) };
    let axis = match (is_flat, field.kind) {
        (true, _) => json!({"labelLimit": 220}),
        (false, Kind::Time(Scale::Calendar)) => json!({"labelAngle": -40, "labelOverlap": true}),
        (false, _) => json!({"labelAngle": 0, "labelOverlap": true}),
    };
    let mut step = json!({"field": field.key, "type": kind, "title": field.title, "sort": sort, "axis": axis});
    if field.kind == Kind::Time(Scale::Calendar) {
        step["timeUnit"] = time_unit(field).into();
        step["axis"]["format"] = calendar_format(field).into();
    }
    step
}

/// The length of a bar, the height of a point.
fn quantity(key: &str, title: Option<&str>, measures: &[&Field]) -> Value {
    let mut quantity = json!({"field": key, "type": "quantitative", "title": title});
    let axes: Vec<Option<Value>> = measures.iter().map(|measure| axis(measure)).collect();
    let is_same = axes.iter().all(|axis| Some(axis) == axes.first());
    set(&mut quantity, "axis", axes.into_iter().next().flatten().filter(|_| is_same));
    quantity
}

/// An axis of a scatter plot.
fn spread(field: &Field) -> Value {
    let mut spread = position(field);
    if matches!(field.kind, Kind::Measure { .. }) {
        let is_wide = field.extent().is_some_and(|(least, most)| least > 0.0 && most / least >= LOGARITHMIC);
        spread["scale"] = if is_wide { json!({"type": "log"}) } else { json!({"zero": false}) };
        if is_wide {
            // It has a line for every digit of every magnitude.
            spread["axis"]["grid"] = false.into();
        }
    }
    spread
}

fn colored(key: &str, title: Option<&str>, kind: Kind) -> Value {
    let (kind, sort) = if kind == Kind::Category { ("nominal", Value::Null) } else { ("ordinal", "ascending".into()) };
    json!({"field": key, "type": kind, "title": title, "sort": sort, "legend": {"orient": "top", "columns": 4}})
}

/// How an axis writes its numbers: short where they are long, whole where they are whole. None leaves it to Vega.
fn axis(field: &Field) -> Option<Value> {
    let (least, most) = field.extent()?;
    let largest = least.abs().max(most.abs());
    if field.is_fraction() {
        Some(json!({"format": ".0~%"}))
    } else if largest >= 100_000.0 {
        Some(json!({"format": "~s"}))
    } else if field.kind == (Kind::Measure { whole: true }) {
        Some(json!({"format": ",d", "tickMinStep": 1}))
    } else if largest > 0.0 && largest < 0.001 {
        Some(json!({"format": ".2~e"}))
    } else {
        None
    }
}

fn tip(field: &Field) -> Value {
    let mut tip = json!({"field": field.key, "type": "nominal", "title": field.title});
    match field.kind {
        Kind::Category | Kind::Time(Scale::Period) => {}
        Kind::Time(Scale::Year) => {
            tip["type"] = "quantitative".into();
            tip["format"] = "d".into();
        }
        Kind::Time(Scale::Calendar) => {
            tip["type"] = "temporal".into();
            tip["format"] = calendar_format(field).into();
        }
        Kind::Measure { .. } => {
            tip["type"] = "quantitative".into();
            set(&mut tip, "format", tip_format(&[field]).map(Value::from));
        }
    }
    tip
}

/// Numbers as they are, with separators; small ones by their first digits.
fn tip_format(measures: &[&Field]) -> Option<&'static str> {
    let all = |is: fn(&Field) -> bool| measures.iter().all(|field| is(field));
    let is_large = |field: &Field| field.extent().is_some_and(|(least, most)| least.abs().max(most.abs()) >= 1.0);
    if all(Field::is_fraction) {
        Some(".1~%")
    } else if all(|field| field.kind == Kind::Measure { whole: true }) {
        Some(",d")
    } else if all(is_large) {
        Some(",.2~f")
    } else {
        Some(".4~g")
    }
}

fn has_clock(field: &Field) -> bool {
    field.cells.iter().filter_map(Value::as_str).any(|cell| !cell.ends_with("T00:00:00"))
}

fn has_seconds(field: &Field) -> bool {
    field.cells.iter().filter_map(Value::as_str).any(|cell| !cell.ends_with(":00"))
}

/// The unit of a step. A coarser one than the cells have would add up the bars within it.
fn time_unit(field: &Field) -> &'static str {
    if has_seconds(field) {
        "yearmonthdatehoursminutesseconds"
    } else if has_clock(field) {
        "yearmonthdatehoursminutes"
    } else {
        "yearmonthdate"
    }
}

fn calendar_format(field: &Field) -> &'static str {
    let is_monthly = field.cells.iter().filter_map(Value::as_str).all(|cell| cell.ends_with("-01T00:00:00"));
    if is_monthly {
        "%Y-%m"
    } else if has_seconds(field) {
        "%Y-%m-%d %H:%M:%S"
    } else if has_clock(field) {
        "%Y-%m-%d %H:%M"
    } else {
        "%Y-%m-%d"
    }
}

/// Bars lie where their labels would not fit below them.
fn is_flat(axis: &Field) -> bool {
    let longest = axis.cells.iter().filter_map(Value::as_str).map(|cell| cell.chars().count()).max().unwrap_or_default();
    axis.kind == Kind::Category && (axis.distinct > UPRIGHT_BARS || longest > UPRIGHT_LABEL)
}

/// A line may start above zero where its values differ little: there its slope is what counts, not its height.
fn from_zero(measures: &[&Field]) -> Option<bool> {
    let extents = measures.iter().filter_map(|field| field.extent());
    let (least, most) = extents.reduce(|(least, most), (low, high)| (least.min(low), most.max(high)))?;
    Some(!(least > 0.0 && most - least < most / 2.0))
}

fn title_of(measures: &[&Field], axis: &Field, series: Option<&Field>) -> String {
    let mut named: Vec<String> = measures.iter().map(|field| in_sentence(&field.title)).collect();
    if let (Some(first), Some(field)) = (named.first_mut(), measures.first()) {
        first.clone_from(&field.title);
    }
    let series = series.map_or(String::new(), |series| format!(" and {}", in_sentence(&series.title)));
    format!("{} by {}{series}", named.join(", "), in_sentence(&axis.title))
}

/// A name within a sentence: without its capital letter, unless it is a short form such as `GDP`.
fn in_sentence(title: &str) -> String {
    let mut letters = title.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(letters).collect(),
        _ => title.to_owned(),
    }
}

/// How many points there are, and where the first measure is lowest and highest.
fn summary(axis: &Field, measures: &[&Field], points: usize) -> String {
    let Some(measure) = measures.first() else { return String::new() };
    let drawn = measure.numbers().zip(&axis.cells).filter_map(|(number, at)| Some((number?, at)));
    let lowest = drawn.clone().min_by(|left, right| left.0.total_cmp(&right.0));
    // Of equals, max_by would take the last.
    let highest = drawn.rev().max_by(|left, right| left.0.total_cmp(&right.0));
    let (Some(low), Some(high)) = (lowest, highest) else { return format!("{points} values.") };
    let of = if measures.len() > 1 { format!(" {}", in_sentence(&measure.title)) } else { String::new() };
    format!("{points} values; lowest{of} {} ({}), highest {} ({}).", number(low.0), named(low.1), number(high.0), named(high.1))
}

fn named(value: &Value) -> String {
    match value {
        Value::String(text) => label(text.strip_suffix("T00:00:00").unwrap_or(text), 60),
        Value::Null => "no value".into(),
        other => other.to_string(),
    }
}

fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 {
        return format!("{value:e}");
    }
    let written = format!("{value:.3}");
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[key] = value;
    }
}
