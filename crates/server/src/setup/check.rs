//! The rules of a setup file: from what is written to what is declared.
//!
//! References by name become indices into [`Declared::organizations`] and
//! [`Declared::meters`]; defaults are filled in. Nothing here knows what is stored already.

pub mod fields;
mod meters;
mod people;
mod rates;
mod tree;

use std::collections::HashMap;

use domain::ids::{AccountId, MeterId, OrganizationId};
use domain::meter::Meter;
use domain::quantity::Quantity;
use domain::rate::{RateKind, Tier};
use domain::range::TimeRange;
use domain::tree::OrganizationKind;
use domain::Timestamp;
use metadata::Role;

use super::SetupError;
use super::form::AccountForm;
use crate::secret::Secret;

/// A checked account.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Name.
    pub name: String,
    /// Identifier, when one is demanded.
    pub id: Option<AccountId>,
    /// Realm of its partner.
    pub partner_id: Option<String>,
    /// Parents before what lies under them; the first is the root.
    pub organizations: Vec<DeclaredOrganization>,
    /// In the file's order.
    pub users: Vec<DeclaredUser>,
    /// In the file's order.
    pub keys: Vec<DeclaredKey>,
    /// By slug and start.
    pub meters: Vec<DeclaredMeter>,
    /// By meter, organization, kind and start.
    pub rates: Vec<DeclaredRate>,
}

/// A checked organization.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredOrganization {
    /// Name.
    pub name: String,
    /// Identifier, when one is demanded.
    pub id: Option<OrganizationId>,
    /// Kind.
    pub kind: OrganizationKind,
    /// Its parents (indices) and since when, ascending; empty for the root.
    pub parents: Vec<(usize, Option<Timestamp>)>,
    /// Realm id.
    pub realm_id: Option<String>,
    /// Further names.
    pub aliases: Vec<String>,
    /// Day its billing periods start on, when declared.
    pub anchor_day: Option<u8>,
    /// Currency it is billed in, when declared.
    pub currency: Option<String>,
}

/// A checked user.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredUser {
    /// Login name.
    pub name: String,
    /// Index of its organization.
    pub organization: usize,
    /// Role.
    pub role: Role,
    /// First password.
    pub password: FirstPassword,
}

/// Where a new user's password comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum FirstPassword {
    /// Made by the server and shown once.
    Random,
    /// Declared.
    Given(Secret),
    /// Declared as a PHC string.
    Hash(Secret),
}

/// A checked API key.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredKey {
    /// Name.
    pub name: String,
    /// Index of its organization.
    pub organization: usize,
    /// Role.
    pub role: Role,
    /// The key; a random one otherwise.
    pub secret: Option<Secret>,
}

/// One checked version of a meter.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredMeter {
    /// Identifier, when one is demanded.
    pub id: Option<MeterId>,
    /// The version; its own identifier stands for nothing.
    pub version: Meter,
}

/// One checked version of a rate.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredRate {
    /// Slug of the meter.
    pub meter: String,
    /// Index of the organization; none for the account's default.
    pub organization: Option<usize>,
    /// Kind.
    pub kind: RateKind,
    /// Event times it prices, cut where the next version starts.
    pub valid: TimeRange,
    /// Units of usage the price is for.
    pub per: u64,
    /// Name of that unit.
    pub unit: String,
    /// Prices.
    pub tiers: Vec<Tier>,
    /// Free usage per billing period.
    pub allowance: Quantity,
    /// Whether usage is charged.
    pub billable: bool,
    /// Price before discount.
    pub list_price: Option<Quantity>,
    /// Subscription.
    pub subscription_id: Option<String>,
    /// Charge number.
    pub charge_number: Option<String>,
    /// Currency of money.
    pub currency: Option<String>,
}

/// Names, ids and aliases under which a file's organizations may be referred to.
type Names = HashMap<String, usize>;

/// Checks one account of a setup file.
pub fn check(form: &AccountForm) -> Result<Declared, SetupError> {
    fields::name(&form.account).map_err(|message| SetupError::rule("account", message))?;
    if let Some(partner_id) = &form.partner_id {
        fields::realm(partner_id).map_err(|message| SetupError::rule("partnerId", message))?;
    }
    if !form.entitlements.is_empty() {
        let message = "no entitlement can be declared yet: leave the field out";
        return Err(SetupError::rule("entitlements", message));
    }
    let (organizations, names) = tree::check(&form.organizations)?;
    let meters = meters::check(&form.meters)?;
    Ok(Declared {
        name: form.account.clone(),
        id: form.id,
        partner_id: form.partner_id.clone(),
        users: people::users(&form.users, &names)?,
        keys: people::keys(&form.keys, &names)?,
        rates: rates::check(&form.rates, &organizations, &names, &meters)?,
        organizations,
        meters,
    })
}

/// The organization a text refers to; the root when there is none.
fn refer(names: &Names, place: &str, text: Option<&String>) -> Result<usize, SetupError> {
    let Some(text) = text else { return Ok(0) };
    names.get(text).copied().ok_or_else(|| {
        let message = format!("the file declares no organization {text:?}");
        SetupError::rule(place, message)
    })
}
