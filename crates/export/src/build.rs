//! Steps 4 to 6 of usage out: what a plan reads is priced, printed and packed.
//!
//! Runs on a blocking thread, which waits for the store and leaves deflating to others.

mod climb;
mod detail;
mod gauge;
mod job_level;
mod print;
mod recount;
mod summary;
mod usage_files;
mod way;

use std::fs::File;

use domain::Timestamp;
use domain::dimension::Dimension;
use domain::export::{AsOf, ExportPlan, JobRead, Ledger, Parameters, UsageRead};
use domain::meter::ReadingRule;
use domain::quantity::{Amount, Total};
use domain::window::{WindowSize, Windows};
use jiff::tz::TimeZone;
use tokio::runtime::Handle;
use usage::UsageStore;
use usage::query::{GroupKey, ScanQuery, TotalRow, TotalsQuery};

use crate::archive::Archive;
use crate::error::{Error, Result};
use crate::manifest::FileFacts;

use print::Table;

pub use gauge::Gauge;
pub use recount::Missing;

/// Makes the files of one export.
#[derive(Debug)]
pub struct Build<'a> {
    usage: &'a dyn UsageStore,
    runtime: &'a Handle,
    gauge: &'a Gauge,
    as_of: AsOf,
    archive: Archive<File>,
    parameters: &'a Parameters,
    /// Places of the columns printed, in order.
    order: Vec<usize>,
    /// The open file, when it is a Parquet one.
    table: Option<Table>,
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
            archive: Archive::new(scratch, as_of.time, threads, parameters.packing)?,
            parameters,
            table: None,
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
            ExportPlan::Usage(plan) => self.usage_files(plan)?,
        }
        self.gauge.enter(1, 1)?;
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
            self.gauge.check()?;
        }
        Ok(())
    }

    fn totals(
        &self,
        read: &UsageRead<'_>,
        dimensions: &[Dimension],
    ) -> Result<Vec<(Timestamp, TotalRow)>> {
        self.dated(totals_query(read, dimensions))
    }

    /// Totals by day, each with the first instant of its day.
    fn dated(&self, query: TotalsQuery) -> Result<Vec<(Timestamp, TotalRow)>> {
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
        spans: false,
    }
}

/// Windows of one UTC day each.
fn by_day() -> Windows {
    Windows {
        size: WindowSize::Day,
        zone: TimeZone::UTC,
    }
}
