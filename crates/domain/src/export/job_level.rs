//! Job-level reports: one line per event, or per process and day.

mod others;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::column::{Column, Row, column, push, write_fixed, write_instant};
use super::control::Control;
use super::double::write_double;
use super::scope::{self, Coverage};
use super::{ExportRequest, PlanError, utc_date};
use crate::dimension::Dimension;
use crate::ids::{MeterId, OrganizationId};
use crate::meter::{JobLevelLayout, Meter};
use crate::quantity::{Amount, Quantity, Total};
use crate::tree::Scope;

pub use others::OtherRule;
use others::others;

/// What a cell of a report with one line per event holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobCell {
    /// A dimension as sent, empty where there is none.
    Text(Dimension),
    /// A dimension that is a number, without decimals; `0` where there is none, as sent where it is
    /// no number.
    Whole(Dimension),
    /// A dimension that is a number, as Java prints a double.
    Double(Dimension),
    /// The organization's id.
    Organization,
    /// When the use started, as a timestamp of SQL; as sent where it is none.
    Start,
    /// The event time, as a timestamp of SQL.
    End,
    /// The reading rounded to six decimals, as Java prints a double; empty where there is none.
    Metered,
    /// The reading with all its digits; empty where there is none.
    Quantity,
    /// The event time in RFC 3339.
    Time,
    /// The event's subject.
    Subject,
    /// The meter's id.
    MeterId,
    /// The meter's name.
    MeterName,
    /// The meter's unit.
    Unit,
}

const DATA_INTEGRATION: &[Column<JobCell>] = &[
    column("Task ID", JobCell::Text(Dimension::TaskId)),
    column("Task Name", JobCell::Text(Dimension::TaskName)),
    column("Task Object Name", JobCell::Text(Dimension::TaskObject)),
    column("Task Type", JobCell::Text(Dimension::TaskType)),
    column("Task Run ID", JobCell::Text(Dimension::TaskRunId)),
    column("Project Name", JobCell::Text(Dimension::Project)),
    column("Folder Name", JobCell::Text(Dimension::Folder)),
    column("Org ID", JobCell::Organization),
    column("Environment ID", JobCell::Text(Dimension::EnvironmentId)),
    column("Environment", JobCell::Text(Dimension::Environment)),
    column("Cores Used", JobCell::Double(Dimension::CoresUsed)),
    column("Start Time", JobCell::Start),
    column("End Time", JobCell::End),
    column("Status", JobCell::Text(Dimension::Status)),
    column("Metered Value", JobCell::Metered),
    column("Audit Time", JobCell::End),
    column(
        "OBM Task Time(s)",
        JobCell::Whole(Dimension::OverheadSeconds),
    ),
];

const ADVANCED_PUSHDOWN: &[Column<JobCell>] = &[
    column("Task ID", JobCell::Text(Dimension::TaskId)),
    column("Task Name", JobCell::Text(Dimension::TaskName)),
    column("Task Object Name", JobCell::Text(Dimension::TaskObject)),
    column("Task Type", JobCell::Text(Dimension::TaskType)),
    column("Task Run ID", JobCell::Text(Dimension::TaskRunId)),
    column("Project Name", JobCell::Text(Dimension::Project)),
    column("Folder Name", JobCell::Text(Dimension::Folder)),
    column("Org ID", JobCell::Organization),
    column("Environment ID", JobCell::Text(Dimension::EnvironmentId)),
    column("Environment", JobCell::Text(Dimension::Environment)),
    column("Start Time", JobCell::Start),
    column("End Time", JobCell::End),
    column("Status", JobCell::Text(Dimension::Status)),
    column("Metered Value", JobCell::Metered),
    column("Audit Time", JobCell::End),
];

