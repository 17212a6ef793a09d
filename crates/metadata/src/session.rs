//! Login sessions, known by the SHA-256 of their token.

use domain::Timestamp;
use domain::ids::UserId;

use crate::error::Result;
use crate::open::Metadata;
use crate::user::User;

/// Seconds a session lives without use.
pub const SESSION_IDLE_SECONDS_MAX: i64 = 30 * 60;

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
        todo!()
    }

    /// The live session of a token and its active user; counts as a use.
    pub async fn use_session(
        &self,
        token_sha256: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(Session, User)>> {
        todo!()
    }

    /// Ends a session; tells whether there was one.
    pub async fn delete_session(&self, token_sha256: &[u8; 32]) -> Result<bool> {
        todo!()
    }

    /// Ends every session of a user but the one kept; tells how many ended.
    pub async fn delete_sessions(&self, user: UserId, kept: Option<&[u8; 32]>) -> Result<u64> {
        todo!()
    }

    /// Removes sessions idle for too long; tells how many.
    pub async fn delete_idle_sessions(&self, now: Timestamp) -> Result<u64> {
        todo!()
    }
}
