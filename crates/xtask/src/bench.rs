//! Measurements against committed targets, written as tables with the machine named.

mod client;
mod disk;
mod events;
mod ingest;
mod load;
mod machine;
mod memory;
mod metering;
mod peers;
mod report;
mod server;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Durable, deduplicated events per second, beside PostgreSQL and chDB.
    Ingest(ingest::Options),
    /// Peak memory of ingest, compaction and each export, and start-up times.
    Memory(memory::Options),
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Ingest(options) => ingest::run(options),
        Bench::Memory(options) => memory::run(options),
    }
}
