//! The lake as the service knows it: its catalog and the guard before it, made once and shared.

use std::sync::Arc;

use super::{Catalog, Guard, catalog::Relation, guard, verified::Skeletons};

/// A catalog, whose parameters are already those of its profile, and the guard that admits its tables.
#[derive(Clone, Debug)]
pub struct Lake {
    /// What is known of the tables.
    pub catalog: Arc<Catalog>,
    /// What statements over them must pass.
    pub guard: Guard,
    /// Its verified queries, by which statements are recognised.
    pub verified: Arc<Skeletons>,
}

impl Lake {
    /// The lake of `catalog`; statements return at most `max_rows` rows.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, max_rows: u64) -> Self {
        let guard = Guard::new(&catalog, max_rows);
        let verified = Arc::new(Skeletons::new(&catalog));
        Self { catalog, guard, verified }
    }

    /// The statement that gives the columns of `relation`, and no row.
    #[must_use]
    pub fn columns_of(&self, relation: &Relation) -> String {
        format!("SELECT * FROM {} LIMIT 0", guard::name(&relation.name))
    }
}
