//! Who asks, and what is theirs.
//!
//! The one rule of access: a conversation is its owner's, one without an owner is everybody's who asks anonymously, and support may
//! read. Whoever loads a conversation for a client asks here; how a client proves who it is, `auth` knows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Conversation;

/// Longest subject in characters: OpenID Connect Core 1.0, section 2 (`sub`), allows 255.
const SUBJECT_LIMIT: usize = 255;

/// A principal: who issued the identity, and the subject there. Two subjects of two issuers are never equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// The subject `subject` of `issuer`; `None` where one of them is empty, the issuer has white space, or the subject is too long or has
    /// control characters. Written with a space between them, which no issuer has, so that no two pairs are written alike.
    #[must_use]
    pub fn new(issuer: &str, subject: &str) -> Option<Self> {
        let is_issuer = !issuer.is_empty() && !issuer.contains(|c: char| c.is_whitespace() || c.is_control());
        let is_subject = (1..=SUBJECT_LIMIT).contains(&subject.chars().count()) && !subject.contains(char::is_control);
        (is_issuer && is_subject).then(|| Self(format!("{issuer} {subject}")))
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular, where requests are not authenticated.
    Anonymous,
    /// A principal.
    User(Owner),
    /// A principal who may also read what belongs to others. Changing it is not part of that.
    Admin(Owner),
}

/// Why a caller may read a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is the caller's own.
    Own,
    /// The caller is an administrator.
    Support,
}

impl Caller {
    /// The principal, and the owner of what the caller starts.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Anonymous => None,
            Self::User(owner) | Self::Admin(owner) => Some(owner),
        }
    }

    /// Whether the caller may change `conversation`, which is only its own.
    #[must_use]
    pub fn owns(&self, conversation: &Conversation) -> bool {
        conversation.owner.as_ref() == self.owner()
    }

    /// Whether the caller may read `conversation`, and why.
    #[must_use]
    pub fn may_read(&self, conversation: &Conversation) -> Option<Access> {
        match self {
            _ if self.owns(conversation) => Some(Access::Own),
            Self::Admin(_) => Some(Access::Support),
            Self::Anonymous | Self::User(_) => None,
        }
    }

    /// What sets the caller's idempotency keys apart from those of others.
    #[must_use]
    pub fn scope(&self) -> &str {
        self.owner().map_or("", Owner::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_principals_are_written_alike() {
        let owner = |issuer: &str, subject: &str| Owner::new(issuer, subject);
        assert_ne!(owner("https://a", "b c"), owner("https://a", "bc"));
        assert_eq!(owner("https://a b", "c"), None, "an issuer with a space could be read as another one");
        for (issuer, subject) in [("", "s"), ("https://a", ""), ("https://a", "a\nb"), ("https://a\u{a0}", "s")] {
            assert_eq!(owner(issuer, subject), None, "{issuer:?} {subject:?}");
        }
        assert_eq!(owner("https://a", &"s".repeat(SUBJECT_LIMIT + 1)), None);
        assert!(owner("https://a", &"ß".repeat(SUBJECT_LIMIT)).is_some());
    }
}
