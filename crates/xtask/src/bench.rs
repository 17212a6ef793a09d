//! Measurements against committed targets, written as tables with the machine named.

pub(crate) mod client;
mod disk;
pub(crate) mod events;
mod export_queue;
mod ingest;
mod load;
pub(crate) mod machine;
mod memory;
mod metering;
mod peers;
pub(crate) mod report;
pub(crate) mod server;

use std::env;

use anyhow::Result;
use clap::Subcommand;

use crate::process;
use crate::test::control_writes;
use crate::workspace::cargo;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Durable, deduplicated events per second, beside PostgreSQL and chDB.
    Ingest(ingest::Options),
    /// Peak memory of ingest, compaction and each export, and start-up times.
    Memory(memory::Options),
    /// A small export job behind a thousand others, and how long all of them take.
    ExportQueue(export_queue::Options),
    /// Writes of control data beside a thousand due messages; part of `test --long`.
    ControlWrites,
}

/// Measures with an optimized build of this program, which shares its cores with the server.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    if cfg!(debug_assertions) {
        let mut optimized = cargo();
        optimized.args(["run", "--release", "--quiet", "--package", "xtask", "--"]);
        return process::run(optimized.args(env::args_os().skip(1)));
    }
    match bench {
        Bench::Ingest(options) => ingest::run(options),
        Bench::Memory(options) => memory::run(options),
        Bench::ExportQueue(options) => export_queue::run(options),
        Bench::ControlWrites => control_writes::measure(&server::build()?),
    }
}
