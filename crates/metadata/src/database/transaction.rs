//! An open transaction: once a statement of it has failed, it can only be undone.

use std::sync::Arc;

use sqlx::{Postgres, Sqlite};

use super::writes::Writes;
use super::{Access, Row, Statement, sql};
use crate::error::{Error, Result};

/// An open transaction; dropping it undoes everything.
#[derive(Debug)]
pub(crate) struct Transaction {
    open: Open,
    writes: Arc<Writes>,
    /// A statement failed: SQLite may have undone everything by itself, and would take what follows
    /// as statements of their own; PostgreSQL would answer a commit with a rollback.
    is_failed: bool,
}

#[derive(Debug)]
pub(super) enum Open {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    pub(super) fn new(open: Open, writes: Arc<Writes>) -> Self {
        Self {
            open,
            writes,
            is_failed: false,
        }
    }

    /// Runs statements inside.
    pub(crate) fn access(&mut self) -> Access<'_> {
        Access::Inside(self)
    }

    /// Every row of a statement.
    pub(crate) async fn all(&mut self, statement: Statement) -> Result<Vec<Row>> {
        self.expect_intact()?;
        let rows = match &mut self.open {
            Open::Sqlite(open) => {
                let rows = statement.for_sqlite().fetch_all(&mut **open).await;
                rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Open::Postgres(open) => {
                let rows = statement.for_postgres().fetch_all(&mut **open).await;
                rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
        };
        self.noted(rows)
    }

    /// The first row of a statement.
    pub(crate) async fn one(&mut self, statement: Statement) -> Result<Option<Row>> {
        Ok(self.all(statement).await?.into_iter().next())
    }

    /// Runs a statement; gives the rows affected.
    pub(crate) async fn run(&mut self, statement: Statement) -> Result<u64> {
        self.expect_intact()?;
        let affected = match &mut self.open {
            Open::Sqlite(open) => {
                let done = statement.for_sqlite().execute(&mut **open).await;
                done.map(|done| done.rows_affected())
            }
            Open::Postgres(open) => {
                let done = statement.for_postgres().execute(&mut **open).await;
                done.map(|done| done.rows_affected())
            }
        };
        self.noted(affected)
    }

    /// Locks a named row until the end, so that one transaction at a time gets past.
    pub(crate) async fn lock(&mut self, name: &'static str) -> Result<()> {
        let statement = sql("UPDATE locks SET taken = taken + 1 WHERE name = $1").bind(name);
        self.run(statement).await.map(drop)
    }

    /// Makes everything durable.
    pub(crate) async fn commit(self) -> Result<()> {
        self.expect_intact()?;
        let committed = match self.open {
            Open::Sqlite(open) => open.commit().await,
            Open::Postgres(open) => open.commit().await,
        };
        let committed = committed.map_err(Error::from);
        self.writes.note(&committed);
        committed
    }

    fn noted<T>(&mut self, result: sqlx::Result<T>) -> Result<T> {
        let result = result.map_err(Error::from);
        if let Err(error) = &result {
            self.is_failed = true;
            self.writes.note_failure(error);
        }
        result
    }

    fn expect_intact(&self) -> Result<()> {
        if self.is_failed {
            return Err(Error::Undone);
        }
        Ok(())
    }
}
