//! Steps 4 to 6 of usage out: what a plan reads is priced, printed and packed.
//!
//! Runs on a blocking thread, which waits for the store and leaves deflating to others.

mod detail;
mod job_level;
mod recount;
mod summary;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use domain::Timestamp;
use domain::dimension::Dimension;
use domain::export::{
    AsOf, Column, ExportPlan, JobRead, Ledger, Parameters, Row, UsageRead, places,
};
use domain::meter::ReadingRule;
use domain::quantity::{Amount, Total};
use domain::window::{WindowSize, Windows};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::runtime::Handle;
use usage::UsageStore;
use usage::query::{GroupKey, ScanQuery, TotalRow, TotalsQuery};

use crate::archive::Archive;
use crate::csv;
use crate::error::{Error, Result};
use crate::manifest::FileFacts;

pub use recount::Missing;

/// What the outside may see and ask of a running build.
#[derive(Debug, Default)]
pub struct Gauge {
    stop: AtomicBool,
    rows: AtomicU64,
    percent: AtomicU8,
}

impl Gauge {
    /// Asks the build to end without a result.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the build was asked to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Share of the work done, 0 to 100.
    pub fn percent(&self) -> u8 {
        self.percent.load(Ordering::Relaxed)
    }

    fn advance(&self, done: usize, all: usize) -> Result<()> {
        let percent = done.saturating_mul(100) / all.max(1);
        let percent = u8::try_from(percent.min(100)).expect("at most 100");
        self.percent.store(percent, Ordering::Relaxed);
        if self.is_stopped() {
            return Err(Error::Stopping);
        }
        Ok(())
    }
}

/// Makes the files of one export.
#[derive(Debug)]
pub struct Build<'a> {
    usage: &'a dyn UsageStore,
    runtime: &'a Handle,
    gauge: &'a Gauge,
    as_of: AsOf,
    archive: Archive<File>,
    /// Headers of the columns chosen; none for all.
    headers: &'a [String],
    /// Places of the columns printed, in order.
    order: Vec<usize>,
    line: Vec<u8>,
    cell: String,
    files: Vec<FileFacts>,
    file: Sums,
    missing: Vec<Missing>,
}

/// What an archive holds, and what should be in it and is not.
#[derive(Debug)]
pub struct Contents {
    /// The files, in order.
    pub files: Vec<FileFacts>,
    /// Linked organizations whose usage could not be read.
    pub missing: Vec<Missing>,
}

/// What the rows of the current file add up to.
#[derive(Debug)]
struct Sums {
    rows: u64,
    usage: Total,
    ipu: Option<Amount>,
}

impl Sums {
    fn new() -> Self {
        Self {
            rows: 0,
            usage: Total::ZERO,
            ipu: Some(Amount::from(Total::ZERO)),
        }
    }
}

impl<'a> Build<'a> {
    /// A build into an empty file.
    pub fn new(
        usage: &'a dyn UsageStore,
        runtime: &'a Handle,
        gauge: &'a Gauge,
        (parameters, as_of): (&'a Parameters, AsOf),
        (scratch, threads): (File, usize),
    ) -> Result<Self> {
        Ok(Self {
            usage,
            runtime,
            gauge,
            as_of,
            archive: Archive::new(scratch, as_of.time, threads)?,
            headers: &parameters.columns,
            order: Vec::new(),
            line: Vec::new(),
            cell: String::new(),
            files: Vec::new(),
            file: Sums::new(),
            missing: Vec::new(),
        })
    }

    /// Makes every file of the plan and gives the archive with what is in it.
    pub fn run(mut self, plan: &ExportPlan<'_>) -> Result<(File, Contents)> {
        match plan {
            ExportPlan::Summary(plan) => self.summary(plan)?,
            ExportPlan::Detail(plan) => self.detail(plan)?,
            ExportPlan::JobLevel(plans) => self.job_level(plans)?,
        }
        let contents = Contents {
            files: self.files,
            missing: self.missing,
        };
        Ok((self.archive.finish()?, contents))
    }

    /// Puts the totals of a ledger's reads where they belong.
    fn fill<'c>(&self, ledger: &mut Ledger<'c>, reads: &[UsageRead<'c>]) -> Result<()> {
        for read in reads {
            for (day, row) in self.totals(read, &[])? {
                ledger.add(read, row.meter, day, row.fold);
            }
            self.gauge.advance(usize::from(self.gauge.percent()), 100)?;
        }
        Ok(())
    }

    fn totals(
        &self,
        read: &UsageRead<'_>,
        dimensions: &[Dimension],
    ) -> Result<Vec<(Timestamp, TotalRow)>> {
        let query = totals_query(read, dimensions);
        let totals = self.usage.totals(query, self.as_of.sequence);
        let rows = self.runtime.block_on(totals)?.into_iter();
        let dated = rows.map(|row| match row.window {
            Some(window) => Ok((window.start, row)),
            None => Err(Error::Internal("a total has no day".into())),
        });
        dated.collect()
    }

    /// Events of a meter version, with what each of `rules` reads there.
    fn scan(
        &self,
        read: &JobRead<'_>,
        dimensions: &[Dimension],
        rules: Vec<ReadingRule>,
    ) -> Result<usage::query::Batches> {
        let query = ScanQuery {
            scope: read.scope.clone(),
            event_types: vec![read.meter.rule.event_type.clone()],
            dimensions: dimensions.to_vec(),
            rules,
        };
        let scan = self.usage.scan(query, self.as_of.sequence);
        Ok(self.runtime.block_on(scan)?)
    }

    fn start<C>(&mut self, name: Option<String>, columns: &[Column<C>]) -> Result<()> {
        let name = name.ok_or_else(|| Error::Internal("a plan names too few files".into()))?;
        self.archive.start(&name)?;
        self.file = Sums::new();
        self.line.clear();
        self.order = places(columns, self.headers)?;
        let chosen = self.order.iter().map(|place| &columns[*place]);
        csv::write_header(chosen, &mut self.line);
        self.archive.write(None, &self.line)
    }

    fn row<R: Row>(
        &mut self,
        date: Option<Date>,
        columns: &[Column<R::Cell>],
        row: &R,
    ) -> Result<()> {
        self.line.clear();
        let chosen = self.order.iter().map(|place| &columns[*place]);
        csv::write_row(chosen, row, &mut self.cell, &mut self.line);
        self.file.rows += 1;
        self.gauge.rows.fetch_add(1, Ordering::Relaxed);
        self.archive.write(date, &self.line)
    }

    fn end(&mut self, controls: BTreeMap<&'static str, String>) -> Result<()> {
        let entry = self.archive.end()?;
        let rows = self.file.rows;
        self.files.push(FileFacts {
            entry,
            rows,
            controls,
        });
        Ok(())
    }
}

fn totals_query(read: &UsageRead<'_>, dimensions: &[Dimension]) -> TotalsQuery {
    TotalsQuery {
        scope: read.scope.clone(),
        meters: read.meters.iter().map(|meter| (*meter).clone()).collect(),
        windows: Some(by_day()),
        group_by: dimensions
            .iter()
            .copied()
            .map(GroupKey::Dimension)
            .collect(),
        filters: Vec::new(),
    }
}

/// Windows of one UTC day each.
fn by_day() -> Windows {
    Windows {
        size: WindowSize::Day,
        zone: TimeZone::UTC,
    }
}
