//! Intake and usage store: events become durable, are told apart, and are read back.
//!
//! Ground state is the journal plus the segments the manifest names; everything else is derived.
//! FORMAT.md describes every byte.

pub mod disk;
pub mod error;
pub mod import_parquet;
pub mod manifest;
pub mod query;
pub mod row;
pub mod traits;

pub use error::{Error, Result};
pub use traits::{Intake, UsageStore};
