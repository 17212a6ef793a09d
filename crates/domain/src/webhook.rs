//! Webhooks: the events that are told, and the secret that signs what is told.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::limits::{WEBHOOK_KEY_BYTES_MAX, WEBHOOK_KEY_BYTES_MIN};

/// A kind of event that webhooks hear of.
///
/// A later one is a constant here, an entry of [`EventType::ALL`], and one call where it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventType(&'static str);

impl EventType {
    /// An export came to its end, whatever the end and whichever door it came through.
    pub const EXPORT_SETTLED: Self = Self("export.settled");
    /// Somebody asked for a test; only the webhook it was asked of hears of it.
    pub const WEBHOOK_TEST: Self = Self("webhook.test");
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::EXPORT_SETTLED, Self::WEBHOOK_TEST];

    /// The name on the wire, such as `export.settled`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.0 == name)
    }
}

/// How a webhook's secret begins.
const PREFIX: &str = "whsec_";

/// What messages are signed with: `whsec_` and the base64 of 24 to 64 bytes.
///
/// It can be read back, since every message is signed with it; it has no printable form.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Says why a text is not a secret, without the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret is not {PREFIX} followed by the base64 of {WEBHOOK_KEY_BYTES_MIN} to \
     {WEBHOOK_KEY_BYTES_MAX} bytes"
)]
pub struct SecretError;

impl Secret {
    /// The secret of a key of 24 to 64 bytes.
    pub fn of_key(key: &[u8]) -> Result<Self, SecretError> {
        if !(WEBHOOK_KEY_BYTES_MIN..=WEBHOOK_KEY_BYTES_MAX).contains(&key.len()) {
            return Err(SecretError);
        }
        Ok(Self(PREFIX.to_owned() + &STANDARD.encode(key)))
    }

    /// The text; for its owner, once, and for where it is kept.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The bytes that sign.
    pub fn key(&self) -> Vec<u8> {
        decoded(&self.0).expect("every secret was checked when it was made")
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::of_key(&decoded(text).ok_or(SecretError)?)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let encoded = text.strip_prefix(PREFIX)?;
    // Longer texts are no secrets; they are not worth decoding.
    if encoded.len() > WEBHOOK_KEY_BYTES_MAX.div_ceil(3) * 4 {
        return None;
    }
    STANDARD.decode(encoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_24_to_64_bytes_and_does_not_show_itself() {
        for (bytes, fits) in [(23, false), (24, true), (64, true), (65, false)] {
            let text = PREFIX.to_owned() + &STANDARD.encode(vec![7; bytes]);
            assert_eq!(text.parse::<Secret>().is_ok(), fits, "{bytes}");
        }
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%"] {
            assert!(text.parse::<Secret>().is_err(), "{text}");
        }
        let secret = Secret::of_key(&[1; 32]).unwrap();
        assert_eq!(secret.reveal().parse::<Secret>(), Ok(secret.clone()));
        assert_eq!(secret.key(), [1; 32]);
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn every_event_type_is_found_by_its_name() {
        for kind in EventType::ALL {
            assert_eq!(EventType::from_name(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventType::from_name("export"), None);
    }
}
