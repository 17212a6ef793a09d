//! What can go wrong in the store.

use std::io;
use std::path::{Path, PathBuf};

use domain::kind::Kind;

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused an operation.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried, such as "append to".
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system is full; nothing of the batch is kept.
    #[error("no space left to {action} {}", path.display())]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
    },
    /// A file does not hold what was written to it.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage was noticed, in bytes.
        offset: u64,
        /// What was expected and what is there.
        reason: String,
    },
    /// Rows from a sequence on are damaged or missing: reads at an earlier one go on.
    #[error("usage from sequence {first} on is damaged or missing: {reason}")]
    Incomplete {
        /// The first sequence that may be missing.
        first: u64,
        /// The damage that was met.
        reason: String,
    },
    /// Writing stopped after an earlier failure; reads go on.
    #[error("the store is read-only since an earlier failure ({reason}): restart to recover")]
    ReadOnly {
        /// The failure.
        reason: String,
    },
    /// Another process has the directory open.
    #[error("{} is in use by {holder}", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// Who holds it, as it wrote into its lock file.
        holder: String,
    },
    /// This process keeps no usage.
    #[error("{reason}")]
    Elsewhere {
        /// Who keeps it, as clients may read it.
        reason: String,
    },
    /// The directory was written by a newer release.
    #[error("{} has format {found}: this release reads up to {known}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// A read asks for a sequence that is not durable yet. The text names none: callers see it,
    /// and would learn how much others send.
    #[error("usage does not reach this watermark yet: expected an earlier one")]
    BeyondWatermark {
        /// What was asked for.
        asked: u64,
        /// The newest durable sequence.
        watermark: u64,
    },
    /// A read asks for usage that retention removed.
    #[error("usage of organization {organization} before {before} was removed by retention")]
    Retired {
        /// Whose usage.
        organization: domain::ids::OrganizationId,
        /// The floor.
        before: domain::Timestamp,
    },
    /// A query or batch is over a limit.
    #[error("{what} is {asked}: expected at most {limit}")]
    OverLimit {
        /// Name of the limited thing.
        what: &'static str,
        /// What was asked for.
        asked: u64,
        /// The limit.
        limit: u64,
    },
    /// A batch does not follow the last durable sequence.
    #[error("the batch starts at sequence {first}: expected {expected}")]
    Gap {
        /// First sequence of the batch.
        first: u64,
        /// The sequence after the last durable one.
        expected: u64,
    },
    /// The writer had no time for a batch; nothing of it is kept.
    #[error(
        "the usage store is busy: the events waited {waited_ms} ms and were not taken: send them \
         again"
    )]
    Busy {
        /// How long the batch was to wait, in milliseconds.
        waited_ms: u64,
    },
    /// An earlier batch of the same series was not decided, so this one was not either.
    #[error("an earlier batch of the same source was not taken: send again from that one on")]
    HeldBack,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// A defect: a step that cannot fail did.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// An error of the file system; a full one is told apart because it may pass.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return Self::DiskFull { action, path };
        }
        Self::Io {
            action,
            path,
            source,
        }
    }

    /// Damage found at a byte of a file.
    pub(crate) fn corrupt(path: &Path, offset: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            offset,
            reason: reason.into(),
        }
    }

    /// A file of the store that cannot be opened; one the manifest names and that is missing is
    /// damage.
    pub(crate) fn opening(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return Self::corrupt(path, 0, "the file is missing");
        }
        Self::io("open", path, source)
    }

    /// The same error once more, for each of several callers.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Io {
                action,
                path,
                source,
            } => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::Io {
                    action,
                    path: path.clone(),
                    source,
                }
            }
            Self::DiskFull { action, path } => Self::DiskFull {
                action,
                path: path.clone(),
            },
            Self::Corrupt {
                path,
                offset,
                reason,
            } => Self::corrupt(path, *offset, reason.clone()),
            Self::Incomplete { first, reason } => Self::Incomplete {
                first: *first,
                reason: reason.clone(),
            },
            Self::ReadOnly { reason } => Self::ReadOnly {
                reason: reason.clone(),
            },
            Self::HeldBack => Self::HeldBack,
            Self::Closed => Self::Closed,
            other => Self::Internal(other.to_string()),
        }
    }

    /// The class of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Io { .. }
            | Self::DiskFull { .. }
            | Self::ReadOnly { .. }
            | Self::InUse { .. }
            | Self::Elsewhere { .. }
            | Self::Busy { .. }
            | Self::HeldBack
            | Self::Closed => Kind::Unavailable,
            Self::Corrupt { .. } | Self::Incomplete { .. } => Kind::Corrupt,
            Self::NewerFormat { .. }
            | Self::BeyondWatermark { .. }
            | Self::OverLimit { .. }
            | Self::Gap { .. } => Kind::Invalid,
            Self::Retired { .. } => Kind::Gone,
            Self::Internal(_) => Kind::Internal,
        }
    }
}
