//! Users as the API shows and takes them.

use domain::Timestamp;
use domain::ids::{OrganizationId, UserId};
use metadata::{NewUser, Role, RoleAssignment, User, UserProfile, UserStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::password;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};
use crate::setup::check::fields;

/// Roles one user may hold.
const ROLES_MAX: usize = 1_000;
/// Addresses of one user.
const EMAILS_MAX: usize = 10;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserOut {
    #[schema(value_type = String)]
    id: UserId,
    name: String,
    #[schema(value_type = String)]
    organization_id: OrganizationId,
    roles: Vec<RoleOut>,
    /// `active` or `disabled`.
    status: &'static str,
    first_name: String,
    last_name: String,
    emails: Vec<String>,
    server_administrator: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A role in an organization and everything under it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoleOut {
    /// `owner`, `operator`, `writer` or `analyst`.
    role: &'static str,
    #[schema(value_type = String)]
    organization_id: OrganizationId,
}

/// A user just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserMade {
    #[serde(flatten)]
    pub(super) user: UserOut,
    /// The password, when none was sent; shown only now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<String>,
}

/// A user to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserIn {
    /// Login name, unique over the server.
    name: String,
    /// The caller's own unless given.
    #[schema(value_type = Option<String>)]
    pub(super) organization_id: Option<OrganizationId>,
    /// 8 to 255 characters; a random one is made unless given.
    password: Option<String>,
    /// What the user may do and where.
    #[serde(default)]
    roles: Vec<RoleIn>,
    #[serde(flatten)]
    profile: ProfileIn,
}

/// Changes of a user; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserPatch {
    /// `active` or `disabled`.
    status: Option<String>,
    /// All roles the user has in what the caller administers.
    roles: Option<Vec<RoleIn>>,
    #[serde(flatten)]
    profile: ProfileIn,
}

/// Names and addresses of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProfileIn {
    first_name: Option<String>,
    last_name: Option<String>,
    #[schema(max_items = 10)]
    emails: Option<Vec<String>>,
}

/// A role to hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RoleIn {
    /// `owner`, `operator`, `writer` or `analyst`.
    role: String,
    /// The user's own unless given.
    #[schema(value_type = Option<String>)]
    organization_id: Option<OrganizationId>,
}

impl UserOut {
    pub(super) fn of(user: User, roles: Vec<RoleAssignment>) -> Self {
        let role = |held: RoleAssignment| RoleOut {
            role: held.role.as_str(),
            organization_id: held.organization,
        };
        Self {
            id: user.id,
            name: user.name,
            organization_id: user.organization,
            roles: roles.into_iter().map(role).collect(),
            status: user.status.as_str(),
            first_name: user.profile.first_name,
            last_name: user.profile.last_name,
            emails: user.profile.emails,
            server_administrator: user.server_administrator,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

impl UserIn {
    /// The user to create, and the password when none was sent.
    pub(super) async fn into_new(
        self,
        organization: OrganizationId,
    ) -> ApiResult<(NewUser, Option<String>)> {
        fields::name(&self.name).map_err(ApiError::invalid)?;
        let (password_hash, made) = password::first(self.password).await?;
        let new = NewUser {
            id: None,
            name: self.name,
            password_hash,
            organization,
            server_administrator: false,
            profile: self.profile.over(UserProfile::default()),
        };
        Ok((new, made))
    }

    /// The roles asked for, each in an organization under the caller.
    pub(super) fn roles(
        &self,
        caller: &Caller,
        own: OrganizationId,
        now: Timestamp,
    ) -> ApiResult<Vec<(OrganizationId, Role)>> {
        self.profile.check()?;
        check_roles(&self.roles, caller, own, now)
    }
}

fn check_roles(
    roles: &[RoleIn],
    caller: &Caller,
    own: OrganizationId,
    now: Timestamp,
) -> ApiResult<Vec<(OrganizationId, Role)>> {
    if roles.len() > ROLES_MAX {
        return Err(ApiError::invalid(format!(
            "a user has at most {ROLES_MAX} roles"
        )));
    }
    let check = |entry: &RoleIn| {
        let id = entry.organization_id.unwrap_or(own);
        let organization = caller.under(Permission::Administer, id, now)?;
        let role = fields::role(&entry.role).map_err(ApiError::invalid)?;
        Ok((organization, role))
    };
    roles.iter().map(check).collect()
}

impl ProfileIn {
    fn check(&self) -> ApiResult<()> {
        let names = [&self.first_name, &self.last_name];
        let emails = self.emails.iter().flatten();
        for text in names.into_iter().flatten().chain(emails.clone()) {
            if !text.is_empty() {
                fields::name(text).map_err(ApiError::invalid)?;
            }
        }
        if emails.count() > EMAILS_MAX {
            return Err(ApiError::invalid(format!(
                "a user has at most {EMAILS_MAX} emails"
            )));
        }
        Ok(())
    }

    fn over(self, profile: UserProfile) -> UserProfile {
        UserProfile {
            first_name: self.first_name.unwrap_or(profile.first_name),
            last_name: self.last_name.unwrap_or(profile.last_name),
            emails: self.emails.unwrap_or(profile.emails),
        }
    }
}

impl UserPatch {
    pub(super) async fn put(self, app: &App, caller: &Caller, user: User) -> ApiResult<()> {
        let now = app.now();
        self.profile.check()?;
        let status = self.status.as_deref().map(|word| {
            let unknown = || format!("{word:?} is no status: expected active or disabled");
            UserStatus::from_word(word).ok_or_else(|| ApiError::invalid(unknown()))
        });
        let status = status.transpose()?;
        let wanted = match &self.roles {
            Some(roles) => Some(check_roles(roles, caller, user.organization, now)?),
            None => None,
        };
        if let Some(wanted) = wanted {
            replace_roles(app, caller, user.id, &wanted).await?;
        }
        let profile = self.profile.over(user.profile.clone());
        if profile != user.profile {
            app.metadata
                .put_user_profile(user.id, &profile, now)
                .await?;
        }
        if let Some(status) = status {
            app.metadata.put_user_status(user.id, status, now).await?;
        }
        Ok(())
    }
}

/// Makes the user's roles under the caller the wanted ones; roles elsewhere stay.
async fn replace_roles(
    app: &App,
    caller: &Caller,
    user: UserId,
    wanted: &[(OrganizationId, Role)],
) -> ApiResult<()> {
    let now = app.now();
    for held in app.metadata.list_roles(user).await? {
        let visible = caller
            .under(Permission::Administer, held.organization, now)
            .is_ok();
        if visible && !wanted.contains(&(held.organization, held.role)) {
            app.metadata.delete_role(held).await?;
        }
    }
    for (organization, role) in wanted {
        let assignment = RoleAssignment {
            user,
            organization: *organization,
            role: *role,
        };
        app.metadata.insert_role(assignment, now).await?;
    }
    Ok(())
}
