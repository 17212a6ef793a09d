//! The summary: usage per organization, day and meter.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::column::{Column, NULL, Row, column, write_day, write_fixed};
use super::control::{Control, Organization};
use super::ledger::{DayLine, Ledger};
use super::linked::{self, Child, RollUps, fee_rows};
use super::recount::Recount;
use super::scope::{self, Coverage};
use super::{AsOf, ExportRequest, PlanError};
use crate::ids::{MeterId, OrganizationId};
use crate::meter::Meter;
use crate::quantity::{Amount, Quantity, Total};
use crate::range::TimeRange;
use crate::tree::{Edge, OrganizationKind, Scope};

/// What a cell of the summary holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryCell {
    /// The organization's id.
    OrganizationId,
    /// The meter's id.
    MeterId,
    /// The meter's name.
    MeterName,
    /// The day.
    Date,
    /// First day of the billing period.
    PeriodStart,
    /// Last day of the billing period.
    PeriodEnd,
    /// Usage in readings.
    Usage,
    /// Consumption.
    Ipu,
    /// Unit of the price.
    Scalar,
    /// Category of the unit.
    Category,
    /// The organization's name.
    OrganizationName,
    /// The organization's kind.
    OrganizationType,
    /// Price of one unit.
    Price,
}

/// Columns of the summary. Order and headers are a public contract.
pub const SUMMARY: &[Column<SummaryCell>] = &[
    column("OrgId", SummaryCell::OrganizationId),
    column("MeterId", SummaryCell::MeterId),
    column("MeterName", SummaryCell::MeterName),
    column("Date", SummaryCell::Date),
    column("BillingPeriodStartDate", SummaryCell::PeriodStart),
    column("BillingPeriodEndDate", SummaryCell::PeriodEnd),
    column("MeterUsage", SummaryCell::Usage),
    column("IPU", SummaryCell::Ipu),
    column("Scalar", SummaryCell::Scalar),
    column("MetricCategory", SummaryCell::Category),
    column("OrgName", SummaryCell::OrganizationName),
    column("OrgType", SummaryCell::OrganizationType),
    column("IPURate", SummaryCell::Price),
];

pub(super) const USAGE_DECIMALS: u32 = 10;
pub(super) const IPU_DECIMALS: u32 = 12;
pub(super) const PRICE_DECIMALS: u32 = 6;

/// One line of a summary.
#[derive(Debug, Clone, Copy)]
pub struct SummaryRow<'c> {
    /// Whose usage.
    pub organization: &'c Organization,
    /// The UTC day.
    pub date: Date,
    /// The meter's id.
    pub meter_id: MeterId,
    /// The meter's name.
    pub meter_name: &'c str,
    /// Usage in readings; none on roll-ups.
    pub usage: Option<Total>,
    /// Consumption, unrounded.
    pub ipu: Amount,
    /// Price of the highest tier reached; none on roll-ups.
    pub price: Option<Quantity>,
    /// Unit of the price.
    pub scalar: &'c str,
    /// Category of the unit.
    pub category: &'c str,
}

impl SummaryRow<'_> {
    /// Whether it is a roll-up or a fee, which no usage of the organization's own stands behind.
    pub fn is_linked(&self) -> bool {
        linked::is_linked(self.meter_id)
    }
}

impl Row for SummaryRow<'_> {
    type Cell = SummaryCell;

    fn write(&self, cell: SummaryCell, text: &mut String) {
        let period = || self.organization.billing_period(self.date);
        let fixed = |value: Option<Total>, decimals, text: &mut String| match value {
            Some(value) => write_fixed(value, decimals, text),
            None => text.push_str(NULL),
        };
        match cell {
            SummaryCell::OrganizationId => text.push_str(self.organization.id.as_str()),
            SummaryCell::MeterId => text.push_str(self.meter_id.as_str()),
            SummaryCell::MeterName => text.push_str(self.meter_name),
            SummaryCell::Date => write_day(self.date, text),
            SummaryCell::PeriodStart => write_day(period().start, text),
            SummaryCell::PeriodEnd => write_day(period().last_day(), text),
            SummaryCell::Usage => fixed(self.usage, USAGE_DECIMALS, text),
            SummaryCell::Ipu => text.push_str(&self.ipu.fixed(IPU_DECIMALS)),
            SummaryCell::Scalar => text.push_str(self.scalar),
            SummaryCell::Category => text.push_str(self.category),
            SummaryCell::OrganizationName => text.push_str(&self.organization.on(self.date).name),
            SummaryCell::OrganizationType => {
                text.push_str(organization_type(self.organization.kind));
            }
            SummaryCell::Price => fixed(self.price.map(Total::from), PRICE_DECIMALS, text),
        }
    }
}

