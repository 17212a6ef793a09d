//! Opening the database to read it alone: nothing is created, migrated or written.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{Metadata, Options, Target, migrator};
use crate::checksum;
use crate::database::{Database, Pools, Writes};
use crate::error::{Error, Result};

impl Metadata {
    /// Opens the database to read it as it is; where there is none yet, it is an empty one in
    /// memory. Writing to it fails or is lost.
    ///
    /// Refused as [`Error::OlderSchema`] when an earlier release wrote it: migrating is writing.
    pub async fn open_to_read(options: Options) -> Result<Self> {
        let pools = match &options.target {
            Target::File(path) => read_file(path, &options).await?,
            Target::Postgres(url) => read_postgres(url, &options).await?,
        };
        let writes = Arc::new(Writes::default());
        if let Some(pools) = pools {
            let database = Database { pools, writes };
            return Ok(Self { database });
        }
        let pools = in_memory(&options).await?;
        let database = Database { pools, writes };
        checksum::fill(&database).await?;
        Ok(Self { database })
    }
}

/// The file as it is; nothing where it is missing or no release wrote to it yet.
async fn read_file(path: &Path, options: &Options) -> Result<Option<Pools>> {
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    if size(path) == 0 {
        return Ok(None);
    }
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let wait = Duration::from_millis(options.busy_timeout_ms);
    // Without a log to look into SQLite would make one, only to read.
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(size(&PathBuf::from(log)) == 0)
        .busy_timeout(wait);
    let pool = SqlitePoolOptions::new().acquire_timeout(wait);
    let pool = pool.max_connections(options.connections_max);
    let readers = pool.connect_with(connect).await?;
    let table = "SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'";
    if sqlx::query(table).fetch_optional(&readers).await?.is_none() {
        return Ok(None);
    }
    let applied = sqlx::query_scalar(APPLIED).fetch_all(&readers).await?;
    is_current(&applied)?;
    Ok(Some(Pools::Sqlite {
        writer: readers.clone(),
        readers,
    }))
}

/// The database as it is; nothing where no release wrote to it yet.
async fn read_postgres(url: &str, options: &Options) -> Result<Option<Pools>> {
    let wait = Duration::from_millis(options.busy_timeout_ms);
    let connect = PgConnectOptions::from_str(url)?
        .application_name("tallyport")
        .options([("default_transaction_read_only", "on")]);
    let pool = PgPoolOptions::new().acquire_timeout(wait);
    let pool = pool.max_connections(options.connections_max.max(1));
    let readers = pool.connect_with(connect).await?;
    let table = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    if !sqlx::query_scalar::<_, bool>(table)
        .fetch_one(&readers)
        .await?
    {
        return Ok(None);
    }
    let applied = sqlx::query_scalar(APPLIED).fetch_all(&readers).await?;
    is_current(&applied)?;
    Ok(Some(Pools::Postgres {
        writers: readers.clone(),
        readers,
    }))
}

const APPLIED: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";

/// Refuses a schema that is not this release's.
fn is_current(applied: &[i64]) -> Result<()> {
    let migrator = migrator();
    let known: Vec<i64> = migrator.iter().map(|one| one.version).collect();
    let newest = known.iter().copied().max().unwrap_or(0);
    let found = applied.last().copied().unwrap_or(0);
    if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
        let (found, known) = (*newer, newest);
        return Err(Error::NewerSchema { found, known });
    }
    if known.iter().any(|version| !applied.contains(version)) {
        let known = newest;
        return Err(Error::OlderSchema { found, known });
    }
    Ok(())
}

/// An empty database of this release that goes with its last connection.
async fn in_memory(options: &Options) -> Result<Pools> {
    let wait = Duration::from_millis(options.busy_timeout_ms);
    let connect = SqliteConnectOptions::from_str("sqlite::memory:")?
        .foreign_keys(true)
        .busy_timeout(wait);
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(wait)
        .idle_timeout(None)
        .max_lifetime(None)
        .min_connections(1);
    let writer = pool.clone().max_connections(1);
    let writer = writer.connect_with(connect.clone()).await?;
    migrator().run(&writer).await.map_err(Error::Migration)?;
    Ok(Pools::Sqlite {
        writer,
        readers: pool.max_connections(1).connect_with(connect).await?,
    })
}
