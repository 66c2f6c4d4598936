//! Reads the conditions of a statement that hold for every row it gives.
//!
//! Owns which parts of a statement count: not what it excludes, and of an OR all sides together. How a condition reads is elsewhere.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, JoinConstraint, JoinOperator, Query, Select, SetExpr,
    SetOperator, TableFactor, UnaryOperator, Value, Visitor,
};

use crate::sql::guard;

/// A comparison of a column with literals.
#[derive(Debug)]
pub(super) struct Condition {
    /// Last part of the column's name; a call as it is written.
    pub(super) subject: String,
    pub(super) is_column: bool,
    pub(super) relation: Relation,
    pub(super) negated: bool,
    pub(super) values: Vec<Literal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Less,
    AtMost,
    More,
    AtLeast,
    Between,
    Like,
    Holds,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Number(String),
    Text(String),
}

/// What holds for every row.
#[derive(Debug)]
pub(super) enum Told {
    One(Condition),
    Any(Alternatives),
}

/// The sides of an OR.
#[derive(Debug, Default)]
pub(super) struct Alternatives {
    /// Each with the conditions that it takes.
    pub(super) known: Vec<Vec<Condition>>,
    /// Whether there is one more that cannot be told.
    pub(super) is_open: bool,
}

/// Collects the conditions of every SELECT whose rows count.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) found: Vec<Told>,
    /// Whether there was a condition that cannot be told.
    is_open: bool,
    /// Queries whose rows are excluded.
    excluded: Vec<*const Query>,
    /// The same of sides of EXCEPT.
    excepted: Vec<*const Select>,
    /// How many queries deep within one that is excluded.
    depth: usize,
}

impl Visitor for Conditions {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth > 0 || self.excluded.contains(&std::ptr::from_ref(query)) {
            self.depth += 1;
        }
        self.except(&query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Exists { subquery, negated: true } | Expr::InSubquery { subquery, negated: true, .. } => {
                self.excluded.push(std::ptr::from_ref(subquery));
            }
            Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr } => match bare(expr) {
                Expr::Exists { subquery, negated: false } | Expr::InSubquery { subquery, negated: false, .. } => {
                    self.excluded.push(std::ptr::from_ref(subquery));
                }
                _ => {}
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if self.depth > 0 || self.excepted.contains(&std::ptr::from_ref(select)) {
            return ControlFlow::Continue(());
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            if is_anti(&join.join_operator) {
                if let TableFactor::Derived { subquery, .. } = &join.relation {
                    self.excluded.push(std::ptr::from_ref(subquery));
                }
            } else if let Some(on) = constraint(&join.join_operator) {
                self.read(on, false);
            }
        }
        for condition in select.selection.iter().chain(&select.having) {
            self.read(condition, false);
        }
        ControlFlow::Continue(())
    }
}

fn bare(expr: &Expr) -> &Expr {
    if let Expr::Nested(inner) = expr { bare(inner) } else { expr }
}

fn is_anti(join: &JoinOperator) -> bool {
    matches!(join, JoinOperator::LeftAnti(_) | JoinOperator::RightAnti(_) | JoinOperator::Anti(_))
}

fn constraint(join: &JoinOperator) -> Option<&Expr> {
    match join {
        JoinOperator::Join(JoinConstraint::On(on))
        | JoinOperator::Inner(JoinConstraint::On(on))
        | JoinOperator::Left(JoinConstraint::On(on))
        | JoinOperator::LeftOuter(JoinConstraint::On(on))
        | JoinOperator::Right(JoinConstraint::On(on))
        | JoinOperator::RightOuter(JoinConstraint::On(on))
        | JoinOperator::FullOuter(JoinConstraint::On(on))
        | JoinOperator::LeftSemi(JoinConstraint::On(on))
        | JoinOperator::Semi(JoinConstraint::On(on)) => Some(on),
        _ => None,
    }
}

impl Conditions {
    /// Notes the sides of an EXCEPT that take rows away.
    fn except(&mut self, body: &SetExpr) {
        if let SetExpr::SetOperation { op, left, right, .. } = body {
            if matches!(op, SetOperator::Except | SetOperator::Minus) {
                self.take_away(right);
            }
            self.except(left);
            self.except(right);
        }
    }

