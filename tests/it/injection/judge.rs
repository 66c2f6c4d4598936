//! Judges statements that reached a warehouse without a line of the guard: sqlparser's own Databricks dialect, its own visitor, and
//! short lists of what the corpus has any use for.

use std::{collections::BTreeSet, ops::ControlFlow};

use sqlparser::{
    ast::{Expr, LimitClause, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Value, Visit as _, Visitor},
    dialect::DatabricksDialect,
    parser::Parser,
    tokenizer::{Token, Tokenizer, Whitespace},
};

use crate::support::embedded::TABLES;

/// The fault of a statement without a limit, which is the guard's to add.
pub(super) const NO_LIMIT: &str = "no limit of rows";

/// Rows that the tests' lake gives at most, and the one more that tells of truncation.
const MOST_ROWS: u64 = 1_001;

/// Functions of harmless statements of the corpus, and those of asklake's own lookups.
const FUNCTIONS: [&str; 17] = [
    "count",
    "max",
    "min",
    "avg",
    "upper",
    "lower",
    "concat",
    "trim",
    "array_contains",
    "startswith",
    "contains",
    "levenshtein",
    "split",
    "split_part",
    "exists",
    "transform",
    "explode",
];

/// What of `sql` is not one SELECT over the catalog's tables with a limit; nothing for one that is.
pub(super) fn faults(sql: &str) -> Vec<String> {
    let statements = match Parser::parse_sql(&DatabricksDialect {}, sql) {
        Ok(statements) => statements,
        Err(error) => return vec![format!("unreadable ({error})")],
    };
    let mut walk = Walk::default();
    let _: ControlFlow<()> = statements.visit(&mut walk);
    let mut faults = walk.faults;
    match statements.as_slice() {
        [Statement::Query(query)] if has_limit(query) => {}
        [Statement::Query(_)] => faults.push(NO_LIMIT.to_owned()),
        _ => faults.push("not one query".to_owned()),
    }
    faults.extend(foreign(&walk.relations, &walk.ctes));
    faults.extend(hidden(sql));
    faults
}

/// Relations that are neither the catalog's nor the statement's own.
fn foreign(relations: &[String], ctes: &BTreeSet<String>) -> Vec<String> {
    let is_known = |name: &String| TABLES.contains(&name.as_str()) || ctes.contains(name);
    relations.iter().filter(|name| !is_known(name)).map(|name| format!("foreign relation {name}")).collect()
}

fn has_limit(query: &Query) -> bool {
    let Some(LimitClause::LimitOffset { limit: Some(Expr::Value(value)), .. }) = &query.limit_clause else { return false };
    matches!(&value.value, Value::Number(number, _) if number.parse::<u64>().is_ok_and(|rows| rows <= MOST_ROWS))
}

fn has_table_statement(body: &SetExpr) -> bool {
    match body {
        SetExpr::Table(_) => true,
        SetExpr::SetOperation { left, right, .. } => has_table_statement(left) || has_table_statement(right),
        _ => false,
    }
}

/// Comments, and what ends a statement.
fn hidden(sql: &str) -> Vec<String> {
    let tokens = Tokenizer::new(&DatabricksDialect {}, sql).tokenize().unwrap_or_default();
    let fault = |token: &Token| match token {
        Token::SemiColon => Some("a semicolon".to_owned()),
        Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => Some("a comment".to_owned()),
        _ => None,
    };
    tokens.iter().filter_map(fault).collect()
}

#[derive(Default)]
struct Walk {
    relations: Vec<String>,
    ctes: BTreeSet<String>,
    statements: usize,
    faults: Vec<String>,
}

/// A name with its parts apart, so that a dot within quotes is none between parts.
fn name(object: &ObjectName) -> String {
    let part = |part: &sqlparser::ast::ObjectNamePart| part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.to_lowercase());
    object.0.iter().map(part).collect::<Vec<_>>().join(".")
}

impl Walk {
    fn function(&mut self, object: &ObjectName) {
        let name = name(object);
        if !FUNCTIONS.contains(&name.as_str()) {
            self.faults.push(format!("function {name}"));
        }
    }
}

impl Visitor for Walk {
    type Break = ();

    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<()> {
        self.statements += 1;
        if self.statements > 1 {
            self.faults.push("a statement within".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.extend(ctes.map(|cte| cte.alias.name.value.to_lowercase()));
        if !query.locks.is_empty() {
            self.faults.push("a lock".to_owned());
        }
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            self.faults.push("recursion".to_owned());
        }
        if has_table_statement(&query.body) {
            self.faults.push("a TABLE statement".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() {
            self.faults.push("SELECT INTO".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.relations.push(name(relation));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Function { name, .. } => self.function(name),
            TableFactor::Table { args: Some(_), name, .. } => self.function(name),
            TableFactor::Table { version: Some(version), .. } => self.faults.push(format!("in FROM: {version}")),
            TableFactor::Table { .. } | TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {}
            other => self.faults.push(format!("in FROM: {other}")),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.function(&function.name),
            Expr::CompoundIdentifier(parts) if parts.iter().any(|part| part.value.eq_ignore_ascii_case("_metadata")) => {
                self.faults.push("metadata of a file".to_owned());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
