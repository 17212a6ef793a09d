//! The files of usage by chosen columns.

use std::collections::BTreeMap;

use domain::export::{Member, UsageKey, UsageMeter, UsagePlan, UsageSums, UsageUnit};
use domain::limits::TOTALS_ROWS_MAX;
use domain::quantity::Total;
use usage::query::{GroupKey, TotalsQuery};

use super::{Build, by_day};
use crate::error::{Error, Result};

impl Build<'_> {
    pub(super) fn usage_files(&mut self, plan: &UsagePlan<'_>) -> Result<()> {
        let mut names = plan.files.file_names().into_iter();
        let (members, is_combined) = (&plan.files.members, plan.files.combined);
        for (done, member) in members.iter().enumerate() {
            self.gauge.enter(done, members.len())?;
            if done == 0 || !is_combined {
                self.start(names.next(), &plan.columns)?;
            }
            self.usage_of(plan, member)?;
            if done + 1 == members.len() || !is_combined {
                let usage = ("usage", self.file.usage.fixed(12));
                self.end(BTreeMap::from([usage]))?;
            }
        }
        Ok(())
    }

    /// Prints a member's usage meter by meter, then counts all of it a second time.
    fn usage_of<'c>(&mut self, plan: &UsagePlan<'c>, member: &Member<'c>) -> Result<()> {
        let mut sums = BTreeMap::new();
        for (done, meter) in plan.meters.iter().enumerate() {
            let read = self.meter_sums(plan, member, meter)?;
            for row in plan.rows(member, meter, read) {
                *sums.entry(meter.id).or_insert(Total::ZERO) += row.usage;
                self.file.usage += row.usage;
                self.row(row.date, &plan.columns, &row)?;
            }
            self.gauge.advance(done + 1, plan.meters.len() + 1)?;
        }
        let recount = self.recount(plan.files.recount(member, None))?;
        Self::compare_usage(member, &recount, &sums)
    }

    /// The sums of each unit of a meter: they are ordered together, and so bounded together.
    fn meter_sums<'c>(
        &self,
        plan: &UsagePlan<'c>,
        member: &Member<'c>,
        meter: &UsageMeter<'c>,
    ) -> Result<Vec<UsageSums>> {
        let too_many = || Error::TooManyRows {
            organization: member.organization.id,
            meter: meter.id,
            limit: TOTALS_ROWS_MAX,
        };
        let mut sums = Vec::with_capacity(meter.units.len());
        let mut rows = 0;
        for unit in &meter.units {
            let read = self.usage_sums(plan, member, unit);
            let read = read.map_err(|error| match error {
                Error::Usage(usage::Error::OverLimit { limit, .. })
                    if limit == TOTALS_ROWS_MAX as u64 =>
                {
                    too_many()
                }
                error => error,
            })?;
            rows += read.count();
            if rows > TOTALS_ROWS_MAX {
                return Err(too_many());
            }
            sums.push(read);
        }
        Ok(sums)
    }

    fn usage_sums<'c>(
        &self,
        plan: &UsagePlan<'c>,
        member: &Member<'c>,
        unit: &UsageUnit<'c>,
    ) -> Result<UsageSums> {
        let wanted = plan.totals(member, unit);
        let query = TotalsQuery {
            scope: wanted.scope.clone(),
            meters: wanted.meters.iter().map(|meter| (*meter).clone()).collect(),
            windows: wanted.by_day.then(by_day),
            group_by: wanted.keys.iter().copied().map(group_key).collect(),
            filters: Vec::new(),
            spans: false,
        };
        let mut sums = UsageSums::default();
        for row in self.counted(query)? {
            let day = row.window.filter(|_| wanted.by_day);
            sums.add(day.map(|day| day.start), row.keys, row.fold);
        }
        Ok(sums)
    }
}

fn group_key(key: UsageKey) -> GroupKey {
    match key {
        UsageKey::Subject => GroupKey::Subject,
        UsageKey::Dimension(dimension) => GroupKey::Dimension(dimension),
    }
}
