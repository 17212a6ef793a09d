//! Opening the database: SQLite at a path or PostgreSQL by URL, brought to the newest schema.

use std::fmt;
use std::path::PathBuf;

use crate::database::Database;
use crate::error::Result;

/// Which database to open.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// An SQLite file, created when missing.
    File(PathBuf),
    /// A PostgreSQL database by `postgres://` URL.
    Postgres(String),
}

/// How to open the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which one.
    pub target: Target,
    /// Connections kept at most: of PostgreSQL all, of SQLite the readers.
    pub connections_max: u32,
    /// Time a statement waits for a lock or a free connection, in milliseconds.
    pub busy_timeout_ms: u64,
}

/// Control data and jobs; a handle that is cheap to clone.
#[derive(Debug, Clone)]
pub struct Metadata {
    pub(crate) database: Database,
}

impl Options {
    /// The SQLite file at `path`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(Target::File(path.into()))
    }

    /// The database at a `postgres://` or `postgresql://` URL.
    pub fn postgres(url: impl Into<String>) -> Self {
        Self::new(Target::Postgres(url.into()))
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            connections_max: 8,
            busy_timeout_ms: 10_000,
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Postgres(_) => formatter.write_str("Postgres"),
        }
    }
}

impl Metadata {
    /// Opens the database, creating the file if needed, and migrates it to this release's schema.
    pub async fn open(options: Options) -> Result<Self> {
        todo!()
    }

    /// Closes every connection; later calls fail as unavailable.
    pub async fn close(&self) {
        todo!()
    }

    /// Answers when the database can be read; for readiness probes.
    pub async fn ping(&self) -> Result<()> {
        todo!()
    }
}
