//! The job-level reports: events of one or more meters, merged by time.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::dimension::Dimension;
use domain::export::{JobLevelPlan, JobRead, JobRow, ProcessDay, ProcessDays, utc_date};
use domain::quantity::Quantity;
use futures::StreamExt;
use usage::query::{Batch, Batches};

use super::Build;
use crate::error::{Error, Result};

/// Rows written between two looks at the gauge.
const GAUGE_ROWS: u64 = 1024;

impl Build<'_> {
    pub(super) fn job_level(&mut self, plans: &[JobLevelPlan<'_>]) -> Result<()> {
        for (done, plan) in plans.iter().enumerate() {
            let name = Some(plan.file_name());
            match plan.job_columns() {
                Some(columns) => self.start(name, columns)?,
                None => self.start(name, plan.process_columns())?,
            }
            self.merge(plan)?;
            let metered = self.file.usage.fixed(12);
            self.end(BTreeMap::from([("metered", metered)]))?;
            self.gauge.advance(done + 1, plans.len())?;
        }
        Ok(())
    }

    fn merge(&mut self, plan: &JobLevelPlan<'_>) -> Result<()> {
        let dimensions = plan.dimensions();
        let mut processes = ProcessDays::default();
        let mut cursors: Vec<_> = plan.meters.iter().map(|reads| Cursor::new(reads)).collect();
        for cursor in &mut cursors {
            cursor.step(self, &dimensions)?;
        }
        loop {
            let heads = cursors.iter().zip(0..);
            let heads = heads.filter_map(|(cursor, place)| Some((cursor.head()?, place)));
            let Some((_, place)) = heads.min() else { break };
            let cursor: &mut Cursor<'_, '_> = &mut cursors[place];
            if let Some(row) = cursor.row(&dimensions)? {
                self.event(plan, &row, &mut processes)?;
            }
            cursor.step(self, &dimensions)?;
            if self.file.rows.is_multiple_of(GAUGE_ROWS) {
                self.gauge.advance(usize::from(self.gauge.percent()), 100)?;
            }
        }
        self.process_days(plan, &processes.finish())
    }

    fn event(
        &mut self,
        plan: &JobLevelPlan<'_>,
        row: &JobRow<'_>,
        processes: &mut ProcessDays,
    ) -> Result<()> {
        self.file.usage += row.quantity.into();
        if let Some(columns) = plan.job_columns() {
            return self.row(Some(utc_date(row.time)), columns, row);
        }
        let done = processes.add(row);
        self.process_days(plan, &done)
    }

    fn process_days(&mut self, plan: &JobLevelPlan<'_>, days: &[ProcessDay]) -> Result<()> {
        for day in days {
            self.row(Some(day.date()), plan.process_columns(), day)?;
        }
        Ok(())
    }
}

/// Where the reading of one meter stands.
struct Cursor<'p, 'c> {
    reads: std::slice::Iter<'p, JobRead<'c>>,
    read: Option<(&'p JobRead<'c>, Batches)>,
    batch: Option<Batch>,
    index: usize,
}

impl<'p, 'c> Cursor<'p, 'c> {
    fn new(reads: &'p [JobRead<'c>]) -> Self {
        Self {
            reads: reads.iter(),
            read: None,
            batch: None,
            index: 0,
        }
    }

    /// Moves to the next row, over batches and meter versions.
    fn step(&mut self, build: &Build<'_>, dimensions: &[Dimension]) -> Result<()> {
        self.index += 1;
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| self.index >= batch.len())
        {
            self.index = 0;
            self.batch = match &mut self.read {
                Some((_, batches)) => build.runtime.block_on(batches.next()).transpose()?,
                None => None,
            };
            if self.batch.is_none() {
                let Some(next) = self.reads.next() else {
                    self.read = None;
                    return Ok(());
                };
                self.read = Some((next, build.scan(next, dimensions)?));
            }
        }
        Ok(())
    }

    /// What the row is ordered by; `None` after the last.
    fn head(&self) -> Option<(Timestamp, u64)> {
        let batch = self.batch.as_ref()?;
        Some((batch.time(self.index), batch.sequence(self.index)))
    }

    /// The row; `None` where the meter reads nothing.
    fn row(&self, dimensions: &[Dimension]) -> Result<Option<JobRow<'_>>> {
        match (&self.read, &self.batch) {
            (Some((read, _)), Some(batch)) => job_row(read, dimensions, batch, self.index),
            _ => Ok(None),
        }
    }
}

/// One row of a scan; `None` where the meter reads nothing.
pub(super) fn job_row<'b>(
    read: &JobRead<'b>,
    dimensions: &[Dimension],
    batch: &'b Batch,
    index: usize,
) -> Result<Option<JobRow<'b>>> {
    let text = || batch.text(index, 0).map(|_| Quantity::ONE);
    let Some(quantity) = batch.quantity(index, 0).or_else(text) else {
        return Ok(None);
    };
    let organization = batch.organization(index).parse();
    let organization = organization.map_err(|_| Error::Internal("a row names nobody".into()))?;
    let mut values = [None; Dimension::ALL.len()];
    for (place, dimension) in dimensions.iter().enumerate() {
        values[*dimension as usize] = batch.dimension(index, place);
    }
    Ok(Some(JobRow {
        organization,
        meter: read.meter,
        subject: batch.subject(index),
        time: batch.time(index),
        quantity,
        dimensions: values,
    }))
}
