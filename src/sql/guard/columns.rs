//! Pre-flight of names: refuses a statement with a column that certainly does not exist, before any warehouse is asked.
//!
//! Owns which columns are visible where in a statement: those of FROM and JOIN with their aliases, of CTEs, derived tables, table
//! functions and LATERAL VIEW, of the queries around a correlated subquery, the aliases of SELECT where Spark lets them be used, and the
//! parameters of lambdas. Whatever is not known for certain (a table without columns in the catalog, the columns of PIVOT, a name
//! that Spark makes up) is passed to the engine: a wrong refusal is worse than a miss. Types are looked at in one case only, an array
//! compared with a string, which is the commonest mistake and has one remedy.

use std::{collections::BTreeSet, rc::Rc};

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Cte, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, GroupByWithModifier,
    Ident, Join, JoinConstraint, JoinOperator, LambdaFunction, LateralView, NamedWindowExpr, ObjectName, OneOrManyWithParens, OrderBy,
    OrderByExpr, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Subscript, TableAlias, TableFactor,
    TableFunctionArgs, TableWithJoins, Value, WildcardAdditionalOptions, WindowFrameBound, WindowSpec, WindowType,
};

use super::{Refusal, expr::visit_parts, lexer};
use crate::sql::catalog::{Catalog, nearest::nearest};

/// Columns that are followed; a query with more is taken as one of unknown columns.
const MOST: usize = 2_000;
/// Names suggested for one that does not exist.
const SUGGESTED: usize = 3;

/// The columns of the catalog's relations.
#[derive(Debug)]
pub(super) struct Lake(Vec<Table>);

#[derive(Debug)]
struct Table {
    name: String,
    columns: Vec<Column>,
}

/// A column of a relation or of a query's result.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    is_array: bool,
}

impl Column {
    fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), is_array: false }
    }

    fn is(&self, name: &str) -> bool {
        same(&self.name, name)
    }
}

/// The columns of a source or a result; none where they are not known for certain.
type Columns = Option<Rc<Vec<Column>>>;

/// What stands in FROM.
#[derive(Clone)]
struct Source {
    /// What its columns can be qualified with: the alias, else the parts of the relation's name; empty when it has none.
    name: Vec<String>,
    /// The relation of the catalog, for messages.
    relation: Option<String>,
    columns: Columns,
    /// Columns that USING or NATURAL has joined into those of a source before.
    merged: BTreeSet<String>,
}

impl Source {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.as_ref()?.iter().find(|column| column.is(name))
    }

    /// The parts of `idents` that qualify a column as one of this source; 0 if they do not.
    fn qualified_by(&self, idents: &[Ident]) -> usize {
        (1..=self.name.len().min(idents.len()))
            .rev()
            .find(|&length| self.name.iter().rev().take(length).rev().zip(idents).all(|(part, ident)| same(part, &ident.value)))
            .unwrap_or(0)
    }

    /// What a person would call it.
    fn called(&self) -> String {
        let name = self.name.join(".");
        match &self.relation {
            Some(relation) if !same(relation, &name) => format!("{name} ({relation})"),
            _ if name.is_empty() => "the subquery".to_owned(),
            _ => name,
        }
    }
}

/// The names that can be used at a place.
#[derive(Default)]
struct Scope<'a> {
    sources: Vec<Source>,
    /// Names beside the columns: aliases of SELECT where they may be used, parameters of a lambda.
    names: Vec<String>,
    /// Aliases of SELECT that may not be used here.
    too_early: Rc<Vec<String>>,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    fn within(outer: Option<&'a Scope<'a>>) -> Self {
        Self { outer, ..Self::default() }
    }

    fn levels(&self) -> impl Iterator<Item = &Scope<'a>> {
        std::iter::successors(Some(self), |scope| scope.outer)
    }

    fn is_open(&self) -> bool {
        self.levels().any(|level| level.sources.iter().any(|source| source.columns.is_none()))
    }
}

/// The WITH names visible at a place, the innermost last.
type Ctes = Rc<Vec<(String, Columns)>>;

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

/// What a name turned out to be.
enum Found {
    Column {
        is_array: bool,
    },
    /// Something that cannot be told.
    Unknown,
}

