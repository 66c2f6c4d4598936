//! Queries: WITH, SELECT, set operations, VALUES, and what may stand in FROM.
//!
//! Every struct is taken apart field by field, so that a field added by a new version of the parser does not compile unseen.

use sqlparser::ast::{
    Cte, Distinct, Expr, FunctionArg, GroupByExpr, GroupByWithModifier, Join, JoinConstraint, JoinOperator, LateralView, NamedWindowExpr,
    ObjectName, OrderBy, OrderByExpr, OrderByKind, PivotValueSource, Query, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableAlias, TableFactor, TableFunctionArgs, TableSample,
    TableSampleKind, TableSampleModifier, TableWithJoins, WildcardAdditionalOptions, With,
};

use super::{
    Refusal, Rules, limit,
    relations::{Scope, Source},
};

/// Refuses a construct of another database, with what to write instead.
fn refuse<T>(what: &str, instead: &str) -> Result<T, Refusal> {
    let mut what = what.chars();
    let first = what.next().map(|first| first.to_ascii_uppercase());
    let what: String = first.into_iter().chain(what).collect();
    Err(Refusal::new(format!("{what} is refused; {instead}.")))
}

/// Refuses a clause if it is there.
fn absent(there: bool, what: &str, instead: &str) -> Result<(), Refusal> {
    if there { refuse(what, instead) } else { Ok(()) }
}

impl Rules {
    pub(super) fn query(&self, query: &mut Query, scope: &Scope) -> Result<(), Refusal> {
        limit::check(query)?;
        let Query { with, body, order_by, limit_clause: _, fetch, locks, for_clause, settings, format_clause, pipe_operators } = query;
        absent(fetch.is_some(), "FETCH FIRST", "write LIMIT with a number")?;
        absent(!locks.is_empty() || for_clause.is_some(), "FOR", "leave the clause out: statements only read")?;
        absent(settings.is_some() || format_clause.is_some(), "SETTINGS or FORMAT", "leave the clause out")?;
        absent(!pipe_operators.is_empty(), "pipe syntax", "write an ordinary SELECT")?;
        let scope = match with {
            Some(with) => self.with(with, scope)?,
            None => scope.clone(),
        };
        self.set_expr(body, &scope)?;
        order_by.as_mut().map_or(Ok(()), |order_by| self.order_by(order_by, &scope))
    }

    /// A CTE sees the ones before it, not itself; the query sees all.
    fn with(&self, with: &mut With, outer: &Scope) -> Result<Scope, Refusal> {
        let With { with_token: _, recursive, cte_tables } = with;
        absent(*recursive, "WITH RECURSIVE", "write the steps as joins")?;
        let mut scope = outer.clone();
        let mut names: Vec<String> = Vec::new();
        for cte in cte_tables {
            let Cte { alias, query, from, materialized, closing_paren_token: _ } = cte;
            absent(from.is_some() || materialized.is_some(), "MATERIALIZED", "write WITH name AS (SELECT …)")?;
            let columns = alias.columns.iter().any(|column| column.data_type.is_some());
            absent(columns || alias.at.is_some(), "a type in a WITH name's column list", "write the column names only")?;
            self.query(query, &scope)?;
            let name = alias.name.value.to_ascii_lowercase();
            let path = name.contains(|found: char| !(found.is_alphanumeric() || matches!(found, '_' | ' ' | '-')));
            absent(path, &format!("the WITH name {name}"), "use letters, digits and _")?;
            absent(names.contains(&name), &format!("the second WITH name {name}"), "give each its own name")?;
            names.push(name);
            scope = scope.with(alias.name.clone());
        }
        Ok(scope)
    }

