//! Users: who may log in.

use domain::Timestamp;
use domain::ids::{OrganizationId, UserId};

use crate::database::words;
use crate::error::Result;
use crate::open::Metadata;
use crate::page::{Page, PageRequest};

words! {
    /// Whether a user may log in.
    pub enum UserStatus {
        /// May log in.
        Active = "active",
        /// May not, and has no sessions.
        Disabled = "disabled",
    }
}

/// What a user says about themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserProfile {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Where mail reaches them.
    pub emails: Vec<String>,
}

/// Someone who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Identifier.
    pub id: UserId,
    /// Name at login, unique over the server, up to 255 characters.
    pub name: String,
    /// Hash of the password, opaque here.
    pub password_hash: String,
    /// Organization the user belongs to.
    pub organization: OrganizationId,
    /// Whether the user may log in.
    pub status: UserStatus,
    /// Whether the user may create accounts.
    pub server_administrator: bool,
    /// Names and addresses.
    pub profile: UserProfile,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A user to create.
#[derive(Clone)]
pub struct NewUser {
    /// Identifier; `None` to draw one.
    pub id: Option<UserId>,
    /// Name at login.
    pub name: String,
    /// Hash of the password.
    pub password_hash: String,
    /// Organization the user belongs to.
    pub organization: OrganizationId,
    /// Whether the user may create accounts.
    pub server_administrator: bool,
    /// Names and addresses.
    pub profile: UserProfile,
}

impl std::fmt::Debug for User {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "User({} {})", self.id, self.name)
    }
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "NewUser({})", self.name)
    }
}

impl Metadata {
    /// Creates an active user without roles.
    pub async fn insert_user(&self, new: NewUser, now: Timestamp) -> Result<User> {
        todo!()
    }

    /// The user with this id.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>> {
        todo!()
    }

    /// The user with this login name.
    pub async fn find_user_by_name(&self, name: &str) -> Result<Option<User>> {
        todo!()
    }

    /// Whether there is any user; `serve` creates the first one.
    pub async fn has_users(&self) -> Result<bool> {
        todo!()
    }

    /// The users of the organizations that lie under `requester` at `at` and its own, by id.
    pub async fn list_users(
        &self,
        requester: OrganizationId,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<User>> {
        todo!()
    }

    /// Sets a user's names and addresses.
    pub async fn put_user_profile(
        &self,
        id: UserId,
        profile: &UserProfile,
        now: Timestamp,
    ) -> Result<()> {
        todo!()
    }

    /// Enables or disables a user; disabling ends every session.
    pub async fn put_user_status(
        &self,
        id: UserId,
        status: UserStatus,
        now: Timestamp,
    ) -> Result<()> {
        todo!()
    }

    /// Sets a user's password and ends every session but the one kept.
    pub async fn put_password(
        &self,
        id: UserId,
        password_hash: &str,
        kept_session: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<()> {
        todo!()
    }
}