impl Lake {
    pub(super) fn new(catalog: &Catalog) -> Self {
        let column = |column: &crate::sql::catalog::Column| Column {
            name: column.name.clone(),
            is_array: column.data_type.to_lowercase().starts_with("array"),
        };
        Self(
            catalog
                .relations()
                .map(|relation| Table { name: relation.name.clone(), columns: relation.columns.iter().map(column).collect() })
                .collect(),
        )
    }

    /// Refuses `query` if it uses a column that does not exist. Its tables have been resolved before.
    pub(super) fn check(&self, query: &mut Query) -> Result<(), Refusal> {
        Check { lake: self }.query(query, None, &Ctes::default()).map(drop)
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.0.iter().find(|table| same(&table.name, name))
    }
}

struct Check<'l> {
    lake: &'l Lake,
}

type Outer<'s> = Option<&'s Scope<'s>>;

impl Check<'_> {
    fn query(&self, query: &mut Query, outer: Outer<'_>, ctes: &Ctes) -> Result<Columns, Refusal> {
        let mut ctes = Rc::clone(ctes);
        for Cte { alias, query, .. } in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            let columns = renamed(self.query(query, outer, &ctes)?, alias);
            Rc::make_mut(&mut ctes).push((alias.name.value.clone(), columns));
        }
        self.body(&mut query.body, query.order_by.as_mut(), outer, &ctes)
    }

    fn body(&self, body: &mut SetExpr, order_by: Option<&mut OrderBy>, outer: Outer<'_>, ctes: &Ctes) -> Result<Columns, Refusal> {
        if let SetExpr::Select(select) = body {
            return self.select(select, order_by, outer, ctes);
        }
        let columns = self.first_side(body, outer, ctes)?;
        if let Some(order_by) = order_by {
            let source = Source { name: Vec::new(), relation: None, columns: columns.clone(), merged: BTreeSet::new() };
            let scope = Scope { sources: vec![source], ..Scope::within(outer) };
            self.order_by(order_by, &scope, ctes)?;
        }
        Ok(columns)
    }

    /// Checks every side of a chain of set operations; the first one names the columns.
    fn first_side(&self, body: &mut SetExpr, outer: Outer<'_>, ctes: &Ctes) -> Result<Columns, Refusal> {
        let mut body = body;
        while let SetExpr::SetOperation { left, right, .. } = body {
            self.first_side(right, outer, ctes)?;
            body = left;
        }
        match body {
            SetExpr::Select(select) => self.select(select, None, outer, ctes),
            SetExpr::Query(query) => self.query(query, outer, ctes),
            SetExpr::Values(values) => {
                let scope = Scope::within(outer);
                let width = values.rows.first().map_or(0, |row| row.content.len());
                values.rows.iter_mut().flat_map(|row| row.content.iter_mut()).try_for_each(|expr| self.expr(expr, &scope, ctes))?;
                Ok(Some(Rc::new((1..=width).map(|number| Column::plain(&format!("col{number}"))).collect())))
            }
            _ => Ok(None),
        }
    }

    fn select(&self, select: &mut Select, order_by: Option<&mut OrderBy>, outer: Outer<'_>, ctes: &Ctes) -> Result<Columns, Refusal> {
        let mut scope = Scope { too_early: Rc::new(select.projection.iter().flat_map(aliases).collect()), ..Scope::within(outer) };
        self.from(&mut select.from, &mut scope, ctes)?;
        select.lateral_views.iter_mut().try_for_each(|view| self.lateral_view(view, &mut scope, ctes))?;
        select.selection.as_mut().map_or(Ok(()), |filter| self.expr(filter, &scope, ctes))?;
        let columns = self.projection(&mut select.projection, &mut scope, ctes)?;
        self.clauses(select, &scope, ctes)?;
        if let Some(order_by) = order_by {
            // What is selected can be ordered by under its own name, which so is not ambiguous.
            scope.names.extend(columns.iter().flat_map(|columns| columns.iter().map(|column| column.name.clone())));
            self.order_by(order_by, &scope, ctes)?;
        }
        Ok(columns)
    }

    /// Checks what is selected, gives its columns, and puts its aliases in scope.
    fn projection(&self, items: &mut [SelectItem], scope: &mut Scope<'_>, ctes: &Ctes) -> Result<Columns, Refusal> {
        let mut columns: Option<Vec<Column>> = Some(Vec::new());
        for item in items {
            let of_item = self.select_item(item, scope, ctes)?;
            // An alias may be used by the items after it.
            scope.names.extend(aliases(item));
            columns = columns.zip(of_item).map(|(mut columns, more)| {
                columns.extend(more);
                columns
            });
        }
        scope.too_early = Rc::default();
        Ok(columns.filter(|columns| columns.len() <= MOST).map(Rc::new))
    }

    /// Checks the clauses that may use aliases of SELECT.
    fn clauses(&self, select: &mut Select, scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        self.group_by(&mut select.group_by, scope, ctes)?;
        [&mut select.having, &mut select.qualify].into_iter().flatten().try_for_each(|expr| self.expr(expr, scope, ctes))?;
        select.named_window.iter_mut().try_for_each(|window| match &mut window.1 {
            NamedWindowExpr::WindowSpec(spec) => self.window(spec, scope, ctes),
            NamedWindowExpr::NamedWindow(_) => Ok(()),
        })
    }

    fn group_by(&self, group_by: &mut GroupByExpr, scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        let modifiers = match group_by {
            GroupByExpr::All(modifiers) => modifiers,
            GroupByExpr::Expressions(exprs, modifiers) => {
                exprs.iter_mut().try_for_each(|expr| self.expr(expr, scope, ctes))?;
                modifiers
            }
        };
        modifiers.iter_mut().try_for_each(|modifier| match modifier {
            GroupByWithModifier::GroupingSets(sets) => self.expr(sets, scope, ctes),
            _ => Ok(()),
        })
    }

    fn order_by(&self, order_by: &mut OrderBy, scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        match &mut order_by.kind {
            OrderByKind::All(_) => Ok(()),
            OrderByKind::Expressions(keys) => self.sort_keys(keys, scope, ctes),
        }
    }

    fn sort_keys(&self, keys: &mut [OrderByExpr], scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        keys.iter_mut().try_for_each(|key| self.expr(&mut key.expr, scope, ctes))
    }

    /// Checks an item of SELECT and gives the columns it makes; none if they cannot be told.
    fn select_item(&self, item: &mut SelectItem, scope: &Scope<'_>, ctes: &Ctes) -> Result<Option<Vec<Column>>, Refusal> {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                self.expr(expr, scope, ctes)?;
                Ok(named(expr).map(|name| vec![Column { name, is_array: is_array(expr, scope) }]))
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                self.expr(expr, scope, ctes)?;
                Ok(Some(vec![Column { name: alias.value.clone(), is_array: is_array(expr, scope) }]))
            }
            SelectItem::ExprWithAliases { expr, aliases } => {
                self.expr(expr, scope, ctes)?;
                Ok(Some(aliases.iter().map(|alias| Column::plain(&alias.value)).collect()))
            }
            SelectItem::Wildcard(options) => Ok(without(all(&scope.sources), options)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                Ok(without(qualified_wildcard(name, scope)?, options))
            }
            SelectItem::QualifiedWildcard(..) => Ok(None),
        }
    }

    fn from(&self, from: &mut [TableWithJoins], scope: &mut Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        for TableWithJoins { relation, joins } in from {
            let sources = self.factor(relation, scope, ctes)?;
            scope.sources.extend(sources);
            for Join { relation, join_operator, .. } in joins {
                let right = self.factor(relation, scope, ctes)?;
                self.join(join_operator, right, scope, ctes)?;
            }
        }
        Ok(())
    }

    fn join(&self, operator: &mut JoinOperator, right: Vec<Source>, scope: &mut Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        let filters =
            matches!(operator, JoinOperator::LeftSemi(_) | JoinOperator::Semi(_) | JoinOperator::LeftAnti(_) | JoinOperator::Anti(_));
        let constraint = match operator {
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
            | JoinOperator::Anti(constraint) => constraint,
            _ => &mut JoinConstraint::None,
        };
        let left = scope.sources.len();
        scope.sources.extend(right);
        match constraint {
            JoinConstraint::On(condition) => self.expr(condition, scope, ctes)?,
            JoinConstraint::Using(columns) => {
                for column in columns.iter().filter_map(|column| column.0.first()?.as_ident()) {
                    let (before, after) = scope.sources.split_at_mut(left);
                    self.using(column, before)?;
                    self.using(column, after)?;
                    after.iter_mut().for_each(|source| source.merged.extend([column.value.to_lowercase()]));
                }
            }
            JoinConstraint::Natural => {
                let (before, after) = scope.sources.split_at_mut(left);
                let common: Option<Vec<String>> =
                    all(before).map(|columns| columns.iter().map(|column| column.name.to_lowercase()).collect());
                match common {
                    Some(common) => after.iter_mut().for_each(|source| source.merged.extend(common.iter().cloned())),
                    None => after.iter_mut().for_each(|source| source.columns = None),
                }
            }
            JoinConstraint::None => {}
        }
        if filters {
            scope.sources.truncate(left);
        }
        Ok(())
    }

    /// A column of USING must be on either side.
    fn using(&self, column: &Ident, side: &[Source]) -> Result<(), Refusal> {
        if side.iter().any(|source| source.columns.is_none() || source.column(&column.value).is_some()) {
            return Ok(());
        }
        Err(self.missing(std::slice::from_ref(column), side))
    }

    fn lateral_view(&self, view: &mut LateralView, scope: &mut Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        self.expr(&mut view.lateral_view, scope, ctes)?;
        let columns = &view.lateral_col_alias;
        let columns: Columns = (!columns.is_empty()).then(|| Rc::new(columns.iter().map(|column| Column::plain(&column.value)).collect()));
        // In `LATERAL VIEW explode(x) AS item` the parser takes AS for the name, as Spark does; nobody means it.
        let name = view.lateral_view_name.0.iter().filter_map(|part| Some(part.as_ident()?.value.clone()));
        let name = name.filter(|name| !same(name, "as")).collect();
        scope.sources.push(Source { name, relation: None, columns, merged: BTreeSet::new() });
        Ok(())
    }

    /// Checks what stands in FROM, with the sources before it in scope for what is lateral.
    fn factor(&self, factor: &mut TableFactor, scope: &Scope<'_>, ctes: &Ctes) -> Result<Vec<Source>, Refusal> {
        match factor {
            TableFactor::Table { name, alias, args: Some(TableFunctionArgs { args, .. }), .. }
            | TableFactor::Function { name, args, alias, .. } => {
                self.arguments(name, args, scope, ctes)?;
                Ok(vec![table_function(name, alias.as_ref())])
            }
            TableFactor::Table { name, alias, args: None, .. } => Ok(vec![self.table(name, alias.as_ref(), ctes)]),
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let outer = if *lateral { Some(scope) } else { scope.outer };
                Ok(vec![aliased(Vec::new(), None, self.query(subquery, outer, ctes)?, alias.as_ref())])
            }
            TableFactor::NestedJoin { table_with_joins, alias } => self.nested_join(table_with_joins, alias.as_ref(), scope, ctes),
            // The columns that these make are the engine's business.
            TableFactor::Pivot { table, aggregate_functions, value_column, alias, .. } => {
                let exprs = aggregate_functions.iter_mut().map(|item| &mut item.expr).chain(value_column);
                self.turned(table, exprs, scope, ctes)?;
                Ok(vec![aliased(Vec::new(), None, None, alias.as_ref())])
            }
            TableFactor::Unpivot { table, columns, alias, .. } => {
                self.turned(table, columns.iter_mut().map(|item| &mut item.expr), scope, ctes)?;
                Ok(vec![aliased(Vec::new(), None, None, alias.as_ref())])
            }
            _ => Ok(vec![aliased(Vec::new(), None, None, None)]),
        }
    }

    fn nested_join(
        &self,
        tables: &mut TableWithJoins,
        alias: Option<&TableAlias>,
        scope: &Scope<'_>,
        ctes: &Ctes,
    ) -> Result<Vec<Source>, Refusal> {
        let mut inner = Scope::within(scope.outer);
        self.from(std::slice::from_mut(tables), &mut inner, ctes)?;
        Ok(match alias {
            Some(alias) => vec![aliased(Vec::new(), None, all(&inner.sources).map(Rc::new), Some(alias))],
            None => inner.sources,
        })
    }

    /// Checks a table that is turned around, and the expressions over it.
    fn turned<'e>(
        &self,
        table: &mut TableFactor,
        mut exprs: impl Iterator<Item = &'e mut Expr>,
        scope: &Scope<'_>,
        ctes: &Ctes,
    ) -> Result<(), Refusal> {
        let inner = Scope { sources: self.factor(table, scope, ctes)?, ..Scope::within(scope.outer) };
        exprs.try_for_each(|expr| self.expr(expr, &inner, ctes))
    }

    fn table(&self, name: &ObjectName, alias: Option<&TableAlias>, ctes: &Ctes) -> Source {
        let parts: Vec<String> = name.0.iter().filter_map(|part| Some(part.as_ident()?.value.clone())).collect();
        let written = parts.join(".");
        if let [single] = parts.as_slice()
            && let Some((_, columns)) = ctes.iter().rev().find(|(cte, _)| same(cte, single))
        {
            return aliased(parts.clone(), None, columns.clone(), alias);
        }
        let table = self.lake.table(&written);
        let columns = table.filter(|table| !table.columns.is_empty()).map(|table| Rc::new(table.columns.clone()));
        aliased(parts, table.map(|table| table.name.clone()), columns, alias)
    }

    fn expr(&self, expr: &mut Expr, scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        // Chains of operators lean to the left; following them in a loop keeps the stack flat.
        let mut expr = expr;
        while let Expr::BinaryOp { left, op, right } = expr {
            if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
                comparable(left, right, scope).and_then(|()| comparable(right, left, scope))?;
            }
            self.expr(right, scope, ctes)?;
            expr = left;
        }
        match expr {
            Expr::Identifier(ident) => self.resolve(std::slice::from_ref(ident), scope).map(drop),
            Expr::CompoundIdentifier(idents) => self.resolve(idents, scope).map(drop),
            Expr::Function(function) => self.function(function, scope, ctes),
            Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => self.query(query, Some(scope), ctes).map(drop),
            Expr::InSubquery { expr, subquery, .. } => {
                self.query(subquery, Some(scope), ctes)?;
                self.expr(expr, scope, ctes)
            }
            Expr::Cast { expr: inner, .. }
            | Expr::Extract { expr: inner, .. }
            | Expr::Ceil { expr: inner, .. }
            | Expr::Floor { expr: inner, .. } => self.expr(inner, scope, ctes),
            Expr::Interval(interval) => self.expr(&mut interval.value, scope, ctes),
            Expr::Lambda(lambda) => self.lambda(lambda, scope, ctes),
            Expr::CompoundFieldAccess { root, access_chain } => {
                // The parser takes the name before a subscript apart: `m.genres[0]` is a name in two parts.
                match name_before_subscript(root, access_chain) {
                    Some(idents) => self.resolve(&idents, scope).map(drop)?,
                    None => self.expr(root, scope, ctes)?,
                }
                access_chain.iter_mut().try_for_each(|access| match access {
                    AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index, scope, ctes),
                    _ => Ok(()),
                })
            }
            other => {
                comparable_parts(other, scope)?;
                visit_parts(other, |part| self.expr(part, scope, ctes)).map(drop)
            }
        }
    }

    fn lambda(&self, lambda: &mut LambdaFunction, scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        let names = match &lambda.params {
            OneOrManyWithParens::One(param) => vec![param.name.value.clone()],
            OneOrManyWithParens::Many(params) => params.iter().map(|param| param.name.value.clone()).collect(),
        };
        self.expr(&mut lambda.body, &Scope { names, ..Scope::within(Some(scope)) }, ctes)
    }

    fn function(&self, function: &mut Function, scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        let Function { name, args, within_group, filter, over, .. } = function;
        if let FunctionArguments::List(list) = args {
            self.arguments(name, &mut list.args, scope, ctes)?;
        }
        self.sort_keys(within_group, scope, ctes)?;
        if let Some(filter) = filter {
            self.expr(filter, scope, ctes)?;
        }
        match over {
            Some(WindowType::WindowSpec(spec)) => self.window(spec, scope, ctes),
            _ => Ok(()),
        }
    }

    fn arguments(&self, name: &ObjectName, args: &mut [FunctionArg], scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        let count = args.len();
        for (position, arg) in args.iter_mut().enumerate() {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { continue };
            // The unit of `datediff(UNIT, a, b)` is a word of the grammar.
            if position == 0 && matches!(expr, Expr::Identifier(_)) && super::functions::takes_unit(name, count) {
                continue;
            }
            self.expr(expr, scope, ctes)?;
        }
        Ok(())
    }

    fn window(&self, spec: &mut WindowSpec, scope: &Scope<'_>, ctes: &Ctes) -> Result<(), Refusal> {
        spec.partition_by.iter_mut().try_for_each(|expr| self.expr(expr, scope, ctes))?;
        self.sort_keys(&mut spec.order_by, scope, ctes)?;
        let Some(frame) = &mut spec.window_frame else { return Ok(()) };
        [Some(&mut frame.start_bound), frame.end_bound.as_mut()].into_iter().flatten().try_for_each(|bound| match bound {
            WindowFrameBound::Preceding(Some(rows)) | WindowFrameBound::Following(Some(rows)) => self.expr(rows, scope, ctes),
            _ => Ok(()),
        })
    }

    /// Finds a column, or refuses it where it is certain that there is none.
    fn resolve(&self, idents: &[Ident], scope: &Scope<'_>) -> Result<Found, Refusal> {
        if let Some(found) = find(idents, scope)? {
            return Ok(found);
        }
        // What a query without a name for its columns gives them, such as `count(1)`, is the engine's business.
        let made_up = idents.iter().any(|ident| !ident.value.chars().all(|letter| letter.is_alphanumeric() || letter == '_'));
        let reserved = idents.iter().any(|ident| same(&ident.value, "grouping__id"));
        let qualified = scope.levels().flat_map(|level| &level.sources).find(|source| idents.len() > 1 && source.qualified_by(idents) > 0);
        let certain = qualified.map_or_else(|| !scope.is_open(), |source| source.columns.is_some());
        if made_up || reserved || !certain {
            return Ok(Found::Unknown);
        }
        if let [single] = idents
            && scope.levels().any(|level| level.too_early.iter().any(|alias| same(alias, &single.value)))
        {
            return Err(Refusal::new(format!(
                "{} ({}) is an alias of SELECT, which WHERE and ON cannot use; repeat the expression there, put a condition on an aggregate \
                 into HAVING, or select from a subquery.",
                single.value,
                place(idents)
            )));
        }
        match qualified {
            Some(source) => Err(self.missing(idents, std::slice::from_ref(source))),
            None => {
                let sources: Vec<Source> = scope.levels().flat_map(|level| level.sources.iter().cloned()).collect();
                Err(self.missing(idents, &sources))
            }
        }
    }

    /// The refusal of a column that none of `sources` has.
    fn missing(&self, idents: &[Ident], sources: &[Source]) -> Refusal {
        let written = dotted(idents);
        let column = idents.last().map_or("", |ident| ident.value.as_str());
        let there: Vec<String> = sources.iter().map(Source::called).collect();
        let qualifier = idents.first().filter(|_| idents.len() > 1 && !sources.iter().any(|source| source.qualified_by(idents) > 0));
        if let Some(qualifier) = qualifier {
            let tables = if there.is_empty() { "has no table".to_owned() } else { format!("has {}", there.join(", ")) };
            return Refusal::new(format!("{written} ({}): {} is no table of this FROM, which {tables}.", place(idents), qualifier.value));
        }
        if sources.is_empty() {
            return Refusal::new(format!(
                "{written} ({}) is not a column: there is no FROM to take it from.{}",
                place(idents),
                self.elsewhere(column, &[])
            ));
        }
        let known = || {
            sources.iter().flat_map(|source| source.columns.iter().flat_map(|columns| columns.iter())).map(|column| column.name.as_str())
        };
        let near = nearest(column, known(), SUGGESTED);
        // A result can be joined with nothing that it did not select.
        let elsewhere =
            if sources.iter().any(|source| source.relation.is_some()) { self.elsewhere(column, sources) } else { String::new() };
        let hint = match (near.as_slice(), elsewhere.is_empty()) {
            ([], true) => {
                let mut all: Vec<&str> = known().collect();
                all.dedup();
                all.truncate(24);
                format!("; there are {}", all.join(", "))
            }
            ([], false) => String::new(),
            (near, _) => format!("; nearest: {}", near.join(", ")),
        };
        Refusal::new(format!("{written} ({}) is not a column of {}{hint}.{elsewhere}", place(idents), there.join(", ")))
    }

    /// A sentence on the relations of the catalog that have a column of that name.
    fn elsewhere(&self, column: &str, sources: &[Source]) -> String {
        let used = |table: &Table| sources.iter().any(|source| source.relation.as_deref() == Some(table.name.as_str()));
        let others: Vec<&str> = self
            .lake
            .0
            .iter()
            .filter(|table| !used(table) && table.columns.iter().any(|known| known.is(column)))
            .map(|table| table.name.as_str())
            .collect();
        if others.is_empty() { String::new() } else { format!(" {} has it: join it.", others.join(" or ")) }
    }
}

