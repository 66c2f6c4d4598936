//! Functions: which may be called (`functions.txt` and the catalog), and how much a single call may produce.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, ObjectNamePart, Spanned as _,
    UnaryOperator, Value, visit_expressions,
};

use super::{Refusal, lexer};
use crate::sql::Catalog;

const BUILT_IN: &str = include_str!("functions.txt");

/// Largest number of rows or array elements that a literal argument may ask for.
const MAX_ELEMENTS: f64 = 1_000_000.0;
/// Longest string that a literal argument may ask for, in characters.
const MAX_CHARACTERS: f64 = 100_000.0;

/// The admitted names in lower case.
#[derive(Debug)]
pub(super) struct Functions {
    callable: BTreeSet<String>,
    generators: BTreeSet<String>,
}

impl Functions {
    pub(super) fn new(catalog: &Catalog) -> Self {
        let mut groups: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut group = "";
        for line in BUILT_IN.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                Some(name) => group = name,
                None => groups.entry(group).or_default().extend(line.split_whitespace().map(str::to_owned)),
            }
        }
        let generators = groups.get("table").cloned().unwrap_or_default();
        let own = catalog.functions.iter().map(|function| function.name.to_ascii_lowercase());
        // `range` makes rows from nothing and only stands in FROM; the other generators also stand in SELECT.
        let callable = groups.into_values().flatten().filter(|name| name != "range").chain(own).collect();
        Self { callable, generators }
    }

    /// Admits a call in an expression.
    pub(super) fn check(&self, name: &ObjectName) -> Result<(), Refusal> {
        let written = lower(name);
        if self.callable.contains(&written) { Ok(()) } else { Err(unknown(name, &written, &self.callable)) }
    }

    /// Admits a call in FROM or LATERAL VIEW.
    pub(super) fn check_generator(&self, name: &ObjectName) -> Result<(), Refusal> {
        let written = lower(name);
        if self.generators.contains(&written) {
            return Ok(());
        }
        let known: Vec<&str> = self.generators.iter().map(String::as_str).collect();
        let place = lexer::place(name.span().start);
        Err(Refusal::new(format!(
            "The table function {written} ({place}) is refused; in FROM and LATERAL VIEW only {} may be called.",
            known.join(", ")
        )))
    }

    /// Admits a call without parentheses.
    pub(super) fn check_bare(&self, name: &ObjectName) -> Result<(), Refusal> {
        match lower(name).as_str() {
            "current_date" | "current_timestamp" | "localtimestamp" => Ok(()),
            other => Err(Refusal::new(format!("{other} needs parentheses; write {other}()."))),
        }
    }

    /// Takes a checked name out of backticks: some functions are words of Spark's grammar.
    pub(super) fn unquote(&self, name: &mut ObjectName) {
        for part in &mut name.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                ident.quote_style = None;
            }
        }
    }

    /// Bounds what a call with literal arguments produces.
    pub(super) fn check_size(&self, name: &ObjectName, args: &[&mut Expr]) -> Result<(), Refusal> {
        let written = lower(name);
        let argument = |position: usize| args.get(position).and_then(|expr| constant(expr));
        if matches!(written.as_str(), "printf" | "format_string") && args.first().is_some_and(|format| is_wide(format)) {
            return Err(Refusal::new(format!("{written} asks for a width of more than {MAX_CHARACTERS} characters; ask for fewer.")));
        }
        let multiplies =
            matches!(written.as_str(), "aggregate" | "array_join" | "reduce" | "regexp_replace" | "replace" | "transform" | "zip_with");
        if multiplies && args.iter().map(|expr| elements(expr)).product::<f64>() > MAX_ELEMENTS {
            return Err(Refusal::new(format!(
                "{written} of functions that repeat asks for more than {MAX_ELEMENTS} elements; ask for fewer."
            )));
        }
        let (size, bound) = match written.as_str() {
            "range" => (
                Some(span(args).ok_or_else(|| Refusal::new("range needs whole numbers as arguments, such as range(1, 10)."))?),
                MAX_ELEMENTS,
            ),
            "sequence" => (span(args), MAX_ELEMENTS),
            "repeat" | "lpad" | "rpad" => (argument(1), MAX_CHARACTERS),
            "space" => (argument(0), MAX_CHARACTERS),
            "array_repeat" => (argument(1), MAX_ELEMENTS),
            "stack" => (argument(0), MAX_ELEMENTS),
            _ => return Ok(()),
        };
        if size.is_some_and(|size| size.is_nan() || size > bound) {
            return Err(Refusal::new(format!("{written} asks for more than {bound} elements; ask for fewer.")));
        }
        if args.iter().any(|expr| grows(expr)) {
            return Err(Refusal::new(format!("{written} of another function that repeats is refused; call it once.")));
        }
        Ok(())
    }
}

/// Whether a literal format pads to more characters than a string may have.
fn is_wide(format: &Expr) -> bool {
    let Expr::Value(value) = format else { return false };
    let Value::SingleQuotedString(text) = &value.value else { return false };
    let widths = text.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
    widths.filter_map(|digits| digits.parse::<f64>().ok()).any(|width| width > MAX_CHARACTERS)
}

/// How many elements the largest call in an argument makes, as far as its literals tell; at least 1.
fn elements(expr: &Expr) -> f64 {
    let mut most: f64 = 1.0;
    let _ = visit_expressions(expr, |part| {
        if let Expr::Function(call) = part {
            most = most.max(made(call).unwrap_or(1.0));
        }
        ControlFlow::<()>::Continue(())
    });
    most
}

