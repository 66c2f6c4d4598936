//! Names of tables: which a statement may read, and under which spelling they are emitted.
//!
//! A name is looked up among the CTEs in scope if it has one part, then in the catalog, ignoring case, because Spark ignores it
//! while Sail does not: what leaves the guard has the catalog's (or the CTE's) own spelling. A CTE can only lend its name to
//! one-part names inside the query it belongs to, so no CTE makes a path or another schema readable.

use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Spanned as _};

use super::{Refusal, keywords, lexer};
use crate::sql::{Catalog, catalog::nearest::nearest};

/// The catalog's tables and views.
#[derive(Debug)]
pub(super) struct Relations {
    names: Vec<String>,
}

/// The CTE names visible at a place, innermost first.
#[derive(Clone, Default)]
pub(super) struct Scope(Option<Arc<Visible>>);

struct Visible {
    name: Ident,
    outer: Scope,
}

impl Scope {
    /// The scope with one more name.
    pub(super) fn with(&self, name: Ident) -> Self {
        Self(Some(Arc::new(Visible { name, outer: self.clone() })))
    }

    fn find(&self, name: &str) -> Option<&Ident> {
        let mut scope = self;
        while let Some(visible) = &scope.0 {
            if visible.name.value.eq_ignore_ascii_case(name) {
                return Some(&visible.name);
            }
            scope = &visible.outer;
        }
        None
    }
}

/// Sources that Spark reads by path when they stand where a schema would.
const FORMATS: &[&str] = &[
    "avro",
    "binaryfile",
    "cloudfiles",
    "csv",
    "delta",
    "hudi",
    "iceberg",
    "image",
    "jdbc",
    "json",
    "kafka",
    "libsvm",
    "lance",
    "orc",
    "parquet",
    "rate",
    "socket",
    "text",
    "vortex",
    "xml",
];

/// What a name in FROM turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Catalog,
    Cte,
}

impl Relations {
    pub(super) fn new(catalog: &Catalog) -> Self {
        Self { names: catalog.relations().map(|relation| relation.name.clone()).collect() }
    }

    /// Puts the admitted spelling into `name`, or says why it may not be read.
    pub(super) fn resolve(&self, name: &mut ObjectName, scope: &Scope) -> Result<Source, Refusal> {
        let mut parts = Vec::with_capacity(name.0.len());
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => parts.push(ident.value.clone()),
                ObjectNamePart::Function(_) => return Err(self.unknown(&name.to_string(), name)),
            }
        }
        if let [single] = parts.as_slice()
            && let Some(cte) = scope.find(single)
        {
            *name = ObjectName::from(vec![cte.clone()]);
            return Ok(Source::Cte);
        }
        let written = parts.join(".");
        let found = self.find(&written).ok_or_else(|| self.refusal(&parts, &written, name))?;
        *name = ObjectName::from(found.split('.').map(quoted).collect::<Vec<_>>());
        Ok(Source::Catalog)
    }

    /// The catalog's spelling of `written`; without a schema only if one schema has it.
    fn find(&self, written: &str) -> Option<&str> {
        if let Some(exact) = self.names.iter().find(|name| name.eq_ignore_ascii_case(written)) {
            return Some(exact);
        }
        if written.contains('.') {
            return None;
        }
        let mut same = self.names.iter().filter(|name| last_part(name).eq_ignore_ascii_case(written));
        same.next().filter(|_| same.next().is_none()).map(String::as_str)
    }

    fn refusal(&self, parts: &[String], written: &str, name: &ObjectName) -> Refusal {
        let first = parts.first().map(|part| part.to_ascii_lowercase()).unwrap_or_default();
        let path = parts.iter().any(|part| part.contains(['/', ':', '\\', '*']));
        if path || (parts.len() > 1 && FORMATS.contains(&first.as_str())) {
            return Refusal::new(format!(
                "{written} ({}) reads files directly, which is refused; read a table instead. {}",
                lexer::place(name.span().start),
                self.list()
            ));
        }
        let same: Vec<&str> =
            self.names.iter().map(String::as_str).filter(|known| last_part(known).eq_ignore_ascii_case(written)).collect();
        if same.len() > 1 {
            return Refusal::new(format!("{written} is ambiguous: write one of {}.", same.join(", ")));
        }
        self.unknown(written, name)
    }

    fn unknown(&self, written: &str, name: &ObjectName) -> Refusal {
        let near = nearest(written, self.names.iter().map(String::as_str), 1);
        let nearest = near.first().map(|known| format!("; nearest: {known}")).unwrap_or_default();
        Refusal::new(format!("{written} ({}) is not a table of this lake{nearest}. {}", lexer::place(name.span().start), self.list()))
    }

    fn list(&self) -> String {
        const SHOWN: usize = 20;
        let more = if self.names.len() > SHOWN { ", …" } else { "" };
        let shown: Vec<&str> = self.names.iter().take(SHOWN).map(String::as_str).collect();
        format!("Tables: {}{more}.", shown.join(", "))
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The identifier, in backticks where Spark would not read it as a plain name.
pub(super) fn quoted(name: &str) -> Ident {
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|found| found.is_ascii_alphanumeric() || found == '_')
        && !keywords::is_keyword(name);
    if plain { Ident::new(name) } else { Ident::with_quote('`', name) }
}
