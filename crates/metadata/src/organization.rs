//! Organizations: nodes of an account's tree, their dated attributes and their aliases.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use domain::tree::OrganizationKind;

use crate::database::{Column, words};

mod anchor;
mod edit;
mod names;
mod read;
mod write;

pub(crate) use anchor::follow_parents;
pub use anchor::{BillingAnchor, InheritedAnchor};
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

/// What may change about an organization, each change from a date on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationAttributes {
    /// Name for people, up to 255 characters; a new one is unlike those of its siblings.
    pub name: String,
    /// Name in the cost family, 5 to 30 characters, unique over the server.
    pub realm_id: Option<String>,
    /// Realm that may read the account's cost family; on a root only.
    pub partner_id: Option<String>,
    /// When billing periods start. In a change the parts that are inherited mean nothing.
    pub anchor: BillingAnchor,
    /// Which parts of the anchor are those of the parent, whatever they are at each time.
    pub inherited: InheritedAnchor,
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
    /// Attributes with every default of a root: monthly from day 1, USD, metering enabled.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            realm_id: None,
            partner_id: None,
            anchor: BillingAnchor::FIRST_OF_MONTH,
            inherited: InheritedAnchor::NONE,
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