/// The whole name that a chain of accesses begins with; none where it begins with something else.
fn name_before_subscript(root: &Expr, chain: &[AccessExpr]) -> Option<Vec<Ident>> {
    let mut idents = match root {
        Expr::Identifier(ident) => vec![ident.clone()],
        Expr::CompoundIdentifier(idents) => idents.clone(),
        _ => return None,
    };
    let dotted = chain.iter().map_while(|access| if let AccessExpr::Dot(Expr::Identifier(ident)) = access { Some(ident) } else { None });
    idents.extend(dotted.cloned());
    Some(idents)
}

/// The columns of a table function: those of its alias, else what is known of it.
fn table_function(name: &ObjectName, alias: Option<&TableAlias>) -> Source {
    let named = alias.filter(|alias| !alias.columns.is_empty());
    let columns = match named {
        Some(alias) => Some(Rc::new(alias.columns.iter().map(|column| Column::plain(&column.name.value)).collect())),
        None => name.to_string().eq_ignore_ascii_case("range").then(|| Rc::new(vec![Column::plain("id")])),
    };
    aliased(vec![name.to_string()], None, columns, alias)
}

/// Looks a name up from the inside out; none if there is none.
fn find(idents: &[Ident], scope: &Scope<'_>) -> Result<Option<Found>, Refusal> {
    let Some(first) = idents.first() else { return Ok(Some(Found::Unknown)) };
    for level in scope.levels() {
        if level.names.iter().any(|name| same(name, &first.value)) {
            return Ok(Some(Found::Unknown));
        }
        for source in &level.sources {
            let length = source.qualified_by(idents);
            if let Some(column) = idents.get(length).filter(|_| length > 0).and_then(|ident| source.column(&ident.value)) {
                return Ok(Some(Found::Column { is_array: column.is_array && idents.len() == length + 1 }));
            }
        }
        let visible = |source: &&Source| source.column(&first.value).is_some() && !source.merged.contains(&first.value.to_lowercase());
        let holders: Vec<&Source> = level.sources.iter().filter(visible).collect();
        match holders.as_slice() {
            [] => {}
            [only] => {
                let is_array = only.column(&first.value).is_some_and(|column| column.is_array) && idents.len() == 1;
                return Ok(Some(Found::Column { is_array }));
            }
            several if several.iter().all(|source| !source.name.is_empty()) => {
                let choices: Vec<String> = several
                    .iter()
                    .filter_map(|source| Some(format!("{}.{}", source.name.last()?, source.column(&first.value)?.name)))
                    .collect();
                return Err(Refusal::new(format!(
                    "{} ({}) is ambiguous: several tables of this FROM have it; write {}.",
                    dotted(idents),
                    place(idents),
                    choices.join(" or ")
                )));
            }
            _ => return Ok(Some(Found::Unknown)),
        }
    }
    Ok(None)
}

