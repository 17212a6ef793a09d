//! Opening the database: SQLite at a path or PostgreSQL by URL, brought to the newest schema.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::kind::Kind;
use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::checksum;
use crate::database::{Database, Pools, Writes, keeps_postgres};
use crate::error::{Error, Result};

mod read;

/// Time a statement waits for a lock or a free connection unless the options say otherwise, in
/// milliseconds.
pub const BUSY_TIMEOUT_MS: u64 = 10_000;

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
    /// Connections kept at most: of PostgreSQL all, half of them for reads and at least one for
    /// each; of SQLite the readers.
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
            busy_timeout_ms: BUSY_TIMEOUT_MS,
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
        let writes = Arc::new(Writes::default());
        let pools = match &options.target {
            Target::File(path) => open_file(path, &options, &writes).await?,
            Target::Postgres(url) => open_postgres(url, &options).await?,
        };
        let database = Database { pools, writes };
        checksum::fill(&database).await?;
        let metadata = Self { database };
        match metadata.take_numbers_by_value().await {
            // Reads and `verify` name damage; it keeps nothing else from being served. What was
            // to be done is done by the first start without it.
            Err(error) if error.kind() == Kind::Corrupt => {}
            done => done?,
        }
        Ok(metadata)
    }

    /// Closes every connection; later calls fail as unavailable.
    pub async fn close(&self) {
        match &self.database.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres { writers, readers } => {
                readers.close().await;
                writers.close().await;
            }
        }
    }

    /// Answers when the database can be read and written; for readiness probes.
    ///
    /// A write that worked within the last seconds is proof enough; else one is made, a single one
    /// at once, and whoever asks meanwhile hears how the last write went.
    pub async fn check_ready(&self) -> Result<()> {
        self.control_revision().await?;
        let writes = &self.database.writes;
        if writes.work() {
            return Ok(());
        }
        let Some(_probe) = writes.probe() else {
            return if writes.fail() {
                Err(Error::Unwritable)
            } else {
                Ok(())
            };
        };
        let mut transaction = self.database.begin().await?;
        transaction.lock("outbox").await?;
        transaction.commit().await
    }
}

async fn open_file(path: &Path, options: &Options, writes: &Arc<Writes>) -> Result<Pools> {
    let wait = Duration::from_millis(options.busy_timeout_ms);
    keep_private(path)?;
    let writing = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(wait);
    let reading = writing.clone().read_only(true);
    // A file does not go away: connections stay, and with them what reading beside a full disk
    // needs. Only those in doubt are closed.
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(wait)
        .idle_timeout(None)
        .max_lifetime(None);
    let writes = Arc::clone(writes);
    let writer = pool.clone().max_connections(1);
    let writer = writer.after_release(move |connection, _| {
        let writes = Arc::clone(&writes);
        Box::pin(async move { writes.keeps_sqlite(connection).await })
    });
    let readers = pool
        .max_connections(options.connections_max)
        .min_connections(1);
    let writer = writer.connect_with(writing).await?;
    migrator().run(&writer).await.map_err(newer)?;
    Ok(Pools::Sqlite {
        writer,
        readers: readers.connect_with(reading).await?,
    })
}

async fn open_postgres(url: &str, options: &Options) -> Result<Pools> {
    let wait = Duration::from_millis(options.busy_timeout_ms);
    let lock_timeout = format!("{}ms", options.busy_timeout_ms);
    let connect = PgConnectOptions::from_str(url)?
        .application_name("tallyport")
        .options([("lock_timeout", lock_timeout.as_str())]);
    let reading = options.connections_max / 2;
    let writing = options.connections_max - reading;
    let pool = PgPoolOptions::new().acquire_timeout(wait);
    let writers = pool.clone().max_connections(writing.max(1));
    let writers = writers.after_release(|connection, _| Box::pin(keeps_postgres(connection)));
    let writers = writers.connect_with(connect.clone()).await?;
    migrator().run(&writers).await.map_err(newer)?;
    let readers = pool.max_connections(reading.max(1));
    Ok(Pools::Postgres {
        writers,
        readers: readers.connect_with(connect).await?,
    })
}

/// The schema's history: files are added, never changed. Number, description and text of each.
const MIGRATIONS: [(i64, &str, &str); 17] = [
    (1, "control", include_str!("../migrations/0001_control.sql")),
    (2, "access", include_str!("../migrations/0002_access.sql")),
    (3, "jobs", include_str!("../migrations/0003_jobs.sql")),
    (
        4,
        "webhooks",
        include_str!("../migrations/0004_webhooks.sql"),
    ),
    (
        5,
        "schedules",
        include_str!("../migrations/0005_schedules.sql"),
    ),
    (6, "turns", include_str!("../migrations/0006_turns.sql")),
    (
        7,
        "subjects",
        include_str!("../migrations/0007_subjects.sql"),
    ),
    (
        8,
        "declared",
        include_str!("../migrations/0008_declared.sql"),
    ),
    (
        9,
        "checksums",
        include_str!("../migrations/0009_checksums.sql"),
    ),
    (
        10,
        "remakes",
        include_str!("../migrations/0010_remakes.sql"),
    ),
    (
        11,
        "meters of accounts",
        include_str!("../migrations/0011_meters_of_accounts.sql"),
    ),
    (
        12,
        "known usage",
        include_str!("../migrations/0012_known_usage.sql"),
    ),
    (13, "totals", include_str!("../migrations/0013_totals.sql")),
    (
        14,
        "requests",
        include_str!("../migrations/0014_requests.sql"),
    ),
    (
        15,
        "numbers",
        include_str!("../migrations/0015_numbers.sql"),
    ),
    (
        17,
        "anchors",
        include_str!("../migrations/0017_anchors.sql"),
    ),
    (
        18,
        "annotations",
        include_str!("../migrations/0018_annotations.sql"),
    ),
];

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.into_iter().map(|(version, description, text)| {
        let text = text.into_sql_str();
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            text,
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

fn newer(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(found) => Error::NewerSchema {
            found,
            known: migrator().iter().map(|one| one.version).max().unwrap_or(0),
        },
        error => Error::Migration(error),
    }
}

/// Creates a missing file readable by its owner alone: it will hold hashes of passwords,
/// and the secrets of webhooks as they are.
fn keep_private(path: &Path) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path).map(drop);
    opened.map_err(|error| Error::Unavailable(error.into()))
}
