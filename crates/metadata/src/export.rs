//! Export jobs: steps 1, 2 and 7 of usage out, as rows.

use domain::Timestamp;
use domain::ids::{ExportId, MeterId, OrganizationId, RequestId, ScheduleId, UserId};
use domain::schedule::Period;

use crate::database::{Bind, words};

pub(crate) mod insert;
mod lease;
mod message;
pub(crate) mod read;
mod remake;
mod settle;

pub use domain::export::AsOf;
pub use remake::Remake;

/// Unfinished exports one organization may have through the vendor's door.
pub const ACTIVE_EXPORTS_MAX: u32 = 5;

/// Unfinished exports one organization may have through our own API, unless set otherwise.
pub const ACTIVE_OWN_EXPORTS_MAX: u32 = 20;

words! {
    /// What an export contains.
    pub enum ExportKind {
        /// Usage by organization, meter and day.
        Summary = "SUMMARY",
        /// Consumption by project and folder.
        ProjectFolder = "PROJECT_FOLDER",
        /// Consumption by asset.
        Asset = "ASSET",
        /// The older resource: a summary of the requester and everything under it.
        SummaryAllLinked = "SUMMARY_ALL_LINKED",
        /// One row per task run of one meter or all.
        JobLevel = "JOB_LEVEL",
        /// Our own API: usage by chosen dimensions.
        Usage = "USAGE",
        /// Our own API: cost lines.
        Cost = "COST",
    }
}

words! {
    /// How far an export is.
    pub enum ExportStatus {
        /// Accepted; counts as active.
        Created = "CREATED",
        /// A worker holds it; counts as active.
        Processing = "PROCESSING",
        /// The artifact is ready.
        Success = "SUCCESS",
        /// The artifact is ready, but something is missing in it.
        PartialSuccess = "PARTIAL_SUCCESS",
        /// The error message says why.
        Failed = "FAILED",
        /// The artifact is gone by rule; `outcome` says how it ended.
        Expired = "EXPIRED",
        /// Given up by its requester; our own API only.
        Cancelled = "CANCELLED",
    }
}

words! {
    /// Which door an export came through.
    pub enum ExportSource {
        /// The metering family's job resources.
        Vendor = "vendor",
        /// `/api/v1`.
        Own = "own",
    }
}

/// What an export's bytes depend on besides its request.
///
/// Equal requests with equal pins give the same archive, byte for byte: nothing else shows, neither
/// when the job was created nor when or how often it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pins {
    /// The watermark it reads at. Its time dates the archive's entries and ends zero rows.
    pub as_of: AsOf,
    /// Version of the columns and their rules, as the last claim's worker makes them.
    pub layout_version: u32,
    /// Version of the archive format, likewise.
    pub archive_version: u32,
}

/// An export to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExport {
    /// Identifier; `None` to draw one.
    pub id: Option<ExportId>,
    /// What it contains.
    pub kind: ExportKind,
    /// Which door it came through.
    pub source: ExportSource,
    /// Whose usage, and whose limit of active exports.
    pub organization: OrganizationId,
    /// Who asked; `None` when a key did.
    pub user: Option<UserId>,
    /// Start of the range, exactly as sent.
    pub start: String,
    /// End of the range, exactly as sent.
    pub end: String,
    /// The one meter wanted.
    pub meter: Option<MeterId>,
    /// Whether every meter is wanted.
    pub all_meters: bool,
    /// Whether one file holds all organizations.
    pub combined: bool,
    /// Whether everything under the organization is wanted.
    pub all_linked_orgs: bool,
    /// Further parameters as JSON, opaque here.
    pub parameters: Option<String>,
    /// Where to tell its end.
    pub callback_url: Option<String>,
    /// Key under which the same request again finds the same export.
    pub idempotency_key: Option<String>,
    /// An earlier watermark to read at, with its time; `None` for that of the first claim.
    pub as_of: Option<AsOf>,
    /// Request that asked, as logs name it; a repetition is the same request none the less.
    pub request_id: Option<RequestId>,
    /// Digest of the request as sent: one of the same key and digest is a repetition, whatever
    /// the names in it stand for by then.
    pub request_sha256: Option<[u8; 32]>,
}

