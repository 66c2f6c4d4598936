//! Querying in the name of whoever asks, where the service is told to: the exchange when a request comes, the use when a worker queries.

use std::sync::Arc;

use super::{Asker, Service};
use crate::{
    conversation::{Conversation, ConversationId, Delegation},
    warehouse::{
        Error, Warehouse,
        behalf::{self, Holder, OnBehalf},
    },
};

impl Service {
    /// The same, but its queries run in the name of whoever asks.
    #[must_use]
    pub fn on_behalf(self, behalf: Arc<dyn OnBehalf>) -> Self {
        self.with(|parts| parts.behalf = Some(behalf))
    }

    /// Whether its queries run in the name of whoever asks, so that an [`Asker`] needs a proof.
    #[must_use]
    pub fn is_on_behalf(&self) -> bool {
        self.behalf.is_some()
    }

    /// What the queries of a conversation are to run by; none where they run as asklake.
    pub(super) async fn delegation(
        &self,
        asker: &Asker<'_>,
        conversation: ConversationId,
    ) -> Result<Option<Box<Delegation>>, behalf::Error> {
        let Some(behalf) = &self.behalf else { return Ok(None) };
        let (Some(owner), Some(proof)) = (asker.caller.owner(), &asker.proof) else { return Err(behalf::Error::NoProof) };
        behalf.delegate(proof, Holder { conversation, owner }, Self::now()).await.map(|delegation| Some(Box::new(delegation)))
    }

    /// The warehouse as the queries of `conversation` may use it. Never as asklake where it is to be as somebody else, also where this
    /// process does not know how: another one may have begun the turn, before its configuration was changed.
    pub(super) fn warehouse(&self, conversation: &Conversation) -> Result<Arc<dyn Warehouse>, Error> {
        match (&self.behalf, &conversation.delegation, &conversation.owner) {
            (None, None, _) => Ok(Arc::clone(&self.ports.warehouse)),
            (Some(behalf), Some(delegation), Some(owner)) => {
                let holder = Holder { conversation: conversation.id, owner };
                behalf.warehouse(delegation, holder, Self::now()).map_err(|error| Error::NotAdmitted(error.to_string()))
            }
            _ => Err(Error::NotAdmitted(behalf::Error::Over.to_string())),
        }
    }
}
