//! Attributes of an organization as the API takes them.

use metadata::OrganizationAttributes;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::field::Field;
use crate::error::{ApiError, ApiResult, Code};
use crate::setup::check::{OwnAnchor, fields};

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
    /// `monthly` or `annual`; null, or left out of a new organization, for its parent's at each
    /// time.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    billing_period: Field<String>,
    /// 1 to 31; null for the parent's.
    #[serde(default)]
    #[schema(value_type = Option<u8>)]
    anchor_day: Field<u8>,
    /// 1 to 12; null for the parent's.
    #[serde(default)]
    #[schema(value_type = Option<u8>)]
    anchor_month: Field<u8>,
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
        self.put_anchor(&mut attributes)?;
        attributes.name = self.name.clone().unwrap_or(attributes.name);
        attributes.realm_id = self.realm_id.clone().over(attributes.realm_id);
        attributes.partner_id = self.partner_id.clone().over(attributes.partner_id);
        attributes.currency = self.currency.clone().unwrap_or(attributes.currency);
        let enabled = self.metering_enabled;
        attributes.metering_enabled = enabled.unwrap_or(attributes.metering_enabled);
        Ok(attributes)
    }

    /// Leaves out parts of the anchor that are sent as they are: whoever may not change them may
    /// send them.
    pub(super) fn leave_out_same(&mut self, now: &OrganizationAttributes) {
        let (anchor, inherited) = (now.anchor, now.inherited);
        leave_out(
            &mut self.billing_period,
            &anchor.period.as_str().to_owned(),
            inherited.period,
        );
        leave_out(&mut self.anchor_day, &anchor.day, inherited.day);
        leave_out(&mut self.anchor_month, &anchor.month, inherited.month);
    }

    fn put_anchor(&self, attributes: &mut OrganizationAttributes) -> ApiResult<()> {
        let (anchor, inherited) = (&mut attributes.anchor, &mut attributes.inherited);
        if let Some(word) = put(&self.billing_period, &mut inherited.period) {
            anchor.period = fields::billing_period(word).map_err(ApiError::invalid)?;
        }
        anchor.day = *put(&self.anchor_day, &mut inherited.day).unwrap_or(&anchor.day);
        anchor.month = *put(&self.anchor_month, &mut inherited.month).unwrap_or(&anchor.month);
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let realms = [&self.realm_id, &self.partner_id];
        for realm in realms.into_iter().filter_map(Field::value) {
            fields::realm(realm)?;
        }
        self.name.as_deref().map_or(Ok(()), fields::name)?;
        self.aliases.as_deref().map_or(Ok(()), fields::aliases)?;
        let (day, month) = (self.anchor_day.value(), self.anchor_month.value());
        day.copied().map_or(Ok(()), fields::anchor_day)?;
        month.copied().map_or(Ok(()), fields::anchor_month)?;
        self.currency.as_deref().map_or(Ok(()), fields::currency)
    }
}

/// The value sent for a part of the anchor; notes whether the part is the parent's from now on.
fn put<'f, T>(sent: &'f Field<T>, is_inherited: &mut bool) -> Option<&'f T> {
    *is_inherited = match sent {
        Field::Absent => *is_inherited,
        Field::Null => true,
        Field::Value(_) => false,
    };
    sent.value()
}

fn leave_out<T: PartialEq>(sent: &mut Field<T>, now: &T, is_inherited: bool) {
    let is_same = match sent {
        Field::Value(value) => value == now,
        Field::Null => is_inherited,
        Field::Absent => true,
    };
    if is_same {
        *sent = Field::Absent;
    }
}

/// Refuses changes that only a role above the organization makes.
pub(super) fn keeps_billing(
    before: &OrganizationAttributes,
    after: &OrganizationAttributes,
) -> ApiResult<()> {
    let (own_before, own_after) = (OwnAnchor::of(before), OwnAnchor::of(after));
    let is_changed = [
        (
            "meteringEnabled",
            before.metering_enabled != after.metering_enabled,
        ),
        ("currency", before.currency != after.currency),
        ("billingPeriod", own_before.period != own_after.period),
        ("anchorDay", own_before.day != own_after.day),
        ("anchorMonth", own_before.month != own_after.month),
    ];
    let changed = is_changed.into_iter().find(|(_, is_changed)| *is_changed);
    changed.map_or(Ok(()), |(field, _)| {
        let message = format!("{field} is changed by a role of an organization above this one");
        Err(ApiError::new(Code::Forbidden, message))
    })
}
