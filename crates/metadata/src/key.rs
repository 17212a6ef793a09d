//! API keys, known by the SHA-256 of their secret.

use domain::Timestamp;
use domain::ids::{KeyId, OrganizationId};

use crate::below::{Tops, below};
use crate::check;
use crate::database::{Row, Statement, Transaction, either, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::organization;
use crate::page::{Page, PageRequest};
use crate::random;
use crate::role::Role;
use crate::session::USE_NOTED_SECONDS;

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
        check::name("name", &new.name)?;
        let mut transaction = self.database.begin().await?;
        organization::must_exist(&mut transaction, new.organization).await?;
        let key = insert(&mut transaction, new, None, now).await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// The key with this id.
    pub async fn find_key(&self, id: KeyId) -> Result<Option<Key>> {
        let statement = sql("SELECT * FROM api_keys WHERE id = $1").bind(id);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(key_of).transpose()
    }

    /// The key of a secret, whatever its state.
    pub async fn find_key_by_hash(&self, secret_sha256: &[u8; 32]) -> Result<Option<Key>> {
        let statement = sql("SELECT * FROM api_keys WHERE secret_sha256 = $1").bind(secret_sha256);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(key_of).transpose()
    }

    /// Notes a use of a key, at most once a minute.
    pub async fn touch_key(&self, key: &Key, now: Timestamp) -> Result<()> {
        let fresh = |last| now.duration_since(last).as_secs() < USE_NOTED_SECONDS;
        if key.last_used_at.is_some_and(fresh) {
            return Ok(());
        }
        let statement = sql("UPDATE api_keys SET last_used_at = $2
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)")
        .bind(key.id)
        .bind(now);
        self.database.run(statement).await.map(drop)
    }

    /// The keys of the organizations that lie under `requester` at `at` and its own, by id.
    pub async fn list_keys(
        &self,
        requester: impl Into<Tops>,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Key>> {
        let requester = requester.into();
        let page = page.of("keys", vec![requester.clone().into()])?;
        let statement = sql(below!(
            "SELECT k.* FROM below JOIN api_keys k ON k.organization_id = below.id
             WHERE $3 IS NULL OR k.id > $3 ORDER BY k.id LIMIT $4"
        ))
        .bind(requester)
        .bind(at)
        .bind(page.after())
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let keys = rows.iter().map(key_of).collect::<Result<_>>()?;
        Ok(page.cut(keys, |key: &Key| key.id.to_string()))
    }

    /// Sets a key's name and expiry.
    pub async fn put_key(
        &self,
        id: KeyId,
        name: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<Key> {
        let before = self.find_key(id).await?;
        let before = before.ok_or_else(|| Error::not_found("key", id))?;
        check::renamed("name", name, &before.name)?;
        let statement = sql("UPDATE api_keys SET name = $2, expires_at = $3
             WHERE id = $1 RETURNING *")
        .bind(id)
        .bind(name)
        .bind(expires_at);
        let mut transaction = self.database.begin().await?;
        let row = transaction.one(statement).await?;
        let key = key_of(&row.ok_or_else(|| Error::not_found("key", id))?)?;
        transaction.commit().await?;
        Ok(key)
    }

    /// Ends a key at once; ending it again changes nothing.
    pub async fn revoke_key(&self, id: KeyId, now: Timestamp) -> Result<Key> {
        let mut transaction = self.database.begin().await?;
        let key = end(&mut transaction, id, now).await?;
        transaction.commit().await?;
        Ok(key)
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
        let mut transaction = self.database.begin().await?;
        // The organization first, as whoever archives it does.
        let statement = sql("SELECT * FROM api_keys WHERE id = $1").bind(id);
        let row = transaction.one(statement).await?;
        let key = key_of(&row.ok_or_else(|| Error::not_found("key", id))?)?;
        organization::must_exist(&mut transaction, key.organization).await?;
        let old = locked(&mut transaction, id).await?;
        if old.state(now) != KeyState::Live {
            return Err(Error::invalid("key", "is no longer live"));
        }
        let overlap_micros = i64::from(overlap_seconds) * 1_000_000;
        let ends_at = Timestamp::from_microsecond(now.as_microsecond() + overlap_micros);
        end(&mut transaction, id, ends_at.unwrap_or(Timestamp::MAX)).await?;
        let new = NewKey {
            id: None,
            secret_sha256,
            name: old.name,
            organization: old.organization,
            role: old.role,
            expires_at: old.expires_at,
        };
        let key = insert(&mut transaction, new, Some(id), now).await?;
        transaction.commit().await?;
        Ok(key)
    }
}

async fn insert(
    transaction: &mut Transaction,
    new: NewKey,
    replaces: Option<KeyId>,
    now: Timestamp,
) -> Result<Key> {
    let id = match new.id {
        Some(id) => id,
        None => KeyId::from_random(random::bits()?),
    };
    let statement = sql(
        "INSERT INTO api_keys (id, secret_sha256, name, organization_id, role,
             expires_at, replaces, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
    )
    .bind(id)
    .bind(new.secret_sha256)
    .bind(new.name)
    .bind(new.organization)
    .bind(new.role)
    .bind(new.expires_at)
    .bind(replaces)
    .bind(now);
    let row = transaction.one(statement).await?;
    key_of(&row.ok_or_else(|| Error::not_found("key", id))?)
}

/// Reads a key and keeps others from changing it until the transaction ends.
async fn locked(transaction: &mut Transaction, id: KeyId) -> Result<Key> {
    let statement = either(
        "SELECT * FROM api_keys WHERE id = $1",
        "SELECT * FROM api_keys WHERE id = $1 FOR UPDATE",
    );
    let row = transaction.one(statement.bind(id)).await?;
    key_of(&row.ok_or_else(|| Error::not_found("key", id))?)
}

/// Lets a key end at an instant, unless it ends earlier already.
async fn end(transaction: &mut Transaction, id: KeyId, at: Timestamp) -> Result<Key> {
    let statement = sql("UPDATE api_keys SET revoked_at = CASE
             WHEN revoked_at IS NULL OR revoked_at > $2 THEN $2 ELSE revoked_at END
         WHERE id = $1 RETURNING *")
    .bind(id)
    .bind(at);
    let row = transaction.one(statement).await?;
    key_of(&row.ok_or_else(|| Error::not_found("key", id))?)
}

/// Lets every key of an organization end at an instant, unless it ends earlier already.
pub(crate) fn end_all(organization: OrganizationId, at: Timestamp) -> Statement {
    sql("UPDATE api_keys SET revoked_at = $2
         WHERE organization_id = $1 AND (revoked_at IS NULL OR revoked_at > $2)")
    .bind(organization)
    .bind(at)
}

fn key_of(row: &Row) -> Result<Key> {
    Ok(Key {
        id: row.get("id")?,
        name: row.get("name")?,
        organization: row.get("organization_id")?,
        role: row.get("role")?,
        expires_at: row.maybe("expires_at")?,
        last_used_at: row.maybe("last_used_at")?,
        revoked_at: row.maybe("revoked_at")?,
        replaces: row.maybe("replaces")?,
        created_at: row.get("created_at")?,
    })
}
