//! Arrow columns as JSON cells with their Spark SQL types.
//!
//! Owns how every Arrow type is written: booleans, numbers and strings as themselves; dates, times and intervals as ISO 8601 text
//! (`timestamp` in UTC with `Z`, `timestamp_ntz` without); lists as arrays; maps and structs as objects; binary as base64. JSON knows
//! no NaN and no infinity: they are the strings `NaN`, `Infinity`, `-Infinity`, as Spark's `to_json` writes them. A decimal of up to
//! 15 digits survives a double and is a number; a longer one is a string.

use arrow_array::{Array, ArrayRef, GenericListArray, GenericListViewArray, MapArray, OffsetSizeTrait, StructArray, cast::AsArray, types};
use arrow_cast::{
    base64::{BASE64_STANDARD, Engine},
    display::{ArrayFormatter, FormatOptions},
};
use arrow_schema::{ArrowError, DataType, IntervalUnit, TimeUnit};
use serde_json::{Map, Number, Value};

/// Digits of a decimal that a double can hold without loss.
const DOUBLE_DIGITS: usize = 15;

/// The name Spark SQL has for `data_type`, in lower case.
pub(in crate::warehouse) fn spark_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "void".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "int".into(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".into(),
        DataType::Float16 | DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "binary".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp".into(),
        DataType::Timestamp(_, None) => "timestamp_ntz".into(),
        DataType::Duration(_) => "interval day to second".into(),
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        DataType::Interval(_) => "interval".into(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => format!("array<{}>", spark_type(item.data_type())),
        DataType::Map(entries, _) => map_type(entries.data_type()),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| format!("{}:{}", field.name(), spark_type(field.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        DataType::Dictionary(_, values) => spark_type(values),
        DataType::RunEndEncoded(_, values) => spark_type(values.data_type()),
        DataType::Union(..) => "variant".into(),
    }
}

fn map_type(entries: &DataType) -> String {
    match entries {
        DataType::Struct(fields) => {
            let types: Vec<_> = fields.iter().map(|field| spark_type(field.data_type())).collect();
            format!("map<{}>", types.join(","))
        }
        other => spark_type(other),
    }
}

/// The cells of a column, from its first row to its last.
///
/// # Errors
/// An Arrow type that has no text form.
pub(in crate::warehouse) fn cells(array: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    macro_rules! each {
        ($values:expr, $cell:expr) => {
            Ok($values.iter().map(|value| value.map_or(Value::Null, $cell)).collect())
        };
    }
    match array.data_type() {
        DataType::Null => Ok(vec![Value::Null; array.len()]),
        DataType::Boolean => each!(array.as_boolean(), Value::Bool),
        DataType::Int8 => each!(array.as_primitive::<types::Int8Type>(), Value::from),
        DataType::Int16 => each!(array.as_primitive::<types::Int16Type>(), Value::from),
        DataType::Int32 => each!(array.as_primitive::<types::Int32Type>(), Value::from),
        DataType::Int64 => each!(array.as_primitive::<types::Int64Type>(), Value::from),
        DataType::UInt8 => each!(array.as_primitive::<types::UInt8Type>(), Value::from),
        DataType::UInt16 => each!(array.as_primitive::<types::UInt16Type>(), Value::from),
        DataType::UInt32 => each!(array.as_primitive::<types::UInt32Type>(), Value::from),
        DataType::UInt64 => each!(array.as_primitive::<types::UInt64Type>(), Value::from),
        DataType::Float16 => each!(array.as_primitive::<types::Float16Type>(), |value| float(f64::from(value))),
        DataType::Float32 => each!(array.as_primitive::<types::Float32Type>(), single),
        DataType::Float64 => each!(array.as_primitive::<types::Float64Type>(), float),
        DataType::Utf8 => each!(array.as_string::<i32>(), Value::from),
        DataType::LargeUtf8 => each!(array.as_string::<i64>(), Value::from),
        DataType::Utf8View => each!(array.as_string_view(), Value::from),
        DataType::Binary => each!(array.as_binary::<i32>(), base64),
        DataType::LargeBinary => each!(array.as_binary::<i64>(), base64),
        DataType::BinaryView => each!(array.as_binary_view(), base64),
        DataType::FixedSizeBinary(_) => each!(array.as_fixed_size_binary(), base64),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => text(array, decimal),
        DataType::Timestamp(unit, Some(_)) => text(&in_utc(array, *unit)?, Value::from),
        DataType::List(_) => list(array.as_list::<i32>()),
        DataType::LargeList(_) => list(array.as_list::<i64>()),
        DataType::ListView(_) => list_view(array.as_list_view::<i32>()),
        DataType::LargeListView(_) => list_view(array.as_list_view::<i64>()),
        DataType::FixedSizeList(..) => {
            let lists = array.as_fixed_size_list();
            (0..lists.len()).map(|row| nested(lists.is_null(row), || elements(&lists.value(row)))).collect()
        }
        DataType::Map(..) => map(array.as_map()),
        DataType::Struct(_) => structs(array.as_struct()),
        DataType::Dictionary(_, values) => cells(&arrow_cast::cast(array, values)?),
        DataType::RunEndEncoded(_, values) => cells(&arrow_cast::cast(array, values.data_type())?),
        _ => text(array, Value::from),
    }
}

/// The same instants, to be written in UTC.
fn in_utc(array: &dyn Array, unit: TimeUnit) -> Result<ArrayRef, ArrowError> {
    arrow_cast::cast(array, &DataType::Timestamp(unit, Some("+00:00".into())))
}

fn text(array: &dyn Array, cell: impl Fn(String) -> Value) -> Result<Vec<Value>, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    (0..array.len()).map(|row| if array.is_null(row) { Ok(Value::Null) } else { Ok(cell(formatter.value(row).try_to_string()?)) }).collect()
}

fn nested(is_null: bool, value: impl FnOnce() -> Result<Value, ArrowError>) -> Result<Value, ArrowError> {
    if is_null { Ok(Value::Null) } else { value() }
}

fn elements(values: &dyn Array) -> Result<Value, ArrowError> {
    Ok(Value::Array(cells(values)?))
}

fn list<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<Vec<Value>, ArrowError> {
    (0..lists.len()).map(|row| nested(lists.is_null(row), || elements(&lists.value(row)))).collect()
}

fn list_view<O: OffsetSizeTrait>(lists: &GenericListViewArray<O>) -> Result<Vec<Value>, ArrowError> {
    (0..lists.len()).map(|row| nested(lists.is_null(row), || elements(&lists.value(row)))).collect()
}

fn map(maps: &MapArray) -> Result<Vec<Value>, ArrowError> {
    (0..maps.len())
        .map(|row| {
            nested(maps.is_null(row), || {
                let entries = maps.value(row);
                let keys = cells(entries.column(0))?.into_iter().map(key);
                Ok(Value::Object(keys.zip(cells(entries.column(1))?).collect()))
            })
        })
        .collect()
}

/// A map's key as a member name: strings as they are, anything else as its JSON.
fn key(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn structs(rows: &StructArray) -> Result<Vec<Value>, ArrowError> {
    let mut objects = vec![Map::new(); rows.len()];
    for (field, column) in rows.fields().iter().zip(rows.columns()) {
        for (object, value) in objects.iter_mut().zip(cells(column)?) {
            object.insert(field.name().clone(), value);
        }
    }
    let null = |row: usize| rows.is_null(row);
    Ok(objects.into_iter().enumerate().map(|(row, object)| if null(row) { Value::Null } else { Value::Object(object) }).collect())
}

/// A double; what JSON has no number for is its name.
pub(in crate::warehouse) fn float(value: f64) -> Value {
    let name = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Number::from_f64(value).map_or_else(|| Value::from(name), Value::Number)
}

/// A single as the shortest number that reads back as it: 0.1, not 0.10000000149011612.
pub(in crate::warehouse) fn single(value: f32) -> Value {
    float(value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
}

fn base64(bytes: &[u8]) -> Value {
    Value::from(BASE64_STANDARD.encode(bytes))
}

/// A number while a double holds it, else the text.
pub(in crate::warehouse) fn decimal(text: String) -> Value {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let number = if digits > DOUBLE_DIGITS {
        text.parse::<i64>().ok().map(Number::from)
    } else if text.contains('.') {
        text.parse().ok().and_then(Number::from_f64)
    } else {
        text.parse::<i64>().ok().map(Number::from)
    };
    number.map_or(Value::String(text), Value::Number)
}

/// Memory that a cell takes, roughly, in bytes.
pub(in crate::warehouse) fn size(cell: &Value) -> usize {
    const CELL: usize = size_of::<Value>();
    CELL + match cell {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(name, member)| CELL + name.len() + size(member)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        BinaryArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, MapArray,
        StringArray, StringViewArray, StructArray, TimestampMicrosecondArray, builder, types::Int32Type,
    };
    use arrow_schema::Field;
    use serde_json::json;

    use super::*;

    fn shown(array: &dyn Array) -> (String, Value) {
        (spark_type(array.data_type()), cells(array).map_or_else(|error| panic!("{error}"), Value::Array))
    }

    #[test]
    fn numbers_are_numbers_and_what_json_lacks_is_text() {
        let doubles = Float64Array::from(vec![Some(0.5), None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY)]);
        assert_eq!(shown(&doubles), ("double".into(), json!([0.5, null, "NaN", "Infinity", "-Infinity"])));
        assert_eq!(shown(&Float32Array::from(vec![0.1])), ("float".into(), json!([0.1])));
        assert_eq!(shown(&Int64Array::from(vec![i64::MAX])), ("bigint".into(), json!([i64::MAX])));
    }

    #[test]
    fn a_decimal_is_a_number_only_while_a_double_holds_it() -> Result<(), ArrowError> {
        let decimals = Decimal128Array::from(vec![Some(1250), Some(-5), None]).with_precision_and_scale(10, 2)?;
        assert_eq!(shown(&decimals), ("decimal(10,2)".into(), json!([12.5, -0.05, null])));
        let long = Decimal128Array::from(vec![12_345_678_901_234_567]).with_precision_and_scale(20, 2)?;
        assert_eq!(shown(&long).1, json!(["123456789012345.67"]));
        let whole = Decimal128Array::from(vec![9_007_199_254_740_993]).with_precision_and_scale(20, 0)?;
        assert_eq!(shown(&whole).1, json!([9_007_199_254_740_993_i64]));
        Ok(())
    }

    #[test]
    fn times_are_iso_and_zoned_ones_in_utc() {
        let micros = TimestampMicrosecondArray::from(vec![Some(1_705_313_472_500_000), None]);
        assert_eq!(shown(&micros), ("timestamp_ntz".into(), json!(["2024-01-15T10:11:12.500", null])));
        assert_eq!(shown(&micros.with_timezone("Europe/Berlin")), ("timestamp".into(), json!(["2024-01-15T10:11:12.500Z", null])));
    }

    #[test]
    fn nested_values_nest() -> Result<(), ArrowError> {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
        assert_eq!(shown(&lists), ("array<int>".into(), json!([[1, null], null, []])));
        let point = StructArray::from(vec![
            (Arc::new(Field::new("x", DataType::Int32, true)), Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef),
            (Arc::new(Field::new("s", DataType::Utf8View, true)), Arc::new(StringViewArray::from(vec!["a", "b"])) as ArrayRef),
        ]);
        assert_eq!(shown(&point), ("struct<x:int,s:string>".into(), json!([{"x": 1, "s": "a"}, {"x": null, "s": "b"}])));
        let mut maps = builder::MapBuilder::new(None, builder::Int32Builder::new(), builder::StringBuilder::new());
        maps.keys().append_value(7);
        maps.values().append_value("seven");
        maps.append(true)?;
        maps.append(false)?;
        let maps: MapArray = maps.finish();
        assert_eq!(shown(&maps), ("map<int,string>".into(), json!([{"7": "seven"}, null])));
        Ok(())
    }

    #[test]
    fn encodings_do_not_show() {
        let words: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
        assert_eq!(shown(&words), ("string".into(), json!(["a", null, "a"])));
        assert_eq!(shown(&BinaryArray::from(vec![b"\x00\xff".as_slice()])), ("binary".into(), json!(["AP8="])));
        assert_eq!(shown(&StringArray::from(vec!["é"])), ("string".into(), json!(["é"])));
    }
}
