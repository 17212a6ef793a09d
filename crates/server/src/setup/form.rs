//! The fields of `setup.yaml`, as they are written. Unknown ones are refused.

use std::collections::BTreeMap;
use std::fmt;

use domain::Timestamp;
use domain::aggregation::Aggregation;
use domain::ids::{AccountId, MeterId, OrganizationId};
use domain::meter::{Filter, JobLevelLayout};
use domain::path::JsonPath;
use domain::quantity::Quantity;
use domain::rate::RateKind;
use domain::tree::OrganizationKind;
use serde::{Deserialize, Deserializer, de};

use crate::config::Secret;

mod billing;

pub use billing::BillingForm;

/// One account with everything in it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountForm {
    /// Identifier; drawn when the account is new and none is given. Without it the account is the
    /// one whose root has the declared root's id or name.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// Realm of the partner that may read the account's cost.
    #[serde(default)]
    pub partner_id: Option<String>,
    /// The tree: nested, or flat with `parent`.
    #[serde(default)]
    pub organizations: Vec<OrganizationForm>,
    /// People.
    #[serde(default)]
    pub users: Vec<UserForm>,
    /// Keys of programs.
    #[serde(default)]
    pub keys: Vec<KeyForm>,
    /// What is counted.
    #[serde(default)]
    pub meters: Vec<MeterForm>,
    /// What it is worth.
    #[serde(default)]
    pub rates: Vec<RateForm>,
    /// Reserved: no entitlement can be declared yet.
    #[serde(default)]
    pub entitlements: Vec<serde_json::Value>,
}

/// One organization. What is left out stays as it is, or takes its default when it is new.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationForm {
    /// Name; finds the organization again unless `id` does.
    pub name: String,
    /// Identifier; drawn when the organization is new and none is given.
    #[serde(default)]
    pub id: Option<OrganizationId>,
    /// Kind, which never changes; a new one is `production` as the root and else
    /// `sub_organization` unless given.
    #[serde(default)]
    pub kind: Option<OrganizationKind>,
    /// Name, id or alias of the organization above, where it is not nested in it.
    #[serde(default)]
    pub parent: Option<String>,
    /// When it came under its parent; the beginning of time unless given.
    #[serde(default)]
    pub since: Option<Moment>,
    /// Realm id, as cost exports name it.
    #[serde(default)]
    pub realm_id: Option<String>,
    /// Further names under which events may name it.
    #[serde(default)]
    pub aliases: Option<Vec<String>>,
    /// When its billing periods start, by time: replaces what is stored from the first entry on.
    #[serde(default, deserialize_with = "billing::one_or_several")]
    pub billing: Option<Vec<BillingForm>>,
    /// How long its billing periods are.
    #[serde(default)]
    pub billing_period: Option<String>,
    /// Day of the month its billing periods start on.
    #[serde(default)]
    pub anchor_day: Option<u8>,
    /// Month of the year its annual billing periods start in.
    #[serde(default)]
    pub anchor_month: Option<u8>,
    /// ISO 4217 code it is billed in.
    #[serde(default)]
    pub currency: Option<String>,
    /// Whether the metering family is open to it.
    #[serde(default)]
    pub metering_enabled: Option<bool>,
    /// Later changes of its parent.
    #[serde(default)]
    pub moves: Vec<MoveForm>,
    /// Organizations under it.
    #[serde(default)]
    pub organizations: Vec<OrganizationForm>,
    /// Where it comes from.
    #[serde(skip)]
    pub origin: Origin,
}

/// Where an organization of a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// It is written in the file.
    #[default]
    Written,
    /// The root that the first start would make, since the file needs one and there is none.
    Implied,
    /// It is stored, and the file only refers to it, by its alias here.
    Stored,
}

/// A change of an organization's parent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoveForm {
    /// Name, id or alias of the new parent.
    pub parent: String,
    /// When.
    pub since: Moment,
}

/// One user. The password is set when the user is made and left alone afterwards.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserForm {
    /// Login name.
    pub name: String,
    /// Name, id or alias of its organization; the root unless given.
    #[serde(default)]
    pub organization: Option<String>,
    /// What it may do and where.
    #[serde(default)]
    pub roles: Vec<RoleForm>,
    /// Given name.
    #[serde(default)]
    pub first_name: String,
    /// Family name.
    #[serde(default)]
    pub last_name: String,
    /// Where mail reaches the user.
    #[serde(default)]
    pub emails: Vec<String>,
    /// First password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Environment variable that holds the first password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// First password as an argon2id PHC string.
    #[serde(default)]
    pub password_hash: Option<Secret>,
    /// Environment variable that holds the PHC string.
    #[serde(default)]
    pub password_hash_env: Option<String>,
}

/// A role in an organization and everything under it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleForm {
    /// `owner`, `operator`, `writer` or `analyst`.
    pub role: String,
    /// Name, id or alias of the organization; the user's own unless given.
    #[serde(default)]
    pub organization: Option<String>,
}