    fn set_expr(&self, body: &mut SetExpr, scope: &Scope) -> Result<(), Refusal> {
        // Chains of set operations lean to the left; following them in a loop keeps the stack flat.
        let mut body = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = body {
            // MINUS is another word for EXCEPT, which fewer engines read.
            if *op == SetOperator::Minus {
                *op = SetOperator::Except;
            }
            if !matches!(set_quantifier, SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None) {
                return refuse("BY NAME", "name the columns in the same order on both sides");
            }
            self.set_expr(right, scope)?;
            body = left;
        }
        match body {
            SetExpr::Select(select) => self.select(select, scope),
            SetExpr::Query(query) => self.query(query, scope),
            SetExpr::Values(values) => {
                absent(values.explicit_row || values.value_keyword, "VALUE or ROW", "write VALUES (1, 'a'), (2, 'b')")?;
                values.rows.iter_mut().flat_map(|row| row.content.iter_mut()).try_for_each(|expr| self.expr(expr, scope))
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                refuse("a statement that writes (INSERT, UPDATE, DELETE or MERGE)", "only a SELECT may run")
            }
            SetExpr::Table(table) => refuse(&format!("{table}"), "write SELECT * FROM the table"),
            SetExpr::SetOperation { .. } => refuse("this set operation", "write UNION, INTERSECT or EXCEPT between SELECTs"),
        }
    }

