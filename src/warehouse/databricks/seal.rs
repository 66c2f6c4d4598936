//! Encrypts what a conversation keeps of a person's sign-in: AES-256-GCM with a key that all instances have, bound to the conversation and
//! its owner, so that it opens nowhere else.
//!
//! Knows no token from another text, and keeps nothing.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use crate::warehouse::behalf::Holder;

/// Bytes of a key.
const KEY: usize = 32;

/// A key, ready for use.
pub struct Seal(RandomizedNonceKey);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// With the 32 bytes that `key` is the Base64 of; `None` where it is not.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let key = STANDARD.decode(key).ok().filter(|key| key.len() == KEY)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).ok().map(Self)
    }

    /// `text`, encrypted for `holder`; `None` where the library fails, which it documents for texts of more than 64 GiB.
    pub(super) fn close(&self, text: &str, holder: Holder<'_>) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(bound_to(holder)), &mut bytes).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &bytes].concat()))
    }

    /// What was encrypted for `holder`; `None` for anything else.
    pub(super) fn open(&self, sealed: &str, holder: Holder<'_>) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let (nonce, mut text) = (Nonce::try_assume_unique_for_key(nonce).ok()?, text.to_vec());
        let text = self.0.open_in_place(nonce, Aad::from(bound_to(holder)), &mut text).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// An id has always the same length, so that no two holders are written alike.
fn bound_to(Holder { conversation, owner }: Holder<'_>) -> Vec<u8> {
    format!("{conversation} {owner}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{ConversationId, Owner};

    fn seal(byte: u8) -> Seal {
        Seal::parse(&STANDARD.encode([byte; KEY])).expect("a key")
    }

    #[test]
    fn what_is_sealed_opens_for_its_holder_with_its_key_and_for_nobody_else() {
        let owners = ["ann", "bob"].map(|name| Owner::new("https://i", name).expect("an owner"));
        let ids = [ConversationId::random(), ConversationId::random()];
        let holder = |id: usize, owner: usize| Holder { conversation: ids[id], owner: &owners[owner] };
        let sealed = seal(1).close("a token", holder(0, 0)).expect("sealed");
        assert_eq!(seal(1).open(&sealed, holder(0, 0)).as_deref(), Some("a token"));
        assert_eq!(seal(1).open(&sealed, holder(1, 0)), None, "another conversation");
        assert_eq!(seal(1).open(&sealed, holder(0, 1)), None, "another owner");
        assert_eq!(seal(2).open(&sealed, holder(0, 0)), None, "another key");
        assert_ne!(seal(1).close("a token", holder(0, 0)), Some(sealed.clone()), "no nonce is used twice");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).expect("ASCII");
            assert_eq!(seal(1).open(&altered, holder(0, 0)), None, "altered at {at}");
        }
        for text in ["", "AAAA", "no Base64"] {
            assert_eq!(seal(1).open(text, holder(0, 0)), None, "{text}");
        }
    }

    #[test]
    fn a_key_has_32_bytes_and_does_not_show() {
        for key in ["", "short", "AAAA", &STANDARD.encode([0; 31]), &STANDARD.encode([0; 33])] {
            assert!(Seal::parse(key).is_none(), "{key}");
        }
        assert_eq!(format!("{:?}", seal(7)), "Seal(…)");
    }
}
