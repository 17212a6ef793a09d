//! Exports from claimed jobs to downloaded files, on the real stores.

#![expect(
    clippy::unwrap_used,
    reason = "the world of a test is set up or the test fails"
)]

mod choices;
mod express;
mod files;
mod fixtures;
mod identity;
mod jobs;
mod leases;
mod outbox;
mod own;
mod panics;
mod receiver;
mod reproducible;
mod scope;
mod stopped;
mod story;
mod trouble;
mod versions;
mod webhooks;
mod world;
