//! The usage of one organization by day and meter, and what each day is worth.
//!
//! Between two cuts (a change of rate, meter version or place in the tree in the middle of a day)
//! everything that decides a price is constant. Tiers accumulate with usage, so the worth of such a
//! stretch depends only on what was used before it and in it: totals by day are enough.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::control::{Control, Organization, PriceList};
use super::{AsOf, PlanError, day_after, midnight, utc_date};
use crate::aggregation::Fold;
use crate::billing::BillingPeriod;
use crate::ids::MeterId;
use crate::meter::Meter;
use crate::quantity::{Amount, Quantity, Total};
use crate::range::TimeRange;
use crate::rate::{Rate, RateKind, TierPart};
use crate::tree::Scope;

/// Totals by UTC day to ask the store for.
#[derive(Debug, Clone)]
pub struct UsageRead<'c> {
    /// Whose usage, and when.
    pub scope: Scope,
    /// Meter versions to total.
    pub meters: Vec<&'c Meter>,
    start: Timestamp,
}

/// What one organization used of one meter on one day, and its worth.
#[derive(Debug, Clone)]
pub struct DayLine<'c> {
    /// The UTC day.
    pub date: Date,
    /// The meter, in its last version of the day.
    pub meter: &'c Meter,
    /// Usage in readings.
    pub usage: Total,
    /// Its worth, unrounded.
    pub ipu: Amount,
    /// Price of the highest tier reached that day.
    pub price: Quantity,
    /// Usage and worth by the rate that applies, if any, and its tier.
    pub(super) parts: Vec<(Option<&'c Rate>, TierPart)>,
}

/// The days and meters of one organization.
#[derive(Debug, Clone)]
pub struct Ledger<'c> {
    organization: &'c Organization,
    meters: Vec<&'c Meter>,
    prices: PriceList<'c>,
    range: TimeRange,
    days: BTreeMap<(MeterId, Date), Vec<Stretch<'c>>>,
}

/// Usage of a day between two cuts.
#[derive(Debug, Clone)]
struct Stretch<'c> {
    start: Timestamp,
    meter: &'c Meter,
    /// What was read; `None` for a day on which nothing was used.
    fold: Option<Fold>,
}

/// What a meter has used of its tiers.
#[derive(Debug, Clone, Copy)]
struct Used {
    period: BillingPeriod,
    usage: Total,
}

impl<'c> UsageRead<'c> {
    /// The meter version with this place, and when its part of a day starts.
    pub(super) fn stretch(&self, meter: usize, day: Timestamp) -> (&'c Meter, Timestamp) {
        let meter = self.meters[meter];
        let start = day.max(self.start);
        let start = meter.valid.start.map_or(start, |since| start.max(since));
        (meter, start)
    }
}

impl<'c> Ledger<'c> {
    /// An empty ledger for the days of `range`, for usage of `organization` by the meters that
    /// pass.
    pub(super) fn of(
        control: &'c Control,
        organization: &'c Organization,
        range: TimeRange,
        passes: impl Fn(&Meter) -> bool,
    ) -> Self {
        let metered = |meter: &&Meter| {
            let is_linked = super::linked::is_linked(meter.id);
            meter.rule.aggregation.is_rateable() && !is_linked && passes(meter)
        };
        Self {
            organization,
            meters: control.meters.iter().filter(metered).collect(),
            prices: PriceList::new(&control.rates, RateKind::Ipu, organization.id),
            range,
            days: BTreeMap::new(),
        }
    }

