//! Attributes of an organization as the API takes them.

use metadata::OrganizationAttributes;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::field::Field;
use crate::error::{ApiError, ApiResult, Code};
use crate::setup::check::fields;

/// Attributes; what is left out stays or takes its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttributesIn {
    /// Up to 255 characters.
    pub(super) name: Option<String>,
    /// 5 to 30 characters; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    realm_id: Field<String>,
    /// On a root only: realm that may read the account's cost; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    partner_id: Field<String>,
    /// All its other names.
    pub(super) aliases: Option<Vec<String>>,
    /// `monthly` or `annual`.
    billing_period: Option<String>,
    /// 1 to 31.
    anchor_day: Option<u8>,
    /// 1 to 12.
    anchor_month: Option<u8>,
    /// ISO 4217 code.
    currency: Option<String>,
    /// Whether the metering family is open to it.
    metering_enabled: Option<bool>,
}

impl AttributesIn {
    /// Lays what was sent over `attributes`, after checking it.
    pub(super) fn over(
        &self,
        mut attributes: OrganizationAttributes,
    ) -> ApiResult<OrganizationAttributes> {
        self.check().map_err(ApiError::invalid)?;
        if let Some(word) = &self.billing_period {
            attributes.anchor.period = fields::billing_period(word).map_err(ApiError::invalid)?;
        }
        attributes.name = self.name.clone().unwrap_or(attributes.name);
        attributes.realm_id = self.realm_id.clone().over(attributes.realm_id);
        attributes.partner_id = self.partner_id.clone().over(attributes.partner_id);
        attributes.anchor.day = self.anchor_day.unwrap_or(attributes.anchor.day);
        attributes.anchor.month = self.anchor_month.unwrap_or(attributes.anchor.month);
        attributes.currency = self.currency.clone().unwrap_or(attributes.currency);
        let enabled = self.metering_enabled;
        attributes.metering_enabled = enabled.unwrap_or(attributes.metering_enabled);
        Ok(attributes)
    }

    fn check(&self) -> Result<(), String> {
        let realms = [&self.realm_id, &self.partner_id];
        for realm in realms.into_iter().filter_map(Field::value) {
            fields::realm(realm)?;
        }
        self.name.as_deref().map_or(Ok(()), fields::name)?;
        self.aliases.as_deref().map_or(Ok(()), fields::aliases)?;
        self.anchor_day.map_or(Ok(()), fields::anchor_day)?;
        self.anchor_month.map_or(Ok(()), fields::anchor_month)?;
        self.currency.as_deref().map_or(Ok(()), fields::currency)
    }
}

/// Refuses changes that only a role above the organization makes.
pub(super) fn keeps_billing(
    before: &OrganizationAttributes,
    after: &OrganizationAttributes,
) -> ApiResult<()> {
    let is_changed = [
        (
            "meteringEnabled",
            before.metering_enabled != after.metering_enabled,
        ),
        ("currency", before.currency != after.currency),
        ("billingPeriod", before.anchor.period != after.anchor.period),
        ("anchorDay", before.anchor.day != after.anchor.day),
        ("anchorMonth", before.anchor.month != after.anchor.month),
    ];
    let changed = is_changed.into_iter().find(|(_, is_changed)| *is_changed);
    changed.map_or(Ok(()), |(field, _)| {
        let message = format!("{field} is changed by a role of an organization above this one");
        Err(ApiError::new(Code::Forbidden, message))
    })
}
