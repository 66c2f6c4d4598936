//! `DELETE /api/chat/{id}` and `POST /api/chat/{id}/cancel`.

use warp::reply::Response;

use super::{problem::Problem, start::accepted};
use crate::{
    conversation::{Caller, ConversationId},
    service::{Canceled, Service},
};

pub(super) async fn delete(service: &Service, caller: &Caller, id: ConversationId) -> Result<Response, Problem> {
    service.delete(caller, id).await?;
    Ok(super::no_content())
}

pub(super) async fn cancel(service: &Service, caller: &Caller, id: ConversationId) -> Result<Response, Problem> {
    match service.cancel(caller, id).await? {
        Canceled::Now => accepted(id, "canceled", "The turn is canceled."),
        Canceled::Soon => accepted(
            id,
            "canceling",
            "The turn is being canceled: the warehouse is asked to stop the query. Poll /chat/{id}/status for its confirmation.",
        ),
    }
}
