//! Exports: jobs become artifacts that never change.
//!
//! The second walk of ARCHITECTURE.md: [`worker`] claims a job, the plan of `domain` says what to
//! read and print, [`build`] reads and prices it, [`csv`] and [`archive`] make the bytes, and
//! [`artifact`] keeps them. [`outbox`] tells whoever asked to be told.

pub mod archive;
pub mod artifact;
pub mod build;
pub mod check;
pub mod csv;
pub mod error;
pub mod manifest;
pub mod metrics;
pub mod outbox;
pub mod request;
pub mod schedules;
pub mod tasks;
mod verify;
pub mod worker;

pub use artifact::Artifacts;
pub use check::check;
pub use error::{Error, Result};
pub use outbox::Outbox;
pub use schedules::Schedules;
pub use verify::{ArtifactDamage, ArtifactReport, verify_artifacts};
pub use worker::{Made, Options, Worker, Workers};