const GENERIC: &[Column<JobCell>] = &[
    column("Org ID", JobCell::Organization),
    column("Meter ID", JobCell::MeterId),
    column("Meter Name", JobCell::MeterName),
    column("Time", JobCell::Time),
    column("Start", JobCell::Text(Dimension::Start)),
    column("Subject", JobCell::Subject),
    column("Project", JobCell::Text(Dimension::Project)),
    column("Folder", JobCell::Text(Dimension::Folder)),
    column("Asset", JobCell::Text(Dimension::Asset)),
    column("Asset Type", JobCell::Text(Dimension::AssetType)),
    column("Environment ID", JobCell::Text(Dimension::EnvironmentId)),
    column("Environment", JobCell::Text(Dimension::Environment)),
    column(
        "Environment Type",
        JobCell::Text(Dimension::EnvironmentType),
    ),
    column("Task ID", JobCell::Text(Dimension::TaskId)),
    column("Task Name", JobCell::Text(Dimension::TaskName)),
    column("Task Type", JobCell::Text(Dimension::TaskType)),
    column("Task Run ID", JobCell::Text(Dimension::TaskRunId)),
    column("Status", JobCell::Text(Dimension::Status)),
    column("Billing Tag", JobCell::Text(Dimension::BillingTag)),
    column("App ID", JobCell::Text(Dimension::AppId)),
    column("Resource", JobCell::Text(Dimension::Resource)),
    column("User", JobCell::Text(Dimension::User)),
    column("Quantity", JobCell::Quantity),
    column("Unit", JobCell::Unit),
];

/// Dimensions that tell processes apart, in the order of [`ProcessDay`].
const PROCESS: [Dimension; 5] = [
    Dimension::TaskType,
    Dimension::Asset,
    Dimension::InvokedBy,
    Dimension::Environment,
    Dimension::Status,
];

/// What a cell of the report by process and day holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessCell {
    /// The organization's id.
    Organization,
    /// What was executed, `Process` unless the events say otherwise.
    Type,
    /// The executed asset.
    Asset,
    /// The UTC day.
    Date,
    /// Who or what started it.
    InvokedBy,
    /// Where it ran.
    Environment,
    /// How it ended.
    Status,
    /// How often.
    Count,
    /// Hours in all.
    Hours,
    /// Seconds on average.
    AverageSeconds,
}

const APPLICATION_INTEGRATION: &[Column<ProcessCell>] = &[
    column("Org ID", ProcessCell::Organization),
    column("Execution type", ProcessCell::Type),
    column("Executed asset", ProcessCell::Asset),
    column("Date (in UTC)", ProcessCell::Date),
    column("Invoked by", ProcessCell::InvokedBy),
    column("Execution env", ProcessCell::Environment),
    column("status", ProcessCell::Status),
    column("Execution count", ProcessCell::Count),
    column("Total Execution time (in hours)", ProcessCell::Hours),
    column(
        "Average Execution time (in seconds)",
        ProcessCell::AverageSeconds,
    ),
];

pub(super) const METERED_DECIMALS: u32 = 6;
pub(super) const HOURS_DECIMALS: u32 = 10;
pub(super) const SECONDS_DECIMALS: u32 = 5;

/// How one job-level report of a request comes about.
#[derive(Debug, Clone)]
pub struct JobLevelPlan<'c> {
    /// Columns of the report.
    pub layout: JobLevelLayout,
    /// What to read of each meter, by organization and time; the report merges them in that order.
    pub meters: Vec<Vec<JobRead<'c>>>,
    meter: MeterId,
}

/// Rows of one meter version to read.
#[derive(Debug, Clone)]
pub struct JobRead<'c> {
    /// Whose usage, and when.
    pub scope: Scope,
    /// The meter version.
    pub meter: &'c Meter,
    /// What other meters read of the same event type: an event one of them finds a value in while
    /// it is in force, and this one does not, is no job of this one.
    pub others: Vec<OtherRule<'c>>,
}

impl<'c> JobLevelPlan<'c> {
    /// The reports of one meter, or of all that have one: a report for each layout the vendor has,
    /// and for each meter of the other layouts.
    pub(super) fn all(
        request: &ExportRequest,
        control: &'c Control,
        meter: Option<MeterId>,
        linked: bool,
    ) -> Result<Vec<Self>, PlanError> {
        let named = scope::meters(request, control, meter)?;
        let coverage = Coverage::new(request, control, linked)?;
        let mut versions = BTreeMap::<MeterId, Vec<&'c Meter>>::new();
        let wanted = |each: &&Meter| named.is_empty() || named.contains(&each.id);
        for each in control.meters.iter().filter(wanted) {
            versions.entry(each.id).or_default().push(each);
        }
        let mut reports = BTreeMap::<_, Self>::new();
        for (id, mut versions) in versions {
            versions.sort_by_key(|version| version.valid.start);
            let Some(layout) = versions.last().and_then(|newest| newest.job_level) else {
                if named.contains(&id) {
                    return Err(PlanError::NoJobLevel(id));
                }
                continue;
            };
            let empty = || Self {
                layout,
                meters: Vec::new(),
                meter: id,
            };
            let report = reports.entry(place(layout, id)).or_insert_with(empty);
            report.meters.push(reads(&coverage, control, &versions));
        }
        Ok(reports.into_values().collect())
    }

