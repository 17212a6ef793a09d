//! Exports from claimed jobs to downloaded files, on the real stores.

#![expect(
    clippy::unwrap_used,
    reason = "the world of a test is set up or the test fails"
)]

mod express;
mod files;
mod jobs;
mod leases;
mod outbox;
mod own;
mod reproducible;
mod stopped;
mod trouble;
mod world;
