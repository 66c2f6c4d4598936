//! Items of others in the container of the conversations, each in a partition that has its id: what they mean is theirs.

use azure_core::{Bytes, http::Etag};
use azure_data_cosmos::options::{ItemWriteOptions, Precondition};
use serde::{Deserialize, Serialize};

use super::{CosmosStore, ETag, Error, Sent, is_etag, items};

/// What the service adds.
#[derive(Deserialize)]
struct System {
    #[serde(rename = "_etag")]
    etag: String,
}

impl CosmosStore {
    /// Reads the item `id`, with its version.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`], [`Error::Corrupt`].
    pub(crate) async fn read_beside(&self, id: &str) -> Result<Option<(ETag, Bytes)>, Error> {
        let read = async {
            let key = id.to_owned();
            let sent = self.on_item("read_item", |container| async move { container.read_item(key, id, None).await }).await?;
            let Sent::Done(response) = sent else { return Ok(None) };
            let body = response.into_body().single().map_err(|error| items::corrupt(id, error))?;
            let System { etag } = serde_json::from_slice(&body).map_err(|error| items::corrupt(id, error))?;
            Ok(Some((ETag(etag), body)))
        };
        self.within_limit(read).await
    }

    /// Writes the item `id` over the version `expected`, or where there is none when none is expected; whether it did.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub(crate) async fn write_beside(&self, id: &str, item: &(impl Serialize + Sync), expected: Option<&ETag>) -> Result<bool, Error> {
        let key = id.to_owned();
        let write = async {
            let sent = match expected {
                None => self.on_item("create_item", |container| async move { container.create_item(key, id, item, None).await }).await?,
                // Anything else, above all nothing and `*`, would be no condition.
                Some(ETag(expected)) if !is_etag(expected) => return Ok(false),
                Some(ETag(expected)) => {
                    let options = ItemWriteOptions::default().with_precondition(Precondition::if_match(Etag::from(expected.clone())));
                    self.on_item("replace_item", |container| async move { container.replace_item(key, id, item, Some(options)).await })
                        .await?
                }
            };
            Ok(matches!(sent, Sent::Done(_)))
        };
        self.within_limit(write).await
    }
}
