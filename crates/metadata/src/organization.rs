//! Organizations: nodes of an account's tree, their dated attributes and their aliases.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use domain::range::TimeRange;
use domain::tree::OrganizationKind;

use crate::database::words;
use crate::error::Result;
use crate::open::Metadata;
use crate::page::{Page, PageRequest};
use crate::revision::Change;

words! {
    /// How long a billing period is.
    pub enum BillingPeriod {
        /// From anchor day to anchor day.
        Monthly = "monthly",
        /// From the anchor day of the anchor month to the next year's.
        Annual = "annual",
    }
}

/// When an organization's billing periods start, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillingAnchor {
    /// How long a period is.
    pub period: BillingPeriod,
    /// Day of the month, 1 to 31; 29 to 31 fall on a short month's last day.
    pub day: u8,
    /// Month of the year, 1 to 12; without meaning for monthly periods.
    pub month: u8,
}

/// What may change about an organization, each change from a date on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationAttributes {
    /// Name for people, up to 255 characters.
    pub name: String,
    /// Name in the cost family, 5 to 30 characters, unique over the server.
    pub realm_id: Option<String>,
    /// Realm that may read the account's cost family; on a root only.
    pub partner_id: Option<String>,
    /// When billing periods start.
    pub anchor: BillingAnchor,
    /// ISO 4217 code of the billing currency.
    pub currency: String,
    /// Whether the metering family is open to it.
    pub metering_enabled: bool,
}

/// An organization as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Identifier.
    pub id: OrganizationId,
    /// Account it belongs to.
    pub account: AccountId,
    /// What it is in its account; never changes.
    pub kind: OrganizationKind,
    /// The newest attributes.
    pub attributes: OrganizationAttributes,
    /// The newest parent; `None` for the root.
    pub parent: Option<OrganizationId>,
    /// Its other names, sorted.
    pub aliases: Vec<String>,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// An organization to create.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// Identifier; `None` to draw one.
    pub id: Option<OrganizationId>,
    /// What it is.
    pub kind: OrganizationKind,
    /// Attributes from the beginning of time.
    pub attributes: OrganizationAttributes,
    /// Its other names, unique in the account.
    pub aliases: Vec<String>,
    /// What it lies under and from when (`None`: the beginning of time); `None` for a root only.
    pub parent: Option<(OrganizationId, Option<Timestamp>)>,
}

impl OrganizationAttributes {
    /// Attributes with every default: monthly from day 1, USD, metering enabled.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            realm_id: None,
            partner_id: None,
            anchor: BillingAnchor {
                period: BillingPeriod::Monthly,
                day: 1,
                month: 1,
            },
            currency: "USD".to_owned(),
            metering_enabled: true,
        }
    }
}

impl Metadata {
    /// The organization with this id, as it is now.
    pub async fn find_organization(&self, id: OrganizationId) -> Result<Option<Organization>> {
        todo!()
    }

    /// The organization that has this realm id now.
    pub async fn find_organization_by_realm(&self, realm: &str) -> Result<Option<Organization>> {
        todo!()
    }

    /// The organizations that lie under `requester` at `at` and itself, by id.
    pub async fn list_organizations(
        &self,
        requester: OrganizationId,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Organization>> {
        todo!()
    }
}

impl Change {
    /// The organization as this change sees it.
    pub async fn find_organization(&mut self, id: OrganizationId) -> Result<Option<Organization>> {
        todo!()
    }

    /// Creates an organization in an account, under its parent.
    pub async fn insert_organization(
        &mut self,
        account: AccountId,
        new: NewOrganization,
    ) -> Result<OrganizationId> {
        todo!()
    }

    /// Sets the attributes from `since` on (`None`: for all time); equal ones change nothing.
    pub async fn put_organization(
        &mut self,
        id: OrganizationId,
        attributes: &OrganizationAttributes,
        since: Option<Timestamp>,
    ) -> Result<()> {
        todo!()
    }

    /// Replaces the aliases of an organization; equal ones change nothing.
    pub async fn put_aliases(&mut self, id: OrganizationId, aliases: &[String]) -> Result<()> {
        todo!()
    }

    /// Archives an organization: it stays readable and takes nothing new. Not for a root.
    pub async fn archive_organization(&mut self, id: OrganizationId) -> Result<()> {
        todo!()
    }

    /// Moves an organization under `parent` from `at` on (`None`: for all time).
    ///
    /// The old parent keeps the usage before `at`. Kinds keep the tree free of cycles and three
    /// levels deep.
    pub async fn move_organization(
        &mut self,
        id: OrganizationId,
        parent: OrganizationId,
        at: Option<Timestamp>,
    ) -> Result<()> {
        todo!()
    }
}
