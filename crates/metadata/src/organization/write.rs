//! Changes of organizations: new ones, attributes from a date on, aliases, archiving.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use domain::limits::ORGANIZATIONS_MAX;
use domain::range::TimeRange;

use crate::account;
use crate::check;
use crate::database::{micros, sql};
use crate::error::{Error, Result};
use crate::key;
use crate::organization::{NewOrganization, Organization, OrganizationAttributes, attributes_of};
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
        check_attributes(&new.attributes, new.parent.is_none())?;
        check_aliases(&new.aliases)?;
        let id = match new.id {
            Some(id) => id,
            None => OrganizationId::from_random(random::bits()?),
        };
        let statement = sql(
            "INSERT INTO organizations (id, account_id, kind, created_at, revision)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(account)
        .bind(new.kind.as_str())
        .bind(self.now)
        .bind(self.revision);
        self.run(statement).await?;
        self.insert_version(id, &new.attributes, TimeRange::ALWAYS)
            .await?;
        self.insert_aliases(account, id, &new.aliases).await?;
        if let Some((parent, since)) = new.parent {
            self.move_organization(id, parent, since).await?;
        }
        Ok(id)
    }

    /// Sets the attributes from `since` on (`None`: for all time); equal ones change nothing.
    pub async fn put_organization(
        &mut self,
        id: OrganizationId,
        attributes: &OrganizationAttributes,
        since: Option<Timestamp>,
    ) -> Result<()> {
        let current = self.known_organization(id).await?;
        check_attributes(attributes, current.parent.is_none())?;
        let valid = TimeRange {
            start: since,
            end: None,
        };
        if self.holds_already(id, attributes, valid).await? {
            return Ok(());
        }
        self.cut_versions(id, valid).await?;
        self.insert_version(id, attributes, valid).await
    }

    /// Replaces the aliases of an organization; equal ones change nothing.
    pub async fn put_aliases(&mut self, id: OrganizationId, aliases: &[String]) -> Result<()> {
        check_aliases(aliases)?;
        let current = self.known_organization(id).await?;
        let gone = |alias: &&String| !aliases.contains(alias);
        for alias in current.aliases.iter().filter(gone) {
            let statement = sql("UPDATE organization_aliases SET ended_revision = $1
                 WHERE organization_id = $2 AND alias = $3 AND ended_revision IS NULL")
            .bind(self.revision)
            .bind(id)
            .bind(alias);
            self.run(statement).await?;
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
        let statement = sql(
            "UPDATE organizations SET archived_at = $1, archived_revision = $2
             WHERE id = $3",
        )
        .bind(self.now)
        .bind(self.revision)
        .bind(id);
        self.run(statement).await?;
        self.run(key::end_all(id, self.now)).await?;
        self.run(session::end_all_of(id)).await?;
        self.run(user::disable_all(id, self.now)).await.map(drop)
    }

    /// The organization, or the error that there is none.
    pub(crate) async fn known_organization(&mut self, id: OrganizationId) -> Result<Organization> {
        let found = self.find_organization(id).await?;
        found.ok_or_else(|| Error::not_found("organization", id))
    }

    async fn holds_already(
        &mut self,
        id: OrganizationId,
        attributes: &OrganizationAttributes,
        valid: TimeRange,
    ) -> Result<bool> {
        let statement = sql("SELECT * FROM organization_versions
             WHERE organization_id = $1 AND ended_revision IS NULL AND valid_to > $2")
        .bind(id)
        .bind(micros(&valid).0);
        for row in self.transaction.all(statement).await? {
            if attributes_of(&row)? != *attributes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends what holds from `valid.start` on; what held before it is written again up to there.
    async fn cut_versions(&mut self, id: OrganizationId, valid: TimeRange) -> Result<()> {
        let since = micros(&valid).0;
        let keep = sql(
            "INSERT INTO organization_versions (organization_id, name, realm_id,
                 partner_id, anchor_period, anchor_day, anchor_month, currency, metering_enabled,
                 valid_from, valid_to, revision)
             SELECT organization_id, name, realm_id,
                 partner_id, anchor_period, anchor_day, anchor_month, currency, metering_enabled,
                 valid_from, $2, $3
             FROM organization_versions
             WHERE organization_id = $1 AND ended_revision IS NULL
                 AND valid_from < $2 AND valid_to > $2",
        )
        .bind(id)
        .bind(since)
        .bind(self.revision);
        self.run(keep).await?;
        let end = sql("UPDATE organization_versions SET ended_revision = $3
             WHERE organization_id = $1 AND ended_revision IS NULL AND valid_to > $2")
        .bind(id)
        .bind(since)
        .bind(self.revision);
        self.run(end).await.map(drop)
    }

    async fn insert_version(
        &mut self,
        id: OrganizationId,
        attributes: &OrganizationAttributes,
        valid: TimeRange,
    ) -> Result<()> {
        let (valid_from, valid_to) = micros(&valid);
        let statement = sql(
            "INSERT INTO organization_versions (organization_id, name, realm_id,
                 partner_id, anchor_period, anchor_day, anchor_month, currency, metering_enabled,
                 valid_from, valid_to, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(id)
        .bind(&attributes.name)
        .bind(attributes.realm_id.as_ref())
        .bind(attributes.partner_id.as_ref())
        .bind(attributes.anchor.period)
        .bind(attributes.anchor.day)
        .bind(attributes.anchor.month)
        .bind(&attributes.currency)
        .bind(attributes.metering_enabled)
        .bind(valid_from)
        .bind(valid_to)
        .bind(self.revision);
        self.run(statement).await.map(drop)
    }

    async fn insert_aliases(
        &mut self,
        account: AccountId,
        id: OrganizationId,
        aliases: &[String],
    ) -> Result<()> {
        for alias in aliases {
            let statement = sql("INSERT INTO organization_aliases
                 (account_id, alias, organization_id, revision) VALUES ($1, $2, $3, $4)")
            .bind(account)
            .bind(alias)
            .bind(id)
            .bind(self.revision);
            self.run(statement).await?;
        }
        Ok(())
    }
}

fn check_attributes(attributes: &OrganizationAttributes, is_root: bool) -> Result<()> {
    check::name("name", &attributes.name)?;
    check::currency(&attributes.currency)?;
    if let Some(realm) = &attributes.realm_id {
        check::chars("realm_id", realm, 5, 30)?;
    }
    if let Some(partner) = &attributes.partner_id {
        check::name("partner_id", partner)?;
        if !is_root {
            return Err(Error::invalid("partner_id", "only a root has a partner"));
        }
    }
    if !(1..=31).contains(&attributes.anchor.day) {
        let reason = format!("is {}: expected 1 to 31", attributes.anchor.day);
        return Err(Error::invalid("anchor.day", reason));
    }
    if !(1..=12).contains(&attributes.anchor.month) {
        let reason = format!("is {}: expected 1 to 12", attributes.anchor.month);
        return Err(Error::invalid("anchor.month", reason));
    }
    Ok(())
}

fn check_aliases(aliases: &[String]) -> Result<()> {
    if aliases.len() > ALIASES_MAX {
        let reason = format!("has {}: expected at most {ALIASES_MAX}", aliases.len());
        return Err(Error::invalid("aliases", reason));
    }
    aliases
        .iter()
        .try_for_each(|alias| check::name("aliases", alias))
}
