//! What can change, as named fields and their values as a setup file writes them.

use domain::meter::Meter;
use domain::rate::{Rate, Tier};
use metadata::{OrganizationAttributes, UserProfile};
use serde::Serialize;

/// Something with fields that a line of changes names.
pub(super) trait Fields {
    /// Every field with its value as text.
    fn fields(&self) -> Vec<(&'static str, String)>;
}

/// One text for each field that differs.
pub(super) fn changed<T: Fields>(before: &T, after: &T) -> Vec<String> {
    let pairs = before.fields().into_iter().zip(after.fields());
    let changed = pairs.filter(|((_, before), (_, after))| before != after);
    changed
        .map(|((field, before), (_, after))| format!("{field} {before} -> {after}"))
        .collect()
}

/// The aliases of an organization, which are replaced as one.
pub(super) fn aliases(before: &[String], after: &[String]) -> String {
    format!("aliases {} -> {}", list(before), list(after))
}

impl Fields for OrganizationAttributes {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let (anchor, inherited) = (self.anchor, self.inherited);
        let part = |is_inherited: bool, value: String| {
            if is_inherited {
                "the parent's".to_owned()
            } else {
                value
            }
        };
        let period = anchor.period.as_str().to_owned();
        vec![
            ("name", text(&self.name)),
            ("realmId", or_none(self.realm_id.as_ref())),
            ("partnerId", or_none(self.partner_id.as_ref())),
            ("billingPeriod", part(inherited.period, period)),
            ("anchorDay", part(inherited.day, anchor.day.to_string())),
            (
                "anchorMonth",
                part(inherited.month, anchor.month.to_string()),
            ),
            ("currency", self.currency.clone()),
            ("meteringEnabled", self.metering_enabled.to_string()),
        ]
    }
}

impl Fields for Meter {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let rule = &self.rule;
        let filters = rule.filters.iter();
        let filters = filters.map(|filter| format!("{} {}", filter.path, list(&filter.values)));
        let group_by = self.group_by.iter();
        let group_by = group_by.map(|(name, path)| format!("{name}: {path}"));
        let value = rule.value_property.as_ref().map(ToString::to_string);
        let layout = self.job_level.map_or_else(none, |layout| word(&layout));
        let scalar = &self.scalar;
        vec![
            ("name", text(&self.name)),
            ("description", text(&self.description)),
            ("service", text(&self.service)),
            ("category", text(&self.category)),
            ("feature", text(&self.feature)),
            ("unit", text(&self.unit)),
            ("eventType", text(&rule.event_type)),
            ("aggregation", word(&rule.aggregation)),
            ("valueProperty", value.unwrap_or_else(none)),
            ("filters", braced(filters)),
            ("groupBy", braced(group_by)),
            ("scalar.name", text(&scalar.name)),
            ("scalar.factor", scalar.factor.to_string()),
            ("scalar.metricCategory", text(&scalar.metric_category)),
            ("jobLevelLayout", layout),
            ("zeroRows", self.zero_rows.to_string()),
        ]
    }
}

impl Fields for Rate {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let until = self.valid.end.map(|end| end.to_string());
        let list_price = self.list_price.map(|price| price.to_string());
        vec![
            ("price", tiers(&self.tiers)),
            ("until", until.unwrap_or_else(none)),
            ("per", self.per.to_string()),
            ("unit", text(&self.unit)),
            ("allowance", self.allowance.to_string()),
            ("billable", self.billable.to_string()),
            ("listPrice", list_price.unwrap_or_else(none)),
            ("subscriptionId", or_none(self.subscription_id.as_ref())),
            ("chargeNumber", or_none(self.charge_number.as_ref())),
            ("currency", self.currency.clone().unwrap_or_else(none)),
        ]
    }
}

impl Fields for UserProfile {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("firstName", text(&self.first_name)),
            ("lastName", text(&self.last_name)),
            ("emails", list(&self.emails)),
        ]
    }
}

fn text(value: &str) -> String {
    format!("{value:?}")
}

/// The word that stands for a value in a setup file.
fn word(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

fn or_none(value: Option<&String>) -> String {
    value.map_or_else(none, |value| text(value))
}

fn none() -> String {
    "none".to_owned()
}

fn list(values: &[String]) -> String {
    format!("[{}]", values.join(", "))
}

fn braced(values: impl Iterator<Item = String>) -> String {
    let values: Vec<_> = values.collect();
    format!("{{{}}}", values.join(", "))
}

/// The price of the only tier, or every tier with its end.
fn tiers(tiers: &[Tier]) -> String {
    if let [only] = tiers {
        return only.price.to_string();
    }
    let tiers = tiers.iter().map(|tier| match tier.up_to {
        Some(up_to) => format!("{} up to {up_to}", tier.price),
        None => tier.price.to_string(),
    });
    format!("[{}]", tiers.collect::<Vec<_>>().join(", "))
}
