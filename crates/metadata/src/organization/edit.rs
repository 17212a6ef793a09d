//! Changes of an organization's attributes from a date on.

use std::collections::BTreeSet;

use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::range::TimeRange;

use crate::check;
use crate::checksum::VERSIONS;
use crate::database::{micros, sql};
use crate::error::{Error, Result};
use crate::organization::{BillingAnchor, OrganizationAttributes, attributes_of};
use crate::revision::Change;
use crate::snapshot::OrganizationVersion;

impl Change {
    /// Sets the attributes from `since` on (`None`: for all time); equal ones change nothing.
    pub async fn put_organization(
        &mut self,
        id: OrganizationId,
        attributes: &OrganizationAttributes,
        since: Option<Timestamp>,
    ) -> Result<()> {
        self.edit_organization(id, since, |_| Ok(attributes.clone()))
            .await
    }

    /// Edits the attributes of every version from `since` on (`None`: of all time), so that what
    /// `edit` leaves alone stays as it is at each time; equal ones change nothing.
    pub async fn edit_organization<E: From<Error>>(
        &mut self,
        id: OrganizationId,
        since: Option<Timestamp>,
        edit: impl Fn(&OrganizationAttributes) -> std::result::Result<OrganizationAttributes, E>,
    ) -> std::result::Result<(), E> {
        let is_root = self.known_organization(id).await?.parent.is_none();
        let valid = TimeRange {
            start: since,
            end: None,
        };
        let mut edited: Vec<OrganizationVersion> = Vec::new();
        let (mut is_changed, mut names) = (false, BTreeSet::new());
        for before in self.versions_within(id, valid).await? {
            let attributes = own_parts(edit(&before.attributes)?);
            check_attributes(&attributes, Some(&before.attributes), is_root)?;
            is_changed |= attributes != before.attributes;
            if attributes.name != before.attributes.name {
                names.insert(attributes.name.clone());
            }
            let valid = before.valid.intersect(&valid);
            match edited.last_mut() {
                Some(last) if last.attributes == attributes => last.valid.end = valid.end,
                _ => edited.push(OrganizationVersion { valid, attributes }),
            }
        }
        if !is_changed {
            return Ok(());
        }
        self.cut_versions(id, valid).await?;
        for version in edited {
            self.insert_version(id, &version.attributes, version.valid)
                .await?;
        }
        for name in names {
            self.names(id, Some(name));
        }
        Ok(())
    }

    /// The versions that hold within a range that has no end, in order.
    async fn versions_within(
        &mut self,
        id: OrganizationId,
        valid: TimeRange,
    ) -> Result<Vec<OrganizationVersion>> {
        let statement = sql("SELECT * FROM organization_versions
             WHERE organization_id = $1 AND ended_revision IS NULL AND valid_to > $2
             ORDER BY valid_from")
        .bind(id)
        .bind(micros(&valid).0);
        let rows = self.transaction.all(statement).await?;
        let versions = rows.iter().map(|row| {
            Ok(OrganizationVersion {
                valid: row.valid()?,
                attributes: attributes_of(row)?,
            })
        });
        versions.collect()
    }

    /// Ends what holds from `valid.start` on; what held before it is written again up to there.
    async fn cut_versions(&mut self, id: OrganizationId, valid: TimeRange) -> Result<()> {
        let since = micros(&valid).0;
        self.cut(&VERSIONS, vec![id.into()], since).await
    }

    /// Writes the attributes that hold for a while.
    pub(crate) async fn insert_version(
        &mut self,
        id: OrganizationId,
        attributes: &OrganizationAttributes,
        valid: TimeRange,
    ) -> Result<()> {
        let (valid_from, valid_to) = micros(&valid);
        let attributes = &own_parts(attributes.clone());
        let values = vec![
            id.into(),
            (&attributes.name).into(),
            attributes.realm_id.as_ref().into(),
            attributes.partner_id.as_ref().into(),
            attributes.anchor.period.into(),
            attributes.anchor.day.into(),
            attributes.anchor.month.into(),
            (&attributes.currency).into(),
            attributes.metering_enabled.into(),
            attributes.inherited.stored().into(),
            valid_from.into(),
            valid_to.into(),
        ];
        self.put(&VERSIONS, values).await
    }
}

/// Attributes as they are stored: parts of the anchor that are inherited hold nothing.
fn own_parts(mut attributes: OrganizationAttributes) -> OrganizationAttributes {
    let (own, inherited) = (attributes.anchor, attributes.inherited);
    attributes.anchor = own.under(BillingAnchor::FIRST_OF_MONTH, inherited);
    attributes
}

/// Checks attributes; texts that stay as they are were written by a release that took them.
pub(crate) fn check_attributes(
    attributes: &OrganizationAttributes,
    before: Option<&OrganizationAttributes>,
    is_root: bool,
) -> Result<()> {
    if before.is_none_or(|before| before.name != attributes.name) {
        check::name("name", &attributes.name)?;
    }
    check::currency(&attributes.currency)?;
    if let Some(realm) = &attributes.realm_id {
        check::chars("realm_id", realm, 5, 30)?;
    }
    if let Some(partner) = &attributes.partner_id {
        if before.is_none_or(|before| before.partner_id != attributes.partner_id) {
            check::name("partner_id", partner)?;
        }
        if !is_root {
            return Err(Error::invalid("partner_id", "only a root has a partner"));
        }
    }
    if is_root && attributes.inherited.any() {
        let reason = "is inherited: a root has no parent to inherit from";
        return Err(Error::invalid("anchor", reason));
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
