//! Rates of a setup file.

use domain::limits::TIERS_MAX;
use domain::meter::Meter;
use domain::quantity::Quantity;
use domain::range::TimeRange;
use domain::rate::{RateKind, Tier};

use super::{DeclaredMeter, DeclaredRate, Names, fields, refer};
use crate::setup::SetupError;
use crate::setup::form::{RateForm, TierForm};

/// What rates refer to.
pub(super) struct Rated<'a> {
    /// Organizations.
    pub(super) names: &'a Names,
    /// Currency of the root.
    pub(super) currency: Option<&'a str>,
    /// Meters of the file.
    pub(super) meters: &'a [DeclaredMeter],
    /// Live meters of the account.
    pub(super) stored: &'a [Meter],
}

/// Checks every version; those of one meter, organization and kind follow each other in time.
pub(super) fn check(
    forms: &[RateForm],
    rated: &Rated<'_>,
) -> Result<Vec<DeclaredRate>, SetupError> {
    let mut declared = Vec::with_capacity(forms.len());
    for form in forms {
        let place = format!("rate of meter {:?}", form.meter);
        let organization = match &form.organization {
            Some(text) => Some(refer(rated.names, &place, Some(text))?),
            None => None,
        };
        let rate =
            rate(form, organization, rated).map_err(|message| SetupError::rule(place, message))?;
        declared.push(rate);
    }
    declared.sort_by(|left, right| key(left).cmp(&key(right)));
    cut_at_successors(&mut declared)?;
    Ok(declared)
}

type Key<'a> = (&'a str, Option<usize>, bool, Option<domain::Timestamp>);

fn key(rate: &DeclaredRate) -> Key<'_> {
    let is_money = rate.kind == RateKind::Money;
    (&rate.meter, rate.organization, is_money, rate.valid.start)
}

fn cut_at_successors(declared: &mut [DeclaredRate]) -> Result<(), SetupError> {
    for next in 1..declared.len() {
        let (before, after) = declared.split_at_mut(next);
        let (before, after) = (&mut before[next - 1], &after[0]);
        let same = (key(before).0, key(before).1, key(before).2)
            == (key(after).0, key(after).1, key(after).2);
        if !same {
            continue;
        }
        if before.valid.start == after.valid.start {
            let message = "two rates of one kind start at the same time";
            let place = format!("rate of meter {:?}", before.meter);
            return Err(SetupError::rule(place, message));
        }
        before.valid.end = match (before.valid.end, after.valid.start) {
            (Some(end), Some(start)) => Some(end.min(start)),
            (end, start) => end.or(start),
        };
    }
    Ok(())
}

fn rate(
    form: &RateForm,
    organization: Option<usize>,
    rated: &Rated<'_>,
) -> Result<DeclaredRate, String> {
    can_be_rated(&form.meter, rated)?;
    let valid = TimeRange {
        start: form.since.map(|since| since.0),
        end: form.until.map(|until| until.0),
    };
    if valid.is_empty() {
        return Err("`until` lies after `since`".to_owned());
    }
    fields::text(&form.unit)?;
    let names = [&form.subscription_id, &form.charge_number];
    let mut names = names.into_iter().flatten();
    names.try_for_each(|name| fields::name(name))?;
    let per = form.per.unwrap_or(1);
    if per == 0 {
        return Err("`per` is at least 1".to_owned());
    }
    Ok(DeclaredRate {
        meter: form.meter.clone(),
        organization,
        kind: form.kind,
        valid,
        per,
        unit: form.unit.clone(),
        tiers: tiers(form.price, &form.tiers)?,
        allowance: form.allowance.unwrap_or(Quantity::ZERO),
        billable: form.billable.unwrap_or(true),
        list_price: form.list_price,
        subscription_id: form.subscription_id.clone(),
        charge_number: form.charge_number.clone(),
        currency: currency(form.kind, form.currency.as_deref().or(rated.currency), form)?,
    })
}

/// Refuses a slug that neither the file nor the account has a meter for that adds up.
fn can_be_rated(slug: &str, rated: &Rated<'_>) -> Result<(), String> {
    let declared = rated.meters.iter().map(|meter| &meter.version);
    let declared: Vec<_> = declared.filter(|meter| meter.slug == slug).collect();
    let stored = rated.stored.iter().filter(|meter| meter.slug == slug);
    let versions = match declared.as_slice() {
        [] => stored.collect(),
        _ => declared,
    };
    if versions.is_empty() {
        return Err("neither the file nor the account has a meter with this slug".to_owned());
    }
    let mut aggregations = versions.iter().map(|meter| meter.rule.aggregation);
    match aggregations.find(|aggregation| !aggregation.is_rateable()) {
        Some(aggregation) => Err(format!(
            "a meter that folds by {aggregation:?} cannot be rated"
        )),
        None => Ok(()),
    }
}

/// The price of one tier, or tiers that ascend to an open end.
pub fn tiers(price: Option<Quantity>, forms: &[TierForm]) -> Result<Vec<Tier>, String> {
    let tiers: Vec<Tier> = match (price, forms) {
        (Some(price), []) => vec![Tier { up_to: None, price }],
        (None, [_, ..]) => forms
            .iter()
            .map(|form| Tier {
                up_to: form.up_to,
                price: form.price,
            })
            .collect(),
        _ => return Err("give `price` or `tiers`, one of them".to_owned()),
    };
    if tiers.len() > TIERS_MAX {
        return Err(format!("a rate has at most {TIERS_MAX} tiers"));
    }
    let (last, inner) = tiers.split_last().expect("there is one tier at least");
    let mut bound = Quantity::ZERO;
    let ascending = inner.iter().all(|tier| {
        let above = tier.up_to.is_some_and(|up_to| up_to > bound);
        bound = tier.up_to.unwrap_or(bound);
        above
    });
    if !ascending || last.up_to.is_some() {
        return Err("tiers ascend by `upTo`, and the last has none".to_owned());
    }
    if tiers.iter().any(|tier| tier.price < Quantity::ZERO) {
        return Err("a price is not negative".to_owned());
    }
    Ok(tiers)
}

fn currency(
    kind: RateKind,
    currency: Option<&str>,
    form: &RateForm,
) -> Result<Option<String>, String> {
    match (kind, currency) {
        (RateKind::Ipu, _) if form.currency.is_some() => {
            Err("consumption units have no currency".to_owned())
        }
        (RateKind::Ipu, _) => Ok(None),
        (RateKind::Money, None) => Err("money needs a currency, its own or the root's".to_owned()),
        (RateKind::Money, Some(code)) => {
            fields::currency(code)?;
            Ok(Some(code.to_owned()))
        }
    }
}
