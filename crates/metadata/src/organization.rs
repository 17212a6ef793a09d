//! Organizations: nodes of an account's tree, their dated attributes and their aliases.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use domain::tree::OrganizationKind;

use crate::database::{Column, words};

mod edit;
mod names;
mod read;
mod write;

pub use names::EqualName;
pub(crate) use names::NAME_OR_ALIAS;
pub(crate) use read::{attributes_of, must_exist};

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
    /// Name for people, up to 255 characters; a new one is unlike those of its siblings.
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

/// The kind as it is stored.
pub(crate) struct StoredKind(pub(crate) OrganizationKind);

impl Column for StoredKind {
    type Stored = String;

    fn read(stored: &String) -> Option<Self> {
        let kinds = [
            OrganizationKind::Production,
            OrganizationKind::AdditionalProduction,
            OrganizationKind::Sandbox,
            OrganizationKind::SubOrganization,
        ];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == stored);
        kind.map(Self)
    }
}