/// The same for LIKE and IN.
fn comparable_parts(expr: &Expr, scope: &Scope<'_>) -> Result<(), Refusal> {
    match expr {
        Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } | Expr::RLike { expr, pattern, .. } => {
            comparable(expr, pattern, scope)
        }
        Expr::InList { expr, list, .. } => list.iter().try_for_each(|value| comparable(expr, value, scope)),
        _ => Ok(()),
    }
}

/// Refuses an array compared with a string, which Spark refuses too.
fn comparable(column: &Expr, with: &Expr, scope: &Scope<'_>) -> Result<(), Refusal> {
    let idents = match column {
        Expr::Identifier(ident) => std::slice::from_ref(ident),
        Expr::CompoundIdentifier(idents) => idents.as_slice(),
        _ => return Ok(()),
    };
    let Expr::Value(value) = with else { return Ok(()) };
    if !matches!(value.value, Value::SingleQuotedString(_)) || !is_array(column, scope) {
        return Ok(());
    }
    let written = dotted(idents);
    Err(Refusal::new(format!(
        "{written} ({}) is an array and cannot be compared with a string; write array_contains({written}, {}).",
        place(idents),
        value.value
    )))
}

fn is_array(expr: &Expr, scope: &Scope<'_>) -> bool {
    let idents = match expr {
        Expr::Identifier(ident) => std::slice::from_ref(ident),
        Expr::CompoundIdentifier(idents) => idents.as_slice(),
        _ => return false,
    };
    matches!(find(idents, scope), Ok(Some(Found::Column { is_array: true })))
}

