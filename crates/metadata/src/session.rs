//! Login sessions, known by the SHA-256 of their token.

use domain::Timestamp;
use domain::ids::{OrganizationId, UserId};

use crate::database::{Row, Statement, sql, stored};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::user::{User, UserStatus, user_of};

/// Seconds a session lives without use.
pub const SESSION_IDLE_SECONDS_MAX: i64 = 30 * 60;

/// Seconds between two notes of a use, so that a busy session does not write at every request.
pub(crate) const USE_NOTED_SECONDS: i64 = 60;

/// A login session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the token.
    pub token_sha256: [u8; 32],
    /// Whose.
    pub user: UserId,
    /// When the user logged in.
    pub created_at: Timestamp,
    /// Last use, to a minute.
    pub last_used_at: Timestamp,
}

impl Metadata {
    /// Starts a session of an active user.
    pub async fn insert_session(
        &self,
        token_sha256: &[u8; 32],
        user: UserId,
        now: Timestamp,
    ) -> Result<Session> {
        let owner = self.find_user(user).await?;
        if owner.is_none_or(|owner| owner.status != UserStatus::Active) {
            return Err(Error::not_found("active user", user));
        }
        let statement = sql(
            "INSERT INTO sessions (token_sha256, user_id, created_at, last_used_at)
             VALUES ($1, $2, $3, $3)",
        )
        .bind(token_sha256)
        .bind(user)
        .bind(now);
        self.database.run(statement).await?;
        Ok(Session {
            token_sha256: *token_sha256,
            user,
            created_at: stored(now),
            last_used_at: stored(now),
        })
    }

    /// The live session of a token and its active user; counts as a use.
    pub async fn use_session(
        &self,
        token_sha256: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(Session, User)>> {
        let statement = sql("SELECT s.token_sha256, s.user_id, s.last_used_at,
                 s.created_at AS session_created_at, u.*
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.token_sha256 = $1 AND s.last_used_at > $2 AND u.status = 'active'")
        .bind(token_sha256)
        .bind(idle_since(now));
        let Some(row) = self.database.read().one(statement).await? else {
            return Ok(None);
        };
        let mut session = session_of(&row)?;
        if now.duration_since(session.last_used_at).as_secs() >= USE_NOTED_SECONDS {
            let note = sql("UPDATE sessions SET last_used_at = $2
                 WHERE token_sha256 = $1 AND last_used_at < $2")
            .bind(token_sha256)
            .bind(now);
            match self.database.run(note).await {
                Ok(_) => session.last_used_at = stored(now),
                // Reads go on while nothing can be written; the next use is noted instead.
                Err(Error::Unavailable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some((session, user_of(&row)?)))
    }

    /// Ends a session; tells whether there was one.
    pub async fn delete_session(&self, token_sha256: &[u8; 32]) -> Result<bool> {
        let statement = sql("DELETE FROM sessions WHERE token_sha256 = $1").bind(token_sha256);
        Ok(self.database.run(statement).await? > 0)
    }

    /// Ends every session of a user but the one kept; tells how many ended.
    pub async fn delete_sessions(&self, user: UserId, kept: Option<&[u8; 32]>) -> Result<u64> {
        self.database.run(end_all(user, kept)).await
    }

    /// Removes sessions idle for too long; tells how many.
    pub async fn delete_idle_sessions(&self, now: Timestamp) -> Result<u64> {
        let statement = sql("DELETE FROM sessions WHERE last_used_at <= $1").bind(idle_since(now));
        self.database.run(statement).await
    }
}

/// Ends every session of a user but the one kept.
pub(crate) fn end_all(user: UserId, kept: Option<&[u8; 32]>) -> Statement {
    sql("DELETE FROM sessions WHERE user_id = $1 AND ($2 IS NULL OR token_sha256 <> $2)")
        .bind(user)
        .bind(kept)
}

/// Ends every session of an organization's users.
pub(crate) fn end_all_of(organization: OrganizationId) -> Statement {
    sql("DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE organization_id = $1)")
        .bind(organization)
}

/// Sessions last used at this instant or before are over.
fn idle_since(now: Timestamp) -> i64 {
    now.as_microsecond() - SESSION_IDLE_SECONDS_MAX * 1_000_000
}

fn session_of(row: &Row) -> Result<Session> {
    Ok(Session {
        token_sha256: row.get("token_sha256")?,
        user: row.get("user_id")?,
        created_at: row.get("session_created_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}
