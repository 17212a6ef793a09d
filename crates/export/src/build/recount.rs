//! What rows add up to, against the same usage read in another way; a difference fails the job.

use std::collections::BTreeMap;

use domain::aggregation::Fold;
use domain::export::{DetailPlan, DetailSum, JobRead, Member, Recount, SummaryPlan};
use domain::ids::{MeterId, OrganizationId};
use domain::quantity::Total;
use usage::query::{TotalRow, TotalsQuery};

use super::{Build, by_day};
use crate::error::{Error, Result};

/// An organization that is not in the files, or not in all of them, and why.
#[derive(Debug)]
pub struct Missing {
    /// Whose usage.
    pub organization: OrganizationId,
    /// What reading it met.
    pub error: Error,
}

impl Build<'_> {
    /// Fails unless a member's rows add up to what the store counts by meter alone.
    pub(super) fn recount(
        &self,
        member: &Member<'_>,
        mut recount: Recount<'_>,
        rows: &BTreeMap<MeterId, Total>,
    ) -> Result<()> {
        for read in recount.reads() {
            let query = TotalsQuery {
                scope: read.scope.clone(),
                meters: read.meters.iter().map(|meter| (*meter).clone()).collect(),
                windows: read.by_day.then(by_day),
                group_by: Vec::new(),
                filters: Vec::new(),
            };
            for row in self.counted(query)? {
                let day = row.window.filter(|_| read.by_day);
                recount.add(&read, row.meter, day.map(|day| day.start), row.fold);
            }
        }
        let organization = member.organization.id;
        recount.difference(rows).map_or(Ok(()), |difference| {
            Err(Error::Mismatch {
                organization,
                meter: difference.meter,
                rows: difference.rows.to_string(),
                counted: difference.counted.to_string(),
            })
        })
    }

    /// Fails unless the lines of one meter are worth what its summary says.
    pub(super) fn compare_with_summary<'c>(
        &self,
        plan: &DetailPlan<'c>,
        member: &Member<'c>,
        meter: MeterId,
        lines: &DetailSum,
    ) -> Result<()> {
        let (mut ledger, reads) = plan.ledger(member, meter);
        self.fill(&mut ledger, &reads)?;
        let summary = plan.sum(member, &ledger)?;
        if summary.equals(lines) {
            return Ok(());
        }
        let shown = |sum: &DetailSum| format!("{} for {} IPU", sum.usage, sum.ipu.fixed(24));
        Err(Error::Mismatch {
            organization: member.organization.id,
            meter,
            rows: shown(lines),
            counted: shown(&summary),
        })
    }

    /// Fails unless the events listed of one meter version fold to what the store counts.
    pub(super) fn compare_with_totals(&self, read: &JobRead<'_>, events: &Fold) -> Result<()> {
        let query = TotalsQuery {
            scope: read.scope.clone(),
            meters: vec![read.meter.clone()],
            windows: None,
            group_by: Vec::new(),
            filters: Vec::new(),
        };
        let mut counted = Fold::new(read.meter.rule.aggregation);
        for row in self.counted(query)? {
            counted.merge(row.fold);
        }
        let (rows, counted) = (events.value(), counted.value());
        if rows.unwrap_or(Total::ZERO) == counted.unwrap_or(Total::ZERO) {
            return Ok(());
        }
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
