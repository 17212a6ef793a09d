//! Rows a parent's summary holds for the organizations right under it: roll-ups and fees.
//!
//! A roll-up repeats what the children's own rows say, so nothing may add it to them: its category,
//! like that of the fees, is ORGS.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::control::{Control, Organization, PriceList};
use super::ledger::DayLine;
use super::summary::SummaryRow;
use super::{PlanError, midnight, utc_date};
use crate::ids::{MeterId, OrganizationId};
use crate::quantity::{Amount, PLACES, Quantity, Total};
use crate::range::TimeRange;
use crate::rate::RateKind;
use crate::tree::{Edge, OrganizationKind};

/// A meter of linked organizations, which reads no events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkedMeter {
    /// Identifier, as existing programs know it.
    pub id: &'static str,
    /// Name as printed.
    pub name: &'static str,
    /// Kind of the children it counts.
    pub child: OrganizationKind,
}

/// Consumption of all children of one kind.
const ROLL_UPS: [LinkedMeter; 2] = [
    LinkedMeter {
        id: "c6ksUl786egib9ZAPb0OYf",
        name: "Sub Organizations IPU Usage",
        child: OrganizationKind::SubOrganization,
    },
    LinkedMeter {
        id: "c6vq9jira786LE0O2UReWT",
        name: "Sandbox Organizations IPU Usage",
        child: OrganizationKind::Sandbox,
    },
];

/// Number of children of one kind.
const FEES: [LinkedMeter; 2] = [
    LinkedMeter {
        id: "5Ariu53Z8gobF4KYsmTg4Z",
        name: "Sub Organizations",
        child: OrganizationKind::SubOrganization,
    },
    LinkedMeter {
        id: "2z4IqaoycKEextVpoCisuL",
        name: "Sandbox Organizations",
        child: OrganizationKind::Sandbox,
    },
];

/// Price of one linked organization per billing period where no rate is declared for the fee.
pub const FEE_PRICE: u64 = 6;

impl LinkedMeter {
    fn meter_id(&self) -> MeterId {
        self.id.parse().expect("the ids above are well formed")
    }
}

/// Whether a meter counts linked organizations instead of events.
pub(crate) fn is_linked(meter: MeterId) -> bool {
    let linked = ROLL_UPS.iter().chain(&FEES);
    linked.into_iter().any(|linked| linked.id == meter.as_str())
}

/// Consumption of children, gathered while they are read, for their parents.
#[derive(Debug, Clone, Default)]
pub struct RollUps {
    days: BTreeMap<(OrganizationId, Date, usize), Amount>,
}

/// One organization that lay under another, once or more often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The organization above.
    pub parent: OrganizationId,
    /// When, as far as the requester sees the one above.
    pub valid: Vec<TimeRange>,
}

/// The meter of roll-up rows in which children of a kind count, if they do.
pub fn roll_up_meter(child: OrganizationKind) -> Option<MeterId> {
    let found = ROLL_UPS.iter().find(|meter| meter.child == child);
    found.map(LinkedMeter::meter_id)
}

impl RollUps {
    /// Adds the lines of a child, seen only while it lay under `parent`.
    pub(crate) fn add(
        &mut self,
        parent: OrganizationId,
        child: OrganizationKind,
        lines: &[DayLine<'_>],
    ) -> Result<(), PlanError> {
        let Some(index) = ROLL_UPS.iter().position(|meter| meter.child == child) else {
            return Ok(());
        };
        for line in lines {
            let zero = Amount::from(Total::ZERO);
            let sum = self.days.entry((parent, line.date, index)).or_insert(zero);
            let (meter, date) = (line.meter.id, line.date);
            let more = sum.checked_add(line.ipu);
            *sum = more.ok_or(PlanError::TooLarge { meter, date })?;
        }
        Ok(())
    }

    /// The roll-up rows of a parent, by day and kind of child.
    pub(crate) fn rows<'c>(&self, parent: &'c Organization) -> Vec<SummaryRow<'c>> {
        let days = self.days.iter().filter(|((of, ..), _)| *of == parent.id);
        let row = |(&(_, date, index), &ipu): (&(_, Date, usize), &Amount)| SummaryRow {
            organization: parent,
            date,
            meter_id: ROLL_UPS[index].meter_id(),
            meter_name: ROLL_UPS[index].name,
            usage: None,
            ipu,
            price: None,
            scalar: "IPU",
            category: "ORGS",
        };
        days.map(row).collect()
    }
}