/// The aliases that an item of SELECT gives.
fn aliases(item: &SelectItem) -> Vec<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => vec![alias.value.clone()],
        SelectItem::ExprWithAliases { aliases, .. } => aliases.iter().map(|alias| alias.value.clone()).collect(),
        _ => Vec::new(),
    }
}

/// The name of the column that an expression without alias makes; none where it cannot be told. Spark's own name of a computed
/// column is no plain word, so a plain word never means it.
fn named(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(ident.value.clone()),
        Expr::CompoundIdentifier(idents) => idents.last().map(|ident| ident.value.clone()),
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => None,
        Expr::BinaryOp { .. } | Expr::Case { .. } => Some(expr.to_string()),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let makes_columns = matches!(
                name.as_str(),
                "explode" | "explode_outer" | "posexplode" | "posexplode_outer" | "inline" | "inline_outer" | "stack" | "json_tuple"
            );
            (!makes_columns).then(|| format!("{name}()"))
        }
        _ => None,
    }
}

/// The source under its alias.
fn aliased(name: Vec<String>, relation: Option<String>, columns: Columns, alias: Option<&TableAlias>) -> Source {
    match alias {
        Some(alias) => Source { name: vec![alias.name.value.clone()], relation, columns: renamed(columns, alias), merged: BTreeSet::new() },
        None => Source { name, relation, columns, merged: BTreeSet::new() },
    }
}

