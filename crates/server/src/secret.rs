//! Secrets: how they are made, held and stored.
//!
//! What is random (API keys, sessions) has 256 bits and is stored as its SHA-256; what people
//! choose is stored by [`crate::password`].

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What every API key starts with; an access token never does.
pub const KEY_PREFIX: &str = "tp_";
/// Random characters of a key or session: 43 of base62 hold 256 bits.
const RANDOM_CHARS: usize = 43;
/// Characters of a password made for a person: 119 bits.
const PASSWORD_CHARS: usize = 20;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A text that must not reach a log: it prints as dots.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Holds `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; for comparing, hashing and showing it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The form in which a random secret is stored and looked up.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("...")
    }
}

/// Makes an API key.
pub fn new_key() -> Secret {
    Secret(format!("{KEY_PREFIX}{}", random_text(RANDOM_CHARS)))
}

/// Makes the value of a login session.
pub fn new_session() -> Secret {
    Secret(random_text(RANDOM_CHARS))
}

/// Makes a password for a person to change later.
pub fn new_password() -> Secret {
    Secret(random_text(PASSWORD_CHARS))
}

/// Whether `text` has the form of an API key of ours.
pub fn is_key(text: &str) -> bool {
    text.strip_prefix(KEY_PREFIX).is_some_and(|rest| {
        rest.len() == RANDOM_CHARS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// 128 random bits, for an identifier.
pub fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    u128::from_le_bytes(bytes)
}

/// Characters of base62, each equally likely: bytes past the last whole 62 are drawn again.
fn random_text(chars: usize) -> String {
    let mut text = String::with_capacity(chars);
    let mut bytes = [0; 64];
    while text.len() < chars {
        fill(&mut bytes);
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let missing = chars - text.len();
        text.extend(
            fair.take(missing)
                .map(|byte| char::from(ALPHABET[usize::from(byte % 62)])),
        );
    }
    text
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has a random source");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_by_their_prefix_and_never_repeat() {
        let (first, second) = (new_key(), new_key());
        assert!(is_key(first.reveal()) && is_key(second.reveal()));
        assert_ne!(first, second);
        assert_ne!(first.digest(), second.digest());
        assert!(!is_key(new_session().reveal()));
        assert!(!is_key("tp_short"));
    }

    #[test]
    fn a_secret_prints_as_dots() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "...");
    }
}
