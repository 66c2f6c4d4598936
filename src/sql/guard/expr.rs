//! Expressions: the forms of Spark SQL that are admitted. Casts with `::` become CAST.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, Interval, LambdaFunction, LambdaSyntax, ObjectName,
    OneOrManyWithParens, Spanned as _, Subscript, UnaryOperator, Value, WindowFrame, WindowFrameBound, WindowSpec, WindowType,
};

use super::{Refusal, Rules, functions, lexer, relations::Scope, types};

fn refuse<T>(expr: &Expr, instead: &str) -> Result<T, Refusal> {
    let place = lexer::place(expr.span().start);
    Err(Refusal::new(format!("{} ({place}) is refused; {instead}.", shortened(expr))))
}

fn shortened(expr: &Expr) -> String {
    const SHOWN: usize = 60;
    let text = expr.to_string();
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

impl Rules {
    pub(super) fn expr(&self, expr: &mut Expr, scope: &Scope) -> Result<(), Refusal> {
        // Chains of operators lean to the left; following them in a loop keeps the stack flat.
        let mut expr = expr;
        while let Expr::BinaryOp { .. } = expr {
            check_operator(expr)?;
            let Expr::BinaryOp { left, op: _, right } = expr else { break };
            self.expr(right, scope)?;
            expr = left;
        }
        match expr {
            Expr::Identifier(ident) => check_column(std::slice::from_ref(ident)),
            Expr::CompoundIdentifier(idents) => check_column(idents),
            Expr::Value(value) => check_value(&value.value),
            Expr::TypedString(typed) if !typed.uses_odbc_syntax => {
                let dated =
                    matches!(typed.data_type, DataType::Date | DataType::Timestamp(..) | DataType::TimestampNtz(_) | DataType::Custom(..));
                if !dated || !matches!(typed.value.value, Value::SingleQuotedString(_)) {
                    return refuse(expr, "write CAST('…' AS type)");
                }
                types::check(&mut typed.data_type)
            }
            Expr::Function(function) => self.function(function, scope),
            Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => self.query(query, scope),
            Expr::InSubquery { expr, subquery, negated: _ } => {
                self.query(subquery, scope)?;
                self.expr(expr, scope)
            }
            Expr::Cast { .. } => self.cast(expr, scope),
            Expr::Interval(interval) => self.interval(interval, scope),
            Expr::Lambda(lambda) => self.lambda(lambda, scope),
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.expr(root, scope)?;
                access_chain.iter_mut().try_for_each(|access| match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => check_column(std::slice::from_ref(ident)),
                    AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index, scope),
                    _ => Err(Refusal::new("A slice or a computed field is refused; use slice(array, start, length) or element_at.")),
                })
            }
            Expr::Extract { field, expr: inner, .. } => {
                check_field(field)?;
                self.expr(inner, scope)
            }
            Expr::Ceil { expr: inner, field } | Expr::Floor { expr: inner, field } => {
                if matches!(field, CeilFloorKind::DateTimeField(field) if *field != DateTimeField::NoDateTime) {
                    return Err(Refusal::new("CEIL and FLOOR to a unit of time are refused; use date_trunc('MONTH', …)."));
                }
                self.expr(inner, scope)
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
                separate_signs(inner);
                self.expr(inner, scope)
            }
            other => {
                if visit_parts(other, |part| self.expr(part, scope))? {
                    Ok(())
                } else {
                    not_admitted(other)
                }
            }
        }
    }

    fn cast(&self, cast: &mut Expr, scope: &Scope) -> Result<(), Refusal> {
        let Expr::Cast { kind, expr, data_type, format } = cast else { return Ok(()) };
        if format.is_some() || *kind == CastKind::SafeCast {
            return refuse(cast, "write CAST(… AS type), or to_date(…, format)");
        }
        if *kind == CastKind::DoubleColon {
            *kind = CastKind::Cast;
        }
        types::check(data_type)?;
        self.expr(expr, scope)
    }

    fn interval(&self, interval: &mut Interval, scope: &Scope) -> Result<(), Refusal> {
        let Interval { value, leading_field, leading_precision, last_field, fractional_seconds_precision } = interval;
        if leading_precision.is_some() || fractional_seconds_precision.is_some() {
            return Err(Refusal::new("An INTERVAL with a precision is refused; write INTERVAL '1' DAY."));
        }
        leading_field.iter().chain(last_field.iter()).try_for_each(check_field)?;
        self.expr(value, scope)
    }

    fn lambda(&self, lambda: &mut LambdaFunction, scope: &Scope) -> Result<(), Refusal> {
        let typed = match &lambda.params {
            OneOrManyWithParens::One(param) => param.data_type.is_some(),
            OneOrManyWithParens::Many(params) => params.iter().any(|param| param.data_type.is_some()),
        };
        if typed || lambda.syntax != LambdaSyntax::Arrow {
            return Err(Refusal::new("This form of lambda is refused; write x -> expression or (x, y) -> expression."));
        }
        self.expr(&mut lambda.body, scope)
    }

    fn function(&self, function: &mut Function, scope: &Scope) -> Result<(), Refusal> {
        let Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment: _, over } = function;
        self.functions.check(name)?;
        self.functions.unquote(name);
        if *uses_odbc_syntax || !matches!(parameters, FunctionArguments::None) {
            return Err(Refusal::new(format!("This form of calling {name} is refused; write {name}(…).")));
        }
        match args {
            FunctionArguments::None => self.functions.check_bare(name)?,
            FunctionArguments::Subquery(_) => {
                return Err(Refusal::new(format!("A subquery as the argument of {name} is refused; put it in FROM.")));
            }
            FunctionArguments::List(FunctionArgumentList { duplicate_treatment: _, args, clauses }) => {
                self.arguments(name, args, scope)?;
                clauses.iter_mut().try_for_each(|clause| match clause {
                    FunctionArgumentClause::IgnoreOrRespectNulls(_) => Ok(()),
                    other => Err(Refusal::new(format!("{other} inside {name}(…) is refused; use FILTER (WHERE …) or sort_array."))),
                })?;
            }
        }
        self.sort_keys(within_group, scope)?;
        filter.as_mut().map_or(Ok(()), |filter| self.expr(filter, scope))?;
        match over {
            Some(WindowType::WindowSpec(spec)) => self.window(spec, scope),
            Some(WindowType::NamedWindow(_)) | None => Ok(()),
        }
    }

    pub(super) fn arguments(&self, name: &ObjectName, args: &mut [FunctionArg], scope: &Scope) -> Result<(), Refusal> {
        let mut plain: Vec<&mut Expr> = Vec::with_capacity(args.len());
        for arg in args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => plain.push(expr),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name.to_string().eq_ignore_ascii_case("count") => {}
                other => {
                    return Err(Refusal::new(format!("The argument {other} of {name} is refused; pass plain expressions by position.")));
                }
            }
        }
        let unit = functions::takes_unit(name, plain.len());
        for (position, expr) in plain.iter_mut().enumerate() {
            match &mut **expr {
                Expr::Identifier(ident) if unit && position == 0 => check_unit(ident)?,
                expr => self.expr(expr, scope)?,
            }
        }
        self.functions.check_size(name, &plain)
    }

    pub(super) fn window(&self, spec: &mut WindowSpec, scope: &Scope) -> Result<(), Refusal> {
        let WindowSpec { window_name: _, partition_by, order_by, window_frame } = spec;
        partition_by.iter_mut().try_for_each(|expr| self.expr(expr, scope))?;
        self.sort_keys(order_by, scope)?;
        let Some(WindowFrame { units: _, start_bound, end_bound }) = window_frame else { return Ok(()) };
        [Some(start_bound), end_bound.as_mut()].into_iter().flatten().try_for_each(|bound| match bound {
            WindowFrameBound::Preceding(Some(rows)) | WindowFrameBound::Following(Some(rows)) => self.expr(rows, scope),
            WindowFrameBound::CurrentRow | WindowFrameBound::Preceding(None) | WindowFrameBound::Following(None) => Ok(()),
        })
    }
}