    /// The totals to read: from the first day on, for tiers from the start of its billing period.
    ///
    /// `borders` are instants at which something else changes, such as the place in the tree.
    pub fn reads(&self, borders: &[Timestamp]) -> Vec<UsageRead<'c>> {
        let (tiered, plain): (Vec<_>, Vec<_>) =
            self.meters.iter().partition(|meter| self.is_tiered(meter));
        let mut reads = self.cut(&plain, self.range, borders);
        reads.extend(self.cut(
            &tiered,
            whole_periods(self.organization, self.range),
            borders,
        ));
        reads
    }

    /// The meter versions of the ledger.
    pub(super) fn meters(&self) -> &[&'c Meter] {
        &self.meters
    }

    /// Whose usage it is.
    pub(super) fn organization(&self) -> &'c Organization {
        self.organization
    }

    /// Whether usage of all its meters splits along every dimension.
    pub(super) fn is_additive(&self) -> bool {
        let mut meters = self.meters.iter();
        meters.all(|meter| meter.rule.aggregation.is_additive())
    }

    fn is_tiered(&self, meter: &Meter) -> bool {
        self.prices.of(meter.id).any(|rate| rate.tiers.len() > 1)
    }

    /// Cuts `range` wherever a price may change in the middle of a day.
    fn cut(
        &self,
        meters: &[&'c Meter],
        range: TimeRange,
        borders: &[Timestamp],
    ) -> Vec<UsageRead<'c>> {
        let rates = meters.iter().flat_map(|meter| self.prices.of(meter.id));
        let ranges = rates.map(|rate| rate.valid);
        let ranges = ranges.chain(meters.iter().map(|meter| meter.valid));
        let bounds = ranges.flat_map(|valid| [valid.start, valid.end]).flatten();
        let inside = |instant: &Timestamp| {
            range.contains(*instant) && midnight(utc_date(*instant)) != *instant
        };
        let cuts: BTreeSet<_> = bounds
            .chain(borders.iter().copied())
            .filter(inside)
            .collect();
        let mut starts = vec![range.start];
        starts.extend(cuts.into_iter().map(Some));
        let ends = starts.iter().skip(1).copied().chain([range.end]);
        let whole = Scope::alone(self.organization.id);
        let read = |(start, end): (Option<Timestamp>, Option<Timestamp>)| {
            let part = TimeRange { start, end };
            let overlaps = |meter: &&&Meter| !meter.valid.intersect(&part).is_empty();
            UsageRead {
                scope: whole.within(part),
                meters: meters.iter().filter(overlaps).copied().collect(),
                start: start.unwrap_or(Timestamp::MIN),
            }
        };
        let reads = starts.iter().copied().zip(ends).map(read);
        reads.filter(|read| !read.meters.is_empty()).collect()
    }

    /// Takes one total of a read: meter by its place there, day by its first instant.
    ///
    /// Reads come in the order of [`Self::reads`].
    pub fn add(&mut self, read: &UsageRead<'c>, meter: usize, day: Timestamp, fold: Fold) {
        let (meter, start) = read.stretch(meter, day);
        let stretches = self.days.entry((meter.id, utc_date(day))).or_default();
        stretches.push(Stretch {
            start,
            meter,
            fold: Some(fold),
        });
    }

    /// Adds an empty day wherever a meter that prints zeros has none, from the first day asked for
    /// to that of `as_of`; [`Self::lines`] shows those of meters in use.
    pub fn fill_zero_days(&mut self, as_of: AsOf) {
        let in_use: BTreeSet<_> = self.days.keys().map(|(meter, _)| *meter).collect();
        let zero = self.meters.iter().filter(|meter| meter.zero_rows);
        let zero: Vec<_> = zero.filter(|meter| in_use.contains(&meter.id)).collect();
        let end = self.range.end.map_or(as_of.time, |end| end.min(as_of.time));
        let mut date = utc_date(self.range.start.unwrap_or(end));
        while midnight(date) < end {
            let start = midnight(date);
            for meter in zero.iter().filter(|meter| meter.valid.contains(start)) {
                let stretches = self.days.entry((meter.id, date)).or_default();
                if stretches.is_empty() {
                    let fold = None;
                    stretches.push(Stretch { start, meter, fold });
                }
            }
            date = day_after(date);
        }
    }

    /// The lines of the days asked for, by date and meter, counting only usage inside `visible`.
    ///
    /// What lies outside still fills tiers: they belong to the organization, not to who looks. A day
    /// without usage has a line when it was filled, for a meter in use inside `visible`.
    pub fn lines(&self, visible: &[TimeRange]) -> Result<Vec<DayLine<'c>>, PlanError> {
        let mut lines = Vec::with_capacity(self.days.len());
        let mut used: Option<(MeterId, Used)> = None;
        let in_use = self.in_use(visible);
        for (&(meter, date), stretches) in &self.days {
            let period = self.organization.billing_period(date);
            let before = match used {
                Some((last, used)) if last == meter && period == used.period => used,
                _ => Used {
                    period,
                    usage: Total::ZERO,
                },
            };
            let mut day = Day::new(before);
            let priced = self.price_day(stretches, visible, &mut day);
            priced.ok_or(PlanError::TooLarge { meter, date })?;
            used = Some((meter, day.used));
            let is_used = day.usage != Total::ZERO || !day.ipu.is_zero();
            let is_zero_row = day.meter.is_some_and(|meter| meter.zero_rows);
            let shown = is_used || (is_zero_row && in_use.contains(&meter));
            let inside = self.range.contains(midnight(date));
            if let Some(meter) = day.meter.filter(|_| inside && shown) {
                let (usage, ipu, price, parts) = (day.usage, day.ipu, day.price, day.parts);
                lines.push(DayLine {
                    date,
                    meter,
                    usage,
                    ipu,
                    price,
                    parts,
                });
            }
        }
        lines.sort_by_key(|line| (line.date, line.meter.id));
        Ok(lines)
    }

    /// The meters used on the days asked for, as far as one sees.
    fn in_use(&self, visible: &[TimeRange]) -> BTreeSet<MeterId> {
        let is_seen = |stretch: &Stretch<'_>| {
            let is_visible = visible.iter().any(|range| range.contains(stretch.start));
            stretch.fold.is_some() && is_visible && self.range.contains(stretch.start)
        };
        let days = self.days.iter();
        let used = days.filter(|(_, stretches)| stretches.iter().any(is_seen));
        used.map(|((meter, _), _)| *meter).collect()
    }

    fn price_day(
        &self,
        stretches: &[Stretch<'c>],
        visible: &[TimeRange],
        day: &mut Day<'c>,
    ) -> Option<()> {
        let is_visible = |start| visible.iter().any(|range| range.contains(start));
        let additive = |stretch: &Stretch<'_>| stretch.meter.rule.aggregation.is_additive();
        if stretches.iter().all(additive) {
            for stretch in stretches {
                let fold = stretch.fold.as_ref();
                let usage = fold.and_then(Fold::value).unwrap_or(Total::ZERO);
                day.add(&self.prices, stretch, usage, is_visible(stretch.start))?;
            }
            return Some(());
        }
        // One number per day: all of it fills the tiers, the visible part of it is what is shown.
        let last = stretches.last()?;
        let seen = stretches.iter().filter(|stretch| is_visible(stretch.start));
        let all = merged(stretches.iter(), last)
            .value()
            .unwrap_or(Total::ZERO);
        if let Some(shown) = seen.clone().next_back() {
            let usage = merged(seen, shown).value().unwrap_or(Total::ZERO);
            let before = day.used;
            day.add(&self.prices, shown, usage, true)?;
            day.used = before;
        }
        day.used.usage += all;
        Some(())
    }
}

