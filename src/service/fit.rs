//! Whether the lake is as its catalog describes it, for an operator who asks before users do.

use std::time::Duration;

use uuid::Uuid;

use super::Service;
use crate::{
    conversation::Column,
    sql::catalog::{Relation, misfits},
    warehouse::{RunState, Statement},
};

/// How long one poll of the warehouse may wait; the warehouse limits the statement itself.
const WAIT: Duration = Duration::from_secs(20);

impl Service {
    /// What of the catalog the warehouse does not have as it is described, one sentence for each; `None` where asking would wake a machine
    /// that is paid for.
    pub async fn misfits(&self) -> Option<Vec<String>> {
        if !self.ports.warehouse.is_free() {
            return None;
        }
        let mut found = Vec::new();
        for relation in self.lake.catalog.relations() {
            match self.columns(relation).await {
                Ok(columns) => found.extend(misfits(relation, &columns)),
                Err(fault) => found.push(format!("{} cannot be read: {fault}", relation.name)),
            }
        }
        Some(found)
    }

    /// The columns that the warehouse gives for a table or view. It plans to read everything and reads no row.
    async fn columns(&self, relation: &Relation) -> Result<Vec<Column>, String> {
        let warehouse = &self.ports.warehouse;
        let sql = self.lake.columns_of(relation);
        let statement = Statement::new(format!("check-{}", Uuid::new_v4()), sql, 0);
        let run = warehouse.launch(&statement).await.map_err(|error| error.to_string())?;
        let mut phase = run.phase;
        loop {
            match warehouse.poll(&run.id, phase, WAIT).await.map_err(|error| error.to_string())? {
                RunState::Running(now) => phase = now,
                RunState::Succeeded(result) => return Ok(result.columns),
                RunState::Failed(fault) | RunState::TurnedAway(fault) => return Err(fault),
                RunState::Canceled | RunState::Lost => return Err("the warehouse lost the query".into()),
            }
        }
    }
}
