//! Organizations as they are now: by id, by realm, and all below one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use domain::Timestamp;
use domain::ids::OrganizationId;

use crate::below::{Tops, below};
use crate::checksum::VERSIONS;
use crate::database::{Access, Row, Statement, Transaction, either, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::organization::{
    BillingAnchor, InheritedAnchor, Organization, OrganizationAttributes, StoredKind,
};
use crate::page::{Page, PageRequest};
use crate::revision::Change;

/// Selects organizations with their newest attributes and parent.
macro_rules! newest {
    ($rest:literal) => {
        concat!(
            "SELECT o.id, o.account_id, o.kind, o.created_at, o.archived_at, e.parent_id, v.*
             FROM organizations o
             JOIN organization_versions v ON v.organization_id = o.id
                 AND v.ended_revision IS NULL AND v.valid_to = 9223372036854775807
             LEFT JOIN organization_edges e ON e.child_id = o.id
                 AND e.ended_revision IS NULL AND e.valid_to = 9223372036854775807 ",
            $rest
        )
    };
}

impl Metadata {
    /// The organizations of all accounts that have this alias now: two at most, which is enough
    /// to know that it is not unique.
    pub async fn find_organizations_by_alias(&self, alias: &str) -> Result<Vec<OrganizationId>> {
        let statement = sql("SELECT organization_id FROM organization_aliases
             WHERE alias = $1 AND ended_revision IS NULL ORDER BY organization_id LIMIT 2")
        .bind(alias);
        let rows = self.database.read().all(statement).await?;
        rows.iter().map(|row| row.get("organization_id")).collect()
    }

    /// The organizations of all accounts that have this name now and are not archived: two at most.
    pub async fn find_organizations_named(&self, name: &str) -> Result<Vec<OrganizationId>> {
        let statement = sql("SELECT v.organization_id FROM organization_versions v
             JOIN organizations o ON o.id = v.organization_id AND o.archived_at IS NULL
             WHERE v.name = $1 AND v.ended_revision IS NULL AND v.valid_to = 9223372036854775807
             ORDER BY v.organization_id LIMIT 2")
        .bind(name);
        let rows = self.database.read().all(statement).await?;
        rows.iter().map(|row| row.get("organization_id")).collect()
    }

    /// The organization with this id, as it is now.
    pub async fn find_organization(&self, id: OrganizationId) -> Result<Option<Organization>> {
        find(&mut self.database.read(), id).await
    }

    /// The organization that has this realm id now.
    pub async fn find_organization_by_realm(&self, realm: &str) -> Result<Option<Organization>> {
        let statement = sql(newest!("WHERE v.realm_id = $1")).bind(realm);
        with_aliases(&mut self.database.read(), statement).await
    }

    /// The organizations that lie under `requester` at `at` and itself, by id.
    pub async fn list_organizations(
        &self,
        requester: impl Into<Tops>,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Organization>> {
        let requester = requester.into();
        let page = page.of("organizations", vec![requester.clone().into()])?;
        let statement = sql(below!(
            "SELECT o.id, o.account_id, o.kind, o.created_at, o.archived_at, e.parent_id, v.*
             FROM below
             JOIN organizations o ON o.id = below.id
             JOIN organization_versions v ON v.organization_id = o.id
                 AND v.ended_revision IS NULL AND v.valid_to = 9223372036854775807
             LEFT JOIN organization_edges e ON e.child_id = o.id
                 AND e.ended_revision IS NULL AND e.valid_to = 9223372036854775807
             WHERE $3 IS NULL OR o.id > $3 ORDER BY o.id LIMIT $4"
        ))
        .bind(requester.clone())
        .bind(at)
        .bind(page.after())
        .bind(page.rows());
        let mut access = self.database.read();
        let rows = access.all(statement).await?;
        let mut found: Vec<_> = rows.iter().map(organization_of).collect::<Result<_>>()?;
        let aliases = sql(below!(
            "SELECT x.organization_id, x.alias FROM below
             JOIN organization_aliases x ON x.organization_id = below.id
             WHERE x.ended_revision IS NULL AND ($3 IS NULL OR below.id > $3)
                 AND below.id <= $4 ORDER BY x.alias"
        ))
        .bind(requester)
        .bind(at)
        .bind(page.after())
        .bind(found.last().map(|last| last.id));
        for row in access.all(aliases).await? {
            let owner: OrganizationId = row.get("organization_id")?;
            if let Some(one) = found.iter_mut().find(|one| one.id == owner) {
                one.aliases.push(row.get("alias")?);
            }
        }
        follow_newest(&mut access, &mut found).await?;
        Ok(page.cut(found, |one| one.id.to_string()))
    }
}

impl Change {
    /// The organization as this change sees it.
    pub async fn find_organization(&mut self, id: OrganizationId) -> Result<Option<Organization>> {
        find(&mut self.transaction.access(), id).await
    }
}

async fn find(access: &mut Access<'_>, id: OrganizationId) -> Result<Option<Organization>> {
    with_aliases(access, sql(newest!("WHERE o.id = $1")).bind(id)).await
}

async fn with_aliases(
    access: &mut Access<'_>,
    statement: Statement,
) -> Result<Option<Organization>> {
    let Some(row) = access.one(statement).await? else {
        return Ok(None);
    };
    let mut organization = organization_of(&row)?;
    let aliases = sql("SELECT alias FROM organization_aliases
         WHERE organization_id = $1 AND ended_revision IS NULL ORDER BY alias")
    .bind(organization.id);
    for row in access.all(aliases).await? {
        organization.aliases.push(row.get("alias")?);
    }
    organization.aliases.sort();
    follow_newest(access, std::slice::from_mut(&mut organization)).await?;
    Ok(Some(organization))
}

/// Levels of a tree above an organization.
const LEVELS_ABOVE_MAX: usize = 2;

/// Replaces what organizations inherit of their billing anchor by what their parents have now.
async fn follow_newest(access: &mut Access<'_>, found: &mut [Organization]) -> Result<()> {
    let mut parents: HashMap<OrganizationId, Organization> = HashMap::new();
    for one in found.iter_mut() {
        let mut above = Vec::new();
        let (mut inherits, mut parent) = (one.attributes.inherited.any(), one.parent);
        while let (true, Some(id)) = (inherits && above.len() < LEVELS_ABOVE_MAX, parent) {
            if let Entry::Vacant(entry) = parents.entry(id) {
                let row = access.one(sql(newest!("WHERE o.id = $1")).bind(id)).await?;
                let row = row.ok_or_else(|| Error::not_found("organization", id))?;
                entry.insert(organization_of(&row)?);
            }
            let next = &parents[&id];
            above.push(id);
            (inherits, parent) = (next.attributes.inherited.any(), next.parent);
        }
        let mut anchor = BillingAnchor::FIRST_OF_MONTH;
        for id in above.into_iter().rev() {
            let attributes = &parents[&id].attributes;
            anchor = attributes.anchor.under(anchor, attributes.inherited);
        }
        let attributes = &mut one.attributes;
        attributes.anchor = attributes.anchor.under(anchor, attributes.inherited);
    }
    Ok(())
}

fn organization_of(row: &Row) -> Result<Organization> {
    Ok(Organization {
        id: row.get("id")?,
        account: row.get("account_id")?,
        kind: row.get::<StoredKind>("kind")?.0,
        attributes: attributes_of(row)?,
        parent: row.maybe("parent_id")?,
        aliases: Vec::new(),
        archived_at: row.maybe("archived_at")?,
        created_at: row.get("created_at")?,
    })
}

/// The attributes in a row of `organization_versions`, when it is sound.
pub(crate) fn attributes_of(row: &Row) -> Result<OrganizationAttributes> {
    VERSIONS.check(row)?;
    Ok(OrganizationAttributes {
        name: row.get("name")?,
        realm_id: row.maybe("realm_id")?,
        partner_id: row.maybe("partner_id")?,
        anchor: BillingAnchor {
            period: row.get("anchor_period")?,
            day: row.get("anchor_day")?,
            month: row.get("anchor_month")?,
        },
        inherited: InheritedAnchor::read(row.maybe("anchor_inherited")?),
        currency: row.get("currency")?,
        metering_enabled: row.get("metering_enabled")?,
    })
}

/// Refuses what names an organization that is not there or takes nothing new.
///
/// Whoever archives it waits until the transaction ends, and so finds what it wrote.
pub(crate) async fn must_exist(transaction: &mut Transaction, id: OrganizationId) -> Result<()> {
    let statement = either(
        "SELECT archived_at FROM organizations WHERE id = $1",
        "SELECT archived_at FROM organizations WHERE id = $1 FOR SHARE",
    );
    let row = transaction.one(statement.bind(id)).await?;
    let row = row.ok_or_else(|| Error::not_found("organization", id))?;
    match row.maybe::<Timestamp>("archived_at")? {
        Some(_) => Err(Error::invalid("organization", "is archived")),
        None => Ok(()),
    }
}
