//! The files by project and folder, and by asset.

use std::collections::BTreeMap;

use domain::export::{
    ASSET, Detail, DetailLine, DetailPlan, DetailSource, DetailSum, Member, MeterDetails,
    PROJECT_FOLDER, PlanError, ProjectDays,
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
            self.gauge.enter(done, members.len())?;
            let name = (done == 0 || !is_combined).then(|| names.next()).flatten();
            if is_combined && done == 0 {
                self.start_detail(plan.detail, name.clone())?;
            }
            let file = name.filter(|_| !is_combined);
            match plan.detail {
                Detail::ProjectFolder => {
                    let days = self.project_days(plan, member);
                    if let Some(days) = self.unless_missing(&plan.files, member, days)? {
                        self.projects(member, days, file)?;
                    }
                }
                Detail::Asset => self.assets(plan, member, file)?,
            }
        }
        if is_combined {
            self.end_detail()?;
        }
        Ok(())
    }

    fn end_detail(&mut self) -> Result<()> {
        let ipu = self.file.ipu.map(|ipu| ("ipu", ipu.fixed(24)));
        self.end(ipu.into_iter().collect())
    }

    fn start_detail(&mut self, detail: Detail, name: Option<String>) -> Result<()> {
        match detail {
            Detail::ProjectFolder => self.start(name, PROJECT_FOLDER),
            Detail::Asset => self.start(name, ASSET),
        }
    }

    fn project_days<'c>(&self, plan: &DetailPlan<'c>, member: &Member<'c>) -> Result<ProjectDays> {
        let mut days = ProjectDays::default();
        for (done, meter) in plan.meters.iter().enumerate() {
            let lines = self.lines(plan, member, *meter)?;
            if let Some(date) = lines.first().map(|line| line.date) {
                let too_large = PlanError::TooLarge {
                    meter: *meter,
                    date,
                };
                days.add(lines).ok_or(too_large)?;
            }
            self.gauge.advance(done + 1, plan.meters.len() + 1)?;
        }
        Ok(days)
    }

    /// Prints a member's days into a file of its own, or into the open one.
    fn projects(
        &mut self,
        member: &Member<'_>,
        days: ProjectDays,
        file: Option<String>,
    ) -> Result<()> {
        let has_file = file.is_some();
        if has_file {
            self.start_detail(Detail::ProjectFolder, file)?;
        }
        let mut is_apart = self.file.rows == 0;
        for row in days.rows(member.organization) {
            if !std::mem::replace(&mut is_apart, true) {
                self.gap()?;
            }
            self.file.ipu = self.file.ipu.and_then(|sum| sum.checked_add(row.ipu));
            self.row(Some(row.date), PROJECT_FOLDER, &row)?;
        }
        if has_file {
            self.end_detail()?;
        }
        Ok(())
    }

    fn assets(
        &mut self,
        plan: &DetailPlan<'_>,
        member: &Member<'_>,
        file: Option<String>,
    ) -> Result<()> {
        let has_file = file.is_some();
        if has_file {
            self.start_detail(Detail::Asset, file)?;
        }
        let mut is_apart = self.file.rows == 0;
        for (done, meter) in plan.meters.iter().enumerate() {
            for line in self.lines(plan, member, *meter)? {
                if !std::mem::replace(&mut is_apart, true) {
                    self.gap()?;
                }
                self.file.ipu = self.file.ipu.and_then(|sum| sum.checked_add(line.ipu));
                self.row(Some(line.date), ASSET, &line)?;
            }
            self.gauge.advance(done + 1, plan.meters.len())?;
        }
        if has_file {
            self.end_detail()?;
        }
        Ok(())
    }

    /// The lines of one meter, counted a second time.
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
        let lines = details.lines()?;
        let mut sum = DetailSum::default();
        for line in &lines {
            let (date, too_large) = (line.date, |date| PlanError::TooLarge { meter, date });
            let added = sum.add(line.usage, line.ipu);
            added.ok_or_else(|| too_large(date))?;
        }
        let recount = self.recount(plan.files.recount(member, Some(meter)))?;
        self.compare(member, &recount, &BTreeMap::from([(meter, sum)]))?;
        Ok(lines)
    }

    fn events<'c>(
        &self,
        read: &domain::export::JobRead<'c>,
        detail: Detail,
        details: &mut MeterDetails<'c>,
    ) -> Result<()> {
        let dimensions = detail.dimensions();
        let mut batches = self.scan(read, dimensions, vec![read.meter.rule.clone()])?;
        while let Some(batch) = self.runtime.block_on(batches.next()) {
            let batch = batch?;
            for index in 0..batch.len() {
                let row = job_row(read, dimensions, &batch, index)?;
                let Some(quantity) = row.quantity else {
                    continue;
                };
                let keys = dimensions.iter().map(|dimension| row.dimension(*dimension));
                let keys = keys.map(|value| value.map(str::to_owned)).collect();
                details.add_event(read, row.time, &keys, Total::from(quantity))?;
            }
            self.gauge.check()?;
        }
        Ok(())
    }
}
