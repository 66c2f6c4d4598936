//! Data types of casts and typed literals: the ones Spark has.

use sqlparser::ast::{ArrayElemTypeDef, DataType, ExactNumberInfo, MapBracketKind, StructBracketKind, TimezoneInfo};

use super::Refusal;

/// Admits a type of Spark SQL.
pub(super) fn check(data_type: &mut DataType) -> Result<(), Refusal> {
    match data_type {
        DataType::Boolean | DataType::Date | DataType::Real => Ok(()),
        DataType::TinyInt(None) | DataType::SmallInt(None) | DataType::Int(None) | DataType::Integer(None) | DataType::BigInt(None) => {
            Ok(())
        }
        DataType::Float(ExactNumberInfo::None) | DataType::Double(ExactNumberInfo::None) => Ok(()),
        DataType::Decimal(_) | DataType::Dec(_) | DataType::Numeric(_) => Ok(()),
        DataType::String(None) | DataType::Binary(None) => Ok(()),
        DataType::Char(Some(_)) | DataType::Varchar(Some(_)) => Ok(()),
        DataType::Timestamp(None, TimezoneInfo::None) | DataType::TimestampNtz(None) => Ok(()),
        DataType::Array(ArrayElemTypeDef::AngleBracket(element)) => check(element),
        DataType::Map(key, value, MapBracketKind::AngleBrackets) => {
            check(key)?;
            check(value)
        }
        DataType::Struct(fields, StructBracketKind::AngleBrackets) => {
            fields.iter_mut().filter(|field| field.options.is_none()).try_for_each(|field| check(&mut field.field_type))
        }
        DataType::Custom(name, arguments) if arguments.is_empty() => {
            let written = name.to_string().replace('`', "");
            let known = ["BYTE", "SHORT", "LONG", "TIMESTAMP_LTZ"].iter().find(|known| known.eq_ignore_ascii_case(&written));
            *name = sqlparser::ast::ObjectName::from(vec![sqlparser::ast::Ident::new(*known.ok_or_else(|| unknown(&written))?)]);
            Ok(())
        }
        other => Err(unknown(&other.to_string())),
    }
}

fn unknown(written: &str) -> Refusal {
    Refusal::new(format!(
        "{written} is not a type of Spark SQL; use BOOLEAN, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), STRING, DATE, TIMESTAMP, ARRAY<…>, MAP<…> or STRUCT<…>."
    ))
}
