//! One way to run one SQL text on both databases.
//!
//! Texts are literal and keep to what both dialects share: `$n` markers, BIGINT, TEXT and BOOLEAN,
//! `RETURNING`, `ON CONFLICT`. Where a text must differ, [`either`] takes both side by side.

mod bind;
mod failure;
mod row;
mod transaction;
mod words;
mod writes;

pub(crate) use bind::{Bind, hexadecimal};
pub(crate) use failure::is_full;
pub(crate) use row::{Column, Row, json, micros, stored, stored_range, word};
pub(crate) use transaction::Transaction;
pub(crate) use words::words;
pub(crate) use writes::{Writes, keeps_postgres};

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

use crate::error::{Error, Result};
use transaction::Open;

/// The open database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) pools: Pools,
    pub(crate) writes: Arc<Writes>,
}

/// Its connections.
///
/// Transactions and reads outside of them never share a pool: whoever holds a transaction may read
/// outside of it too, and would else wait for those who wait for its locks.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    /// One connection writes, several read.
    Sqlite {
        /// The only connection that writes.
        writer: SqlitePool,
        /// Connections that only read.
        readers: SqlitePool,
    },
    /// Several connections for each.
    Postgres {
        /// Connections for transactions.
        writers: PgPool,
        /// Connections for reads outside of them.
        readers: PgPool,
    },
}

/// Where a statement runs: read-only outside, or inside a transaction.
pub(crate) enum Access<'a> {
    Outside(&'a Database),
    Inside(&'a mut Transaction),
}

/// A statement with its values.
pub(crate) struct Statement {
    sqlite: &'static str,
    postgres: &'static str,
    binds: Vec<Bind>,
}

/// A statement both dialects read.
pub(crate) fn sql(text: &'static str) -> Statement {
    either(text, text)
}

/// A statement that must differ.
pub(crate) fn either(sqlite: &'static str, postgres: &'static str) -> Statement {
    Statement {
        sqlite,
        postgres,
        binds: Vec::new(),
    }
}

impl Statement {
    /// Gives the next marker its value.
    pub(crate) fn bind(mut self, value: impl Into<Bind>) -> Self {
        self.binds.push(value.into());
        self
    }

    fn for_sqlite(self) -> Query<'static, Sqlite, SqliteArguments> {
        let query = sqlx::query(self.sqlite);
        self.binds
            .into_iter()
            .fold(query, |query, bind| match bind {
                Bind::Integer(value) => query.bind(value),
                Bind::Text(value) => query.bind(value),
                Bind::Flag(value) => query.bind(value),
            })
    }

    fn for_postgres(self) -> Query<'static, Postgres, PgArguments> {
        let query = sqlx::query(self.postgres);
        self.binds
            .into_iter()
            .fold(query, |query, bind| match bind {
                Bind::Integer(value) => query.bind(value),
                Bind::Text(value) => query.bind(value),
                Bind::Flag(value) => query.bind(value),
            })
    }
}

impl Access<'_> {
    /// Every row of a statement.
    pub(crate) async fn all(&mut self, statement: Statement) -> Result<Vec<Row>> {
        match self {
            Self::Inside(transaction) => transaction.all(statement).await,
            Self::Outside(database) => database.pools.read(statement).await,
        }
    }

    /// The first row of a statement.
    pub(crate) async fn one(&mut self, statement: Statement) -> Result<Option<Row>> {
        Ok(self.all(statement).await?.into_iter().next())
    }
}

impl Database {
    /// Runs statements that only read.
    pub(crate) fn read(&self) -> Access<'_> {
        Access::Outside(self)
    }

    /// Starts a transaction that may write; SQLite locks the database at once.
    pub(crate) async fn begin(&self) -> Result<Transaction> {
        let open = self.pools.begin().await.map_err(Error::from);
        let open = open.inspect_err(|error| self.writes.note_failure(error))?;
        Ok(Transaction::new(open, Arc::clone(&self.writes)))
    }

    /// Runs one writing statement in a transaction of its own; gives the rows affected.
    pub(crate) async fn run(&self, statement: Statement) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let affected = transaction.run(statement).await?;
        transaction.commit().await?;
        Ok(affected)
    }

    /// Runs one writing statement in a transaction of its own; gives its first row.
    pub(crate) async fn write_one(&self, statement: Statement) -> Result<Option<Row>> {
        let mut transaction = self.begin().await?;
        let row = transaction.one(statement).await?;
        transaction.commit().await?;
        Ok(row)
    }
}

impl Pools {
    async fn read(&self, statement: Statement) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite { readers, .. } => {
                let rows = statement.for_sqlite().fetch_all(readers).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres { readers, .. } => {
                let rows = statement.for_postgres().fetch_all(readers).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    async fn begin(&self) -> sqlx::Result<Open> {
        match self {
            Self::Sqlite { writer, .. } => {
                Ok(Open::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?))
            }
            Self::Postgres { writers, .. } => Ok(Open::Postgres(writers.begin().await?)),
        }
    }
}
