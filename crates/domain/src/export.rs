//! Step 3 of usage out: a request at a watermark becomes a plan of files, columns and reads.
//!
//! Pure: equal requests, control data and watermarks give equal plans. The worker of `export` reads
//! what a plan asks for, hands it back to be priced, and prints the rows by the plan's columns.

mod chosen;
mod column;
mod control;
mod detail;
mod double;
mod form;
mod job_level;
mod ledger;
mod linked;
pub mod parameters;
mod recount;
mod safe;
mod scope;
mod summary;
#[cfg(test)]
mod tests;
mod usage;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::ids::{MeterId, OrganizationId};
use crate::kind::Kind;
use crate::range::TimeRange;

pub use chosen::{file_name, places};
pub use column::{Column, Row};
pub use control::{Control, Organization, OrganizationVersion};
pub use detail::{
    ASSET, AssetCell, Detail, DetailLine, DetailPlan, DetailSource, DetailSum, Keys, MeterDetails,
    PROJECT_FOLDER, ProjectCell, ProjectDays, ProjectRow,
};
pub use double::write_double;
pub use form::{Cell, DECIMAL_DIGITS, Form, Value};
pub use job_level::{
    JobCell, JobLevelPlan, JobRead, JobRow, OtherRule, ProcessCell, ProcessDay, ProcessDays,
};
pub use ledger::{DayLine, Ledger, UsageRead};
pub use linked::{Child, FEE_PRICE, LinkedMeter, RollUps, roll_up_meter};
pub use parameters::{FileFormat, Packing, Parameters};
pub use recount::{Difference, Grouping, Recount, RecountRead};
pub use safe::make_safe;
pub use summary::{Member, SUMMARY, SummaryCell, SummaryPlan, SummaryRow, organization_type};

pub use usage::{
    UsageCell, UsageKey, UsageMeter, UsagePlan, UsageRow, UsageSums, UsageTotals, UsageUnit,
    usage_columns,
};

/// Version of the layouts below: it changes with any byte of any file. FORMAT.md lists what each
/// changed.
pub const LAYOUT_VERSION: u32 = 2;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// Which files.
    pub kind: ExportKind,
    /// Organization whose usage, and under which.
    pub requester: OrganizationId,
    /// First UTC day.
    pub first: Date,
    /// Last UTC day, included.
    pub last: Date,
    /// What our own API chose besides; the default through the vendor's door.
    pub parameters: Parameters,
}

/// Which files an export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportKind {
    /// Usage per organization, day and meter.
    Summary {
        /// Everything under the requester too.
        linked: bool,
        /// One file for all organizations.
        combined: bool,
    },
    /// Consumption per organization, project, folder and day.
    ProjectFolder {
        /// Everything under the requester too.
        linked: bool,
        /// One file for all organizations.
        combined: bool,
    },
    /// Consumption per asset, meter, tier and day.
    Asset {
        /// One meter, or all.
        meter: Option<MeterId>,
        /// Everything under the requester too; never through the vendor's door.
        linked: bool,
        /// One file for all organizations; never through the vendor's door.
        combined: bool,
    },
    /// Usage per job.
    JobLevel {
        /// One meter, or all that have a report.
        meter: Option<MeterId>,
        /// Everything under the requester too; never through the vendor's door.
        linked: bool,
    },
    /// Usage by chosen columns, of our own API alone.
    Usage {
        /// Everything under the requester too.
        linked: bool,
        /// One file for all organizations.
        combined: bool,
    },
}

/// The point an export is read at, pinned once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// Last usage sequence seen.
    pub sequence: u64,
    /// Last control revision seen.
    pub revision: u64,
    /// Instant the two were pinned.
    pub time: jiff::Timestamp,
}

