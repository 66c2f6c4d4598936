//! What the ORDER BY and the LIMIT of a statement that is known to be right say of its rows.
//!
//! Pure: a statement that is to be run to know more is handed out. Only the end of the statement is looked at: an order within a subquery is no order.

use serde_json::Value as Json;
use sqlparser::{
    ast::{Expr, LimitClause, OrderByKind, Query, SelectItem, SetExpr, Statement, Value},
    dialect::DatabricksDialect,
    parser::Parser,
};

use super::compare::{Edge, Order, is_same};
use crate::conversation::ResultSet;

/// The order of `rows`, which `sql` gave; `required` says whether it matters where the statement is not to decide. Where a LIMIT may have cut
/// within rows that tie, the edge is open: [`widened`] closes it.
#[must_use]
pub fn order_of(sql: &str, rows: &ResultSet, required: Option<bool>) -> Order {
    let Some(query) = parsed(sql) else { return Order { is_required: required == Some(true), ..all_columns(rows, required) } };
    let keys = keys(&query, rows);
    let visible: Vec<usize> = keys.iter().map_while(|key| *key).collect();
    let is_whole = visible.len() == keys.len() && !keys.is_empty();
    let may_be_cut = is_whole && limit(&query).is_some_and(|limit| usize::try_from(limit) == Ok(rows.rows.len()));
    match required {
        Some(true) if visible.is_empty() => all_columns(rows, required),
        _ => Order {
            is_required: required.unwrap_or(!visible.is_empty()),
            keys: unique(visible),
            edge: if may_be_cut { Edge::Open } else { Edge::Clean },
        },
    }
}

/// Every row has its place.
fn all_columns(rows: &ResultSet, required: Option<bool>) -> Order {
    if required != Some(true) {
        return Order::default();
    }
    Order { keys: (0..rows.columns.len()).collect(), is_required: true, edge: Edge::Clean }
}

/// Rows that are asked for beyond the LIMIT.
const BEYOND: u64 = 100;

/// `sql` with a LIMIT that shows what its own one left out.
#[must_use]
pub fn widened(sql: &str) -> Option<String> {
    let mut query = parsed(sql)?;
    let wider = limit(&query)?.checked_add(BEYOND)?;
    match query.limit_clause.as_mut()? {
        LimitClause::LimitOffset { limit: Some(limit), .. } | LimitClause::OffsetCommaLimit { limit, .. } => *limit = literal(wider),
        LimitClause::LimitOffset { limit: None, .. } => return None,
    }
    Some(query.to_string())
}

/// Where the LIMIT cut that gave `rows`, by the rows that the widened statement gave.
#[must_use]
pub fn edge(rows: &ResultSet, wide: &ResultSet, keys: &[usize]) -> Edge {
    let Some(last) = rows.rows.last() else { return Edge::Clean };
    let is_tied =
        |row: &&Vec<Json>| keys.iter().all(|key| row.get(*key).zip(last.get(*key)).is_some_and(|(one, other)| is_same(one, other)));
    let tied: Vec<Vec<Json>> = wide.rows.iter().filter(is_tied).cloned().collect();
    let is_open = wide.rows.last().as_ref().is_some_and(is_tied) && wide.rows.len() as u64 >= rows.rows.len() as u64 + BEYOND;
    match tied.len() {
        _ if is_open || wide.rows.len() < rows.rows.len() => Edge::Open,
        found if found == rows.rows.iter().filter(is_tied).count() => Edge::Clean,
        _ => Edge::Among(tied),
    }
}

fn unique(columns: Vec<usize>) -> Vec<usize> {
    columns.iter().enumerate().filter(|(at, column)| !columns[..*at].contains(column)).map(|(_, column)| *column).collect()
}

fn parsed(sql: &str) -> Option<Query> {
    let statement = Parser::parse_sql(&DatabricksDialect {}, sql).ok()?.pop()?;
    let Statement::Query(query) = statement else { return None };
    Some(*query)
}

/// The column of every key; `None` for one that the rows do not show.
fn keys(query: &Query, rows: &ResultSet) -> Vec<Option<usize>> {
    match query.order_by.as_ref().map(|order| &order.kind) {
        None => Vec::new(),
        Some(OrderByKind::All(_)) => (0..rows.columns.len()).map(Some).collect(),
        Some(OrderByKind::Expressions(expressions)) => expressions.iter().map(|key| column(&key.expr, query, rows)).collect(),
    }
}

fn column(key: &Expr, query: &Query, rows: &ResultSet) -> Option<usize> {
    let named = |name: &str| rows.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    if let Some(place) = number(key) {
        return usize::try_from(place).ok()?.checked_sub(1).filter(|column| *column < rows.columns.len());
    }
    // A name of the result goes before one of the tables, as Spark has it.
    if let Expr::Identifier(name) = key
        && let Some(column) = named(&name.value)
    {
        return Some(column);
    }
    let items: &[SelectItem] = if let SetExpr::Select(select) = query.body.as_ref() { &select.projection } else { &[] };
    let is_listed = items.iter().all(|item| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
    let listed = items.iter().position(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => is_same_expression(expr, key),
        _ => false,
    });
    match key {
        _ if is_listed && listed.is_some() => listed,
        Expr::CompoundIdentifier(parts) if !is_listed => parts.last().and_then(|name| named(&name.value)),
        _ => None,
    }
}

fn is_same_expression(one: &Expr, other: &Expr) -> bool {
    let last = |expr: &Expr| match expr {
        Expr::Identifier(name) => Some(name.value.to_ascii_lowercase()),
        Expr::CompoundIdentifier(parts) => parts.last().map(|name| name.value.to_ascii_lowercase()),
        _ => None,
    };
    one.to_string().eq_ignore_ascii_case(&other.to_string()) || last(one).is_some_and(|name| last(other) == Some(name))
}

fn limit(query: &Query) -> Option<u64> {
    match query.limit_clause.as_ref()? {
        LimitClause::LimitOffset { limit: Some(limit), .. } | LimitClause::OffsetCommaLimit { limit, .. } => number(limit),
        LimitClause::LimitOffset { limit: None, .. } => None,
    }
}

fn literal(number: u64) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).into())
}

fn number(expr: &Expr) -> Option<u64> {
    let Expr::Value(value) = expr else { return None };
    let Value::Number(text, _) = &value.value else { return None };
    text.parse().ok()
}
