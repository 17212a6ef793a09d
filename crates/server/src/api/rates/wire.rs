//! Rates as the API shows and takes them.

use domain::Timestamp;
use domain::ids::{MeterId, OrganizationId, RateId};
use domain::quantity::Quantity;
use domain::range::TimeRange;
use domain::rate::{Rate, RateKind, Tier};
use metadata::{ControlSnapshot, RateRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::field::Field;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};
use crate::random;
use crate::setup::check::{fields, tiers};
use crate::setup::form::TierForm;

/// The newest version of a rate.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateOut {
    #[schema(value_type = String)]
    id: RateId,
    #[schema(value_type = String)]
    meter_id: MeterId,
    /// Slug of the meter.
    meter: String,
    /// The organization it is for; null for the account's default.
    #[schema(value_type = Option<String>)]
    organization_id: Option<OrganizationId>,
    /// `ipu` or `money`.
    #[schema(value_type = String)]
    kind: RateKind,
    /// First event time this version prices; null for the beginning of time.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// First event time it no longer prices; null while there is none.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    per: u64,
    unit: String,
    tiers: Vec<TierOut>,
    #[schema(value_type = f64)]
    allowance: Quantity,
    billable: bool,
    #[schema(value_type = Option<f64>)]
    list_price: Option<Quantity>,
    subscription_id: Option<String>,
    charge_number: Option<String>,
    currency: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One step of a price list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TierOut {
    /// Accumulated usage in scalar units it ends at; null for the last.
    #[schema(value_type = Option<f64>)]
    up_to: Option<Quantity>,
    #[schema(value_type = f64)]
    price: Quantity,
}

/// A rate to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateIn {
    /// Slug or id of the meter.
    meter: String,
    /// The organization it is for; the account's default unless given.
    #[schema(value_type = Option<String>)]
    organization_id: Option<OrganizationId>,
    /// `ipu` or `money`.
    #[schema(value_type = String)]
    kind: RateKind,
    #[serde(flatten)]
    terms: TermsIn,
}

/// A new version of a rate; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RatePatch {
    #[serde(flatten)]
    terms: TermsIn,
}

/// What a rate says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TermsIn {
    /// First event time priced; the beginning of time for a first version, now for later ones.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// First event time no longer priced.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Price where there is one tier.
    #[schema(value_type = Option<f64>)]
    price: Option<Quantity>,
    /// Ascending by `upTo`; the last has none.
    #[serde(default)]
    #[schema(value_type = Vec<Object>, max_items = 64)]
    tiers: Vec<TierForm>,
    /// Units of usage the price is for; 1 unless given. For money only.
    per: Option<u64>,
    /// Name of that unit; the meter's unless given.
    unit: Option<String>,
    /// Usage per billing period that is free. For money only.
    #[schema(value_type = Option<f64>)]
    allowance: Option<Quantity>,
    /// Whether usage is charged at all. For money only.
    billable: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    list_price: Field<Quantity>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    subscription_id: Field<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    charge_number: Field<String>,
    /// ISO 4217 code, for money only; the root's unless given.
    currency: Option<String>,
}

impl RateOut {
    pub(super) fn of(record: RateRecord, control: &ControlSnapshot) -> ApiResult<Self> {
        let rate = record.rate;
        let meter = control.meter(rate.meter.as_str())?;
        let tier = |tier: Tier| TierOut {
            up_to: tier.up_to,
            price: tier.price,
        };
        Ok(Self {
            id: rate.id,
            meter_id: rate.meter,
            meter: meter.map(|meter| meter.slug.clone()).unwrap_or_default(),
            organization_id: rate.organization,
            kind: rate.kind,
            since: rate.valid.start,
            until: rate.valid.end,
            per: rate.per,
            unit: rate.unit,
            tiers: rate.tiers.into_iter().map(tier).collect(),
            allowance: rate.allowance,
            billable: rate.billable,
            list_price: rate.list_price,
            subscription_id: rate.subscription_id,
            charge_number: rate.charge_number,
            currency: rate.currency,
            created_at: record.created_at,
            updated_at: record.updated_at,
        })
    }
}

impl RateIn {
    pub(super) fn check(self, caller: &Caller, now: Timestamp) -> ApiResult<Rate> {
        let meter = caller.control.meter(&self.meter)?;
        let meter = meter.ok_or_else(|| ApiError::not_found("meter"))?;
        if let Some(organization) = self.organization_id {
            caller.under(Permission::Declare, organization, now)?;
        }
        let root = caller.control.organization(caller.control.root());
        let root_currency = root.map(|root| root.newest().currency.clone());
        let rate = Rate {
            id: RateId::from_random(random::bits()),
            meter: meter.id,
            organization: self.organization_id,
            kind: self.kind,
            valid: TimeRange {
                start: self.terms.since,
                end: self.terms.until,
            },
            per: 1,
            unit: String::new(),
            tiers: tiers(self.terms.price, &self.terms.tiers).map_err(ApiError::invalid)?,
            allowance: Quantity::ZERO,
            billable: true,
            list_price: None,
            subscription_id: None,
            charge_number: None,
            currency: root_currency.filter(|_| self.kind == RateKind::Money),
        };
        self.terms.over(rate)
    }
}

impl RatePatch {
    /// The version that follows `rate`.
    pub(super) fn over(self, mut rate: Rate, now: Timestamp) -> ApiResult<Rate> {
        rate.valid.start = Some(self.terms.since.unwrap_or(now));
        rate.valid.end = self.terms.until.or(rate.valid.end);
        if self.terms.price.is_some() || !self.terms.tiers.is_empty() {
            let sent = tiers(self.terms.price, &self.terms.tiers);
            rate.tiers = sent.map_err(ApiError::invalid)?;
        }
        self.terms.over(rate)
    }
}

impl TermsIn {
    /// Lays everything but time and price over `rate`.
    fn over(self, mut rate: Rate) -> ApiResult<Rate> {
        rate.per = self.per.unwrap_or(rate.per);
        rate.unit = self.unit.unwrap_or(rate.unit);
        rate.allowance = self.allowance.unwrap_or(rate.allowance);
        rate.billable = self.billable.unwrap_or(rate.billable);
        rate.list_price = self.list_price.over(rate.list_price);
        rate.subscription_id = self.subscription_id.over(rate.subscription_id);
        rate.charge_number = self.charge_number.over(rate.charge_number);
        if let Some(currency) = self.currency {
            if rate.kind == RateKind::Ipu {
                return Err(ApiError::invalid("consumption units have no currency"));
            }
            fields::currency(&currency).map_err(ApiError::invalid)?;
            rate.currency = Some(currency);
        }
        if rate.per == 0 {
            return Err(ApiError::invalid("per is at least 1"));
        }
        if rate.valid.is_empty() {
            return Err(ApiError::invalid("until lies after since"));
        }
        match rate.ignored_terms().into_iter().next() {
            Some(term) => Err(ApiError::invalid(term)),
            None => Ok(rate),
        }
    }
}
