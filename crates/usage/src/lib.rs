//! Intake and usage store: events become durable, are told apart, and are read back.
//!
//! Ground state is the journal plus the segments the manifest names; everything else is derived.
//! FORMAT.md describes every byte.

mod checked;
mod columns;
pub mod compact;
pub mod disk;
pub mod error;
pub mod events;
mod flush;
mod identity;
pub mod import_parquet;
mod intake;
mod journal;
pub mod manifest;
mod merge;
pub mod metrics;
pub mod options;
pub mod query;
mod rollup;
pub mod row;
pub mod scan;
mod seen;
pub mod segment;
pub mod series;
mod shared;
pub mod sim;
pub mod snapshot;
pub mod store;
pub mod suite;
pub mod table_parquet;
mod tail;
pub mod totals;
pub mod traits;
mod upkeep;
pub mod verify;
mod visible;

pub use error::{Error, Result};
pub use options::Options;
pub use series::{Series, Turn};
pub use store::EmbeddedStore;
pub use traits::{Intake, UsageStore};
