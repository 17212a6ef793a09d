//! The files of usage by day and meter.

use std::collections::BTreeMap;

use domain::export::{Ledger, Member, RollUps, SUMMARY, SummaryPlan, SummaryRow};
use domain::quantity::Total;

use super::Build;
use crate::error::Result;

impl Build<'_> {
    pub(super) fn summary(&mut self, plan: &SummaryPlan<'_>) -> Result<()> {
        let mut names = plan.file_names().into_iter();
        let mut roll_ups = RollUps::default();
        if plan.combined {
            self.start(names.next(), SUMMARY)?;
        }
        for (done, member) in plan.members.iter().enumerate() {
            self.gauge.enter(done, plan.members.len())?;
            let has_file = member.is_printed && !plan.combined;
            let name = has_file.then(|| names.next()).flatten();
            let rows = self.member_rows(plan, member, &mut roll_ups);
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
    fn member_rows<'c>(
        &self,
        plan: &SummaryPlan<'c>,
        member: &Member<'c>,
        roll_ups: &mut RollUps,
    ) -> Result<Vec<SummaryRow<'c>>> {
        let ledger = self.read(plan, member)?;
        self.gauge.advance(1, 3)?;
        let rows = plan.rows(member, ledger, roll_ups)?;
        if member.is_printed {
            let mut sums = BTreeMap::new();
            for row in &rows {
                let sum = sums.entry(row.meter_id).or_insert(Total::ZERO);
                *sum += row.usage.unwrap_or(Total::ZERO);
            }
            self.recount(member, plan.recount(member, None), &sums)?;
        }
        self.gauge.advance(2, 3)?;
        Ok(rows)
    }

    fn read<'c>(&self, plan: &SummaryPlan<'c>, member: &Member<'c>) -> Result<Ledger<'c>> {
        let (mut ledger, borders) = plan.ledger(member);
        let reads = ledger.reads(&borders);
        self.fill(&mut ledger, &reads)?;
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