/// The files of an export and how they come about.
#[derive(Debug, Clone)]
pub enum ExportPlan<'c> {
    /// Usage per organization, day and meter.
    Summary(SummaryPlan<'c>),
    /// Consumption per project and folder, or per asset.
    Detail(DetailPlan<'c>),
    /// Usage per job: one plan for each file.
    JobLevel(Vec<JobLevelPlan<'c>>),
    /// Usage by chosen columns.
    Usage(UsagePlan<'c>),
}

/// Why a request cannot become files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The requester is not part of the control data.
    #[error("organization {0} does not exist at this revision")]
    UnknownOrganization(OrganizationId),
    /// The meter is not part of the control data.
    #[error("meter {0} does not exist at this revision")]
    UnknownMeter(MeterId),
    /// The meter has no job-level columns.
    #[error("meter {0} has no job-level report")]
    NoJobLevel(MeterId),
    /// The range ends before it starts.
    #[error("the range ends on {last}, before it starts on {first}")]
    EmptyRange {
        /// First day asked for.
        first: Date,
        /// Last day asked for.
        last: Date,
    },
    /// No such column in a file.
    #[error("column {column:?} does not exist: the columns are {}", known.join(", "))]
    UnknownColumn {
        /// What was asked for.
        column: String,
        /// The columns there are.
        known: Vec<&'static str>,
    },
    /// A column is chosen twice.
    #[error("column {0:?} is chosen twice")]
    RepeatedColumn(String),
    /// Gzip holds one file and the export has another number of them.
    #[error("gzip holds exactly one file and this export has {files}: combine them, or take a ZIP")]
    NotOneFile {
        /// Files of the export.
        files: usize,
    },
    /// An amount does not fit 256 bits.
    #[error("the amount of meter {meter} on {date} is too large")]
    TooLarge {
        /// The meter.
        meter: MeterId,
        /// The day.
        date: Date,
    },
}

impl PlanError {
    /// The class of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownOrganization(_) | Self::UnknownMeter(_) => Kind::NotFound,
            Self::NoJobLevel(_)
            | Self::EmptyRange { .. }
            | Self::UnknownColumn { .. }
            | Self::RepeatedColumn(_)
            | Self::NotOneFile { .. }
            | Self::TooLarge { .. } => Kind::Invalid,
        }
    }
}

impl ExportRequest {
    /// The event times asked for: whole UTC days.
    pub fn range(&self) -> TimeRange {
        TimeRange::between(midnight(self.first), midnight(day_after(self.last)))
    }
}

impl<'c> ExportPlan<'c> {
    /// Plans the files of `request` from `control`, which holds the requester's account at the
    /// revision of `as_of`.
    pub fn new(
        request: &ExportRequest,
        control: &'c Control,
        as_of: AsOf,
    ) -> Result<Self, PlanError> {
        let (first, last) = (request.first, request.last);
        if last < first {
            return Err(PlanError::EmptyRange { first, last });
        }
        let plan = Self::of_kind(request, control, as_of)?;
        plan.check(&request.parameters)?;
        Ok(plan)
    }

    fn of_kind(
        request: &ExportRequest,
        control: &'c Control,
        as_of: AsOf,
    ) -> Result<Self, PlanError> {
        let files = |linked, combined| SummaryPlan::new(request, control, as_of, linked, combined);
        match request.kind {
            ExportKind::Summary { linked, combined } => files(linked, combined).map(Self::Summary),
            ExportKind::ProjectFolder { linked, combined } => {
                let files = files(linked, combined)?;
                DetailPlan::new(Detail::ProjectFolder, files, None).map(Self::Detail)
            }
            ExportKind::Asset {
                meter,
                linked,
                combined,
            } => {
                let files = files(linked, combined)?;
                DetailPlan::new(Detail::Asset, files, meter).map(Self::Detail)
            }
            ExportKind::Usage { linked, combined } => {
                let (files, columns) = (files(linked, combined)?, &request.parameters.columns);
                UsagePlan::new(files, columns, request.last).map(Self::Usage)
            }
            ExportKind::JobLevel { meter, linked } => {
                JobLevelPlan::all(request, control, meter, linked).map(Self::JobLevel)
            }
        }
    }

    /// Names of the files, in the order of the archive.
    pub fn file_names(&self) -> Vec<String> {
        match self {
            Self::Summary(plan) => plan.file_names(),
            Self::Detail(plan) => plan.files.file_names(),
            Self::Usage(plan) => plan.files.file_names(),
            Self::JobLevel(plans) => plans.iter().map(JobLevelPlan::file_name).collect(),
        }
    }
}

/// The first instant of a UTC day.
pub fn midnight(date: Date) -> jiff::Timestamp {
    let midnight = date.to_zoned(TimeZone::UTC);
    midnight.map_or(jiff::Timestamp::MAX, |zoned| zoned.timestamp())
}

/// The UTC day an instant lies in.
pub fn utc_date(instant: jiff::Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date()
}

fn day_after(date: Date) -> Date {
    date.saturating_add(1.day())
}
