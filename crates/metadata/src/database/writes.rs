//! What is known of writes: whether the last one worked, and whether a connection that writes is
//! still to be trusted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, Row, SqliteConnection};

use crate::error::{Error, Result};

/// Time for which a write that worked says that the next one will.
const FRESH: Duration = Duration::from_secs(5);

/// How writes have gone so far.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    last: Mutex<Last>,
    /// Input or output failed on the only connection of SQLite that writes.
    is_doubtful: AtomicBool,
    is_probed: AtomicBool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Last {
    #[default]
    None,
    Worked(Instant),
    Failed,
}

/// The right to probe, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Probe<'a>(&'a Writes);

impl Writes {
    /// Notes how a commit went.
    pub(super) fn note(&self, committed: &Result<()>) {
        match committed {
            Ok(()) => self.set(Last::Worked(Instant::now())),
            Err(error) => self.note_failure(error),
        }
    }

    /// Notes a failure; one that says nothing about the database itself changes nothing.
    pub(super) fn note_failure(&self, error: &Error) {
        if matches!(error, Error::Unavailable(_)) {
            self.is_doubtful.store(true, Ordering::Release);
            self.set(Last::Failed);
        }
    }

    /// Whether a write worked a moment ago, and none has failed since.
    pub(crate) fn work(&self) -> bool {
        matches!(self.last(), Last::Worked(at) if at.elapsed() < FRESH)
    }

    /// Whether the last write failed.
    pub(crate) fn fail(&self) -> bool {
        matches!(self.last(), Last::Failed)
    }

    /// The right to find out by writing; one caller at a time has it.
    pub(crate) fn probe(&self) -> Option<Probe<'_>> {
        let taken = self.is_probed.swap(true, Ordering::AcqRel);
        (!taken).then_some(Probe(self))
    }

    fn last(&self) -> Last {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Whether the connection of SQLite that writes goes back into its pool: not after input or
    /// output failed, nor in a transaction.
    ///
    /// SQLite undoes a transaction by itself when a disk is full or fails. The rollback that
    /// follows then fails, and the connection counts as one in a transaction for ever.
    pub(crate) async fn keeps_sqlite(
        &self,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<bool> {
        // A rollback that is queued is carried out before the answer.
        connection.ping().await?;
        let is_doubtful = self.is_doubtful.swap(false, Ordering::AcqRel);
        Ok(!is_doubtful && !connection.is_in_transaction())
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.0.is_probed.store(false, Ordering::Release);
    }
}

/// Whether a connection of PostgreSQL goes back into its pool: not in a transaction, which a begin
/// that was broken off leaves open, and not in a failed one, where this very statement fails.
pub(crate) async fn keeps_postgres(connection: &mut PgConnection) -> sqlx::Result<bool> {
    // Outside of a transaction the two are one instant.
    let statement = sqlx::raw_sql("SELECT now() = statement_timestamp()");
    statement.fetch_one(connection).await?.try_get(0)
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, SqlitePool};

    use crate::database::{Pools, Statement, sql};
    use crate::error::Error;
    use crate::open::{Metadata, Options};

    fn writer(metadata: &Metadata) -> &SqlitePool {
        match &metadata.database.pools {
            Pools::Sqlite { writer, .. } => writer,
            Pools::Postgres { .. } => unreachable!("the test opens a file"),
        }
    }

    /// A database whose connection that writes gets no page more.
    async fn full(folder: &std::path::Path) -> Metadata {
        let options = Options::file(folder.join("metadata.db"));
        let metadata = Metadata::open(options).await.unwrap();
        let pages = sqlx::query_scalar("PRAGMA page_count");
        let pages: i64 = pages.fetch_one(writer(&metadata)).await.unwrap();
        let limit = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(limit).execute(writer(&metadata)).await.unwrap();
        metadata
    }

    fn large() -> Statement {
        sql("INSERT INTO locks (name, taken) VALUES ($1, 0)").bind("x".repeat(100_000))
    }

    #[tokio::test]
    async fn a_connection_whose_transaction_sqlite_undid_is_not_handed_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = full(folder.path()).await;
        let refused = metadata.database.run(large()).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
        assert!(metadata.database.writes.fail());
        // The limit was the connection's: another one has none.
        metadata.check_ready().await.unwrap();
        assert!(metadata.database.writes.work());
        metadata.database.run(large()).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_of_a_transaction_is_kept_once_a_statement_of_it_has_failed() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = full(folder.path()).await;
        let mut open = metadata.database.begin().await.unwrap();
        open.run(large()).await.unwrap_err();
        // SQLite would take this one outside of any transaction.
        let later = sql("INSERT INTO locks (name, taken) VALUES ('later', 0)");
        let refused = open.run(later).await.unwrap_err();
        assert!(matches!(refused, Error::Undone), "{refused:?}");
        open.commit().await.unwrap_err();
        let later = sql("SELECT name FROM locks WHERE name = 'later'");
        assert!(metadata.database.read().one(later).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_database_that_only_reads_is_unavailable_for_writes() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::file(folder.path().join("metadata.db"));
        let metadata = Metadata::open(options).await.unwrap();
        let only_reads = sqlx::query("PRAGMA query_only = TRUE");
        only_reads.execute(writer(&metadata)).await.unwrap();
        let refused = metadata.database.run(large()).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
        metadata.control_revision().await.unwrap();
    }
}
