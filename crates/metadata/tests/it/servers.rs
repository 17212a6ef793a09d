//! A fresh database for every story.

use metadata::{Metadata, Options};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// An open database and what it lies in.
pub(crate) struct Server {
    pub(crate) metadata: Metadata,
    _folder: Option<TempDir>,
}

/// An SQLite file in a folder of its own.
pub(crate) async fn sqlite() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::file(folder.path().join("metadata.db"));
    Server {
        metadata: Metadata::open(options).await.unwrap(),
        _folder: Some(folder),
    }
}

/// A database of its own on the PostgreSQL server of the test run.
pub(crate) async fn postgres() -> Server {
    let options = Options::postgres(postgres_url().await);
    Server {
        metadata: Metadata::open(options).await.unwrap(),
        _folder: None,
    }
}

/// The URL of an empty database on that server.
pub(crate) async fn postgres_url() -> String {
    let Ok(url) = std::env::var("TEST_POSTGRES") else {
        panic!(
            "TEST_POSTGRES names no PostgreSQL server: run `cargo xtask test`, \
             which starts one"
        );
    };
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let name = format!("story_{:016x}", u64::from_le_bytes(random));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let base = url.rsplit_once('/').map_or(url.as_str(), |(base, _)| base);
    format!("{base}/{name}")
}
