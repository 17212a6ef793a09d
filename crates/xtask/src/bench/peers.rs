//! The yardsticks: PostgreSQL with a unique index, and ClickHouse inside Python as chDB.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::disk;
use super::report::Rate;
use crate::process;
use crate::test::postgres::{Durability, Postgres};
use crate::test::python;
use crate::workspace::{root, scratch};

const TABLE: &str = "
    CREATE TABLE usage_event (
        source text NOT NULL, id text NOT NULL, type text NOT NULL,
        time timestamptz NOT NULL, subject text NOT NULL, data jsonb NOT NULL
    );
    CREATE UNIQUE INDEX usage_event_key ON usage_event (source, id);
";

/// Rates of chDB and the version it calls itself.
#[derive(Debug)]
pub(crate) struct Chdb {
    pub(crate) version: String,
    pub(crate) json: Rate,
    pub(crate) string: Rate,
}

/// COPY of rows into a fresh table, durable as installed.
pub(crate) fn postgres_copy(rows: &Path, events: u64) -> Result<Rate> {
    let postgres = Postgres::start("bench-postgres", Durability::Durable)?;
    process::output(postgres.psql().args(["-c", TABLE]))?;
    let copy = format!("\\copy usage_event FROM '{}'", rows.display());
    disk::settle()?;
    let start = Instant::now();
    process::output(postgres.psql().args(["-c", &copy]))?;
    let seconds = start.elapsed().as_secs_f64();
    let count = [
        "--tuples-only",
        "--no-align",
        "-c",
        "SELECT count(*) FROM usage_event",
    ];
    let counted = process::output(postgres.psql().args(count))?;
    ensure!(
        counted.trim() == events.to_string(),
        "PostgreSQL counts {counted}"
    );
    Ok(Rate { events, seconds })
}

/// INSERT of the same events by JSONEachRow, with both types of the data column.
pub(crate) fn chdb_insert(lines: &Path, events: u64) -> Result<Chdb> {
    let python = python::environment("bench", &root().join("bench/requirements.txt"))?;
    let folder = scratch("bench-chdb")?;
    fs::remove_dir_all(&folder)?;
    let mut command = Command::new(python);
    command
        .arg(root().join("bench/chdb_ingest.py"))
        .arg(lines)
        .arg(&folder);
    disk::settle()?;
    let document: Value = serde_json::from_str(&process::output(&mut command)?)?;
    fs::remove_dir_all(&folder)?;
    let rate = |name: &str| -> Result<Rate> {
        let found = &document[name];
        ensure!(
            found["rows"].as_u64() == Some(events),
            "chDB counts {}",
            found["rows"]
        );
        Ok(Rate {
            events,
            seconds: found["seconds"].as_f64().context("chDB gives no time")?,
        })
    };
    let version = document["version"].as_str().unwrap_or_default().to_owned();
    Ok(Chdb {
        version,
        json: rate("json")?,
        string: rate("string")?,
    })
}
