//! Consumption by project and folder, and by asset.
//!
//! Meters are worked on one by one. What splits along every dimension is read by group where the
//! rate has one tier, and event by event where the order decides which group pays which tier; one
//! number per day stays one row without dimensions, so that every grouping adds up to the summary.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::control::{Organization, PriceList};
use super::job_level::JobRead;
use super::ledger::{Ledger, UsageRead, parts, whole_periods};
use super::summary::{Member, SummaryPlan};
use super::{PlanError, linked, utc_date};
use crate::aggregation::Fold;
use crate::billing::BillingPeriod;
use crate::dimension::Dimension;
use crate::ids::{MeterId, RateId};
use crate::meter::Meter;
use crate::quantity::{Amount, Total};
use crate::range::TimeRange;
use crate::rate::{Rate, RateKind, TierPart};
use crate::tree::Scope;

pub(super) use rows::{AMOUNT_DECIMALS, PRICE_DECIMALS};
pub use rows::{ASSET, AssetCell, PROJECT_FOLDER, ProjectCell, ProjectDays, ProjectRow};

/// What tells lines of a day apart, one value per dimension of the plan.
pub type Keys = Vec<Option<String>>;

/// What consumption is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Project and folder.
    ProjectFolder,
    /// Asset, with where it lies and where it ran; one line per tier.
    Asset,
}

/// How the detailed files of a request come about.
#[derive(Debug, Clone)]
pub struct DetailPlan<'c> {
    /// What consumption is told apart by.
    pub detail: Detail,
    /// The organizations with their files, in order; all of them are printed.
    pub files: SummaryPlan<'c>,
    /// The meters, in order.
    pub meters: Vec<MeterId>,
}

/// What to read of one meter of one organization.
#[derive(Debug, Clone)]
pub enum DetailSource<'c> {
    /// Totals by day and the plan's dimensions, for [`MeterDetails::add_group`].
    Groups(Vec<UsageRead<'c>>),
    /// Events by time, for [`MeterDetails::add_event`].
    Events(Vec<JobRead<'c>>),
    /// Totals by day, for [`MeterDetails::add_day`].
    Days(Vec<UsageRead<'c>>),
}

/// Consumption of one meter of one organization.
#[derive(Debug, Clone)]
pub struct MeterDetails<'c> {
    organization: &'c Organization,
    meter: MeterId,
    prices: PriceList<'c>,
    range: TimeRange,
    visible: Vec<TimeRange>,
    used: Option<(BillingPeriod, Total)>,
    ledger: Ledger<'c>,
    keys: usize,
    sums: BTreeMap<LineKey, Sum<'c>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LineKey {
    date: Date,
    keys: Keys,
    rate: Option<(RateId, Option<Timestamp>)>,
    tier: usize,
}

#[derive(Debug, Clone)]
struct Sum<'c> {
    meter: &'c Meter,
    rate: Option<&'c Rate>,
    usage: Total,
    ipu: Amount,
}

/// Consumption of one meter on one day in one group and tier.
#[derive(Debug, Clone)]
pub struct DetailLine<'c> {
    /// Whose.
    pub organization: &'c Organization,
    /// The meter, in a version of the day.
    pub meter: &'c Meter,
    /// The UTC day.
    pub date: Date,
    /// The group.
    pub keys: Keys,
    /// Usage in readings.
    pub usage: Total,
    /// Its worth, unrounded.
    pub ipu: Amount,
    rate: Option<&'c Rate>,
    tier: usize,
}

/// What usage of one meter adds up to, and its worth, unrounded.
#[derive(Debug, Clone, Copy)]
pub struct DetailSum {
    /// Usage in readings.
    pub usage: Total,
    /// Its worth.
    pub ipu: Amount,
}

impl Detail {
    /// The dimensions of [`Keys`], in order.
    pub fn dimensions(self) -> &'static [Dimension] {
        match self {
            Self::ProjectFolder => &[Dimension::Project, Dimension::Folder],
            Self::Asset => &[
                Dimension::Asset,
                Dimension::AssetType,
                Dimension::Project,
                Dimension::Folder,
                Dimension::Environment,
                Dimension::EnvironmentType,
            ],
        }
    }
}

impl<'c> DetailPlan<'c> {
    /// Plans the files of all printed members of `files`, of one meter or of all.
    pub(super) fn new(
        detail: Detail,
        mut files: SummaryPlan<'c>,
        meter: Option<MeterId>,
    ) -> Result<Self, PlanError> {
        files.members.retain(|member| member.is_printed);
        let wanted = |each: &&Meter| {
            let is_wanted = meter.is_none_or(|meter| each.id == meter) && files.wants(each.id);
            is_wanted && each.rule.aggregation.is_rateable() && !linked::is_linked(each.id)
        };
        let all = files.control.meters.iter();
        let meters: BTreeSet<_> = all.filter(wanted).map(|meter| meter.id).collect();
        match meter {
            Some(meter) if meters.is_empty() => Err(PlanError::UnknownMeter(meter)),
            _ => Ok(Self {
                detail,
                files,
                meters: meters.into_iter().collect(),
            }),
        }
    }

