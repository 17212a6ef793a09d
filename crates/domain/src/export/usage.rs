//! Usage by the columns a request chooses, in a layout of our own.
//!
//! A row is the sum over everything that is not chosen, of one organization and one meter: units do
//! not add up. What gives one number per day has no dimensions there, as in every other file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::chosen::places;
use super::column::{Column, Row, column, push};
use super::control::Organization;
use super::detail::Keys;
use super::summary::{Member, SummaryPlan};
use super::{PlanError, day_after, linked, midnight, utc_date};
use crate::aggregation::Fold;
use crate::dimension::Dimension;
use crate::ids::MeterId;
use crate::meter::Meter;
use crate::quantity::Total;
use crate::tree::Scope;

/// What a cell of a usage file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageCell {
    /// The UTC day.
    Date,
    /// The organization's id.
    OrganizationId,
    /// The organization's name on the day, or on the last day asked for.
    Organization,
    /// The meter's id.
    MeterId,
    /// The meter's slug on the day, or on the last day asked for.
    Meter,
    /// The meter's name on the day, or on the last day asked for.
    MeterName,
    /// The meter's unit.
    Unit,
    /// What events say, nothing where they do not.
    Key(UsageKey),
    /// Usage in readings, with all its digits.
    Usage,
}

/// Something of an event that usage may be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageKey {
    /// The event's subject.
    Subject,
    /// A dimension.
    Dimension(Dimension),
}

const HEAD: [Column<UsageCell>; 8] = [
    column("date", UsageCell::Date),
    column("organization_id", UsageCell::OrganizationId),
    column("organization", UsageCell::Organization),
    column("meter_id", UsageCell::MeterId),
    column("meter", UsageCell::Meter),
    column("meter_name", UsageCell::MeterName),
    column("unit", UsageCell::Unit),
    column("subject", UsageCell::Key(UsageKey::Subject)),
];

const USAGE: Column<UsageCell> = column("usage", UsageCell::Usage);

/// The columns printed when none is chosen.
const DEFAULT: [&str; 7] = [
    "date",
    "organization_id",
    "organization",
    "meter_id",
    "meter",
    "unit",
    "usage",
];

/// All columns of usage files. Headers are a public contract; the order is that of the list.
pub fn usage_columns() -> Vec<Column<UsageCell>> {
    let dimension = |dimension: &Dimension| {
        let cell = UsageCell::Key(UsageKey::Dimension(*dimension));
        column(dimension.column(), cell)
    };
    let dimensions = Dimension::ALL.iter().map(dimension);
    HEAD.into_iter().chain(dimensions).chain([USAGE]).collect()
}

/// How the usage files of a request come about.
#[derive(Debug, Clone)]
pub struct UsagePlan<'c> {
    /// The organizations with their files, in order; all of them are printed.
    pub files: SummaryPlan<'c>,
    /// The columns printed.
    pub columns: Vec<Column<UsageCell>>,
    /// The meters, in order.
    pub meters: Vec<UsageMeter<'c>>,
    keys: Vec<UsageKey>,
    by_day: bool,
    last: Date,
}

/// One meter, by what adds up.
#[derive(Debug, Clone)]
pub struct UsageMeter<'c> {
    /// The meter's id.
    pub id: MeterId,
    /// By the time of their first versions; more than one where its unit or aggregation changed.
    pub units: Vec<UsageUnit<'c>>,
}

/// Versions of one meter whose readings add up.
#[derive(Debug, Clone)]
pub struct UsageUnit<'c> {
    /// The versions by time, at least one.
    versions: Vec<&'c Meter>,
}

/// Totals to ask the store for.
#[derive(Debug, Clone)]
pub struct UsageTotals<'p, 'c> {
    /// Whose usage, and when.
    pub scope: &'p Scope,
    /// Meter versions to total.
    pub meters: &'p [&'c Meter],
    /// Whether each UTC day is a total of its own.
    pub by_day: bool,
    /// What else is told apart, in this order.
    pub keys: &'p [UsageKey],
}

/// Usage of one meter of one organization.
#[derive(Debug, Clone, Default)]
pub struct UsageSums {
    sums: BTreeMap<(Option<Date>, Keys), Fold>,
}

/// One line of a usage file.
#[derive(Debug, Clone)]
pub struct UsageRow<'p, 'c> {
    /// Whose usage.
    pub organization: &'c Organization,
    /// The meter.
    pub meter: &'c Meter,
    /// The UTC day, where days are told apart.
    pub date: Option<Date>,
    /// Usage in readings.
    pub usage: Total,
    keys: Keys,
    plan: &'p UsagePlan<'c>,
}

impl<'c> UsagePlan<'c> {
    /// Plans the files of all printed members of `files`, by the columns named, or the usual ones.
    pub(super) fn new(
        mut files: SummaryPlan<'c>,
        headers: &[String],
        last: Date,
    ) -> Result<Self, PlanError> {
        files.members.retain(|member| member.is_printed);
        let all = usage_columns();
        let usual = DEFAULT.map(str::to_owned);
        let headers = if headers.is_empty() { &usual } else { headers };
        let columns: Vec<_> = places(&all, headers)?
            .into_iter()
            .map(|place| all[place])
            .collect();
        let keys = columns.iter().filter_map(|column| match column.cell {
            UsageCell::Key(key) => Some(key),
            _ => None,
        });
        Ok(Self {
            keys: keys.collect(),
            by_day: columns.iter().any(|each| each.cell == UsageCell::Date),
            meters: usage_meters(&files),
            columns,
            files,
            last,
        })
    }

