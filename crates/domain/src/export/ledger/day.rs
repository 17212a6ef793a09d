//! One day of one meter while it is priced, stretch by stretch.

use jiff::civil::Date;

use super::{DayLine, Stretch};
use crate::billing::BillingPeriod;
use crate::export::control::PriceList;
use crate::meter::Meter;
use crate::quantity::{Amount, Quantity, Total};
use crate::rate::{Rate, TierPart};

/// What a meter has used of its tiers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) period: BillingPeriod,
    pub(super) usage: Total,
}

impl Used {
    /// Nothing yet.
    pub(super) fn none(period: BillingPeriod) -> Self {
        Self {
            period,
            usage: Total::ZERO,
        }
    }
}

/// A day being priced.
pub(super) struct Day<'c> {
    pub(super) used: Used,
    pub(super) meter: Option<&'c Meter>,
    usage: Total,
    ipu: Amount,
    price: Quantity,
    /// The rate whose tier was reached last, and the highest tier of it.
    reached: Option<(&'c Rate, usize)>,
    parts: Vec<(Option<&'c Rate>, TierPart)>,
}

impl<'c> Day<'c> {
    pub(super) fn new(used: Used) -> Self {
        Self {
            used,
            meter: None,
            usage: Total::ZERO,
            ipu: Amount::from(Total::ZERO),
            price: Quantity::ZERO,
            reached: None,
            parts: Vec::new(),
        }
    }

    /// The line of the day, if it has usage, or none and `prints_zeros` says so.
    pub(super) fn line(self, date: Date, prints_zeros: bool) -> Option<DayLine<'c>> {
        let meter = self.meter?;
        let is_used = self.usage != Total::ZERO || !self.ipu.is_zero();
        let is_shown = is_used || (meter.zero_rows && prints_zeros);
        is_shown.then_some(DayLine {
            date,
            meter,
            usage: self.usage,
            ipu: self.ipu,
            price: self.price,
            parts: self.parts,
        })
    }

    /// Prices a stretch after what was used before; `None` when the amount is too large.
    pub(super) fn add(
        &mut self,
        prices: &PriceList<'c>,
        stretch: &Stretch<'c>,
        usage: Total,
        visible: bool,
    ) -> Option<()> {
        let factor = stretch.meter.scalar.factor.max(1);
        let before = self.used.usage;
        self.used.usage += usage;
        if !visible {
            return Some(());
        }
        self.meter = Some(stretch.meter);
        self.usage += usage;
        let rate = prices.at(stretch.meter.id, stretch.start);
        for part in parts(rate, before, usage, factor)? {
            self.ipu = self.ipu.checked_add(part.amount)?;
            self.parts.push((rate, part));
        }
        let most = stretch.climb.map_or(usage, |climb| climb.most.max(usage));
        self.reach(rate, |rate| rate.tier_reached(before, most, factor));
        Some(())
    }

    /// Notes the price of the highest tier reached of the rate that applies last.
    fn reach(&mut self, rate: Option<&'c Rate>, tier: impl Fn(&Rate) -> usize) {
        let version = |rate: &Rate| (rate.id, rate.valid.start);
        self.reached = rate.map(|rate| {
            let before = self.reached.filter(|(of, _)| version(of) == version(rate));
            (rate, before.map_or(0, |(_, tier)| tier).max(tier(rate)))
        });
        let reached = self.reached.and_then(|(rate, tier)| rate.tiers.get(tier));
        self.price = reached.map_or(Quantity::ZERO, |tier| tier.price);
    }
}

/// Usage by tier; without a rate all of it is in one tier and worth nothing.
pub(in crate::export) fn parts(
    rate: Option<&Rate>,
    used: Total,
    usage: Total,
    factor: u64,
) -> Option<Vec<TierPart>> {
    let free = TierPart {
        tier: 0,
        usage,
        amount: Amount::from(Total::ZERO),
    };
    rate.map_or(Some(vec![free]), |rate| rate.parts(used, usage, factor))
}
