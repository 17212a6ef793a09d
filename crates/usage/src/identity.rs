//! The store's identity and secret, and the checksums made with them.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::{Error, Result};

/// Who a store is, and what clients cannot know about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Random, written into every file so that files of two stores never mix.
    pub(crate) store: [u8; 16],
    /// Random, keeps clients from planting frames or colliding keys.
    pub(crate) secret: [u8; 16],
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Identity({})", hex(&self.store))
    }
}

impl Identity {
    /// A new store's.
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::Internal(format!("the system gives no randomness: {error}")))?;
        let (store, secret) = bytes.split_at(16);
        Ok(Self {
            store: store.try_into().expect("half of 32 bytes"),
            secret: secret.try_into().expect("half of 32 bytes"),
        })
    }

    /// Reads the two texts of the manifest.
    pub(crate) fn parse(store: &str, secret: &str) -> Option<Self> {
        Some(Self {
            store: unhex(store)?,
            secret: unhex(secret)?,
        })
    }

    /// Seed of the journal's checksums.
    pub(crate) fn journal_seed(&self) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        hasher.write(b"journal");
        hasher.finish()
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every write");
        text
    })
}

/// A checksum as the manifest spells it.
pub(crate) fn hex_checksum(checksum: u64) -> String {
    format!("{checksum:016x}")
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some(u128::from_str_radix(text, 16).ok()?.to_be_bytes())
}

/// XXH3 of bytes nobody but the store writes.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// XXH3 of a whole file, fed piece by piece.
pub(crate) fn checksum_stream() -> Xxh3 {
    Xxh3::new()
}
