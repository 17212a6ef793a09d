//! Keys by which copies of one event are recognized.

use std::hash::{BuildHasherDefault, Hasher};

use domain::event::Fingerprint;
use domain::ids::OrganizationId;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::identity::Identity;

/// 128 bits over (namespace, source, id), made with the store's secret; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u128);

/// Makes keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyMaker {
    blank: SipHasher24,
}

impl KeyMaker {
    pub(crate) fn new(identity: &Identity) -> Self {
        Self {
            blank: SipHasher24::new_with_key(&identity.secret),
        }
    }

    /// The key of an event: lengths keep ("a", "bc") apart from ("ab", "c").
    pub(crate) fn key(&self, namespace: OrganizationId, source: &str, id: &str) -> Key {
        let mut hasher = self.blank;
        hasher.write(namespace.as_str().as_bytes());
        hasher.write(&(source.len() as u64).to_le_bytes());
        hasher.write(source.as_bytes());
        hasher.write(&(id.len() as u64).to_le_bytes());
        hasher.write(id.as_bytes());
        finish(&hasher)
    }

    /// The key under which a conflicting copy is remembered, so that it is stored only once.
    pub(crate) fn conflict(&self, key: Key, fingerprint: Fingerprint) -> Key {
        let mut hasher = self.blank;
        hasher.write(b"conflict");
        hasher.write(&key.0.to_le_bytes());
        hasher.write(&fingerprint.0.to_le_bytes());
        finish(&hasher)
    }
}

fn finish(hasher: &SipHasher24) -> Key {
    Key(hasher.finish128().as_u128().max(1))
}

/// Hashes a key by taking its low bits, which are uniform already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyBits(u64);

/// Builds [`KeyBits`].
pub(crate) type KeyBitsBuilder = BuildHasherDefault<KeyBits>;

impl Hasher for KeyBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is what is wanted"
    )]
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}
