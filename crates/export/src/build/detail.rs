//! The files by project and folder, and by asset.

use domain::export::{
    ASSET, Detail, DetailLine, DetailPlan, DetailSource, Member, MeterDetails, PROJECT_FOLDER,
    PlanError, ProjectDays,
};
use domain::ids::MeterId;
use domain::quantity::Total;
use futures::StreamExt;

use super::Build;
use super::job_level::job_row;
use crate::error::Result;

impl Build<'_> {
    pub(super) fn detail(&mut self, plan: &DetailPlan<'_>) -> Result<()> {
        let mut names = plan.files.file_names().into_iter();
        let (members, is_combined) = (&plan.files.members, plan.files.combined);
        for (done, member) in members.iter().enumerate() {
            if done == 0 || !is_combined {
                self.start_detail(plan.detail, names.next())?;
            }
            match plan.detail {
                Detail::ProjectFolder => self.projects(plan, member)?,
                Detail::Asset => self.assets(plan, member)?,
            }
            if done + 1 == members.len() || !is_combined {
                let ipu = self.file.ipu.map(|ipu| ("ipu", ipu.fixed(24)));
                self.end(ipu.into_iter().collect())?;
            }
            self.gauge.advance(done + 1, members.len())?;
        }
        Ok(())
    }

    fn start_detail(&mut self, detail: Detail, name: Option<String>) -> Result<()> {
        match detail {
            Detail::ProjectFolder => self.start(name, PROJECT_FOLDER),
            Detail::Asset => self.start(name, ASSET),
        }
    }

    fn projects(&mut self, plan: &DetailPlan<'_>, member: &Member<'_>) -> Result<()> {
        let mut days = ProjectDays::default();
        for meter in &plan.meters {
            let lines = self.lines(plan, member, *meter)?;
            if let Some(date) = lines.first().map(|line| line.date) {
                let too_large = PlanError::TooLarge {
                    meter: *meter,
                    date,
                };
                days.add(lines).ok_or(too_large)?;
            }
        }
        let mut is_apart = self.file.rows == 0;
        for row in days.rows(member.organization) {
            if !std::mem::replace(&mut is_apart, true) {
                self.archive.write(None, b"\n")?;
            }
            self.file.ipu = self.file.ipu.and_then(|sum| sum.checked_add(row.ipu));
            self.row(Some(row.date), PROJECT_FOLDER, &row)?;
        }
        Ok(())
    }

    fn assets(&mut self, plan: &DetailPlan<'_>, member: &Member<'_>) -> Result<()> {
        for meter in &plan.meters {
            for line in self.lines(plan, member, *meter)? {
                self.file.ipu = self.file.ipu.and_then(|sum| sum.checked_add(line.ipu));
                self.row(Some(line.date), ASSET, &line)?;
            }
        }
        Ok(())
    }

    fn lines<'c>(
        &self,
        plan: &DetailPlan<'c>,
        member: &Member<'c>,
        meter: MeterId,
    ) -> Result<Vec<DetailLine<'c>>> {
        let (mut details, source) = plan.details(member, meter);
        let dimensions = plan.detail.dimensions();
        match source {
            DetailSource::Groups(reads) => {
                for read in reads {
                    for (day, row) in self.totals(&read, dimensions)? {
                        details.add_group(&read, row.meter, day, &row.keys, &row.fold)?;
                    }
                }
            }
            DetailSource::Days(reads) => {
                for read in reads {
                    for (day, row) in self.totals(&read, &[])? {
                        details.add_day(&read, row.meter, day, row.fold);
                    }
                }
            }
            DetailSource::Events(reads) => {
                for read in reads {
                    self.events(&read, plan.detail, &mut details)?;
                }
            }
        }
        self.gauge.advance(usize::from(self.gauge.percent()), 100)?;
        Ok(details.lines()?)
    }

    fn events<'c>(
        &self,
        read: &domain::export::JobRead<'c>,
        detail: Detail,
        details: &mut MeterDetails<'c>,
    ) -> Result<()> {
        let dimensions = detail.dimensions();
        let mut batches = self.scan(read, dimensions)?;
        while let Some(batch) = self.runtime.block_on(batches.next()) {
            let batch = batch?;
            for index in 0..batch.len() {
                let Some(row) = job_row(read, dimensions, &batch, index)? else {
                    continue;
                };
                let keys = dimensions.iter().map(|dimension| row.dimension(*dimension));
                let keys = keys.map(|value| value.map(str::to_owned)).collect();
                details.add_event(read, row.time, &keys, Total::from(row.quantity))?;
            }
            self.gauge.advance(usize::from(self.gauge.percent()), 100)?;
        }
        Ok(())
    }
}
