//! Changes of organizations: new ones, aliases, archiving.

use domain::ids::{AccountId, OrganizationId};
use domain::limits::ORGANIZATIONS_MAX;
use domain::range::TimeRange;

use crate::account;
use crate::check;
use crate::checksum::{ALIASES, ORGANIZATIONS};
use crate::database::sql;
use crate::error::{Error, Result};
use crate::key;
use crate::organization::edit::check_attributes;
use crate::organization::{NewOrganization, Organization};
use crate::random;
use crate::revision::Change;
use crate::session;
use crate::user;

/// Aliases one organization may have.
const ALIASES_MAX: usize = 100;

impl Change {
    /// Creates an organization in an account, under its parent.
    pub async fn insert_organization(
        &mut self,
        account: AccountId,
        new: NewOrganization,
    ) -> Result<OrganizationId> {
        if new.parent.is_none() {
            return Err(Error::invalid(
                "parent",
                "only the root of an account has none",
            ));
        }
        account::must_exist(&mut self.transaction, account).await?;
        let count =
            sql("SELECT count(*) AS count FROM organizations WHERE account_id = $1").bind(account);
        let row = self.transaction.one(count).await?;
        let count: u64 = row.map_or(Ok(0), |row| row.get("count"))?;
        if count >= ORGANIZATIONS_MAX as u64 {
            let reason = format!("has {ORGANIZATIONS_MAX} organizations already");
            return Err(Error::invalid("account", reason));
        }
        self.insert_node(account, new).await
    }

    /// Creates an organization, root or not.
    pub(crate) async fn insert_node(
        &mut self,
        account: AccountId,
        new: NewOrganization,
    ) -> Result<OrganizationId> {
        check_attributes(&new.attributes, None, new.parent.is_none())?;
        check_aliases(&new.aliases, &[])?;
        let id = match new.id {
            Some(id) => id,
            None => OrganizationId::from_random(random::bits()?),
        };
        let node = vec![
            id.into(),
            account.into(),
            new.kind.as_str().to_owned().into(),
            self.now.into(),
        ];
        self.put(&ORGANIZATIONS, node).await?;
        self.insert_version(id, &new.attributes, TimeRange::ALWAYS)
            .await?;
        self.insert_aliases(account, id, &new.aliases).await?;
        if let Some((parent, since)) = new.parent {
            self.move_organization(id, parent, since).await?;
        }
        Ok(id)
    }

    /// Replaces the aliases of an organization; equal ones change nothing.
    pub async fn put_aliases(&mut self, id: OrganizationId, aliases: &[String]) -> Result<()> {
        let current = self.known_organization(id).await?;
        check_aliases(aliases, &current.aliases)?;
        let gone = |alias: &&String| !aliases.contains(alias);
        for alias in current.aliases.iter().filter(gone) {
            let key = vec![id.into(), alias.into()];
            let ended = [("ended_revision", self.revision.into())];
            self.amend(&ALIASES, key, &ended).await?;
        }
        let fresh = aliases
            .iter()
            .filter(|alias| !current.aliases.contains(alias));
        let fresh: Vec<_> = fresh.cloned().collect();
        self.insert_aliases(current.account, id, &fresh).await
    }

    /// Archives an organization: it stays readable and takes nothing new. Not for a root.
    ///
    /// Its keys, users and sessions end with it. What lies under it is not archived.
    pub async fn archive_organization(&mut self, id: OrganizationId) -> Result<()> {
        let current = self.known_organization(id).await?;
        if current.parent.is_none() {
            return Err(Error::RootStays { organization: id });
        }
        if current.archived_at.is_some() {
            return Ok(());
        }
        let archived = [
            ("archived_at", self.now.into()),
            ("archived_revision", self.revision.into()),
        ];
        self.amend(&ORGANIZATIONS, vec![id.into()], &archived)
            .await?;
        self.run(key::end_all(id, self.now)).await?;
        self.run(session::end_all_of(id)).await?;
        self.run(user::disable_all(id, self.now)).await.map(drop)
    }

    /// The organization, or the error that there is none.
    pub(crate) async fn known_organization(&mut self, id: OrganizationId) -> Result<Organization> {
        let found = self.find_organization(id).await?;
        found.ok_or_else(|| Error::not_found("organization", id))
    }

    async fn insert_aliases(
        &mut self,
        account: AccountId,
        id: OrganizationId,
        aliases: &[String],
    ) -> Result<()> {
        for alias in aliases {
            let values = vec![account.into(), alias.into(), id.into()];
            self.put(&ALIASES, values).await?;
        }
        Ok(())
    }
}

/// Checks aliases; those there are were written by a release that took them.
fn check_aliases(aliases: &[String], before: &[String]) -> Result<()> {
    if aliases.len() > ALIASES_MAX {
        let reason = format!("has {}: expected at most {ALIASES_MAX}", aliases.len());
        return Err(Error::invalid("aliases", reason));
    }
    let mut fresh = aliases.iter().filter(|alias| !before.contains(alias));
    fresh.try_for_each(|alias| check::name("aliases", alias))
}
