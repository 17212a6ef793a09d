//! The first start: the organization `Default` and its administrator.

use domain::Timestamp;
use domain::tree::OrganizationKind;
use metadata::{
    Metadata, NewAccount, NewOrganization, NewUser, OrganizationAttributes, Role, RoleAssignment,
    UserProfile,
};

use crate::auth::password;
use crate::config;
use crate::random;

/// The administrator created at the first start; its password is known only now.
#[derive(Clone)]
pub struct FirstAdmin {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for FirstAdmin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FirstAdmin({})", self.user)
    }
}

/// Creates account, organization and administrator where there is no user yet.
pub async fn first_start(
    metadata: &Metadata,
    admin: &config::Admin,
    now: Timestamp,
) -> anyhow::Result<Option<FirstAdmin>> {
    if metadata.has_users().await? {
        return Ok(None);
    }
    let first = FirstAdmin {
        user: admin.user.clone(),
        password: admin
            .password
            .reveal()
            .map_or_else(random::password, str::to_owned),
    };
    let hashed = password::hash(first.password.clone()).await;
    let password_hash = hashed.map_err(|error| anyhow::anyhow!(error.chain()))?;
    let mut change = metadata.begin_change(now).await?;
    let account = change.insert_account(default_account()).await?;
    change.commit().await?;
    let user = NewUser {
        id: None,
        name: first.user.clone(),
        password_hash,
        organization: account.root,
        server_administrator: true,
        profile: UserProfile::default(),
    };
    let user = metadata.insert_user(user, now).await?;
    let owner = RoleAssignment {
        user: user.id,
        organization: account.root,
        role: Role::Owner,
    };
    metadata.insert_role(owner, now).await?;
    Ok(Some(first))
}

fn default_account() -> NewAccount {
    NewAccount {
        id: None,
        root: NewOrganization {
            id: None,
            kind: OrganizationKind::Production,
            attributes: OrganizationAttributes::named("Default"),
            aliases: Vec::new(),
            parent: None,
        },
    }
}
