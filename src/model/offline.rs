//! temp
use crate::sql::Catalog;
use std::sync::Arc;
/// p
pub struct Planner;
impl Planner {
    /// n
    pub fn new(_: Arc<Catalog>) -> Self {
        Self
    }
}
#[async_trait::async_trait]
impl super::Model for Planner {
    fn kind(&self) -> &'static str {
        "offline planner"
    }
    fn name(&self) -> &str {
        "x"
    }
    async fn reply(&self, _: &super::Request) -> Result<super::Reply, super::Error> {
        Err(super::Error::Refused("x".into()))
    }
    async fn probe(&self) -> Result<(), super::Error> {
        Ok(())
    }
}
