//! `DELETE /api/chat/{id}` and `POST /api/chat/{id}/cancel`.

use warp::reply::Response;

use super::{problem::Problem, start::accepted};
use crate::{
    conversation::ConversationId,
    service::{Canceled, Service},
};

pub(super) async fn delete(service: &Service, id: ConversationId) -> Result<Response, Problem> {
    service.delete(id).await?;
    Ok(super::no_content())
}

pub(super) async fn cancel(service: &Service, id: ConversationId) -> Result<Response, Problem> {
    match service.cancel(id).await? {
        Canceled::Now => accepted(id, "canceled", "The turn is canceled."),
        Canceled::Soon => accepted(
            id,
            "canceling",
            "The turn is being canceled: the warehouse is asked to stop the query. Poll /chat/{id}/status for its confirmation.",
        ),
    }
}
