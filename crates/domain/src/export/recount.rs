//! A second reading of usage and its worth, by another way than the rows of a file come about.
//!
//! Rows are read by day, group or event; a recount asks for as few numbers as prices allow: one for
//! each meter and stretch of time in which nothing that decides a price changes. A file whose rows
//! do not add up to it, before any rounding, is wrong, whichever of the two is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::control::{Control, Organization, PriceList};
use super::detail::DetailSum;
use super::ledger::whole_periods;
use super::{PlanError, day_after, linked, midnight, utc_date};
use crate::aggregation::{Aggregation, Fold};
use crate::billing::BillingPeriod;
use crate::ids::MeterId;
use crate::meter::Meter;
use crate::quantity::{Amount, Total};
use crate::range::TimeRange;
use crate::rate::RateKind;
use crate::tree::Scope;

/// Usage and consumption of one organization by meter, as far as it is counted.
#[derive(Debug, Clone)]
pub struct Recount<'c> {
    organization: &'c Organization,
    prices: PriceList<'c>,
    range: TimeRange,
    borders: Vec<Timestamp>,
    meters: BTreeMap<MeterId, Vec<&'c Meter>>,
    left_out: BTreeSet<MeterId>,
    parts: BTreeMap<(MeterId, Timestamp), Part<'c>>,
}

/// Totals to ask the store for.
#[derive(Debug, Clone)]
pub struct RecountRead<'c> {
    /// Whose usage, and when.
    pub scope: Scope,
    /// Meter versions to total.
    pub meters: Vec<&'c Meter>,
    /// How the totals are taken apart.
    pub grouping: Grouping,
    start: Timestamp,
}

/// How the totals of a recount are taken apart: never as those of the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grouping {
    /// Not at all: meters that split along every dimension.
    Whole,
    /// By UTC hour: meters that give one number per day.
    Hours,
    /// By UTC day and project: texts told apart, which by hour would take more room.
    Projects,
}

/// A meter whose rows do not add up to what is counted.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// The meter.
    pub meter: MeterId,
    /// What the rows add up to.
    pub rows: DetailSum,
    /// What is counted.
    pub counted: DetailSum,
}

/// Usage between two cuts; of meters that give one number per day, of one day at most.
#[derive(Debug, Clone)]
struct Part<'c> {
    meter: &'c Meter,
    fold: Fold,
}

