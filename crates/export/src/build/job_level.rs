//! The job-level reports: events of one or more meters, merged by organization and time.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::aggregation::Fold;
use domain::dimension::Dimension;
use domain::export::{JobLevelPlan, JobRead, JobRow, ProcessDay, ProcessDays, utc_date};
use domain::ids::OrganizationId;
use domain::quantity::{Quantity, Total};
use futures::StreamExt;
use usage::query::{Batch, Batches};

use super::Build;
use super::way::Way;
use crate::error::{Error, Result};

/// Rows written between two looks at the gauge.
const GAUGE_ROWS: u64 = 1024;

impl Build<'_> {
    pub(super) fn job_level(&mut self, plans: &[JobLevelPlan<'_>]) -> Result<()> {
        for (done, plan) in plans.iter().enumerate() {
            self.gauge.enter(done, plans.len())?;
            let name = Some(plan.file_name());
            match plan.job_columns() {
                Some(columns) => self.start(name, columns)?,
                None => self.start(name, plan.process_columns())?,
            }
            self.merge(plan)?;
            let metered = self.file.usage.fixed(12);
            self.end(BTreeMap::from([("metered", metered)]))?;
        }
        Ok(())
    }

    fn merge(&mut self, plan: &JobLevelPlan<'_>) -> Result<()> {
        let (dimensions, way) = (plan.dimensions(), Way::of(&plan.meters));
        let mut processes = ProcessDays::default();
        let mut cursors: Vec<_> = plan.meters.iter().map(|reads| Cursor::new(reads)).collect();
        for cursor in &mut cursors {
            cursor.step(self, &dimensions)?;
        }
        while let Some(head) = cursors.iter().filter_map(Cursor::head).min() {
            let at_head = cursors.iter_mut().filter(|each| each.head() == Some(head));
            let at_head: Vec<_> = at_head.collect();
            self.list(plan, &at_head, &dimensions, &mut processes)?;
            for cursor in at_head {
                cursor.note();
                cursor.step(self, &dimensions)?;
            }
            if self.file.rows.is_multiple_of(GAUGE_ROWS) {
                self.gauge.advance(way.done(head), way.whole())?;
            }
        }
        self.process_days(plan, &processes.finish())
    }

    /// Lists one event: for each meter that reads it, or once when none does.
    fn list(
        &mut self,
        plan: &JobLevelPlan<'_>,
        cursors: &[&mut Cursor<'_, '_>],
        dimensions: &[Dimension],
        processes: &mut ProcessDays,
    ) -> Result<()> {
        let rows = cursors.iter().map(|cursor| cursor.row(dimensions));
        let rows: Vec<_> = rows.filter_map(Result::transpose).collect::<Result<_>>()?;
        let mut read = rows.iter().filter(|row| row.quantity.is_some()).peekable();
        if read.peek().is_none() {
            let without = rows.first();
            return without.map_or(Ok(()), |row| self.event(plan, row, processes));
        }
        read.try_for_each(|row| self.event(plan, row, processes))
    }

    fn event(
        &mut self,
        plan: &JobLevelPlan<'_>,
        row: &JobRow<'_>,
        processes: &mut ProcessDays,
    ) -> Result<()> {
        self.file.usage += row.quantity.map_or(Total::ZERO, Total::from);
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

/// What rows are ordered by: organization, audit time and sequence.
pub(super) type Head = (OrganizationId, Timestamp, u64);

/// Where the reading of one meter stands.
struct Cursor<'p, 'c> {
    reads: std::slice::Iter<'p, JobRead<'c>>,
    read: Option<(&'p JobRead<'c>, Batches)>,
    listed: Option<Fold>,
    batch: Option<Batch>,
    index: usize,
}

impl<'p, 'c> Cursor<'p, 'c> {
    fn new(reads: &'p [JobRead<'c>]) -> Self {
        Self {
            reads: reads.iter(),
            read: None,
            listed: None,
            batch: None,
            index: 0,
        }
    }

    /// Moves to the next row, over batches and meter versions; each version is checked at its end.
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
                if let (Some((read, _)), Some(listed)) = (&self.read, &self.listed) {
                    build.compare_with_totals(read, listed)?;
                }
                let Some(next) = self.reads.next() else {
                    (self.read, self.listed) = (None, None);
                    return Ok(());
                };
                let rule = &next.meter.rule;
                let own = [Some(rule.clone()), rule.matching()].into_iter().flatten();
                let rules = own
                    .chain(next.others.iter().map(|other| other.rule.clone()))
                    .collect();
                self.read = Some((next, build.scan(next, dimensions, rules)?));
                // Texts told apart would all have to be kept for a second count.
                let is_number = !rule.aggregation.reads_text();
                self.listed = is_number.then(|| Fold::new(rule.aggregation));
            }
        }
        Ok(())
    }

    /// What the row is ordered by; `None` after the last.
    fn head(&self) -> Option<Head> {
        let ((read, _), batch) = (self.read.as_ref()?, self.batch.as_ref()?);
        let organization = read.scope.entries().first()?.organization;
        let (time, sequence) = (batch.time(self.index), batch.sequence(self.index));
        Some((organization, time, sequence))
    }

    /// Adds the current row to what was listed of its meter version.
    fn note(&mut self) {
        let quantity = self.quantity();
        let head = self.head();
        if let (Some(listed), Some(quantity), Some((_, time, sequence))) =
            (&mut self.listed, quantity, head)
        {
            listed.add(quantity, time, sequence);
        }
    }

    fn quantity(&self) -> Option<Quantity> {
        self.batch.as_ref()?.quantity(self.index, 0)
    }

    /// The row; `None` where a filter of the meter leaves the event out.
    fn row(&self, dimensions: &[Dimension]) -> Result<Option<JobRow<'_>>> {
        let (Some((read, _)), Some(batch)) = (&self.read, &self.batch) else {
            return Ok(None);
        };
        let row = job_row(read, dimensions, batch, self.index)?;
        let is_listed = row.quantity.is_some() || is_job_without(read, batch, self.index);
        Ok(is_listed.then_some(row))
    }
}

/// Whether an event without a reading belongs to the meter all the same: its filters let it pass,
/// and no other meter that is in force at its time finds a value there.
fn is_job_without(read: &JobRead<'_>, batch: &Batch, index: usize) -> bool {
    let is_read =
        |rule: usize| batch.quantity(index, rule).is_some() || batch.text(index, rule).is_some();
    let is_filtered = !read.meter.rule.filters.is_empty();
    let first = 1 + usize::from(is_filtered);
    let time = batch.time(index);
    let mut others = (first..).zip(&read.others);
    (!is_filtered || is_read(1))
        && !others.any(|(rule, other)| other.is_in_force(time) && is_read(rule))
}

/// One row of a scan, whose first rule is the meter's.
pub(super) fn job_row<'b>(
    read: &JobRead<'b>,
    dimensions: &[Dimension],
    batch: &'b Batch,
    index: usize,
) -> Result<JobRow<'b>> {
    let text = || batch.text(index, 0).map(|_| Quantity::ONE);
    let organization = batch.organization(index).parse();
    let organization = organization.map_err(|_| Error::Internal("a row names nobody".into()))?;
    let mut values = [None; Dimension::ALL.len()];
    for (place, dimension) in dimensions.iter().enumerate() {
        values[*dimension as usize] = batch.dimension(index, place);
    }
    Ok(JobRow {
        organization,
        meter: read.meter,
        subject: batch.subject(index),
        time: batch.time(index),
        quantity: batch.quantity(index, 0).or_else(text),
        dimensions: values,
    })
}
