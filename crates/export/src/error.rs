//! What can go wrong between a claimed job and its artifact.

use domain::export::PlanError;
use domain::ids::{ExportId, MeterId, OrganizationId};
use domain::kind::Kind;

/// A result of the export walk.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an export could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request does not fit the control data.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A date of the request is none.
    #[error("{field} is {text:?}: expected a date and time such as 2026-01-31T00:00:00Z")]
    Date {
        /// Name of the field.
        field: &'static str,
        /// What was sent.
        text: String,
    },
    /// The kind of export is not made yet.
    #[error("exports of kind {kind} are not available")]
    Unsupported {
        /// The kind as sent.
        kind: &'static str,
    },
    /// The choices kept with the job are damaged, or another release wrote them.
    #[error("the parameters kept with the job are not those of this release: ask again")]
    Parameters,
    /// A printed value is more than a typed column takes.
    #[error("column {column:?} holds {text:?}, which a Parquet column cannot hold: take CSV")]
    NoFit {
        /// Header of the column.
        column: String,
        /// What it holds.
        text: String,
    },
    /// One meter's usage has more rows than an export keeps in memory.
    #[error(
        "usage of meter {meter} by organization {organization} has more than {limit} rows: choose \
         fewer columns or a shorter range"
    )]
    TooManyRows {
        /// Whose usage.
        organization: OrganizationId,
        /// Of which meter.
        meter: MeterId,
        /// Most rows of one meter and organization.
        limit: usize,
    },
    /// Usage could not be read.
    #[error("usage could not be read")]
    Usage(#[from] usage::Error),
    /// Control data or the job could not be read or changed.
    #[error("control data could not be read")]
    Metadata(#[from] metadata::Error),
    /// The rows of a file do not add up to what another reading of the same usage gives.
    #[error(
        "the rows of meter {meter} of organization {organization} add up to {rows}, counted another \
         way they are {counted}: no file is given out"
    )]
    Mismatch {
        /// Whose rows.
        organization: OrganizationId,
        /// Of which meter.
        meter: MeterId,
        /// What the rows add up to.
        rows: String,
        /// What the other reading gives.
        counted: String,
    },
    /// The artifact store refused an operation.
    #[error("the artifact store could not {action}")]
    Artifact {
        /// What was tried, such as "put an artifact".
        action: &'static str,
        /// What the store said.
        source: object_store::Error,
    },
    /// An artifact is missing, or its bytes are not those that were put.
    #[error("artifact {path} is damaged: {reason}")]
    Damaged {
        /// Where it lies in the artifact store.
        path: String,
        /// What was expected and what is there.
        reason: String,
    },
    /// The artifact store's URL or options are not acceptable.
    #[error("artifact store {url}: {reason}")]
    Location {
        /// Where artifacts were to be kept, without secrets.
        url: String,
        /// What was expected.
        reason: String,
    },
    /// The job's watermark is of usage that was lost and given up since: its sequences name other
    /// events by now.
    #[error(
        "the export was begun before usage was lost and given up (serve --accept-usage-loss): ask \
         again"
    )]
    GivenUp,
    /// The archive could not be written.
    #[error("the archive could not be written")]
    Archive(#[from] std::io::Error),
    /// Another worker took the job over; nothing of this one counts.
    #[error("export {0} was taken over by another worker")]
    TakenOver(ExportId),
    /// The worker is shutting down.
    #[error("the worker is stopping")]
    Stopping,
    /// The job takes longer than the express lane has for it.
    #[error("the job is too long for the express lane")]
    TooLong,
    /// Every worker that took the job ended without a word.
    #[error("{tries} workers in a row ended while they made it: it is not tried again")]
    Deserted {
        /// How many.
        tries: u32,
    },
    /// A defect: a step that cannot fail did.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// The class of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Plan(error) => error.kind(),
            Self::Date { .. }
            | Self::Unsupported { .. }
            | Self::Parameters
            | Self::NoFit { .. }
            | Self::TooManyRows { .. }
            | Self::Location { .. } => Kind::Invalid,
            Self::Usage(error) => error.kind(),
            Self::Metadata(error) => error.kind(),
            Self::Artifact {
                source: object_store::Error::NotFound { .. },
                ..
            }
            | Self::GivenUp => Kind::Gone,
            Self::Artifact { .. } | Self::Archive(_) | Self::Stopping | Self::TooLong => {
                Kind::Unavailable
            }
            Self::Damaged { .. } => Kind::Corrupt,
            Self::TakenOver(_) => Kind::Conflict,
            Self::Mismatch { .. } | Self::Deserted { .. } | Self::Internal(_) => Kind::Internal,
        }
    }

    /// Whether some stored usage is what cannot be read: damaged, or removed by retention. Where
    /// nobody knows whose rows are missing, no export may go on without them.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Usage(usage::Error::Incomplete { .. }) => false,
            Self::Usage(error) => matches!(error.kind(), Kind::Corrupt | Kind::Gone),
            _ => false,
        }
    }

    /// Whether the same work may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self.kind(), Kind::Unavailable | Kind::Busy)
    }
}