/// An export job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Identifier.
    pub id: ExportId,
    /// What was asked for; its `id` is set.
    pub request: NewExport,
    /// How far it is.
    pub status: ExportStatus,
    /// How it ended, kept when it expires.
    pub outcome: Option<ExportStatus>,
    /// What its bytes depend on, pinned once at the first claim.
    pub pins: Option<Pins>,
    /// Number of the newest lease; 0 before the first.
    pub fence: u64,
    /// Worker that holds the lease.
    pub lease_owner: Option<String>,
    /// When the lease lapses.
    pub lease_expires_at: Option<Timestamp>,
    /// How often a worker took it.
    pub attempts: u32,
    /// How far the worker is.
    pub progress: Progress,
    /// Why it failed or what is missing.
    pub error_message: Option<String>,
    /// What it made.
    pub artifact: Option<Artifact>,
    /// When the artifact was found damaged; `None` once it is made again.
    pub damaged_at: Option<Timestamp>,
    /// The schedule that asked for it.
    pub scheduled: Option<Scheduled>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a schedule asked for an export about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduled {
    /// The schedule, which may be deleted since.
    pub schedule: ScheduleId,
    /// The period it covers.
    pub period: Period,
}

/// An export and whether the call that gave it made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted {
    /// The export.
    pub export: Export,
    /// Whether it is new; otherwise an earlier call with the same key made it.
    pub is_new: bool,
}

/// Which exports a list shows; `None` for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportFilter {
    /// How far they are.
    pub status: Option<ExportStatus>,
    /// What they contain.
    pub kind: Option<ExportKind>,
    /// Which door they came through.
    pub source: Option<ExportSource>,
    /// Whose they are.
    pub organization: Option<OrganizationId>,
    /// Which schedule asked for them.
    pub schedule: Option<ScheduleId>,
}

impl ExportFilter {
    /// Every filter, in the order above.
    pub(crate) fn binds(self) -> [Bind; 5] {
        [
            self.status.into(),
            self.kind.into(),
            self.source.into(),
            self.organization.into(),
            self.schedule.into(),
        ]
    }
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Of the work, 0 to 100.
    pub percent: u8,
    /// Rows written.
    pub rows: u64,
}

/// What an export made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Where it lies in the object store.
    pub path: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// Until when it may be fetched.
    pub expires_at: Timestamp,
}

/// Which jobs a worker takes, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Every job: of the organization with the fewest running, then of the one served least
    /// recently, then the oldest.
    Ordinary,
    /// Jobs not known to be long: of organizations not served here for a minute the newest job,
    /// then of the one served here least recently.
    Express,
}

/// A worker's wish for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Name of the worker.
    pub worker: String,
    /// What an export not yet pinned is pinned to.
    pub pins: Pins,
    /// Length of the lease, in milliseconds.
    pub lease_ms: u32,
    /// Which jobs it takes.
    pub lane: Lane,
}

/// A claimed export: what heartbeats and settling need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The export, with its lease.
    pub export: Export,
    /// Number of this lease.
    pub fence: u64,
    /// What its bytes depend on.
    pub pins: Pins,
}

/// How an export ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// All of it is there.
    Success {
        /// What was made.
        artifact: Artifact,
        /// Rows written.
        rows: u64,
    },
    /// Some of it is there.
    PartialSuccess {
        /// What was made.
        artifact: Artifact,
        /// Rows written.
        rows: u64,
        /// What is missing.
        error_message: String,
    },
    /// Nothing is there.
    Failed {
        /// Why.
        error_message: String,
    },
}

impl ExportSource {
    /// Unfinished exports one organization may have through this door.
    pub fn active_max(self) -> u32 {
        match self {
            Self::Vendor => ACTIVE_EXPORTS_MAX,
            Self::Own => ACTIVE_OWN_EXPORTS_MAX,
        }
    }
}

impl ExportStatus {
    /// Whether it counts towards the limit of active exports.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Created | Self::Processing)
    }
}
