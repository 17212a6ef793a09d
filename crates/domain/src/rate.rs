//! Rates: what a unit of usage is worth, in consumption units (IPU) or money.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{MeterId, OrganizationId, RateId};
use crate::quantity::{Amount, Quantity, Total};
use crate::range::TimeRange;

/// What a rate turns usage into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateKind {
    /// Processing units.
    Ipu,
    /// Money in the rate's currency.
    Money,
}

/// One version of a rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Identifier, the same for all versions.
    pub id: RateId,
    /// Meter it prices.
    pub meter: MeterId,
    /// Organization it is for; `None` for the account's default.
    pub organization: Option<OrganizationId>,
    /// What it turns usage into.
    pub kind: RateKind,
    /// Event times it prices.
    pub valid: TimeRange,
    /// Units of usage the price is for, at least one.
    pub per: u64,
    /// Name of that unit; empty for the meter's.
    pub unit: String,
    /// Prices by accumulated usage: ascending, the last one open.
    pub tiers: Vec<Tier>,
    /// Usage per billing period that is free.
    pub allowance: Quantity,
    /// Whether usage is charged at all.
    pub billable: bool,
    /// Price before discount.
    pub list_price: Option<Quantity>,
    /// Subscription the charge belongs to.
    pub subscription_id: Option<String>,
    /// Charge number on the subscription.
    pub charge_number: Option<String>,
    /// ISO 4217 code; `None` for IPU.
    pub currency: Option<String>,
}

/// One step of a price list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Accumulated usage in scalar units this tier ends at; `None` for no end.
    pub up_to: Option<Quantity>,
    /// Price of one scalar unit inside it.
    pub price: Quantity,
}

impl Rate {
    /// The terms that count in money only and that this rate of kind IPU has nevertheless, each
    /// with what is expected instead. Such rates price as if they had none of them.
    pub fn ignored_terms(&self) -> Vec<String> {
        let mut ignored = Vec::new();
        if self.kind != RateKind::Ipu {
            return ignored;
        }
        if self.per != 1 {
            let rule = "expected 1, since an ipu price is for one unit of the meter's scalar";
            ignored.push(format!("per is {}: {rule}", self.per));
        }
        if self.allowance != Quantity::ZERO {
            let rule = "expected 0, since ipu has none; make it a first tier of price 0";
            ignored.push(format!("allowance is {}: {rule}", self.allowance));
        }
        if !self.billable {
            let rule = "expected true, since ipu counts all usage; make the price 0";
            ignored.push(format!("billable is false: {rule}"));
        }
        ignored
    }

    /// Cuts `usage` that starts after `used` (both in units of the meter's readings) at the borders
    /// of the tiers, whose bounds are in scalar units of `factor` readings each.
    ///
    /// Gives the index of each tier touched, ascending, and the exact part of `usage` inside it;
    /// negative usage gives back what it takes from each tier as negative parts.
    pub fn split(&self, used: Total, usage: Total, factor: u64) -> Vec<(usize, Total)> {
        let end = used + usage;
        if end < used {
            let parts = self.split(end, used - end, factor);
            let negate = |(tier, part)| (tier, Total::ZERO - part);
            return parts.into_iter().map(negate).collect();
        }
        let mut parts = Vec::with_capacity(1);
        let mut start = used;
        for index in 0..self.tiers.len() {
            let stop = self
                .border(index, factor)
                .map_or(end, |border| border.min(end));
            if stop > start {
                parts.push((index, stop - start));
                start = stop;
            }
            if start >= end {
                break;
            }
        }
        parts
    }

    /// Index of the highest tier reached while usage went from `used` to `used + usage`.
    ///
    /// A tier is reached once something lies inside it; 0 before any usage.
    pub fn tier_reached(&self, used: Total, usage: Total, factor: u64) -> usize {
        let most = used.max(used + usage);
        let below = |index: &usize| {
            let border = self.border(*index, factor);
            border.is_some_and(|border| border < most)
        };
        let full = (0..self.tiers.len()).take_while(below).count();
        full.min(self.tiers.len().saturating_sub(1))
    }

    /// Where tier `index` ends, in readings.
    fn border(&self, index: usize, factor: u64) -> Option<Total> {
        let bound = self.tiers.get(index)?.up_to?;
        let units = Total::from(bound).units() * ethnum::I256::from(factor);
        Some(Total::from_units(units))
    }

    /// What `usage` after `used` costs, tier by tier: part x price / `factor`.
    ///
    /// `None` when a product does not fit 256 bits.
    pub fn parts(&self, used: Total, usage: Total, factor: u64) -> Option<Vec<TierPart>> {
        let parts = self.split(used, usage, factor);
        let priced = parts.into_iter().map(|(tier, usage)| {
            let amount = Amount::product(usage, self.tiers[tier].price, factor)?;
            Some(TierPart {
                tier,
                usage,
                amount,
            })
        });
        priced.collect()
    }