/// The word files print for a kind of organization.
pub fn organization_type(kind: OrganizationKind) -> &'static str {
    match kind {
        OrganizationKind::Production => "Production",
        OrganizationKind::AdditionalProduction => "AdditionalProduction",
        OrganizationKind::Sandbox => "Sandbox",
        OrganizationKind::SubOrganization => "SubOrg",
    }
}

/// How the summary of a request comes about.
#[derive(Debug, Clone)]
pub struct SummaryPlan<'c> {
    /// The organizations to read: what lies below comes first, the requester last.
    pub members: Vec<Member<'c>>,
    /// Whether all rows go into one file, organizations apart by an empty line.
    pub combined: bool,
    requester: OrganizationId,
    pub(super) control: &'c Control,
    pub(super) range: TimeRange,
    /// The meters wanted; empty for all, and only then with roll-ups and fees.
    meters: BTreeSet<MeterId>,
    as_of: AsOf,
}

/// One organization of a summary.
#[derive(Debug, Clone)]
pub struct Member<'c> {
    /// The organization.
    pub organization: &'c Organization,
    /// Whether it has rows of its own, or only counts in its parent's.
    pub is_printed: bool,
    /// When the requester sees it, within the days asked for.
    pub visible: Vec<TimeRange>,
    scope: Scope,
    parents: Vec<Child>,
}

impl Member<'_> {
    /// When its usage is seen.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl<'c> SummaryPlan<'c> {
    pub(super) fn new(
        request: &ExportRequest,
        control: &'c Control,
        as_of: AsOf,
        linked: bool,
        combined: bool,
    ) -> Result<Self, PlanError> {
        let requester = request.requester;
        let range = request.range();
        let coverage = Coverage::new(request, control, linked)?;
        let meters = scope::meters(request, control, None)?;
        let scope = &coverage.scope;
        let edges = edges_by_child(control);
        let members = scope.organizations().into_iter().filter_map(|id| {
            let edges = edges.get(&id).map_or(&[][..], Vec::as_slice);
            Some(Member {
                organization: control.organization(id)?,
                is_printed: coverage.prints(id),
                visible: ranges_of(id, scope).collect(),
                scope: scope.only(id),
                parents: parents_of(edges, scope),
            })
        });
        let counts = |member: &Member<'_>| {
            let feeds = |child: &Child| meters.is_empty() && coverage.prints(child.parent);
            member.is_printed || member.parents.iter().any(feeds)
        };
        let mut members: Vec<_> = members.filter(counts).collect();
        members.sort_by_key(|member| (rank(member.organization.kind), member.organization.id));
        Ok(Self {
            members,
            combined,
            requester,
            control,
            range,
            meters,
            as_of,
        })
    }

    /// Names of the files, in order.
    pub fn file_names(&self) -> Vec<String> {
        if self.combined {
            return vec![format!("{}.csv", self.requester)];
        }
        let printed = self.members.iter().filter(|member| member.is_printed);
        printed
            .map(|member| format!("{}.csv", member.organization.id))
            .collect()
    }

    /// Whether nothing is left to give out without a member.
    pub fn is_only(&self, member: &Member<'_>) -> bool {
        let printed = self.members.iter().filter(|each| each.is_printed);
        member.is_printed && printed.count() == 1
    }

    /// Who asked: its own usage is never left out.
    pub fn requester(&self) -> OrganizationId {
        self.requester
    }

    /// Whether a meter is among those asked for.
    pub(super) fn wants(&self, meter: MeterId) -> bool {
        self.meters.is_empty() || self.meters.contains(&meter)
    }

    /// A second count of what a member's rows hold, of one meter or of all.
    pub fn recount(&self, member: &Member<'c>, meter: Option<MeterId>) -> Recount<'c> {
        let wanted =
            |each: &Meter| self.wants(each.id) && meter.is_none_or(|meter| each.id == meter);
        let days = (self.range, self.borders(member));
        Recount::new(self.control, member.organization, days, wanted)
    }

    /// The organizations in whose roll-ups a member counts, and when: in none where meters were
    /// chosen, since what children used of some alone is no roll-up.
    pub fn parents<'m>(&self, member: &'m Member<'c>) -> &'m [Child] {
        if self.meters.is_empty() {
            &member.parents
        } else {
            &[]
        }
    }

    /// The instants at which a member's place in the tree changes.
    fn borders(&self, member: &Member<'c>) -> Vec<Timestamp> {
        let parents = self.parents(member).iter().flat_map(|child| &child.valid);
        let ranges = member.visible.iter().chain(parents);
        let borders = ranges.flat_map(|range| [range.start, range.end]);
        borders.flatten().collect()
    }

    /// An empty ledger for one member, and the instants at which its place in the tree changes.
    pub fn ledger(&self, member: &Member<'c>) -> (Ledger<'c>, Vec<Timestamp>) {
        let wanted = |meter: &Meter| self.wants(meter.id);
        let ledger = Ledger::of(self.control, member.organization, self.range, wanted);
        (ledger, self.borders(member))
    }

    /// Prices what was read for one member, adds it to its parents, and gives its rows by date and
    /// meter. Members come in the plan's order, so that a parent's children are all known.
    pub fn rows(
        &self,
        member: &Member<'c>,
        mut ledger: Ledger<'c>,
        roll_ups: &mut RollUps,
    ) -> Result<Vec<SummaryRow<'c>>, PlanError> {
        ledger.fill_zero_days(self.as_of);
        let kind = member.organization.kind;
        for child in self.parents(member) {
            let lines = ledger.lines(&child.valid, &member.visible)?;
            roll_ups.add(child.parent, kind, &lines)?;
        }
        if !member.is_printed {
            return Ok(Vec::new());
        }
        let lines = ledger.lines(&member.visible, &member.visible)?;
        let organization = member.organization;
        let mut rows: Vec<_> = lines.iter().map(|line| row(organization, line)).collect();
        rows.extend(roll_ups.rows(organization));
        if self.meters.is_empty() && organization.kind != OrganizationKind::SubOrganization {
            rows.extend(fee_rows(
                self.control,
                organization,
                self.range,
                &member.visible,
            )?);
        }
        rows.sort_by_key(|row| (row.date, row.meter_id));
        Ok(rows)
    }
}