/// The columns under the names of the alias's list, if it has one.
fn renamed(columns: Columns, alias: &TableAlias) -> Columns {
    if alias.columns.is_empty() {
        return columns;
    }
    let arrays = columns.filter(|columns| columns.len() == alias.columns.len());
    let is_array = |at: usize| arrays.as_ref().is_some_and(|columns| columns.get(at).is_some_and(|column| column.is_array));
    let names = alias.columns.iter().enumerate();
    Some(Rc::new(names.map(|(at, column)| Column { name: column.name.value.clone(), is_array: is_array(at) }).collect()))
}

/// The columns of `*`; none if one source's are not known.
fn all(sources: &[Source]) -> Option<Vec<Column>> {
    let mut columns = Vec::new();
    for source in sources {
        let visible = source.columns.as_ref()?.iter().filter(|column| !source.merged.contains(&column.name.to_lowercase()));
        columns.extend(visible.cloned());
    }
    Some(columns)
}

fn qualified_wildcard(name: &ObjectName, scope: &Scope<'_>) -> Result<Option<Vec<Column>>, Refusal> {
    let idents: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
    if let Some(source) = scope.sources.iter().find(|source| source.qualified_by(&idents) == idents.len()) {
        return Ok(source.columns.as_ref().map(|columns| columns.to_vec()));
    }
    if scope.is_open() || find(&idents, scope)?.is_some() {
        return Ok(None);
    }
    let there: Vec<String> = scope.sources.iter().map(Source::called).collect();
    Err(Refusal::new(format!("{name}.* ({}): {name} is no table of this FROM, which has {}.", place(&idents), there.join(", "))))
}

fn without(columns: Option<Vec<Column>>, options: &WildcardAdditionalOptions) -> Option<Vec<Column>> {
    let mut columns = columns?;
    if let Some(except) = &options.opt_except {
        let left_out =
            |column: &Column| except.additional_elements.iter().chain([&except.first_element]).any(|ident| column.is(&ident.value));
        columns.retain(|column| !left_out(column));
    }
    Some(columns)
}

fn dotted(idents: &[Ident]) -> String {
    idents.iter().map(|ident| ident.value.as_str()).collect::<Vec<_>>().join(".")
}

fn place(idents: &[Ident]) -> String {
    idents.first().map(|ident| lexer::place(ident.span.start)).unwrap_or_default()
}