/// One API key, found again by organization and name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyForm {
    /// Name.
    pub name: String,
    /// Name, id or alias of its organization; the root unless given.
    #[serde(default)]
    pub organization: Option<String>,
    /// `owner`, `operator`, `writer` or `analyst`, there and in everything under it.
    pub role: String,
    /// Environment variable that holds the key; a random one is made and shown once otherwise.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// The key itself; only taken from the environment, never written in a file.
    #[serde(skip)]
    pub secret: Option<Secret>,
}

/// One version of a meter; several of one slug differ in `since`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeterForm {
    /// Name for programs, unique in the account.
    pub slug: String,
    /// Identifier; drawn when the meter is new and none is given.
    #[serde(default)]
    pub id: Option<MeterId>,
    /// Name for people; the slug unless given.
    #[serde(default)]
    pub name: Option<String>,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Service that is metered.
    #[serde(default)]
    pub service: String,
    /// Category printed in cost exports.
    #[serde(default)]
    pub category: String,
    /// Feature printed in cost exports; the slug unless given.
    #[serde(default)]
    pub feature: Option<String>,
    /// Unit of the quantity.
    #[serde(default)]
    pub unit: String,
    /// CloudEvents `type` it reads.
    pub event_type: String,
    /// Conditions that must all hold.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// Where the value lies; none for COUNT.
    #[serde(default)]
    pub value_property: Option<JsonPath>,
    /// How readings become one number.
    pub aggregation: Aggregation,
    /// Named paths by which queries may group.
    #[serde(default)]
    pub group_by: BTreeMap<String, JsonPath>,
    /// Unit in which rates and tiers count.
    #[serde(default)]
    pub scalar: Option<ScalarForm>,
    /// Columns of its job-level export; `none` unless given.
    #[serde(default, deserialize_with = "JobLevelLayout::or_none")]
    pub job_level_layout: Option<JobLevelLayout>,
    /// Whether days without usage are printed as zero rows.
    #[serde(default)]
    pub zero_rows: bool,
    /// First event time it reads; the beginning of time unless given.
    #[serde(default)]
    pub since: Option<Moment>,
}

/// The unit in which rates and tiers count; a known name needs no more.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalarForm {
    /// Name as printed, such as `HOURS`.
    pub name: String,
    /// Readings per unit.
    #[serde(default)]
    pub factor: Option<u64>,
    /// Metric category as printed.
    #[serde(default)]
    pub metric_category: Option<String>,
}

/// One version of a rate; several for the same meter, kind and organization differ in `since`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateForm {
    /// Slug of the meter it prices.
    pub meter: String,
    /// Name, id or alias of the organization it is for; the account's default unless given.
    #[serde(default)]
    pub organization: Option<String>,
    /// What it turns usage into.
    pub kind: RateKind,
    /// First event time it prices; the beginning of time unless given.
    #[serde(default)]
    pub since: Option<Moment>,
    /// First event time it no longer prices.
    #[serde(default)]
    pub until: Option<Moment>,
    /// Price of one unit, where there is one tier.
    #[serde(default)]
    pub price: Option<Quantity>,
    /// Prices by accumulated usage.
    #[serde(default)]
    pub tiers: Vec<TierForm>,
    /// Units of usage the price is for.
    #[serde(default)]
    pub per: Option<u64>,
    /// Name of that unit; the meter's unless given.
    #[serde(default)]
    pub unit: String,
    /// Usage per billing period that is free.
    #[serde(default)]
    pub allowance: Option<Quantity>,
    /// Whether usage is charged at all; it is unless given.
    #[serde(default)]
    pub billable: Option<bool>,
    /// Price before discount.
    #[serde(default)]
    pub list_price: Option<Quantity>,
    /// Subscription the charge belongs to.
    #[serde(default)]
    pub subscription_id: Option<String>,
    /// Charge number on the subscription.
    #[serde(default)]
    pub charge_number: Option<String>,
    /// ISO 4217 code; the root's for money unless given.
    #[serde(default)]
    pub currency: Option<String>,
}

/// One step of a price list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TierForm {
    /// Accumulated usage in scalar units it ends at; none for the last.
    #[serde(default)]
    pub up_to: Option<Quantity>,
    /// Price of one unit inside it.
    pub price: Quantity,
}

/// An instant written as RFC 3339, or as a date for its first instant in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl fmt::Debug for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Moment {
    /// Reads an instant or a date.
    pub fn parse(text: &str) -> Option<Self> {
        let instant = text.parse::<Timestamp>().ok();
        let midnight = || {
            let date = text.parse::<jiff::civil::Date>().ok()?;
            Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        };
        instant.or_else(midnight).map(Self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is no instant: expected 2013-02-01 or 2013-02-01T00:00:00Z"
            ))
        })
    }
}