/// The elements or characters that a call makes from nothing, where its arguments are constant.
fn made(call: &Function) -> Option<f64> {
    let FunctionArguments::List(list) = &call.args else { return None };
    let argument = |position: usize| match list.args.get(position)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => constant(expr),
        _ => None,
    };
    match lower(&call.name).as_str() {
        "repeat" | "lpad" | "rpad" | "array_repeat" => argument(1),
        "space" => argument(0),
        "sequence" => Some((argument(1)? - argument(0)?).abs()),
        _ => None,
    }
}

/// Whether a condition says anything of the rows: it names a column, and does not compare one with itself.
pub(super) fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_condition(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => is_condition(left) || is_condition(right),
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => is_condition(left) && is_condition(right),
        Expr::BinaryOp { left, op: _, right } => left != right && (names_column(left) || names_column(right)),
        other => names_column(other),
    }
}

fn names_column(expr: &Expr) -> bool {
    let named = visit_expressions(expr, |part| match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    named.is_break()
}

/// Whether the first argument is a unit of time.
pub(super) fn takes_unit(name: &ObjectName, arguments: usize) -> bool {
    arguments == 3 && matches!(lower(name).as_str(), "timestampadd" | "timestampdiff" | "dateadd" | "date_add" | "datediff" | "date_diff")
}

fn unknown(name: &ObjectName, written: &str, known: &BTreeSet<String>) -> Refusal {
    let nearest = nearest(written, known).map(|near| format!("; nearest: {near}")).unwrap_or_default();
    let place = lexer::place(name.span().start);
    Refusal::new(format!(
        "The function {written} ({place}) may not be called{nearest}. Use built-in functions of Spark SQL that only compute."
    ))
}

/// The known function most like `written`, if any is. Functions are short and alike, so the beginning counts more than for tables.
fn nearest<'a>(written: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let likeness = |name: &&String| strsim::jaro_winkler(&written.to_ascii_lowercase(), name);
    let scored = known.iter().map(|name| (likeness(&name), name.as_str())).filter(|(likeness, _)| *likeness > 0.89);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

fn lower(name: &ObjectName) -> String {
    let parts: Vec<String> =
        name.0.iter().map(|part| part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.to_ascii_lowercase())).collect();
    parts.join(".")
}

/// Whether an argument is itself the result of a function that repeats, so that bounds would multiply.
fn grows(expr: &Expr) -> bool {
    match expr {
        Expr::Function(call) => matches!(lower(&call.name).as_str(), "repeat" | "space" | "array_repeat" | "sequence"),
        Expr::Nested(inner) => grows(inner),
        Expr::Cast { expr, .. } => grows(expr),
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => grows(left) || grows(right),
        _ => false,
    }
}

/// The number of steps from start to end, where the arguments are constant numbers.
fn span(args: &[&mut Expr]) -> Option<f64> {
    let numbers: Vec<f64> = args.iter().map(|expr| constant(expr)).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [end] => Some(end.abs()),
        [start, end] => Some((end - start).abs()),
        // A step of 0 is left to the engine, which refuses it; here it counts as too many.
        [start, end, step, ..] => Some(((end - start) / step).abs()),
        [] => None,
    }
}

/// The value of an expression of number literals, as far as a bound needs it.
pub(super) fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.trim_end_matches(|found: char| found.is_ascii_alphabetic()).parse().ok(),
            Value::SingleQuotedString(digits) => digits.trim().parse().ok(),
            _ => None,
        },
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => constant(expr).map(|value| -value),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => constant(expr),
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (constant(left)?, constant(right)?);
            match op {
                BinaryOperator::Plus => Some(left + right),
                BinaryOperator::Minus => Some(left - right),
                BinaryOperator::Multiply => Some(left * right),
                BinaryOperator::Divide | BinaryOperator::MyIntegerDivide => Some(left / right),
                // Anything but arithmetic: a constant all the same, of which no bound is known.
                BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::Gt
                | BinaryOperator::LtEq
                | BinaryOperator::GtEq => Some(1.0),
                _ => None,
            }
        }
        Expr::Function(call) => {
            let FunctionArguments::List(list) = &call.args else { return None };
            let numbers: Vec<f64> = list
                .args
                .iter()
                .map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => constant(expr),
                    _ => None,
                })
                .collect::<Option<_>>()?;
            match (lower(&call.name).as_str(), numbers.as_slice()) {
                ("pow" | "power", [base, exponent]) => Some(base.powf(*exponent)),
                ("exp", [exponent]) => Some(exponent.exp()),
                ("int" | "bigint" | "smallint" | "tinyint" | "float" | "double" | "decimal", [value]) => Some(*value),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Functions;
    use crate::sql::{Catalog, Guard};

    /// A name in the list that the parser reads as something else would be admitted on paper only.
    #[test]
    fn every_listed_function_can_be_called() {
        let table = serde_json::json!({"name": "own.t", "description": "d", "columns": []});
        let own = serde_json::json!({"name": "x", "tables": [table], "functions": [{"name": "own.f", "signature": "own.f(x)", "description": "d"}]});
        let catalog: Catalog = serde_json::from_value(own).expect("a catalog");
        let guard = Guard::new(&catalog, 10);
        let calls =
            ["(a)", "(a, b)", "()", "(a, b, c)", "(DAY, b, c)", "(a AS INT)", "(DAY FROM a)", "('x' IN a)", "(a PLACING 'x' FROM 1)"];
        let admitted = |name: &str| calls.iter().any(|call| guard.admit(&format!("SELECT {name}{call} FROM own.t")).is_ok());
        let refused: Vec<String> = Functions::new(&catalog).callable.into_iter().filter(|name| !admitted(name)).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
}