    /// What `usage` after `used` costs in all; `None` when it does not fit 256 bits.
    pub fn price(&self, used: Total, usage: Total, factor: u64) -> Option<Amount> {
        let mut parts = self.parts(used, usage, factor)?.into_iter();
        parts.try_fold(Amount::from(Total::ZERO), |sum, part| {
            sum.checked_add(part.amount)
        })
    }
}

/// Usage inside one tier, and its worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierPart {
    /// Index of the tier.
    pub tier: usize,
    /// Usage in readings.
    pub usage: Total,
    /// Its worth, unrounded.
    pub amount: Amount,
}

/// The one rate of `kind` for a reading: the organization's own first, then the default.
pub fn applicable(
    rates: &[Rate],
    kind: RateKind,
    meter: MeterId,
    organization: OrganizationId,
    time: Timestamp,
) -> Option<&Rate> {
    let fits = |rate: &&Rate| rate.kind == kind && rate.meter == meter && rate.valid.contains(time);
    let own = rates
        .iter()
        .filter(fits)
        .find(|rate| rate.organization == Some(organization));
    own.or_else(|| {
        rates
            .iter()
            .filter(fits)
            .find(|rate| rate.organization.is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiered() -> Rate {
        let tier = |up_to: Option<&str>, price: &str| Tier {
            up_to: up_to.map(|bound| bound.parse().unwrap()),
            price: price.parse().unwrap(),
        };
        let tiers = vec![
            tier(Some("2"), "6"),
            tier(Some("3"), "0.6"),
            tier(None, "0.06"),
        ];
        Rate {
            id: RateId::from_random(1),
            meter: MeterId::from_random(2),
            organization: None,
            kind: RateKind::Ipu,
            valid: TimeRange::ALWAYS,
            per: 1,
            unit: String::new(),
            tiers,
            allowance: Quantity::ZERO,
            billable: true,
            list_price: None,
            subscription_id: None,
            charge_number: None,
            currency: None,
        }
    }

    fn total(text: &str) -> Total {
        Total::from(text.parse::<Quantity>().unwrap())
    }

    #[test]
    fn usage_that_crosses_a_border_is_split_exactly() {
        let split = |used: &str, usage: &str| {
            let parts = tiered().split(total(used), total(usage), 100);
            let parts = parts.iter().map(|(tier, part)| format!("{tier}:{part}"));
            parts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(split("0", "150.5"), "0:150.5");
        assert_eq!(split("150.5", "100"), "0:49.5 1:50.5");
        assert_eq!(split("150", "1000"), "0:50 1:100 2:850");
        assert_eq!(split("200", "0"), "");
        assert_eq!(split("250", "-100"), "0:-50 1:-50");
        assert_eq!(split("-5", "10"), "0:10");
    }

    #[test]
    fn terms_that_only_money_has_are_named() {
        let plain = tiered();
        assert!(plain.ignored_terms().is_empty());
        let with_terms = Rate {
            per: 1_000,
            allowance: "0.5".parse().unwrap(),
            billable: false,
            ..plain
        };
        let fields = with_terms.ignored_terms().into_iter();
        let fields: Vec<_> = fields
            .map(|term| term.split(',').next().unwrap().to_owned())
            .collect();
        assert_eq!(
            fields,
            [
                "per is 1000: expected 1",
                "allowance is 0.5: expected 0",
                "billable is false: expected true"
            ]
        );
        let money = Rate {
            kind: RateKind::Money,
            ..with_terms
        };
        assert!(money.ignored_terms().is_empty());
    }

    #[test]
    fn the_highest_tier_is_the_last_with_usage_inside() {
        let tier = |used, usage| tiered().tier_reached(total(used), total(usage), 100);
        assert_eq!(tier("0", "0"), 0);
        assert_eq!(tier("0", "200"), 0);
        assert_eq!(tier("0", "200.1"), 1);
        assert_eq!(tier("250", "-100"), 1);
        assert_eq!(tier("150", "1000"), 2);
    }

    #[test]
    fn the_price_of_a_day_is_the_sum_of_its_parts() {
        let price = |used, usage| {
            let amount = tiered().price(total(used), total(usage), 100);
            amount.unwrap().fixed(12)
        };
        assert_eq!(price("150", "1000"), "4.110000000000");
        assert_eq!(price("1150", "-1000"), "-4.110000000000");
        assert_eq!(price("0", "0"), "0.000000000000");
    }
}