    fn take_away(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => self.excepted.push(std::ptr::from_ref(select)),
            SetExpr::Query(query) => self.excluded.push(std::ptr::from_ref(query)),
            SetExpr::SetOperation { left, right, .. } => {
                self.take_away(left);
                self.take_away(right);
            }
            _ => {}
        }
    }

    fn read(&mut self, expr: &Expr, negated: bool) {
        match expr {
            Expr::Nested(inner) => self.read(inner, negated),
            Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr } => self.read(expr, !negated),
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } if !is_either(expr, negated) => {
                self.read(left, negated);
                self.read(right, negated);
            }
            either if is_either(either, negated) => {
                let mut any = Alternatives::default();
                any.add(either, negated);
                self.found.push(Told::Any(any));
            }
            Expr::BinaryOp { left, op, right } => self.compare(left, op, right, negated),
            Expr::Between { expr, negated: not, low, high } => {
                self.add(expr, Relation::Between, negated != *not, [low, high].map(AsRef::as_ref));
            }
            Expr::InList { expr, list, negated: not } => self.add(expr, Relation::Equal, negated != *not, list),
            Expr::Like { negated: not, expr, pattern, .. } | Expr::ILike { negated: not, expr, pattern, .. } => {
                self.add(expr, Relation::Like, negated != *not, [pattern.as_ref()]);
            }
            Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("array_contains") => {
                if let [column, value] = arguments(call).as_slice() {
                    self.add(column, Relation::Holds, negated, [*value]);
                }
            }
            _ => self.is_open = true,
        }
    }

    fn compare(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, negated: bool) {
        let (relation, turned) = match op {
            BinaryOperator::Eq | BinaryOperator::Spaceship => (Relation::Equal, Relation::Equal),
            BinaryOperator::NotEq => return self.either(left, right, (Relation::Equal, Relation::Equal), !negated),
            BinaryOperator::Lt => (Relation::Less, Relation::More),
            BinaryOperator::LtEq => (Relation::AtMost, Relation::AtLeast),
            BinaryOperator::Gt => (Relation::More, Relation::Less),
            BinaryOperator::GtEq => (Relation::AtLeast, Relation::AtMost),
            _ => {
                self.is_open = true;
                return;
            }
        };
        self.either(left, right, (relation, turned), negated);
    }

    fn either(&mut self, left: &Expr, right: &Expr, (relation, turned): (Relation, Relation), negated: bool) {
        if literal(left).is_some() {
            self.add(right, turned, negated, [left]);
        } else {
            self.add(left, relation, negated, [right]);
        }
    }

    fn add<'a>(&mut self, subject: &Expr, relation: Relation, negated: bool, values: impl IntoIterator<Item = &'a Expr>) {
        let values: Option<Vec<Literal>> = values.into_iter().map(literal).collect();
        if let (Some((subject, is_column)), Some(values)) = (named(subject), values) {
            self.found.push(Told::One(Condition { subject, is_column, relation, negated, values }));
        } else {
            self.is_open = true;
        }
    }
}

/// Whether one side of the expression is enough: an OR, or an AND that is denied.
fn is_either(expr: &Expr, negated: bool) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::Or, .. } if !negated)
        || matches!(expr, Expr::BinaryOp { op: BinaryOperator::And, .. } if negated)
}

impl Alternatives {
    fn add(&mut self, expr: &Expr, negated: bool) {
        match expr {
            Expr::Nested(inner) => self.add(inner, negated),
            Expr::BinaryOp { left, right, .. } if is_either(expr, negated) => {
                self.add(left, negated);
                self.add(right, negated);
            }
            side => {
                let mut of_side = Conditions::default();
                of_side.read(side, negated);
                let found = of_side.found.into_iter().map(|told| if let Told::One(condition) = told { Some(condition) } else { None });
                match found.collect::<Option<Vec<Condition>>>() {
                    Some(conditions) if !of_side.is_open && !conditions.is_empty() => self.known.push(conditions),
                    _ => self.is_open = true,
                }
            }
        }
    }
}

/// What is compared, and whether it is a column, perhaps in another case.
fn named(expr: &Expr) -> Option<(String, bool)> {
    match expr {
        Expr::Identifier(name) => Some((name.value.clone(), true)),
        Expr::CompoundIdentifier(names) => Some((names.last()?.value.clone(), true)),
        Expr::Nested(inner) => named(inner),
        Expr::Function(call) => match (call.name.to_string().to_lowercase().as_str(), arguments(call).as_slice()) {
            ("lower" | "upper" | "trim", [inner]) => named(inner),
            ("count" | "avg" | "sum" | "min" | "max", _) => Some((expr.to_string(), false)),
            _ => None,
        },
        _ => None,
    }
}

fn arguments(call: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    let mut found = Vec::new();
    for argument in &list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
            found.push(expr);
        }
    }
    found
}

fn literal(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(Literal::Number(digits.clone())),
            text => guard::text_of(text).map(Literal::Text),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal(expr)? {
            Literal::Number(digits) => Some(Literal::Number(format!("-{digits}"))),
            Literal::Text(_) => None,
        },
        Expr::Nested(inner) => literal(inner),
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("lower") => literal(arguments(call).first()?),
        _ => None,
    }
}