/// The fee rows of a parent whose own rows are seen in `visible`, within the days of `range`.
///
/// A child counts on the first day of each billing period or on the day it came, once a period, as
/// long as it is not archived; so in periods to come as well.
pub(crate) fn fee_rows<'c>(
    control: &'c Control,
    parent: &'c Organization,
    range: TimeRange,
    visible: &[TimeRange],
) -> Result<Vec<SummaryRow<'c>>, PlanError> {
    let prices = PriceList::new(&control.rates, RateKind::Ipu, parent.id);
    let mut rows = Vec::new();
    for fee in &FEES {
        for (date, children) in fee_days(control, parent, fee.child, range, visible) {
            let usage = Total::whole(children);
            let rate = prices.at(fee.meter_id(), midnight(date));
            let tier = rate.and_then(|rate| rate.tiers.first());
            let price = tier.map_or_else(default_price, |tier| tier.price);
            let meter = fee.meter_id();
            rows.push(SummaryRow {
                organization: parent,
                date,
                meter_id: meter,
                meter_name: fee.name,
                usage: Some(usage),
                ipu: Amount::product(usage, price, 1).ok_or(PlanError::TooLarge { meter, date })?,
                price: Some(price),
                scalar: "PER_ORG",
                category: "ORGS",
            });
        }
    }
    Ok(rows)
}

fn default_price() -> Quantity {
    let units = i128::from(FEE_PRICE) * 10_i128.pow(PLACES);
    Quantity::from_units(units).expect("the fee is small")
}

/// The days fees are due, with the number of children counted on each.
fn fee_days(
    control: &Control,
    parent: &Organization,
    kind: OrganizationKind,
    range: TimeRange,
    visible: &[TimeRange],
) -> BTreeMap<Date, u64> {
    let mut days = BTreeMap::new();
    for (due, _) in fees_due(control, parent, kind, range) {
        let is_visible = visible.iter().any(|range| range.contains(due));
        if is_visible && range.contains(due) {
            *days.entry(utc_date(due)).or_default() += 1;
        }
    }
    days
}

/// The first instant each child of a kind was there in each billing period that touches `range`.
///
/// An archived child is there no longer. In a period that changed billing days cut short at its
/// start, those that were there already owe nothing.
fn fees_due(
    control: &Control,
    parent: &Organization,
    kind: OrganizationKind,
    range: TimeRange,
) -> Vec<(Timestamp, OrganizationId)> {
    let stays = stays(control, parent, kind);
    let (false, Some(start), Some(end)) = (stays.is_empty(), range.start, range.end) else {
        return Vec::new();
    };
    let periods = parent.billing_periods(utc_date(start), end);
    let ends = periods.iter().skip(1).map(|(first, _)| midnight(*first));
    let ends = ends.chain([end]);
    let mut due = Vec::new();
    for ((first_day, period), end) in periods.iter().zip(ends) {
        let days = TimeRange::between(midnight(*first_day), end);
        let mut came = BTreeMap::new();
        for (child, stay) in &stays {
            let there = stay.intersect(&days);
            if let Some(first) = there.start.filter(|_| !there.is_empty()) {
                let earliest = came.entry(*child).or_insert(first);
                *earliest = first.min(*earliest);
            }
        }
        if *first_day > period.start {
            came.retain(|child, _| !was_there(&stays, *child, midnight(*first_day)));
        }
        due.extend(came.into_iter().map(|(child, first)| (first, child)));
    }
    due
}

/// When organizations of a kind lay right under `parent` and were not archived.
fn stays(
    control: &Control,
    parent: &Organization,
    kind: OrganizationKind,
) -> Vec<(OrganizationId, TimeRange)> {
    let edges = control.edges.iter().filter(|edge| edge.parent == parent.id);
    let stay = |edge: &Edge| {
        let child = control.organization(edge.child)?;
        let live = TimeRange {
            start: None,
            end: child.archived_at,
        };
        (child.kind == kind).then(|| (child.id, edge.valid.intersect(&live)))
    };
    edges.filter_map(stay).collect()
}

/// Whether an organization was there right before an instant.
fn was_there(
    stays: &[(OrganizationId, TimeRange)],
    child: OrganizationId,
    instant: Timestamp,
) -> bool {
    let mut stays = stays.iter().filter(|(id, _)| *id == child);
    stays.any(|(_, stay)| {
        stay.start.is_none_or(|start| start < instant) && stay.end.is_none_or(|end| end >= instant)
    })
}
