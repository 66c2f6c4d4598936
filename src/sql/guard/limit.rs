//! The row limit: how many rows a statement may return, and who said so.

use sqlparser::ast::{Expr, LimitClause, Offset, OffsetRows, Query, SetExpr, Value};

use super::Refusal;
use crate::conversation::LimitSource;

/// Takes away parentheses around the whole statement, so that a limit inside them is the statement's own.
pub(super) fn unwrap_parentheses(mut query: Query) -> Query {
    loop {
        let bare = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
        match *query.body {
            SetExpr::Query(inner) if bare => query = *inner,
            body => {
                query.body = Box::new(body);
                return query;
            }
        }
    }
}

/// Sets the limit of a checked statement: its own if that is at most `max_rows`, else `max_rows + 1`.
/// Returns the rows to keep and whose limit it is.
pub(super) fn bound(query: &mut Query, max_rows: u64) -> Result<(u64, LimitSource), Refusal> {
    let (own, offset) = match query.limit_clause.take() {
        None => (None, None),
        Some(clause) => parts(clause)?,
    };
    let (limit, kept, source) = match own {
        Some(own) if own <= max_rows => (own, own, LimitSource::Model),
        _ => (max_rows.saturating_add(1), max_rows, LimitSource::Server),
    };
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(Expr::value(Value::Number(limit.to_string(), false))),
        offset: offset.map(|rows| Offset { value: Expr::value(Value::Number(rows.to_string(), false)), rows: OffsetRows::None }),
        limit_by: Vec::new(),
    });
    Ok((kept, source))
}

/// Checks the limit of a subquery and leaves it as it is.
pub(super) fn check(query: &Query) -> Result<(), Refusal> {
    query.limit_clause.clone().map_or(Ok(()), |clause| parts(clause).map(drop))
}

/// The limit (none for LIMIT ALL) and the offset.
fn parts(clause: LimitClause) -> Result<(Option<u64>, Option<u64>), Refusal> {
    match clause {
        LimitClause::LimitOffset { limit, offset, limit_by } if limit_by.is_empty() => {
            let limit = limit.map(|limit| number(&limit, "LIMIT")).transpose()?;
            let offset = offset.map(|offset| number(&offset.value, "OFFSET")).transpose()?;
            Ok((limit, offset))
        }
        LimitClause::LimitOffset { .. } => Err(Refusal::new("LIMIT … BY is not Spark SQL; use row_number() in a window.")),
        LimitClause::OffsetCommaLimit { .. } => Err(Refusal::new("LIMIT a, b is not Spark SQL; write LIMIT b OFFSET a.")),
    }
}

fn number(expr: &Expr, clause: &str) -> Result<u64, Refusal> {
    let literal = match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    };
    literal.ok_or_else(|| Refusal::new(format!("{clause} {expr} is not admitted; write {clause} with a whole number such as {clause} 10.")))
}
