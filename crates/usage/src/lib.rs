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
pub mod manifest;
mod merge;
pub mod query;
pub mod row;
pub mod scan;
pub mod segment;
pub mod snapshot;
mod tail;
pub mod totals;
pub mod traits;
mod visible;

pub use error::{Error, Result};
pub use traits::{Intake, UsageStore};