    fn select(&self, select: &mut Select, scope: &Scope) -> Result<(), Refusal> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        absent(into.is_some(), "SELECT INTO", "statements only read: leave INTO out")?;
        absent(top.is_some(), "TOP", "write LIMIT at the end")?;
        absent(!matches!(flavor, SelectFlavor::Standard), "FROM before SELECT", "write SELECT … FROM …")?;
        absent(!optimizer_hints.is_empty() || select_modifiers.is_some(), "a modifier after SELECT", "leave it out")?;
        absent(exclude.is_some() || value_table_mode.is_some(), "EXCLUDE or AS STRUCT", "name the columns, or write * EXCEPT (…)")?;
        absent(prewhere.is_some() || !connect_by.is_empty(), "PREWHERE or CONNECT BY", "write WHERE")?;
        absent(
            !(cluster_by.is_empty() && distribute_by.is_empty() && sort_by.is_empty()),
            "CLUSTER BY, DISTRIBUTE BY or SORT BY",
            "write ORDER BY",
        )?;
        absent(matches!(distinct, Some(Distinct::On(_))), "DISTINCT ON", "use row_number() in a window")?;
        self.from(from, selection.as_ref().is_some_and(super::functions::is_condition), scope)?;
        lateral_views.iter_mut().try_for_each(|view| self.lateral_view(view, scope))?;
        projection.iter_mut().try_for_each(|item| self.select_item(item, scope))?;
        [selection, having, qualify].into_iter().flatten().try_for_each(|expr| self.expr(expr, scope))?;
        self.group_by(group_by, scope)?;
        named_window.iter_mut().try_for_each(|window| match &mut window.1 {
            NamedWindowExpr::NamedWindow(_) => Ok(()),
            NamedWindowExpr::WindowSpec(spec) => self.window(spec, scope),
        })
    }

    fn select_item(&self, item: &mut SelectItem, scope: &Scope) -> Result<(), Refusal> {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } | SelectItem::ExprWithAliases { expr, .. } => {
                self.expr(expr, scope)
            }
            SelectItem::Wildcard(options) => self.wildcard(options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options) => self.wildcard(options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => refuse("a * of an expression", "name the fields"),
        }
    }

    fn wildcard(&self, options: &WildcardAdditionalOptions) -> Result<(), Refusal> {
        let WildcardAdditionalOptions { wildcard_token: _, opt_ilike, opt_exclude, opt_except: _, opt_replace, opt_rename, opt_alias } =
            options;
        let other = opt_ilike.is_some() || opt_exclude.is_some() || opt_replace.is_some() || opt_rename.is_some() || opt_alias.is_some();
        absent(other, "this form of *", "name the columns, or write * EXCEPT (…)")
    }

    fn group_by(&self, group_by: &mut GroupByExpr, scope: &Scope) -> Result<(), Refusal> {
        let modifiers = match group_by {
            GroupByExpr::All(modifiers) => modifiers,
            GroupByExpr::Expressions(exprs, modifiers) => {
                exprs.iter_mut().try_for_each(|expr| self.expr(expr, scope))?;
                modifiers
            }
        };
        modifiers.iter_mut().try_for_each(|modifier| match modifier {
            GroupByWithModifier::Rollup | GroupByWithModifier::Cube => Ok(()),
            GroupByWithModifier::Totals => refuse("WITH TOTALS", "write WITH ROLLUP"),
            GroupByWithModifier::GroupingSets(sets) => self.expr(sets, scope),
        })
    }

    fn order_by(&self, order_by: &mut OrderBy, scope: &Scope) -> Result<(), Refusal> {
        absent(order_by.interpolate.is_some(), "INTERPOLATE", "leave it out")?;
        match &mut order_by.kind {
            OrderByKind::All(_) => Ok(()),
            OrderByKind::Expressions(keys) => self.sort_keys(keys, scope),
        }
    }

    pub(super) fn sort_keys(&self, keys: &mut [OrderByExpr], scope: &Scope) -> Result<(), Refusal> {
        keys.iter_mut().try_for_each(|key| {
            absent(key.with_fill.is_some(), "WITH FILL", "leave it out")?;
            let using = matches!(key.options.sort, Some(sqlparser::ast::OrderBySort::Using(_)));
            absent(using, "ORDER BY … USING", "write ASC or DESC")?;
            self.expr(&mut key.expr, scope)
        })
    }

    fn lateral_view(&self, view: &mut LateralView, scope: &Scope) -> Result<(), Refusal> {
        let Expr::Function(function) = &mut view.lateral_view else {
            return refuse("LATERAL VIEW without a function", "write LATERAL VIEW explode(column) t AS name");
        };
        self.functions.check_generator(&function.name)?;
        absent(view.lateral_view_name.0.len() != 1, "a LATERAL VIEW without a plain name", "write LATERAL VIEW explode(column) t AS name")?;
        self.expr(&mut view.lateral_view, scope)
    }

    fn from(&self, from: &mut [TableWithJoins], filtered: bool, scope: &Scope) -> Result<(), Refusal> {
        let mut unconditional: Vec<String> = Vec::new();
        for table in from.iter_mut() {
            let TableWithJoins { relation, joins } = table;
            unconditional.extend(self.factor(relation, filtered, scope)?);
            for Join { relation, global, join_operator } in joins {
                absent(*global, "GLOBAL JOIN", "write JOIN")?;
                let base = self.factor(relation, filtered, scope)?;
                if !self.join(join_operator, scope)? {
                    unconditional.extend(base);
                }
            }
        }
        match unconditional.as_slice() {
            [first, second, ..] if !filtered => Err(Refusal::new(format!(
                "Joining {first} and {second} without a condition pairs every row with every row; add ON with the key columns."
            ))),
            _ => Ok(()),
        }
    }

    /// Checks a join and tells whether it has a condition on columns.
    fn join(&self, operator: &mut JoinOperator, scope: &Scope) -> Result<bool, Refusal> {
        match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint)
            | JoinOperator::LeftSemi(constraint)
            | JoinOperator::Semi(constraint)
            | JoinOperator::LeftAnti(constraint)
            | JoinOperator::Anti(constraint) => match constraint {
                JoinConstraint::On(condition) => {
                    self.expr(condition, scope)?;
                    Ok(super::functions::is_condition(condition))
                }
                JoinConstraint::Using(columns) => {
                    absent(columns.iter().any(|column| column.0.len() != 1), "a qualified name in USING", "write USING (column)")?;
                    Ok(true)
                }
                JoinConstraint::Natural => Ok(true),
                JoinConstraint::None => Ok(false),
            },
            _ => refuse("this kind of join", "write JOIN, LEFT JOIN, RIGHT JOIN, FULL JOIN, LEFT SEMI JOIN or LEFT ANTI JOIN"),
        }
    }

    /// Checks what stands in FROM, which is `filtered` where a WHERE may join it; the name of a table of the catalog, if it is one.
    fn factor(&self, factor: &mut TableFactor, filtered: bool, scope: &Scope) -> Result<Option<String>, Refusal> {
        match factor {
            TableFactor::Table { name, alias, args, with_hints, version, with_ordinality, partitions, json_path, sample, index_hints } => {
                absent(version.is_some(), "reading another version of a table", "read the table as it is")?;
                let extras =
                    !with_hints.is_empty() || *with_ordinality || !partitions.is_empty() || json_path.is_some() || !index_hints.is_empty();
                absent(extras, "an addition to a table's name", "write FROM schema.table AS alias")?;
                check_sample(sample.as_mut())?;
                check_alias(alias.as_mut())?;
                match args {
                    Some(TableFunctionArgs { args, settings }) => {
                        absent(settings.is_some(), "SETTINGS", "leave it out")?;
                        self.table_function(name, args, scope).map(|()| None)
                    }
                    None => Ok((self.relations.resolve(name, scope)? == Source::Catalog).then(|| name.to_string())),
                }
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                absent(*with_ordinality, "WITH ORDINALITY", "use posexplode")?;
                check_alias(alias.as_mut())?;
                self.table_function(name, args, scope).map(|()| None)
            }
            TableFactor::Derived { lateral: _, subquery, alias, sample } => {
                check_sample(sample.as_mut())?;
                check_alias(alias.as_mut())?;
                self.query(subquery, scope).map(|()| None)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                check_alias(alias.as_mut())?;
                self.from(std::slice::from_mut(table_with_joins), filtered, scope).map(|()| None)
            }
            TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } => {
                absent(default_on_null.is_some(), "DEFAULT ON NULL", "use coalesce")?;
                check_alias(alias.as_mut())?;
                let PivotValueSource::List(values) = value_source else { return refuse("PIVOT over a subquery", "list the values") };
                let named = aggregate_functions.iter_mut().chain(values).map(|item| &mut item.expr);
                named.chain(value_column).try_for_each(|expr| self.expr(expr, scope))?;
                self.factor(table, filtered, scope)
            }
            TableFactor::Unpivot { table, value, name: _, columns, null_inclusion: _, alias } => {
                check_alias(alias.as_mut())?;
                columns.iter_mut().map(|item| &mut item.expr).chain([value]).try_for_each(|expr| self.expr(expr, scope))?;
                self.factor(table, filtered, scope)
            }
            other => refuse(&format!("{other} in FROM"), "read a table, a subquery, VALUES or explode(…)"),
        }
    }

    fn table_function(&self, name: &mut ObjectName, args: &mut [FunctionArg], scope: &Scope) -> Result<(), Refusal> {
        self.functions.check_generator(name)?;
        self.functions.unquote(name);
        self.arguments(name, args, scope)
    }
}

fn check_alias(alias: Option<&mut TableAlias>) -> Result<(), Refusal> {
    let Some(alias) = alias else { return Ok(()) };
    absent(alias.at.is_some() || alias.columns.iter().any(|column| column.data_type.is_some()), "a type in an alias", "write AS t(a, b)")?;
    alias.explicit = true;
    Ok(())
}

fn check_sample(sample: Option<&mut TableSampleKind>) -> Result<(), Refusal> {
    let Some(TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) = sample else { return Ok(()) };
    let TableSample { modifier, name, quantity, seed, bucket, offset } = sample.as_ref();
    let plain =
        matches!(modifier, TableSampleModifier::TableSample) && name.is_none() && offset.is_none() && bucket.is_none() && seed.is_none();
    let literal = quantity.as_ref().is_some_and(|quantity| quantity.parenthesized && matches!(quantity.value, Expr::Value(_)));
    absent(!(plain && literal), "this form of TABLESAMPLE", "write TABLESAMPLE (10 PERCENT) or TABLESAMPLE (100 ROWS)")
}
