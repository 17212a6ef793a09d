//! Users: who may log in.

use domain::Timestamp;
use domain::ids::{OrganizationId, UserId};
use domain::limits::NAME_CHARS_MAX;

use crate::below::{Tops, below};
use crate::check;
use crate::database::{Row, Statement, Transaction, json, sql, words};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::organization;
use crate::page::{Page, PageRequest};
use crate::random;
use crate::session;

/// Addresses one user may have.
const EMAILS_MAX: usize = 20;

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
        check::name("name", &new.name)?;
        check_profile(&new.profile, &UserProfile::default())?;
        let id = match new.id {
            Some(id) => id,
            None => UserId::from_random(random::bits()?),
        };
        let mut transaction = self.database.begin().await?;
        organization::must_exist(&mut transaction, new.organization).await?;
        let statement = sql(
            "INSERT INTO users (id, name, password_hash, organization_id, status,
                 server_administrator, first_name, last_name, emails, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) RETURNING *",
        )
        .bind(id)
        .bind(new.name)
        .bind(new.password_hash)
        .bind(new.organization)
        .bind(UserStatus::Active)
        .bind(new.server_administrator)
        .bind(new.profile.first_name)
        .bind(new.profile.last_name)
        .bind(json(&new.profile.emails))
        .bind(now);
        let row = transaction.one(statement).await?;
        transaction.commit().await?;
        user_of(&row.ok_or_else(|| Error::not_found("user", id))?)
    }

    /// The user with this id.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>> {
        self.one_user(sql("SELECT * FROM users WHERE id = $1").bind(id))
            .await
    }

    /// The user with this login name.
    pub async fn find_user_by_name(&self, name: &str) -> Result<Option<User>> {
        self.one_user(sql("SELECT * FROM users WHERE name = $1").bind(name))
            .await
    }

    /// Whether any user may create accounts; `serve` creates the first one who may.
    pub async fn has_server_administrator(&self) -> Result<bool> {
        let statement = sql("SELECT * FROM users WHERE server_administrator LIMIT 1");
        Ok(self.one_user(statement).await?.is_some())
    }

    /// The users of the organizations that lie under `requester` at `at` and its own, by id.
    pub async fn list_users(
        &self,
        requester: impl Into<Tops>,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<User>> {
        let requester = requester.into();
        let page = page.of("users", vec![requester.clone().into()])?;
        let statement = sql(below!(
            "SELECT u.* FROM below JOIN users u ON u.organization_id = below.id
             WHERE $3 IS NULL OR u.id > $3 ORDER BY u.id LIMIT $4"
        ))
        .bind(requester)
        .bind(at)
        .bind(page.after())
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let users = rows.iter().map(user_of).collect::<Result<_>>()?;
        Ok(page.cut(users, |user: &User| user.id.to_string()))
    }

    /// Sets a user's names and addresses.
    pub async fn put_user_profile(
        &self,
        id: UserId,
        profile: &UserProfile,
        now: Timestamp,
    ) -> Result<()> {
        let before = self.find_user(id).await?;
        let before = before.ok_or_else(|| Error::not_found("user", id))?;
        check_profile(profile, &before.profile)?;
        let statement = sql("UPDATE users
             SET first_name = $2, last_name = $3, emails = $4, updated_at = $5 WHERE id = $1")
        .bind(id)
        .bind(&profile.first_name)
        .bind(&profile.last_name)
        .bind(json(&profile.emails))
        .bind(now);
        known(id, self.database.run(statement).await?)
    }

    /// Enables or disables a user; disabling ends every session. Nobody is enabled in an archived
    /// organization.
    pub async fn put_user_status(
        &self,
        id: UserId,
        status: UserStatus,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        if status == UserStatus::Active {
            let statement = sql("SELECT organization_id FROM users WHERE id = $1").bind(id);
            let row = transaction.one(statement).await?;
            let row = row.ok_or_else(|| Error::not_found("user", id))?;
            organization::must_exist(&mut transaction, row.get("organization_id")?).await?;
        }
        let statement = sql("UPDATE users SET status = $2, updated_at = $3 WHERE id = $1")
            .bind(id)
            .bind(status)
            .bind(now);
        known(id, transaction.run(statement).await?)?;
        if status == UserStatus::Disabled {
            transaction.run(session::end_all(id, None)).await?;
        }
        transaction.commit().await
    }

    /// Sets a user's password and ends every session but the one kept.
    pub async fn put_password(
        &self,
        id: UserId,
        password_hash: &str,
        kept_session: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        let statement = sql("UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1")
            .bind(id)
            .bind(password_hash)
            .bind(now);
        known(id, transaction.run(statement).await?)?;
        transaction.run(session::end_all(id, kept_session)).await?;
        transaction.commit().await
    }

    async fn one_user(&self, statement: Statement) -> Result<Option<User>> {
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(user_of).transpose()
    }
}

/// Disables every user of an organization.
pub(crate) fn disable_all(organization: OrganizationId, now: Timestamp) -> Statement {
    sql("UPDATE users SET status = $2, updated_at = $3
         WHERE organization_id = $1 AND status <> $2")
    .bind(organization)
    .bind(UserStatus::Disabled)
    .bind(now)
}

fn known(id: UserId, affected: u64) -> Result<()> {
    match affected {
        0 => Err(Error::not_found("user", id)),
        _ => Ok(()),
    }
}

/// Checks a profile; texts that stay as they are were written by a release that took them.
fn check_profile(profile: &UserProfile, before: &UserProfile) -> Result<()> {
    let names = [
        ("firstName", &profile.first_name, &before.first_name),
        ("lastName", &profile.last_name, &before.last_name),
    ];
    for (field, name, before) in names {
        check::rewritten(field, name, Some(before), NAME_CHARS_MAX)?;
    }
    if profile.emails.len() > EMAILS_MAX {
        let reason = format!("expected at most {EMAILS_MAX}");
        return Err(Error::invalid("emails", reason));
    }
    let emails = profile.emails.iter();
    let mut fresh = emails.filter(|email| !before.emails.contains(email));
    fresh.try_for_each(|email| check::name("emails", email))
}

/// The user in a row of `users`.
pub(crate) fn user_of(row: &Row) -> Result<User> {
    Ok(User {
        id: row.get("id")?,
        name: row.get("name")?,
        password_hash: row.get("password_hash")?,
        organization: row.get("organization_id")?,
        status: row.get("status")?,
        server_administrator: row.get("server_administrator")?,
        profile: UserProfile {
            first_name: row.get("first_name")?,
            last_name: row.get("last_name")?,
            emails: row.json("emails")?,
        },
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Refuses what names a user that is not there.
pub(crate) async fn must_exist(transaction: &mut Transaction, id: UserId) -> Result<()> {
    let statement = sql("SELECT id FROM users WHERE id = $1").bind(id);
    known(id, u64::from(transaction.one(statement).await?.is_some()))
}