    /// Name of the file.
    pub fn file_name(&self) -> String {
        match self.layout {
            JobLevelLayout::DataIntegration => "CDIMeteringAuditData.csv".to_owned(),
            JobLevelLayout::AdvancedPushdown => "PDOMeteringAuditData.csv".to_owned(),
            JobLevelLayout::ApplicationIntegration => format!("DetailedReport_{}.csv", self.meter),
            JobLevelLayout::Generic => format!("JobDetails_{}.csv", self.meter),
        }
    }

    /// Columns of a report with one line per event; `None` for one by process and day.
    pub fn job_columns(&self) -> Option<&'static [Column<JobCell>]> {
        match self.layout {
            JobLevelLayout::DataIntegration => Some(DATA_INTEGRATION),
            JobLevelLayout::AdvancedPushdown => Some(ADVANCED_PUSHDOWN),
            JobLevelLayout::Generic => Some(GENERIC),
            JobLevelLayout::ApplicationIntegration => None,
        }
    }

    /// Columns of the report by process and day.
    pub fn process_columns(&self) -> &'static [Column<ProcessCell>] {
        APPLICATION_INTEGRATION
    }

    /// The dimensions to read, each once.
    pub fn dimensions(&self) -> Vec<Dimension> {
        let Some(columns) = self.job_columns() else {
            return PROCESS.to_vec();
        };
        let named = columns.iter().filter_map(|column| match column.cell {
            JobCell::Text(dimension) | JobCell::Whole(dimension) | JobCell::Double(dimension) => {
                Some(dimension)
            }
            JobCell::Start => Some(Dimension::Start),
            _ => None,
        });
        let mut dimensions: Vec<_> = named.collect();
        dimensions.sort_unstable();
        dimensions.dedup();
        dimensions
    }
}

/// The place of a report in the archive; meters with equal places share one.
fn place(layout: JobLevelLayout, meter: MeterId) -> (u8, Option<MeterId>) {
    match layout {
        JobLevelLayout::DataIntegration => (0, None),
        JobLevelLayout::AdvancedPushdown => (1, None),
        JobLevelLayout::ApplicationIntegration => (2, Some(meter)),
        JobLevelLayout::Generic => (3, Some(meter)),
    }
}

fn reads<'c>(
    coverage: &Coverage,
    control: &'c Control,
    versions: &[&'c Meter],
) -> Vec<JobRead<'c>> {
    let all = coverage.scope.organizations().into_iter();
    let printed = all.filter(|id| coverage.prints(*id));
    let read = |own: &Scope, meter: &'c Meter| JobRead {
        scope: own.within(meter.valid),
        meter,
        others: others(control, meter),
    };
    let reads = printed.flat_map(|id| {
        let own = coverage.scope.only(id);
        let versions = versions.iter().map(|meter| read(&own, meter));
        versions.collect::<Vec<_>>()
    });
    reads
        .filter(|read| !read.scope.entries().is_empty())
        .collect()
}

/// One event as read.
#[derive(Debug, Clone, Copy)]
pub struct JobRow<'a> {
    /// Whose usage.
    pub organization: OrganizationId,
    /// The meter version that read it.
    pub meter: &'a Meter,
    /// The event's subject.
    pub subject: &'a str,
    /// When the use ended.
    pub time: Timestamp,
    /// What the meter read; `None` where the event says nothing it can read.
    pub quantity: Option<Quantity>,
    /// Its dimensions, by their place in [`Dimension::ALL`].
    pub dimensions: [Option<&'a str>; Dimension::ALL.len()],
}

impl<'a> JobRow<'a> {
    /// One of its dimensions.
    pub fn dimension(&self, dimension: Dimension) -> Option<&'a str> {
        self.dimensions[dimension as usize]
    }
}

