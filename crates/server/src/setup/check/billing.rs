//! Billing anchors of a setup file.

use domain::Timestamp;
use metadata::{BillingPeriod, InheritedAnchor, OrganizationAttributes};

use super::fields;
use crate::setup::form::{BillingForm, OrganizationForm};

/// Parts of a billing anchor that are an organization's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnAnchor {
    /// How long a period is.
    pub period: Option<BillingPeriod>,
    /// Day of the month.
    pub day: Option<u8>,
    /// Month of the year.
    pub month: Option<u8>,
}

/// A billing anchor from a time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredBilling {
    /// From when on; none for the beginning of time.
    pub since: Option<Timestamp>,
    /// The parts that are not the parent's.
    pub own: OwnAnchor,
}

impl OwnAnchor {
    /// The parts of stored attributes that are the organization's own.
    pub fn of(attributes: &OrganizationAttributes) -> Self {
        let (anchor, inherited) = (attributes.anchor, attributes.inherited);
        Self {
            period: (!inherited.period).then_some(anchor.period),
            day: (!inherited.day).then_some(anchor.day),
            month: (!inherited.month).then_some(anchor.month),
        }
    }

    /// Makes these parts the own ones, and leaves the others as they are.
    pub fn lay_over(self, attributes: &mut OrganizationAttributes) {
        let (anchor, inherited) = (&mut attributes.anchor, &mut attributes.inherited);
        anchor.period = self.period.unwrap_or(anchor.period);
        anchor.day = self.day.unwrap_or(anchor.day);
        anchor.month = self.month.unwrap_or(anchor.month);
        inherited.period &= self.period.is_none();
        inherited.day &= self.day.is_none();
        inherited.month &= self.month.is_none();
    }

    /// Makes these parts the only own ones.
    pub fn replace(self, attributes: &mut OrganizationAttributes) {
        attributes.inherited = InheritedAnchor::ALL;
        self.lay_over(attributes);
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn check(period: Option<&str>, day: Option<u8>, month: Option<u8>) -> Result<Self, String> {
        day.map_or(Ok(()), fields::anchor_day)?;
        month.map_or(Ok(()), fields::anchor_month)?;
        let period = period.map(fields::billing_period).transpose()?;
        Ok(Self { period, day, month })
    }
}

/// The parts that hold from now on, and the anchors by time; one of the two.
pub(super) fn check(form: &OrganizationForm) -> Result<(OwnAnchor, Vec<DeclaredBilling>), String> {
    let period = form.billing_period.as_deref();
    let now = OwnAnchor::check(period, form.anchor_day, form.anchor_month)?;
    let Some(entries) = &form.billing else {
        return Ok((now, Vec::new()));
    };
    if !now.is_empty() {
        return Err("give `billing`, or billingPeriod, anchorDay and anchorMonth, not both".into());
    }
    if entries.is_empty() {
        return Err("billing is empty: expected {period, anchorDay, anchorMonth, since}".into());
    }
    let declared = entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    if declared
        .windows(2)
        .any(|pair| pair[0].since >= pair[1].since)
    {
        return Err(
            "billing: entries come in order, each with a `since` after the one before".into(),
        );
    }
    Ok((now, declared))
}

fn entry(form: &BillingForm) -> Result<DeclaredBilling, String> {
    Ok(DeclaredBilling {
        since: form.since.map(|since| since.0),
        own: OwnAnchor::check(form.period.as_deref(), form.anchor_day, form.anchor_month)?,
    })
}
