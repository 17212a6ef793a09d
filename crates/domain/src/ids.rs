//! Identifiers: 22 base62 characters, one Rust type per kind of thing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Characters in every identifier.
pub const ID_LENGTH: usize = 22;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Says why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id: expected {ID_LENGTH} letters and digits")]
pub struct IdError {
    /// The refused text, cut to a printable length.
    pub text: String,
}

fn parse(text: &str) -> Result<[u8; ID_LENGTH], IdError> {
    match <[u8; ID_LENGTH]>::try_from(text.as_bytes()) {
        Ok(bytes) if bytes.iter().all(u8::is_ascii_alphanumeric) => Ok(bytes),
        _ => Err(IdError {
            text: text.chars().take(64).collect(),
        }),
    }
}

fn spell(mut number: u128) -> [u8; ID_LENGTH] {
    let mut bytes = [b'0'; ID_LENGTH];
    for byte in bytes.iter_mut().rev() {
        let digit = usize::try_from(number % 62).expect("a remainder of 62 fits");
        *byte = ALPHABET[digit];
        number /= 62;
    }
    bytes
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_LENGTH]);

        impl $name {
            /// Spells 128 random bits as an identifier.
            pub fn from_random(bits: u128) -> Self {
                Self(spell(bits))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).expect("an id is ascii")
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id!(
    /// Names an account: one tree of organizations.
    AccountId
);
id!(
    /// Names an organization: one node of an account's tree.
    OrganizationId
);
id!(
    /// Names a user.
    UserId
);
id!(
    /// Names an API key; not the secret itself.
    KeyId
);
id!(
    /// Names a meter across all its versions.
    MeterId
);
id!(
    /// Names a rate across all its versions.
    RateId
);
id!(
    /// Names an export job; `jobId` on the vendor's wire.
    ExportId
);
id!(
    /// Names a schedule of exports.
    ScheduleId
);
id!(
    /// Names a message of the outbox.
    DeliveryId
);
id!(
    /// Names a webhook.
    WebhookId
);
id!(
    /// Names one request in answers and logs.
    RequestId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bits_spell_twenty_two_base62_characters() {
        assert_eq!(
            OrganizationId::from_random(0).as_str(),
            "0000000000000000000000"
        );
        assert_eq!(
            OrganizationId::from_random(61).as_str(),
            "000000000000000000000z"
        );
        assert_eq!(
            OrganizationId::from_random(u128::MAX).as_str(),
            "7n42DGM5Tflk9n8mt7Fhc7"
        );
    }

    #[test]
    fn other_lengths_and_characters_are_refused() {
        for text in [
            "",
            "short",
            "4wMFqGlxAKVlIFTixlTSO!",
            "4wMFqGlxAKVlIFTixlTSOYY",
        ] {
            assert!(text.parse::<OrganizationId>().is_err(), "{text}");
        }
        assert!("4wMFqGlxAKVlIFTixlTSOY".parse::<OrganizationId>().is_ok());
    }
}