impl Row for JobRow<'_> {
    type Cell = JobCell;

    fn write(&self, cell: JobCell, text: &mut String) {
        match cell {
            JobCell::Text(dimension) => text.push_str(self.dimension(dimension).unwrap_or("")),
            JobCell::Whole(dimension) => {
                let sent = self.dimension(dimension).unwrap_or("0");
                match sent.parse::<Quantity>() {
                    Ok(number) => write_fixed(number.into(), 0, text),
                    Err(_) => text.push_str(sent),
                }
            }
            JobCell::Double(dimension) => {
                let sent = self.dimension(dimension).unwrap_or("");
                match sent.parse::<Quantity>() {
                    Ok(number) => write_double(number.into(), text),
                    Err(_) => text.push_str(sent),
                }
            }
            JobCell::Organization => text.push_str(self.organization.as_str()),
            JobCell::Start => {
                let sent = self.dimension(Dimension::Start).unwrap_or("");
                match sent.parse() {
                    Ok(start) => write_instant(start, text),
                    Err(_) => text.push_str(sent),
                }
            }
            JobCell::End => write_instant(self.time, text),
            JobCell::Metered => {
                if let Some(quantity) = self.quantity {
                    write_double(rounded(quantity), text);
                }
            }
            JobCell::Quantity => {
                if let Some(quantity) = self.quantity {
                    push(text, format_args!("{quantity}"));
                }
            }
            JobCell::Time => push(text, format_args!("{}", self.time)),
            JobCell::Subject => text.push_str(self.subject),
            JobCell::MeterId => text.push_str(self.meter.id.as_str()),
            JobCell::MeterName => text.push_str(&self.meter.name),
            JobCell::Unit => text.push_str(&self.meter.unit),
        }
    }
}

fn rounded(quantity: Quantity) -> Total {
    let text = Total::from(quantity).fixed(METERED_DECIMALS);
    let rounded = text.parse::<Quantity>().unwrap_or(quantity);
    rounded.into()
}

/// Executions of one process on one day that ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessDay {
    organization: OrganizationId,
    date: Date,
    process: [Option<Box<str>>; PROCESS.len()],
    count: u64,
    hours: Total,
}

/// Gathers events into lines by process and day, one organization after the other.
#[derive(Debug, Default)]
pub struct ProcessDays {
    day: Option<(OrganizationId, Date)>,
    rows: BTreeMap<[Option<Box<str>>; PROCESS.len()], ProcessDay>,
}

impl ProcessDays {
    /// Adds the next event by organization and time; gives the day before when it starts another.
    pub fn add(&mut self, row: &JobRow<'_>) -> Vec<ProcessDay> {
        let date = utc_date(row.time);
        let day = Some((row.organization, date));
        let done = if self.day == day {
            Vec::new()
        } else {
            self.finish()
        };
        self.day = day;
        let process = PROCESS.map(|dimension| row.dimension(dimension).map(Box::from));
        let day = self
            .rows
            .entry(process.clone())
            .or_insert_with(|| ProcessDay {
                organization: row.organization,
                date,
                process,
                count: 0,
                hours: Total::ZERO,
            });
        day.count += 1;
        day.hours += row.quantity.unwrap_or(Quantity::ZERO).into();
        done
    }

    /// The lines of the last day.
    pub fn finish(&mut self) -> Vec<ProcessDay> {
        std::mem::take(&mut self.rows).into_values().collect()
    }
}

impl ProcessDay {
    /// The UTC day.
    pub fn date(&self) -> Date {
        self.date
    }
}

impl Row for ProcessDay {
    type Cell = ProcessCell;

    fn write(&self, cell: ProcessCell, text: &mut String) {
        let [kind, asset, invoked_by, environment, status] = &self.process;
        let sent = |value: &Option<Box<str>>, text: &mut String| {
            text.push_str(value.as_deref().unwrap_or(""));
        };
        match cell {
            ProcessCell::Organization => text.push_str(self.organization.as_str()),
            ProcessCell::Type => text.push_str(kind.as_deref().unwrap_or("Process")),
            ProcessCell::Asset => sent(asset, text),
            ProcessCell::Date => push(text, format_args!("{}", self.date)),
            ProcessCell::InvokedBy => sent(invoked_by, text),
            ProcessCell::Environment => sent(environment, text),
            ProcessCell::Status => sent(status, text),
            ProcessCell::Count => push(text, format_args!("{}", self.count)),
            ProcessCell::Hours => write_fixed(self.hours, HOURS_DECIMALS, text),
            ProcessCell::AverageSeconds => {
                let hour = Quantity::from_units(3600 * Quantity::ONE.units());
                let seconds = hour.and_then(|hour| Amount::product(self.hours, hour, self.count));
                let seconds = seconds.unwrap_or(Amount::from(Total::ZERO));
                text.push_str(&seconds.fixed(SECONDS_DECIMALS));
            }
        }
    }
}
