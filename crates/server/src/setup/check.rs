//! The rules of a setup file: from what is written to what is declared.
//!
//! References by name become indices into [`Declared::organizations`] and
//! [`Declared::meters`]; defaults are filled in. Nothing here knows what is stored already.

mod billing;
pub mod fields;
mod meters;
mod people;
mod rates;
mod tree;

pub use billing::{DeclaredBilling, OwnAnchor};
pub use meters::meter_rule;
pub use rates::tiers;

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::{AccountId, MeterId, OrganizationId};
use domain::meter::Meter;
use domain::quantity::Quantity;
use domain::range::TimeRange;
use domain::rate::{RateKind, Tier};
use domain::tree::OrganizationKind;
use metadata::{Role, UserProfile};

use super::SetupError;
use super::form::{AccountForm, Origin};
use crate::config::Secret;

/// A checked account.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Identifier, when one is demanded.
    pub id: Option<AccountId>,
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
    /// Where the file has it from.
    pub origin: Origin,
    /// Kind, when it is mentioned.
    pub kind: Option<OrganizationKind>,
    /// Its parents (indices) and since when, ascending; empty for the root.
    pub parents: Vec<(usize, Option<Timestamp>)>,
    /// Attributes the file mentions.
    pub mentioned: Mentioned,
    /// Its billing anchor by time, when it is mentioned so.
    pub billing: Vec<DeclaredBilling>,
    /// Further names, when mentioned.
    pub aliases: Option<Vec<String>>,
}

/// Attributes of an organization that a file mentions; the others stay as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mentioned {
    /// Realm id.
    pub realm_id: Option<String>,
    /// Realm of the account's partner.
    pub partner_id: Option<String>,
    /// Parts of the billing anchor that hold from now on.
    pub anchor: OwnAnchor,
    /// Billing currency.
    pub currency: Option<String>,
    /// Whether the metering family is open to it.
    pub metering_enabled: Option<bool>,
}

/// A checked user.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredUser {
    /// Login name.
    pub name: String,
    /// Index of its organization.
    pub organization: usize,
    /// Roles by organization.
    pub roles: Vec<(usize, Role)>,
    /// Names and addresses.
    pub profile: UserProfile,
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

/// What is stored that a file may refer to without declaring it.
#[derive(Debug, Default)]
pub struct Known {
    /// The newest versions of the account's live meters.
    pub meters: Vec<Meter>,
    /// Currency of the account's root.
    pub currency: Option<String>,
}

/// Checks one account of a setup file.
pub fn check(form: &AccountForm, known: &Known) -> Result<Declared, SetupError> {
    if !form.entitlements.is_empty() {
        let message = "no entitlement can be declared yet: leave the field out";
        return Err(SetupError::rule("entitlements", message));
    }
    let (mut organizations, names) = tree::check(&form.organizations)?;
    if let Some(partner_id) = &form.partner_id {
        fields::realm(partner_id).map_err(|message| SetupError::rule("partnerId", message))?;
        organizations[0].mentioned.partner_id = Some(partner_id.clone());
    }
    let meters = meters::check(&form.meters)?;
    let currency = organizations[0].mentioned.currency.as_ref();
    let rated = rates::Rated {
        names: &names,
        currency: currency.or(known.currency.as_ref()).map(String::as_str),
        meters: &meters,
        stored: &known.meters,
    };
    Ok(Declared {
        id: form.account,
        users: people::users(&form.users, &names)?,
        keys: people::keys(&form.keys, &names)?,
        rates: rates::check(&form.rates, &rated)?,
        organizations,
        meters,
    })
}

/// The organization a text refers to; the root when there is none.
fn refer(names: &Names, place: &str, text: Option<&String>) -> Result<usize, SetupError> {
    let Some(text) = text else { return Ok(0) };
    names.get(text).copied().ok_or_else(|| {
        let message = format!(
            "no organization {text:?}: the file declares none, and the account has none of that \
             name, id or alias"
        );
        SetupError::rule(place, message)
    })
}

/// The role a word names.
fn role(place: &str, word: &str) -> Result<Role, SetupError> {
    fields::role(word).map_err(|message| SetupError::rule(place, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::new_key;
    use crate::setup::Setup;

    #[test]
    fn the_example_in_the_docs_holds() {
        let page = include_str!("../../../../docs/SETUP.md");
        let example = page.split("```yaml\n").nth(1).unwrap();
        let mut setup = Setup::parse(example.split("```").next().unwrap()).unwrap();
        setup.take_environment(|_| Some(new_key())).unwrap();
        let declared = check(&setup.accounts[0], &Known::default()).unwrap();
        let names: Vec<_> = declared
            .organizations
            .iter()
            .map(|each| &each.name)
            .collect();
        assert_eq!(names, ["United", "Express", "Trial", "Regional"]);
        let ends: Vec<_> = declared.rates.iter().map(|rate| rate.valid.end).collect();
        assert_eq!(ends, ["2014-01-01T00:00:00Z".parse().ok(), None, None]);
        assert_eq!(
            declared.meters[0].version.scalar.metric_category,
            "COMPUTE_UNITS"
        );
    }
}
