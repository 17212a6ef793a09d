//! What rows add up to, against the same usage read in another way; a difference fails the job.

use std::collections::BTreeMap;

use domain::aggregation::Fold;
use domain::dimension::Dimension;
use domain::export::{
    DetailSum, Grouping, JobRead, Member, PlanError, Recount, RecountRead, SummaryPlan, SummaryRow,
    roll_up_meter,
};
use domain::ids::{MeterId, OrganizationId};
use domain::quantity::Total;
use domain::window::{WindowSize, Windows};
use jiff::tz::TimeZone;
use usage::query::{GroupKey, TotalRow, TotalsQuery};

use super::{Build, by_day};
use crate::error::{Error, Result};
use crate::metrics;

/// An organization that is not in the files, or not in all of them, and why.
#[derive(Debug)]
pub struct Missing {
    /// Whose usage.
    pub organization: OrganizationId,
    /// What reading it met.
    pub error: Error,
}

/// What roll-up rows of parents have to add up to, by parent and meter; `None` once a child has
/// usage that cannot be counted a second time.
pub(super) type RolledUp = BTreeMap<(OrganizationId, MeterId), Option<DetailSum>>;

impl Build<'_> {
    /// Reads a member's usage a second time.
    pub(super) fn recount<'c>(&self, mut recount: Recount<'c>) -> Result<Recount<'c>> {
        for read in recount.reads() {
            for row in self.counted(recount_query(&read))? {
                let window = row.window.map(|window| window.start);
                recount.add(&read, row.meter, window, row.fold);
            }
        }
        Ok(recount)
    }

    /// Fails unless a member's rows of some meters add up to what was counted of them.
    pub(super) fn compare(
        member: &Member<'_>,
        recount: &Recount<'_>,
        rows: &BTreeMap<MeterId, DetailSum>,
    ) -> Result<()> {
        let found = recount.difference(&member.visible, rows)?;
        found.map_or(Ok(()), |found| {
            let organization = member.organization.id;
            Err(mismatch(
                organization,
                found.meter,
                &found.rows,
                &found.counted,
            ))
        })
    }

    /// The same for rows that show usage without its worth.
    pub(super) fn compare_usage(
        member: &Member<'_>,
        recount: &Recount<'_>,
        rows: &BTreeMap<MeterId, Total>,
    ) -> Result<()> {
        let counted = recount.sums(&member.visible)?;
        for meter in rows.keys().chain(counted.keys()) {
            let printed = rows.get(meter).copied().unwrap_or(Total::ZERO);
            let counted = counted.get(meter).map_or(Total::ZERO, |sum| sum.usage);
            if recount.covers(*meter) && printed != counted {
                metrics::count_mismatch();
                return Err(Error::Mismatch {
                    organization: member.organization.id,
                    meter: *meter,
                    rows: printed.to_string(),
                    counted: counted.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Fails unless the roll-up rows of a member add up to what its children's recounts gave.
    pub(super) fn compare_roll_ups(
        member: &Member<'_>,
        rows: &[SummaryRow<'_>],
        rolled_up: &RolledUp,
    ) -> Result<()> {
        let organization = member.organization.id;
        let mut sums = BTreeMap::<_, DetailSum>::new();
        for row in rows.iter().filter(|row| row.usage.is_none()) {
            let (meter, date) = (row.meter_id, row.date);
            let sum = sums.entry(meter).or_default();
            let added = sum.add(Total::ZERO, row.ipu);
            added.ok_or(PlanError::TooLarge { meter, date })?;
        }
        let own = rolled_up.iter().filter(|((of, _), _)| *of == organization);
        let counted: BTreeMap<_, _> = own.map(|((_, meter), sum)| (*meter, *sum)).collect();
        for meter in sums.keys().chain(counted.keys()) {
            let rows = sums.get(meter).copied().unwrap_or_default();
            let counted = counted.get(meter).copied();
            let Some(counted) = counted.unwrap_or(Some(DetailSum::default())) else {
                continue;
            };
            if !rows.equals(&counted) {
                return Err(mismatch(organization, *meter, &rows, &counted));
            }
        }
        Ok(())
    }

    /// Notes what the roll-ups of a member's parents have to hold of it.
    pub(super) fn roll_up(
        plan: &SummaryPlan<'_>,
        member: &Member<'_>,
        recount: &Recount<'_>,
        rolled_up: &mut RolledUp,
    ) -> Result<()> {
        let Some(meter) = roll_up_meter(member.organization.kind) else {
            return Ok(());
        };
        for child in plan.parents(member) {
            let sum = rolled_up
                .entry((child.parent, meter))
                .or_insert_with(|| Some(DetailSum::default()));
            if !recount.covers_all() {
                *sum = None;
            }
            let Some(sum) = sum else {
                continue;
            };
            for (meter, counted) in recount.sums(&child.valid)? {
                let too_large = || Error::Internal(format!("roll-ups of {meter} are too large"));
                sum.add(Total::ZERO, counted.ipu).ok_or_else(too_large)?;
            }
        }
        Ok(())
    }

    /// Fails unless the events listed of one meter version fold to what the store counts.
    pub(super) fn compare_with_totals(&self, read: &JobRead<'_>, events: &Fold) -> Result<()> {
        let query = TotalsQuery {
            scope: read.scope.clone(),
            meters: vec![read.meter.clone()],
            windows: None,
            group_by: Vec::new(),
            filters: Vec::new(),
            spans: false,
        };
        let mut counted = Fold::new(read.meter.rule.aggregation);
        for row in self.counted(query)? {
            counted.merge(row.fold);
        }
        let (rows, counted) = (events.value(), counted.value());
        if rows.unwrap_or(Total::ZERO) == counted.unwrap_or(Total::ZERO) {
            return Ok(());
        }
        metrics::count_mismatch();
        let shown = |value: Option<Total>| value.unwrap_or(Total::ZERO).to_string();
        let owner = read.scope.entries().first();
        Err(Error::Mismatch {
            organization: owner.map_or_else(|| OrganizationId::from_random(0), |e| e.organization),
            meter: read.meter.id,
            rows: shown(rows),
            counted: shown(counted),
        })
    }

    /// Lets an export go on without a linked organization whose usage cannot be read; without the
    /// requester's own there is nothing to give out.
    pub(super) fn unless_missing<T>(
        &mut self,
        plan: &SummaryPlan<'_>,
        member: &Member<'_>,
        read: Result<T>,
    ) -> Result<Option<T>> {
        let organization = member.organization.id;
        match read {
            Err(error)
                if error.is_unreadable()
                    && organization != plan.requester()
                    && !plan.is_only(member) =>
            {
                self.missing.push(Missing {
                    organization,
                    error,
                });
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    pub(super) fn counted(&self, query: TotalsQuery) -> Result<Vec<TotalRow>> {
        let totals = self.usage.totals(query, self.as_of.sequence);
        Ok(self.runtime.block_on(totals)?)
    }
}

fn recount_query(read: &RecountRead<'_>) -> TotalsQuery {
    let by_hour = || Windows {
        size: WindowSize::Hour,
        zone: TimeZone::UTC,
    };
    let (windows, group_by) = match read.grouping {
        Grouping::Whole => (None, Vec::new()),
        Grouping::Hours => (Some(by_hour()), Vec::new()),
        Grouping::Projects => (
            Some(by_day()),
            vec![GroupKey::Dimension(Dimension::Project)],
        ),
    };
    TotalsQuery {
        scope: read.scope.clone(),
        meters: read.meters.iter().map(|meter| (*meter).clone()).collect(),
        windows,
        group_by,
        filters: Vec::new(),
        spans: false,
    }
}

fn mismatch(
    organization: OrganizationId,
    meter: MeterId,
    rows: &DetailSum,
    counted: &DetailSum,
) -> Error {
    metrics::count_mismatch();
    let shown = |sum: &DetailSum| format!("{} for {} IPU", sum.usage, sum.ipu.fixed(24));
    Error::Mismatch {
        organization,
        meter,
        rows: shown(rows),
        counted: shown(counted),
    }
}
