//! API keys for scripts: random, shown once, kept as a hash.
//!
//! A key is 256 random bits, so that a plain SHA-256 of it cannot be reversed by guessing, as that of a password could.

use std::fmt;

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Fault;
use crate::conversation::{Caller, Owner};

/// What every key begins with: tools that look for leaked secrets know them by it, and no JSON Web Token does.
pub const PREFIX: &str = "ak_";

/// What stands in the place of an issuer in the owner of a conversation. No issuer's name is like it: those begin with https.
const ISSUER: &str = "api-key";

const KEY_BYTES: usize = 32;
const NAME_LIMIT: usize = 64;

/// A key as the server knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedKey {
    caller: Caller,
    hash: [u8; digest::SHA256_OUTPUT_LEN],
}

/// The keys that are accepted.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Vec<HashedKey>);

impl fmt::Debug for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashedKey({})", self.caller.scope())
    }
}

impl HashedKey {
    /// Reads `NAME:SHA256` or `NAME:SHA256:admin`, as [`generate`] gives it.
    ///
    /// # Errors
    /// What is wrong, without the line.
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        let mut parts = line.split(':');
        let (Some(name), Some(hash), role, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err("it must have the form NAME:SHA256 or NAME:SHA256:admin, as `asklake key NAME` prints it");
        };
        let owner = owner(name).ok_or("its name must have 1 to 64 letters, digits, - _ or .")?;
        let hash = hash_of_hex(hash).ok_or("its hash must be a SHA-256 in 64 hexadecimal digits")?;
        let caller = match role {
            None => Caller::User(owner),
            Some("admin") => Caller::Admin(owner),
            Some(_) => return Err("what follows the hash must be admin or nothing"),
        };
        Ok(Self { caller, hash })
    }
}

impl ApiKeys {
    /// These keys. Two of one name are one principal, so that a key can be replaced while the old one still works.
    #[must_use]
    pub fn new(keys: Vec<HashedKey>) -> Self {
        Self(keys)
    }

    /// Whose key it is. Every hash is compared, each in the same time whatever it is, so that time tells nothing of any.
    pub(super) fn caller(&self, key: &str) -> Result<Caller, Fault> {
        let hash = digest::digest(&digest::SHA256, key.as_bytes());
        let is_it = |known: &HashedKey| constant_time::verify_slices_are_equal(&known.hash, hash.as_ref()).is_ok();
        self.0
            .iter()
            .fold(None, |found, known| if is_it(known) { Some(known) } else { found })
            .map_or(Err(Fault::ApiKey), |known| Ok(known.caller.clone()))
    }
}

/// A new key, and the line by which a server knows it.
///
/// # Errors
/// When the name is none, or the machine has no randomness.
pub fn generate(name: &str) -> Result<(String, String), &'static str> {
    owner(name).ok_or("a name must have 1 to 64 letters, digits, - _ or .")?;
    let mut bytes = [0; KEY_BYTES];
    rand::fill(&mut bytes).map_err(|_| "this machine gives no random numbers")?;
    let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = digest::digest(&digest::SHA256, key.as_bytes());
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((key, format!("{name}:{hex}")))
}

fn owner(name: &str) -> Option<Owner> {
    let is_name = (1..=NAME_LIMIT).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_name.then(|| Owner::new(ISSUER, name)).flatten()
}

fn hash_of_hex(hex: &str) -> Option<[u8; digest::SHA256_OUTPUT_LEN]> {
    if hex.len() != 2 * digest::SHA256_OUTPUT_LEN || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_line_and_no_other_is() -> Result<(), Box<dyn std::error::Error>> {
        let (key, line) = generate("nightly")?;
        let (other, other_line) = generate("report")?;
        assert!(!line.contains(&key) && key != other);
        let keys = ApiKeys::new(vec![HashedKey::parse(&line)?, HashedKey::parse(&format!("{other_line}:admin"))?]);
        let owner = |name: &str| owner(name).ok_or("a name");
        assert_eq!(keys.caller(&key)?, Caller::User(owner("nightly")?));
        assert_eq!(keys.caller(&other)?, Caller::Admin(owner("report")?));
        for wrong in ["", PREFIX, &key[..key.len() - 1], &format!("{key}a"), &key.to_uppercase(), &line] {
            assert_eq!(keys.caller(wrong), Err(Fault::ApiKey), "{wrong}");
        }
        assert_eq!(ApiKeys::default().caller(&key), Err(Fault::ApiKey));
        Ok(())
    }

    #[test]
    fn lines_that_are_no_keys_are_refused() {
        let hash = "a".repeat(64);
        assert!(HashedKey::parse(&format!("n:{hash}")).is_ok());
        for wrong in [
            "",
            "n",
            "n:",
            &format!(":{hash}"),
            &format!("n:{hash}a"),
            &format!("n:{hash}:root"),
            &format!("n:{hash}:admin:"),
            &format!("a b:{hash}"),
            &format!("n:{}", "é".repeat(32)),
        ] {
            assert!(HashedKey::parse(wrong).is_err(), "{wrong}");
        }
    }
}