    /// What to read of one unit of a meter of one member.
    ///
    /// Days are read apart even where they are not printed when nothing else is: the second count
    /// of the same usage then comes about in another way.
    pub fn totals<'p>(
        &'p self,
        member: &'p Member<'c>,
        unit: &'p UsageUnit<'c>,
    ) -> UsageTotals<'p, 'c> {
        let is_additive = unit.is_additive();
        let keys = if is_additive { &self.keys[..] } else { &[] };
        UsageTotals {
            scope: member.scope(),
            meters: &unit.versions,
            by_day: self.by_day || keys.is_empty(),
            keys,
        }
    }

    /// The rows of one meter of one member by day and keys, from the sums of each of its units;
    /// those without usage are left out.
    pub fn rows<'p>(
        &'p self,
        member: &Member<'c>,
        meter: &'p UsageMeter<'c>,
        sums: Vec<UsageSums>,
    ) -> impl Iterator<Item = UsageRow<'p, 'c>> + use<'p, 'c> {
        let mut usage = BTreeMap::<(Option<Date>, Keys, usize), Total>::new();
        for (unit, sums) in sums.into_iter().enumerate() {
            for ((date, mut keys), fold) in sums.sums {
                keys.resize(self.keys.len(), None);
                let sum = usage.entry((date.filter(|_| self.by_day), keys, unit));
                *sum.or_insert(Total::ZERO) += fold.value().unwrap_or(Total::ZERO);
            }
        }
        let organization = member.organization;
        let used = usage.into_iter().filter(|(_, usage)| *usage != Total::ZERO);
        used.map(move |((date, keys, unit), usage)| UsageRow {
            organization,
            meter: meter.units[unit].on(date.unwrap_or(self.last)),
            date,
            usage,
            keys,
            plan: self,
        })
    }
}

/// The meters wanted by id, each by the versions that add up.
fn usage_meters<'c>(files: &SummaryPlan<'c>) -> Vec<UsageMeter<'c>> {
    let wanted = |meter: &&Meter| {
        let is_usage = meter.rule.aggregation.is_rateable() && !linked::is_linked(meter.id);
        is_usage && files.wants(meter.id)
    };
    let mut versions: Vec<_> = files.control.meters.iter().filter(wanted).collect();
    versions.sort_by_key(|meter| (meter.id, meter.valid.start));
    let mut meters: Vec<UsageMeter<'c>> = Vec::new();
    for version in versions {
        match meters.last_mut().filter(|meter| meter.id == version.id) {
            Some(meter) => meter.add(version),
            None => meters.push(UsageMeter {
                id: version.id,
                units: vec![UsageUnit {
                    versions: vec![version],
                }],
            }),
        }
    }
    meters
}

impl<'c> UsageMeter<'c> {
    /// Adds its next version by time.
    fn add(&mut self, version: &'c Meter) {
        let adds_up = |unit: &&mut UsageUnit<'_>| {
            let (known, aggregation) = (unit.newest(), version.rule.aggregation);
            known.unit == version.unit && known.rule.aggregation == aggregation
        };
        match self.units.iter_mut().find(adds_up) {
            Some(unit) => unit.versions.push(version),
            None => self.units.push(UsageUnit {
                versions: vec![version],
            }),
        }
    }
}

impl<'c> UsageUnit<'c> {
    fn is_additive(&self) -> bool {
        self.newest().rule.aggregation.is_additive()
    }

    fn newest(&self) -> &'c Meter {
        self.versions.last().expect("a unit has a version")
    }

    /// The last version in force on a day; where none is, the one before it, else the first.
    fn on(&self, date: Date) -> &'c Meter {
        let end = midnight(day_after(date));
        let has_begun = |meter: &&&Meter| meter.valid.start.is_none_or(|start| start < end);
        let begun = self.versions.iter().rev().find(has_begun);
        begun.unwrap_or(&self.versions[0])
    }
}

impl UsageSums {
    /// Sums kept.
    pub fn count(&self) -> usize {
        self.sums.len()
    }

    /// Takes one total: the first instant of its day where days are told apart, and its keys.
    pub fn add(&mut self, day: Option<Timestamp>, keys: Keys, fold: Fold) {
        match self.sums.entry((day.map(utc_date), keys)) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(fold)),
            std::collections::btree_map::Entry::Occupied(mut sum) => sum.get_mut().merge(fold),
        }
    }
}

impl UsageRow<'_, '_> {
    fn key(&self, key: UsageKey) -> Option<&str> {
        let place = self.plan.keys.iter().position(|each| *each == key)?;
        self.keys.get(place)?.as_deref()
    }
}

impl Row for UsageRow<'_, '_> {
    type Cell = UsageCell;

    fn write(&self, cell: UsageCell, text: &mut String) {
        match cell {
            UsageCell::Date => {
                if let Some(date) = self.date {
                    push(text, format_args!("{date}"));
                }
            }
            UsageCell::OrganizationId => text.push_str(self.organization.id.as_str()),
            UsageCell::Organization => {
                let date = self.date.unwrap_or(self.plan.last);
                text.push_str(&self.organization.on(date).name);
            }
            UsageCell::MeterId => text.push_str(self.meter.id.as_str()),
            UsageCell::Meter => text.push_str(&self.meter.slug),
            UsageCell::MeterName => text.push_str(&self.meter.name),
            UsageCell::Unit => text.push_str(&self.meter.unit),
            UsageCell::Key(key) => text.push_str(self.key(key).unwrap_or("")),
            UsageCell::Usage => push(text, format_args!("{}", self.usage)),
        }
    }
}
