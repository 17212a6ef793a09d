//! The files of usage by day and meter.

use std::collections::BTreeMap;

use domain::export::{
    DetailSum, Ledger, Member, PlanError, RollUps, SUMMARY, SummaryPlan, SummaryRow,
};
use domain::ids::MeterId;
use domain::quantity::Total;

use super::Build;
use super::recount::RolledUp;
use crate::error::Result;

impl Build<'_> {
    pub(super) fn summary(&mut self, plan: &SummaryPlan<'_>) -> Result<()> {
        let mut names = plan.file_names().into_iter();
        let (mut roll_ups, mut rolled_up) = (RollUps::default(), RolledUp::default());
        if plan.combined {
            self.start(names.next(), SUMMARY)?;
        }
        for (done, member) in plan.members.iter().enumerate() {
            self.gauge.enter(done, plan.members.len())?;
            let has_file = member.is_printed && !plan.combined;
            let name = has_file.then(|| names.next()).flatten();
            let rows = self.member_rows(plan, member, (&mut roll_ups, &mut rolled_up));
            let Some(rows) = self.unless_missing(plan, member, rows)? else {
                continue;
            };
            if has_file {
                self.start(name, SUMMARY)?;
                self.summary_rows(&rows)?;
                self.end_summary()?;
            } else if !rows.is_empty() {
                if self.file.rows > 0 {
                    self.gap()?;
                }
                self.summary_rows(&rows)?;
            }
        }
        if plan.combined {
            self.end_summary()?;
        }
        Ok(())
    }

    /// The rows of one member, read, priced and counted a second time.
    ///
    /// Both readings come first: a member that cannot be read leaves no trace in its parents' sums.
    fn member_rows<'c>(
        &self,
        plan: &SummaryPlan<'c>,
        member: &Member<'c>,
        (roll_ups, rolled_up): (&mut RollUps, &mut RolledUp),
    ) -> Result<Vec<SummaryRow<'c>>> {
        let ledger = self.read(plan, member)?;
        let recount = self.recount(plan.recount(member, None))?;
        self.gauge.advance(1, 3)?;
        let rows = plan.rows(member, ledger, roll_ups)?;
        Self::roll_up(plan, member, &recount, rolled_up)?;
        if member.is_printed {
            Self::compare(member, &recount, &own_sums(&rows)?)?;
            Self::compare_roll_ups(member, &rows, rolled_up)?;
        }
        self.gauge.advance(2, 3)?;
        Ok(rows)
    }

    fn read<'c>(&self, plan: &SummaryPlan<'c>, member: &Member<'c>) -> Result<Ledger<'c>> {
        let (mut ledger, borders) = plan.ledger(member);
        let reads = ledger.reads(&borders);
        self.fill(&mut ledger, &reads)?;
        if member.is_printed {
            self.climb(&mut ledger, &reads)?;
        }
        Ok(ledger)
    }

    fn summary_rows(&mut self, rows: &[SummaryRow<'_>]) -> Result<()> {
        for row in rows {
            self.row(Some(row.date), SUMMARY, row)?;
            if row.category != "ORGS" {
                self.file.usage += row.usage.unwrap_or(Total::ZERO);
                self.file.ipu = self.file.ipu.and_then(|sum| sum.checked_add(row.ipu));
            }
        }
        Ok(())
    }

    fn end_summary(&mut self) -> Result<()> {
        let usage = ("usage", self.file.usage.fixed(12));
        let ipu = self.file.ipu.map(|ipu| ("ipu", ipu.fixed(24)));
        self.end([usage].into_iter().chain(ipu).collect())
    }
}

/// What the rows of an organization's own meters add up to.
fn own_sums(rows: &[SummaryRow<'_>]) -> Result<BTreeMap<MeterId, DetailSum>> {
    let mut sums = BTreeMap::<_, DetailSum>::new();
    for row in rows.iter().filter(|row| !row.is_linked()) {
        let (meter, date) = (row.meter_id, row.date);
        let sum = sums.entry(meter).or_default();
        let added = sum.add(row.usage.unwrap_or(Total::ZERO), row.ipu);
        added.ok_or(PlanError::TooLarge { meter, date })?;
    }
    Ok(sums)
}
