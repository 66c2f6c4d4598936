//! Whose use is counted against a quota: a principal, a client address, the whole app.
//!
//! An account tells nothing of who it is but to whoever knows that already: it is a digest. What may be used, `limit` and the
//! configuration know.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Owner;

/// Separates the digests of accounts from all others.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c1d_9f0a_5b1e_4f4e_9a57_2f0c_8d3e_71b4);

/// What kind of account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A principal, who is signed in.
    Principal,
    /// The address that a client comes from.
    Address,
    /// Everybody together.
    App,
}

/// Whose use is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(String);

impl Account {
    /// The account of a principal.
    #[must_use]
    pub fn of_principal(owner: &Owner) -> Self {
        Self(format!("principal:{}", digest(owner.as_str())))
    }

    /// The account of an address or of a network that counts as one.
    #[must_use]
    pub fn of_address(network: &str) -> Self {
        Self(format!("address:{}", digest(network)))
    }

    /// The account of the app.
    #[must_use]
    pub fn of_app() -> Self {
        Self("app".to_owned())
    }

    /// What kind it is; none where the text is not one that was made here.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        match self.0.split_once(':').map_or(self.0.as_str(), |(kind, _)| kind) {
            "principal" => Some(Scope::Principal),
            "address" => Some(Scope::Address),
            "app" => Some(Scope::App),
            _ => None,
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn digest(text: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, text.as_bytes())
}