type Placed<'r, 'c> = (&'r (MeterId, Timestamp), &'r Part<'c>);

impl<'c> Recount<'c> {
    /// Counts the usage of `organization` on the days of `range` by those meters that pass and that
    /// summaries hold. `borders` are instants at which it comes into or out of someone's sight.
    ///
    /// Left out are meters whose versions aggregate differently: no single question covers them.
    pub(super) fn new(
        control: &'c Control,
        organization: &'c Organization,
        (range, borders): (TimeRange, Vec<Timestamp>),
        passes: impl Fn(&Meter) -> bool,
    ) -> Self {
        let mut meters = BTreeMap::<_, Vec<_>>::new();
        let metered = |meter: &&Meter| {
            let is_linked = linked::is_linked(meter.id);
            meter.rule.aggregation.is_rateable() && !is_linked && passes(meter)
        };
        for meter in control.meters.iter().filter(metered) {
            meters.entry(meter.id).or_default().push(meter);
        }
        let mut left_out = BTreeSet::new();
        meters.retain(|id, versions: &mut Vec<&Meter>| {
            let aggregation = versions[0].rule.aggregation;
            let is_same = |version: &&Meter| version.rule.aggregation == aggregation;
            versions.iter().all(is_same) || !left_out.insert(*id)
        });
        Self {
            organization,
            prices: PriceList::new(&control.rates, RateKind::Ipu, organization.id),
            range,
            borders,
            meters,
            left_out,
            parts: BTreeMap::new(),
        }
    }

    /// What to read.
    pub fn reads(&self) -> Vec<RecountRead<'c>> {
        let mut alike = BTreeMap::<_, Vec<&'c Meter>>::new();
        for (id, versions) in &self.meters {
            let grouping = Grouping::of(versions[0].rule.aggregation);
            let starts = self.starts(*id, versions);
            alike
                .entry((grouping, starts))
                .or_default()
                .extend(versions);
        }
        let alike = alike.into_iter();
        alike
            .flat_map(|((grouping, starts), meters)| self.between(grouping, &starts, &meters))
            .collect()
    }

    /// Where a stretch starts in which the price of a meter does not change.
    fn starts(&self, meter: MeterId, versions: &[&Meter]) -> Vec<Timestamp> {
        let is_tiered = self.prices.of(meter).any(|rate| rate.tiers.len() > 1);
        let range = if is_tiered {
            whole_periods(self.organization, self.range)
        } else {
            self.range
        };
        let rates = self.prices.of(meter).map(|rate| rate.valid);
        let ranges = rates.chain(versions.iter().map(|version| version.valid));
        let bounds = ranges.flat_map(|valid| [valid.start, valid.end]).flatten();
        let bounds = bounds.chain(self.borders.iter().copied());
        let mut starts: BTreeSet<_> = bounds.filter(|at| range.contains(*at)).collect();
        starts.insert(range.start.unwrap_or(Timestamp::MIN));
        if is_tiered {
            starts.extend(self.period_starts(range));
        }
        starts.into_iter().collect()
    }

    fn period_starts(&self, range: TimeRange) -> Vec<Timestamp> {
        let mut starts = Vec::new();
        let Some(mut date) = range.start.map(utc_date) else {
            return starts;
        };
        let mut period = self.organization.billing_period(date);
        while range.contains(midnight(date)) && date < day_after(date) {
            date = day_after(date);
            let next = self.organization.billing_period(date);
            if next != period && range.contains(midnight(date)) {
                starts.push(midnight(date));
            }
            period = next;
        }
        starts
    }

    fn between(
        &self,
        grouping: Grouping,
        starts: &[Timestamp],
        meters: &[&'c Meter],
    ) -> Vec<RecountRead<'c>> {
        let ends = starts.iter().skip(1).copied().map(Some);
        let ends = ends.chain([self.range.end]);
        let whole = Scope::alone(self.organization.id);
        let read = |(start, end): (Timestamp, Option<Timestamp>)| {
            let start = Some(start);
            let part = TimeRange { start, end };
            let overlaps = |meter: &&&Meter| !meter.valid.intersect(&part).is_empty();
            RecountRead {
                scope: whole.within(part),
                meters: meters.iter().filter(overlaps).copied().collect(),
                grouping,
                start: start.unwrap_or(Timestamp::MIN),
            }
        };
        let reads = starts.iter().copied().zip(ends).map(read);
        reads
            .filter(|read| !read.meters.is_empty() && !read.scope.entries().is_empty())
            .collect()
    }

    /// Takes one total of a read: meter by its place there, window by its first instant.
    pub fn add(
        &mut self,
        read: &RecountRead<'c>,
        meter: usize,
        window: Option<Timestamp>,
        fold: Fold,
    ) {
        let meter = read.meters[meter];
        let day = window.map_or(read.start, |window| midnight(utc_date(window)));
        let part = self.parts.entry((meter.id, day.max(read.start)));
        let empty = || Part {
            meter,
            fold: Fold::new(meter.rule.aggregation),
        };
        part.or_insert_with(empty).fold.merge(fold);
    }

    /// Whether rows of a meter can be compared.
    pub fn covers(&self, meter: MeterId) -> bool {
        self.meters.contains_key(&meter)
    }

    /// Whether every meter is counted, so that sums over all of them can be compared.
    pub fn covers_all(&self) -> bool {
        self.left_out.is_empty()
    }

    /// Usage and worth by meter of what lies inside `visible`.
    ///
    /// What lies outside still fills tiers: they belong to the organization, not to who looks.
    pub fn sums(&self, visible: &[TimeRange]) -> Result<BTreeMap<MeterId, DetailSum>, PlanError> {
        let mut sums = BTreeMap::new();
        let mut used: Option<(MeterId, BillingPeriod, Total)> = None;
        let parts: Vec<_> = self.parts.iter().collect();
        for stretch in parts.chunk_by(is_one_number) {
            let &(meter, start) = stretch[0].0;
            let period = self.organization.billing_period(utc_date(start));
            let before = match used {
                Some((same, within, used)) if same == meter && within == period => used,
                _ => Total::ZERO,
            };
            let sum = sums.entry(meter).or_insert_with(DetailSum::default);
            let added = self.add_stretch(stretch, visible, before, sum);
            let date = utc_date(start);
            added.ok_or(PlanError::TooLarge { meter, date })?;
            used = Some((meter, period, before + value(stretch.iter())));
        }
        Ok(sums)
    }

    fn add_stretch(
        &self,
        stretch: &[Placed<'_, 'c>],
        visible: &[TimeRange],
        before: Total,
        sum: &mut DetailSum,
    ) -> Option<()> {
        let is_seen = |((_, start), _): &&Placed<'_, 'c>| {
            let is_visible = visible.iter().any(|range| range.contains(*start));
            is_visible && self.range.contains(*start)
        };
        let seen = stretch.iter().filter(is_seen);
        let Some(((meter, start), last)) = seen.clone().next_back() else {
            return Some(());
        };
        let usage = value(seen);
        let factor = last.meter.scalar.factor.max(1);
        let ipu = match self.prices.at(*meter, *start) {
            Some(rate) => rate.price(before, usage, factor)?,
            None => Amount::from(Total::ZERO),
        };
        sum.add(usage, ipu)
    }

    /// The first meter whose rows add up to something else than what is counted inside `visible`.
    pub fn difference(
        &self,
        visible: &[TimeRange],
        rows: &BTreeMap<MeterId, DetailSum>,
    ) -> Result<Option<Difference>, PlanError> {
        let counted = self.sums(visible)?;
        let of = |sums: &BTreeMap<_, DetailSum>, meter| sums.get(meter).copied();
        let meters = rows.keys().chain(counted.keys());
        let mut compared = meters
            .filter(|meter| !self.left_out.contains(meter))
            .map(|meter| Difference {
                meter: *meter,
                rows: of(rows, meter).unwrap_or_default(),
                counted: of(&counted, meter).unwrap_or_default(),
            });
        Ok(compared.find(|compared| !compared.rows.equals(&compared.counted)))
    }
}

impl Grouping {
    fn of(aggregation: Aggregation) -> Self {
        match aggregation {
            each if each.is_additive() => Self::Whole,
            each if each.reads_text() => Self::Projects,
            _ => Self::Hours,
        }
    }
}

/// Whether two parts make one number: those of a day, of a meter that gives one number per day.
fn is_one_number(left: &Placed<'_, '_>, right: &Placed<'_, '_>) -> bool {
    let ((meter, start), part) = left;
    let same = right.0.0 == *meter && utc_date(right.0.1) == utc_date(*start);
    same && !part.meter.rule.aggregation.is_additive()
}

fn value<'r, 'c: 'r>(parts: impl Iterator<Item = &'r Placed<'r, 'c>>) -> Total {
    let mut parts = parts.map(|(_, part)| &part.fold);
    let Some(first) = parts.next() else {
        return Total::ZERO;
    };
    let mut rest = parts.peekable();
    let whole = if rest.peek().is_none() {
        first.value()
    } else {
        let mut whole = first.clone();
        rest.for_each(|fold| whole.merge(fold.clone()));
        whole.value()
    };
    whole.unwrap_or(Total::ZERO)
}
