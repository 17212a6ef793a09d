//! One way to run one SQL text on both databases.

mod words;

pub(crate) use words::words;

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

/// The open database.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// One connection writes, several read.
    Sqlite {
        /// The only connection that writes.
        writer: SqlitePool,
        /// Connections that only read.
        readers: SqlitePool,
    },
    /// Every connection does both.
    Postgres(PgPool),
}

/// An open transaction; dropping it undoes everything.
#[derive(Debug)]
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}
