//! The usage of one organization by day and meter, and what each day is worth.
//!
//! Between two cuts (a change of rate, meter version or place in the tree in the middle of a day)
//! everything that decides a price is constant. Tiers accumulate with usage, so the worth of such a
//! stretch depends only on what was used before it and in it: totals by day are enough.

mod climb;
mod day;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::control::{Control, Organization, PriceList};
use super::{AsOf, PlanError, day_after, midnight, utc_date};
use crate::aggregation::Fold;
use crate::ids::MeterId;
use crate::meter::Meter;
use crate::quantity::{Amount, Quantity, Total};
use crate::range::TimeRange;
use crate::rate::{Rate, RateKind, TierPart};
use crate::tree::Scope;
use climb::Climb;
use day::{Day, Used};

pub(super) use day::parts;

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
    /// The days on which meters that print zeros have a row without usage.
    zero_days: Option<TimeRange>,
}

/// Usage of a day between two cuts.
#[derive(Debug, Clone)]
struct Stretch<'c> {
    start: Timestamp,
    meter: &'c Meter,
    /// What was read; `None` where nothing was used.
    fold: Option<Fold>,
    /// What its events so far add up to, and the most they did, where they were read one by one.
    climb: Option<Climb>,
}

impl<'c> Stretch<'c> {
    fn empty(start: Timestamp, meter: &'c Meter) -> Self {
        Self {
            start,
            meter,
            fold: None,
            climb: None,
        }
    }

    /// Usage in readings.
    fn usage(&self) -> Total {
        let value = self.fold.as_ref().and_then(Fold::value);
        value.unwrap_or(Total::ZERO)
    }
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
            zero_days: None,
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
            fold: Some(fold),
            ..Stretch::empty(start, meter)
        });
    }

    /// Gives meters that print zeros a line on every day, from the first asked for to that of
    /// `as_of`; [`Self::lines`] shows those of meters in use.
    pub fn fill_zero_days(&mut self, as_of: AsOf) {
        let end = self.range.end.map_or(as_of.time, |end| end.min(as_of.time));
        let start = self.range.start.unwrap_or(end);
        let in_use: BTreeSet<_> = self.days.keys().map(|(meter, _)| *meter).collect();
        let zero: BTreeSet<_> = self.zero_versions().map(|meter| meter.id).collect();
        let mut date = utc_date(start);
        while midnight(date) < end {
            for meter in zero.intersection(&in_use) {
                self.days.entry((*meter, date)).or_default();
            }
            date = day_after(date);
        }
        self.zero_days = Some(TimeRange::between(start, end));
    }

    fn zero_versions(&self) -> impl Iterator<Item = &'c Meter> {
        let meters = self.meters.iter().copied();
        meters.filter(|meter| meter.zero_rows)
    }

    /// The lines of the days asked for, by date and meter, counting only usage inside `visible`.
    ///
    /// What lies outside still fills tiers: they belong to the organization, not to who looks. A
    /// day without usage has a line where some of it lies inside `visible`, for a meter that prints
    /// zeros and is used inside `seen`: what the reader of the file sees of the organization.
    pub fn lines(
        &self,
        visible: &[TimeRange],
        seen: &[TimeRange],
    ) -> Result<Vec<DayLine<'c>>, PlanError> {
        let mut lines = Vec::with_capacity(self.days.len());
        let mut used: Option<(MeterId, Used)> = None;
        let in_use = self.in_use(seen);
        for (&(meter, date), stretches) in &self.days {
            let period = self.organization.billing_period(date);
            let before = match used {
                Some((last, used)) if last == meter && period == used.period => used,
                _ => Used::none(period),
            };
            let mut day = Day::new(before);
            let prints_zeros = in_use.contains(&meter);
            let mut priced = self.price_day(stretches, visible, &mut day);
            if day.meter.is_none() && prints_zeros {
                let zero = self.zero_stretch(meter, date, visible);
                priced = priced.and_then(|()| {
                    zero.map_or(Some(()), |zero| {
                        self.price_zero(&zero, stretches, before, &mut day)
                    })
                });
            }
            priced.ok_or(PlanError::TooLarge { meter, date })?;
            used = Some((meter, day.used));
            if self.range.contains(midnight(date)) {
                lines.extend(day.line(date, prints_zeros));
            }
        }
        lines.sort_by_key(|line| (line.date, line.meter.id));
        Ok(lines)
    }

    /// The first part of a day inside `visible` in which a version that prints zeros is in force.
    fn zero_stretch(
        &self,
        meter: MeterId,
        date: Date,
        visible: &[TimeRange],
    ) -> Option<Stretch<'c>> {
        let day = TimeRange::between(midnight(date), midnight(day_after(date)));
        self.zero_days
            .filter(|days| days.contains(midnight(date)))?;
        let versions = self.zero_versions().filter(|version| version.id == meter);
        let parts = versions.flat_map(|meter| {
            let inside = day.intersect(&meter.valid);
            let parts = visible.iter().map(move |range| range.intersect(&inside));
            let parts = parts.filter(|part| !part.is_empty());
            parts.map(move |part| Stretch::empty(part.start.unwrap_or(midnight(date)), meter))
        });
        parts.min_by_key(|stretch| stretch.start)
    }

    /// Prices nothing at the start of a stretch: what was used before it has filled the tiers.
    fn price_zero(
        &self,
        zero: &Stretch<'c>,
        stretches: &[Stretch<'c>],
        mut before: Used,
        day: &mut Day<'c>,
    ) -> Option<()> {
        let earlier = stretches.iter().filter(|each| each.start < zero.start);
        for stretch in earlier.filter(|each| each.meter.rule.aggregation.is_additive()) {
            before.usage += stretch.usage();
        }
        let after = std::mem::replace(&mut day.used, before);
        day.add(&self.prices, zero, Total::ZERO, true)?;
        day.used = after;
        Some(())
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
                let visible = is_visible(stretch.start);
                day.add(&self.prices, stretch, stretch.usage(), visible)?;
            }
            return Some(());
        }
        // One number per day: all of it fills the tiers, the visible part of it is what is shown,
        // at the rate that holds when the last of it is read.
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