/// Visits the parts of a form that is admitted whenever its parts are; false for any other form.
pub(super) fn visit_parts(expr: &mut Expr, visit: impl FnMut(&mut Expr) -> Result<(), Refusal>) -> Result<bool, Refusal> {
    let parts: Vec<&mut Expr> = match expr {
        Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner)
        | Expr::Nested(inner)
        | Expr::Named { expr: inner, name: _ } => vec![inner],
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => vec![left, right],
        Expr::InList { expr, list, negated: _ } => [&mut **expr].into_iter().chain(list).collect(),
        Expr::Between { expr, negated: _, low, high } => vec![expr, low, high],
        Expr::Like { negated: _, any: _, expr, pattern, escape_char } | Expr::ILike { negated: _, any: _, expr, pattern, escape_char } => {
            [&mut **expr, &mut **pattern].into_iter().chain(escape_char.as_deref_mut()).collect()
        }
        Expr::RLike { negated: _, expr, pattern, regexp: _ } => vec![expr, pattern],
        Expr::UnaryOp {
            op: UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not | UnaryOperator::BangNot | UnaryOperator::BitwiseNot,
            expr,
        } => vec![expr],
        Expr::Position { expr, r#in } => vec![expr, r#in],
        Expr::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
            [&mut **expr].into_iter().chain(substring_from.as_deref_mut()).chain(substring_for.as_deref_mut()).collect()
        }
        Expr::Trim { trim_where: _, trim_what, expr, trim_characters } => {
            [&mut **expr].into_iter().chain(trim_what.as_deref_mut()).chain(trim_characters.iter_mut().flatten()).collect()
        }
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            [&mut **expr, &mut **overlay_what, &mut **overlay_from].into_iter().chain(overlay_for.as_deref_mut()).collect()
        }
        Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
            let branches = conditions.iter_mut().flat_map(|branch| [&mut branch.condition, &mut branch.result]);
            operand.as_deref_mut().into_iter().chain(branches).chain(else_result.as_deref_mut()).collect()
        }
        Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => sets.iter_mut().flatten().collect(),
        Expr::Tuple(items) => items.iter_mut().collect(),
        Expr::Struct { values, fields } if fields.is_empty() => values.iter_mut().collect(),
        _ => return Ok(false),
    };
    parts.into_iter().try_for_each(visit)?;
    Ok(true)
}