/// The range from the start of the billing period its first day lies in.
pub(super) fn whole_periods(organization: &Organization, range: TimeRange) -> TimeRange {
    let first = range.start.map(|start| {
        let period = organization.billing_period(utc_date(start));
        midnight(period.start)
    });
    TimeRange {
        start: first,
        ..range
    }
}

/// The folds of all stretches that aggregate as `last` does, as one.
fn merged<'s, 'c: 's>(
    stretches: impl Iterator<Item = &'s Stretch<'c>>,
    last: &Stretch<'c>,
) -> Fold {
    let aggregation = last.meter.rule.aggregation;
    let mut whole = Fold::new(aggregation);
    stretches
        .filter(|stretch| stretch.meter.rule.aggregation == aggregation)
        .filter_map(|stretch| stretch.fold.clone())
        .for_each(|fold| whole.merge(fold));
    whole
}

/// A day being priced.
struct Day<'c> {
    used: Used,
    meter: Option<&'c Meter>,
    usage: Total,
    ipu: Amount,
    price: Quantity,
    parts: Vec<(Option<&'c Rate>, TierPart)>,
}

impl<'c> Day<'c> {
    fn new(used: Used) -> Self {
        Self {
            used,
            meter: None,
            usage: Total::ZERO,
            ipu: Amount::from(Total::ZERO),
            price: Quantity::ZERO,
            parts: Vec::new(),
        }
    }

    /// Prices a stretch after what was used before; `None` when the amount is too large.
    fn add(
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
        let tier = rate.and_then(|rate| {
            let reached = rate.tier_reached(before, usage, factor);
            rate.tiers.get(reached)
        });
        self.price = tier.map_or(Quantity::ZERO, |tier| tier.price);
        Some(())
    }
}

/// Usage by tier; without a rate all of it is in one tier and worth nothing.
pub(super) fn parts(
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
