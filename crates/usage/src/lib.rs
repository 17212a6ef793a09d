//! Intake and usage store: events become durable, are told apart, and are read back.
//!
//! Ground state is the journal plus the segments the manifest names; everything else is derived.
//! FORMAT.md describes every byte.

mod compact;
pub mod disk;
pub mod error;
pub mod import_parquet;
pub mod manifest;
pub mod metrics;
pub mod options;
pub mod query;
pub mod row;
pub mod segment;
pub mod snapshot;
pub mod store;
pub mod traits;

pub use error::{Error, Result};
pub use options::Options;
pub use store::EmbeddedStore;
pub use traits::{Intake, UsageStore};
