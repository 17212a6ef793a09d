//! The first start: the organization `Default` and its administrator.

use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::tree::OrganizationKind;
use metadata::{
    Declaration, Maker, Metadata, NewAccount, NewOrganization, NewUser, OrganizationAttributes,
    Role, RoleAssignment, UserProfile,
};

use crate::auth::password;
use crate::config;
use crate::random;

/// Name of the root that the first start creates where nobody declared one.
pub const FIRST_ROOT: &str = "Default";

/// The administrator created at the first start; its password is known only now.
#[derive(Clone)]
pub struct FirstAdmin {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Whether the password was made up here, so that nobody else knows it.
    pub is_generated: bool,
}

impl std::fmt::Debug for FirstAdmin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FirstAdmin({})", self.user)
    }
}

/// Creates the administrator where nobody may create accounts yet, and an account where there is
/// none.
pub async fn first_start(
    metadata: &Metadata,
    admin: &config::Admin,
    now: Timestamp,
) -> anyhow::Result<Option<FirstAdmin>> {
    if metadata.has_server_administrator().await? {
        return Ok(None);
    }
    if metadata.find_user_by_name(&admin.user).await?.is_some() {
        tracing::warn!(
            "there is no server administrator: the user {:?} exists and is none; set admin.user \
             to another name to have one created",
            admin.user
        );
        return Ok(None);
    }
    let given = admin.password.reveal();
    let first = FirstAdmin {
        user: admin.user.clone(),
        password: given.map_or_else(random::password, str::to_owned),
        is_generated: given.is_none(),
    };
    let hashed = password::hash(first.password.clone()).await;
    let password_hash = hashed.map_err(|error| anyhow::anyhow!(error.chain()))?;
    let root = root(metadata, now).await?;
    let user = NewUser {
        id: None,
        name: first.user.clone(),
        password_hash,
        organization: root,
        server_administrator: true,
        profile: UserProfile::default(),
    };
    let user = metadata.insert_user(user, now).await?;
    let owner = RoleAssignment {
        user: user.id,
        organization: root,
        role: Role::Owner,
    };
    metadata.insert_role(owner, now).await?;
    Ok(Some(first))
}

/// The root of the oldest account, or of a new one.
async fn root(metadata: &Metadata, now: Timestamp) -> metadata::Result<OrganizationId> {
    if let Some(oldest) = metadata.find_oldest_account().await? {
        return Ok(oldest.root);
    }
    let mut change = metadata.begin_change(now).await?;
    let account = change.insert_account(default_account()).await?;
    let declaration = Declaration {
        account: account.id,
        name: FIRST_ROOT.to_owned(),
        organization: account.root,
        maker: Maker::FirstStart,
    };
    change.put_declaration(&declaration).await?;
    change.commit().await?;
    Ok(account.root)
}

fn default_account() -> NewAccount {
    NewAccount {
        id: None,
        root: NewOrganization {
            id: None,
            kind: OrganizationKind::Production,
            attributes: OrganizationAttributes::named(FIRST_ROOT),
            aliases: Vec::new(),
            parent: None,
        },
    }
}

/// Equal names of siblings that the log names one by one.
const EQUAL_NAMES_MAX: u32 = 100;

/// Names in the log what an older release let be: siblings of one name.
pub async fn name_equals(metadata: &Metadata) -> metadata::Result<()> {
    let equal = metadata.list_equal_names(EQUAL_NAMES_MAX).await?;
    for one in &equal {
        tracing::warn!(
            organization.id = %one.parent,
            "{} organizations under {} are called {:?}: rename all but one",
            one.organizations,
            one.parent,
            one.name
        );
    }
    if equal.len() == EQUAL_NAMES_MAX as usize {
        tracing::warn!("more names may be equal: only {EQUAL_NAMES_MAX} are named at a start");
    }
    Ok(())
}
