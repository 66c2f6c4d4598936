//! What is charged to the accounts of a conversation: what its committed steps used.

use super::Service;
use crate::{
    conversation::{Conversation, Usage},
    limit::book::{Holder, Used},
};

impl Service {
    /// Counts what the turn of a committed `conversation` has used since `before`, and gives its place back when it has ended.
    pub(super) async fn settle(&self, before: &Usage, conversation: &Conversation) {
        let Some(quotas) = &self.quotas else { return };
        let Usage { prompt_tokens, completion_tokens, warehouse_ms, .. } = &conversation.usage;
        let tokens = (prompt_tokens + completion_tokens).saturating_sub(before.prompt_tokens + before.completion_tokens);
        let used = Used { tokens, warehouse_ms: warehouse_ms.saturating_sub(before.warehouse_ms) };
        let ended = conversation.stage.is_terminal().then(|| Holder::new(conversation.id, conversation.turn));
        // On the heap: it is part of every commit.
        Box::pin(quotas.settle(&conversation.accounts, used, ended.as_ref(), Self::now())).await;
    }

    /// Gives the place of a conversation back that was removed while its turn was running.
    pub(super) async fn settle_removed(&self, conversation: &Conversation) {
        let Some(quotas) = self.quotas.as_ref().filter(|_| !conversation.stage.is_terminal()) else { return };
        let holder = Holder::new(conversation.id, conversation.turn);
        Box::pin(quotas.settle(&conversation.accounts, Used::default(), Some(&holder), Self::now())).await;
    }
}