fn row<'c>(organization: &'c Organization, line: &DayLine<'c>) -> SummaryRow<'c> {
    SummaryRow {
        organization,
        date: line.date,
        meter_id: line.meter.id,
        meter_name: &line.meter.name,
        usage: Some(line.usage),
        ipu: line.ipu,
        price: Some(line.price),
        scalar: &line.meter.scalar.name,
        category: &line.meter.scalar.metric_category,
    }
}

fn edges_by_child(control: &Control) -> BTreeMap<OrganizationId, Vec<&Edge>> {
    let mut edges = BTreeMap::<_, Vec<_>>::new();
    for edge in &control.edges {
        edges.entry(edge.child).or_default().push(edge);
    }
    edges
}

/// When the child of these edges lay under each parent while the requester saw that one.
///
/// One entry a parent: what is one number a day stays one, however often the child came and went.
fn parents_of(edges: &[&Edge], scope: &Scope) -> Vec<Child> {
    let mut parents = BTreeMap::<_, Vec<_>>::new();
    for edge in edges {
        let ranges = ranges_of(edge.parent, scope).map(|range| edge.valid.intersect(&range));
        let ranges = ranges.filter(|range| !range.is_empty());
        parents.entry(edge.parent).or_default().extend(ranges);
    }
    let parents = parents.into_iter().filter(|(_, valid)| !valid.is_empty());
    parents
        .map(|(parent, valid)| Child { parent, valid })
        .collect()
}

fn ranges_of(id: OrganizationId, scope: &Scope) -> impl Iterator<Item = TimeRange> {
    let entries = scope.entries();
    let first = entries.partition_point(|entry| entry.organization < id);
    let own = entries[first..]
        .iter()
        .take_while(move |entry| entry.organization == id);
    own.map(|entry| entry.range)
}

/// Place of a kind among the blocks of a combined file: below first, production last.
fn rank(kind: OrganizationKind) -> u8 {
    match kind {
        OrganizationKind::SubOrganization => 0,
        OrganizationKind::Sandbox => 1,
        OrganizationKind::AdditionalProduction => 2,
        OrganizationKind::Production => 3,
    }
}
