//! API keys, known by the SHA-256 of their secret.

use domain::Timestamp;
use domain::ids::{KeyId, OrganizationId};

use crate::error::Result;
use crate::open::Metadata;
use crate::page::{Page, PageRequest};
use crate::role::Role;

/// An API key; the secret itself is stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Identifier.
    pub id: KeyId,
    /// Name for people.
    pub name: String,
    /// Organization that owns it.
    pub organization: OrganizationId,
    /// What it may do there and below.
    pub role: Role,
    /// When it stops to work.
    pub expires_at: Option<Timestamp>,
    /// Last use, to a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was or will be ended by revoking or rotating it.
    pub revoked_at: Option<Timestamp>,
    /// The key it took the place of.
    pub replaces: Option<KeyId>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It works.
    Live,
    /// Its expiry has come.
    Expired,
    /// It was revoked, or its overlap after a rotation is over.
    Revoked,
}

/// A key to create.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Identifier; `None` to draw one.
    pub id: Option<KeyId>,
    /// SHA-256 of the secret.
    pub secret_sha256: [u8; 32],
    /// Name for people, up to 255 characters.
    pub name: String,
    /// Organization that owns it.
    pub organization: OrganizationId,
    /// What it may do there and below.
    pub role: Role,
    /// When it stops to work.
    pub expires_at: Option<Timestamp>,
}

impl Key {
    /// Whether it works at `now`.
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked_at.is_some_and(|end| end <= now) {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Live
        }
    }
}

impl Metadata {
    /// Creates a key.
    pub async fn insert_key(&self, new: NewKey, now: Timestamp) -> Result<Key> {
        todo!()
    }

    /// The key with this id.
    pub async fn find_key(&self, id: KeyId) -> Result<Option<Key>> {
        todo!()
    }

    /// The key of a secret, whatever its state.
    pub async fn find_key_by_hash(&self, secret_sha256: &[u8; 32]) -> Result<Option<Key>> {
        todo!()
    }

    /// Notes a use of a key, at most once a minute.
    pub async fn touch_key(&self, key: &Key, now: Timestamp) -> Result<()> {
        todo!()
    }

    /// The keys of the organizations that lie under `requester` at `at` and its own, by id.
    pub async fn list_keys(
        &self,
        requester: OrganizationId,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Key>> {
        todo!()
    }

    /// Ends a key at once; ending it again changes nothing.
    pub async fn revoke_key(&self, id: KeyId, now: Timestamp) -> Result<Key> {
        todo!()
    }

    /// Creates a key in the place of a live one, which ends after `overlap_seconds`.
    ///
    /// The new key has the old one's name, role, organization and expiry.
    pub async fn rotate_key(
        &self,
        id: KeyId,
        secret_sha256: [u8; 32],
        overlap_seconds: u32,
        now: Timestamp,
    ) -> Result<Key> {
        todo!()
    }
}