    /// What to read of one meter of one member, and where to put it.
    pub fn details(
        &self,
        member: &Member<'c>,
        meter: MeterId,
    ) -> (MeterDetails<'c>, DetailSource<'c>) {
        let (control, range) = (self.files.control, self.files.range);
        let organization = member.organization;
        let ledger = Ledger::of(control, organization, range, |each| each.id == meter);
        let prices = PriceList::new(&control.rates, RateKind::Ipu, organization.id);
        let visible = member.visible.clone();
        let borders = borders(&visible);
        let is_tiered = prices.of(meter).any(|rate| rate.tiers.len() > 1);
        let source = if !ledger.is_additive() {
            DetailSource::Days(ledger.reads(&borders))
        } else if is_tiered {
            DetailSource::Events(events(&ledger, whole_periods(organization, range)))
        } else {
            DetailSource::Groups(ledger.reads(&borders))
        };
        let details = MeterDetails {
            organization,
            meter,
            prices,
            range,
            visible,
            used: None,
            ledger,
            keys: self.detail.dimensions().len(),
            sums: BTreeMap::new(),
        };
        (details, source)
    }
}

fn borders(visible: &[TimeRange]) -> Vec<Timestamp> {
    let borders = visible.iter().flat_map(|range| [range.start, range.end]);
    borders.flatten().collect()
}

impl Default for DetailSum {
    fn default() -> Self {
        Self {
            usage: Total::ZERO,
            ipu: Amount::from(Total::ZERO),
        }
    }
}

impl DetailSum {
    /// Adds a line; `None` when the sum does not fit 256 bits.
    pub fn add(&mut self, usage: Total, ipu: Amount) -> Option<()> {
        self.usage += usage;
        self.ipu = self.ipu.checked_add(ipu)?;
        Some(())
    }

    /// Whether both are worth exactly the same.
    pub fn equals(&self, other: &Self) -> bool {
        self.usage == other.usage && self.ipu.equals(other.ipu)
    }
}

fn events<'c>(ledger: &Ledger<'c>, range: TimeRange) -> Vec<JobRead<'c>> {
    let mut versions = ledger.meters().to_vec();
    versions.sort_by_key(|version| version.valid.start);
    let whole = Scope::alone(ledger.organization().id).within(range);
    let read = |meter: &'c Meter| JobRead {
        scope: whole.within(meter.valid),
        meter,
        others: Vec::new(),
    };
    let reads = versions.into_iter().map(read);
    reads
        .filter(|read| !read.scope.entries().is_empty())
        .collect()
}

impl<'c> MeterDetails<'c> {
    /// Takes one total of a group of a day.
    pub fn add_group(
        &mut self,
        read: &UsageRead<'c>,
        meter: usize,
        day: Timestamp,
        keys: &Keys,
        fold: &Fold,
    ) -> Result<(), PlanError> {
        let (meter, start) = read.stretch(meter, day);
        let usage = fold.value().unwrap_or(Total::ZERO);
        self.add(meter, start, keys, usage, Total::ZERO)
    }

    /// Takes the next event by time: it pays what the tiers it falls into cost.
    pub fn add_event(
        &mut self,
        read: &JobRead<'c>,
        time: Timestamp,
        keys: &Keys,
        usage: Total,
    ) -> Result<(), PlanError> {
        let period = self.organization.billing_period(utc_date(time));
        let used = match self.used {
            Some((same, used)) if same == period => used,
            _ => Total::ZERO,
        };
        self.used = Some((period, used + usage));
        self.add(read.meter, time, keys, usage, used)
    }

    /// Takes one total of a day of a meter that gives one number per day.
    pub fn add_day(&mut self, read: &UsageRead<'c>, meter: usize, day: Timestamp, fold: Fold) {
        self.ledger.add(read, meter, day, fold);
    }

    fn add(
        &mut self,
        meter: &'c Meter,
        start: Timestamp,
        keys: &Keys,
        usage: Total,
        used: Total,
    ) -> Result<(), PlanError> {
        let is_visible = self.visible.iter().any(|range| range.contains(start));
        if !is_visible || !self.range.contains(start) {
            return Ok(());
        }
        let date = utc_date(start);
        let rate = self.prices.at(self.meter, start);
        let priced = parts(rate, used, usage, meter.scalar.factor.max(1));
        for part in priced.ok_or_else(|| self.too_large(date))? {
            self.add_part(meter, date, keys.clone(), (rate, part))?;
        }
        Ok(())
    }

    fn add_part(
        &mut self,
        meter: &'c Meter,
        date: Date,
        keys: Keys,
        (rate, part): (Option<&'c Rate>, TierPart),
    ) -> Result<(), PlanError> {
        let version = rate.map(|rate| (rate.id, rate.valid.start));
        let too_large = self.too_large(date);
        let key = LineKey {
            date,
            keys,
            rate: version,
            tier: part.tier,
        };
        let sum = self.sums.entry(key).or_insert_with(|| Sum {
            meter,
            rate,
            usage: Total::ZERO,
            ipu: Amount::from(Total::ZERO),
        });
        sum.usage += part.usage;
        sum.ipu = sum.ipu.checked_add(part.amount).ok_or(too_large)?;
        Ok(())
    }

    fn too_large(&self, date: Date) -> PlanError {
        let meter = self.meter;
        PlanError::TooLarge { meter, date }
    }

    /// The lines by day, group and tier; those without usage are left out.
    pub fn lines(mut self) -> Result<Vec<DetailLine<'c>>, PlanError> {
        for line in self.ledger.lines(&self.visible, &self.visible)? {
            for part in line.parts {
                self.add_part(line.meter, line.date, vec![None; self.keys], part)?;
            }
        }
        let organization = self.organization;
        let used = self
            .sums
            .into_iter()
            .filter(|(_, sum)| sum.usage != Total::ZERO || !sum.ipu.is_zero());
        let line = |(key, sum): (LineKey, Sum<'c>)| DetailLine {
            organization,
            meter: sum.meter,
            date: key.date,
            keys: key.keys,
            usage: sum.usage,
            ipu: sum.ipu,
            rate: sum.rate,
            tier: key.tier,
        };
        Ok(used.map(line).collect())
    }
}