fn not_admitted(expr: &Expr) -> Result<(), Refusal> {
    let instead = match expr {
        Expr::Array(_) => "write array(a, b)",
        Expr::AtTimeZone { .. } => "use from_utc_timestamp or convert_timezone",
        Expr::Collate { .. } => "compare lower(…) with lower(…)",
        Expr::AnyOp { .. } | Expr::AllOp { .. } => "write IN (SELECT …), or compare with max or min of a subquery",
        Expr::SimilarTo { .. } => "write RLIKE",
        _ => "it is not a form of Spark SQL that is admitted here",
    };
    refuse(expr, instead)
}

/// Puts parentheses around a sign below a sign: `- -1` must not be printed as a comment.
fn separate_signs(expr: &mut Box<Expr>) {
    if let Expr::UnaryOp { .. } = **expr {
        let inner = std::mem::replace(&mut **expr, Expr::value(Value::Null));
        **expr = Expr::Nested(Box::new(inner));
    }
}

fn check_operator(expr: &Expr) -> Result<(), Refusal> {
    use BinaryOperator as B;
    let Expr::BinaryOp { op, .. } = expr else { return Ok(()) };
    match op {
        B::Plus
        | B::Minus
        | B::Multiply
        | B::Divide
        | B::Modulo
        | B::MyIntegerDivide
        | B::StringConcat
        | B::Gt
        | B::Lt
        | B::GtEq
        | B::LtEq
        | B::Spaceship
        | B::Eq
        | B::NotEq
        | B::And
        | B::Or
        | B::BitwiseOr
        | B::BitwiseAnd
        | B::BitwiseXor
        | B::PGBitwiseShiftLeft
        | B::PGBitwiseShiftRight => Ok(()),
        other => Err(Refusal::new(format!("The operator {other} is not Spark SQL; use a function instead."))),
    }
}

fn check_value(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Number(..) | Value::SingleQuotedString(_) | Value::HexStringLiteral(_) | Value::Boolean(_) | Value::Null => Ok(()),
        other => Err(Refusal::new(format!("The literal {other} is not Spark SQL; write a number, a 'string', TRUE, FALSE or NULL."))),
    }
}

/// Column names that Spark turns into something else than a column of the table.
fn check_column(idents: &[Ident]) -> Result<(), Refusal> {
    let named = |names: &[&str], ident: &Ident| names.iter().any(|name| ident.value.eq_ignore_ascii_case(name));
    let session = matches!(idents, [only] if named(&["current_user", "session_user", "user", "current_catalog", "current_database", "current_schema"], only));
    let hidden = idents.iter().find(|ident| named(&["_metadata"], ident));
    match (hidden, idents) {
        (Some(ident), _) | (None, [ident]) if hidden.is_some() || session => Err(Refusal::new(format!(
            "{} ({}) tells of files or of the session, not of the data; leave it out.",
            ident.value,
            lexer::place(ident.span.start)
        ))),
        _ => Ok(()),
    }
}

fn check_field(field: &DateTimeField) -> Result<(), Refusal> {
    use DateTimeField as F;
    match field {
        F::Year
        | F::Years
        | F::Month
        | F::Months
        | F::Week(None)
        | F::Weeks
        | F::Day
        | F::Days
        | F::DayOfWeek
        | F::DayOfYear
        | F::Dow
        | F::Doy
        | F::Hour
        | F::Hours
        | F::Minute
        | F::Minutes
        | F::Second
        | F::Seconds
        | F::Quarter
        | F::Millisecond
        | F::Milliseconds
        | F::Microsecond
        | F::Microseconds => Ok(()),
        other => {
            Err(Refusal::new(format!("{other} is not a unit of time here; use YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE or SECOND.")))
        }
    }
}

/// The unit of `datediff(UNIT, a, b)` is a word of the grammar, not a column: it must stay out of backticks.
fn check_unit(ident: &mut Ident) -> Result<(), Refusal> {
    const UNITS: [&str; 10] = ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DAYOFYEAR", "HOUR", "MINUTE", "SECOND", "MILLISECOND"];
    if !UNITS.iter().any(|unit| unit.eq_ignore_ascii_case(&ident.value)) {
        return Err(Refusal::new(format!("{} is not a unit of time here; use {}.", ident.value, UNITS.join(", "))));
    }
    ident.quote_style = None;
    Ok(())
}
