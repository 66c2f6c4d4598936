//! The cursor of a history that is sorted by creation time and id: where the page before it ended.
//!
//! Opaque to clients. It carries a check sum, so that a cursor that was cut or changed is refused instead of giving a strange page.
//! It is no secret and grants nothing: the filter of the caller applies to every page. Public for stores of other crates, as those of tests.

use uuid::Uuid;

use crate::conversation::{Conversation, ConversationId, Timestamp};

/// Namespace of the check sums.
const NAMESPACE: Uuid = Uuid::from_u128(0x2c1b_7a0e_5f3d_4c8a_9d61_0e7b_48f2_a935);

/// The last conversation of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When it was created.
    pub created_at: Timestamp,
    /// Its id.
    pub id: ConversationId,
}

impl Cursor {
    /// The text by which clients ask for what follows `page`; none after the last one.
    #[must_use]
    pub fn after(page: &[Conversation], has_more: bool) -> Option<String> {
        page.last().filter(|_| has_more).map(|last| Self { created_at: last.created_at, id: last.id }.encode())
    }

    /// The text that clients send back.
    #[must_use]
    pub fn encode(self) -> String {
        let place = format!("{:016x}{}", self.created_at.unix_millis(), self.id.to_string().replace('-', ""));
        let check = Uuid::new_v5(&NAMESPACE, place.as_bytes()).as_fields().0;
        format!("{place}{check:08x}")
    }

    /// The inverse of [`Cursor::encode`]; `None` for any other text.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let created_at = u64::from_str_radix(text.get(..16)?, 16).ok()?.cast_signed();
        let cursor = Self { created_at: Timestamp::from_unix_millis(created_at), id: text.get(16..48)?.parse().ok()? };
        (cursor.encode() == text).then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_round_trip() {
        for millis in [0, 1_795_000_000_123, -5] {
            let cursor = Cursor { created_at: Timestamp::from_unix_millis(millis), id: ConversationId::random() };
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
    }

    #[test]
    fn a_cursor_with_any_character_changed_or_missing_is_refused() {
        let text = Cursor { created_at: Timestamp::from_unix_millis(1_795_000_000_123), id: ConversationId::random() }.encode();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(Cursor::decode(&String::from_utf8_lossy(&changed)), None, "character {at}");
            assert_eq!(Cursor::decode(&text[..at]), None, "cut at {at}");
        }
        assert_eq!(Cursor::decode(&text.to_uppercase()), None);
        assert_eq!(Cursor::decode("é".repeat(28).as_str()), None);
    }
}
