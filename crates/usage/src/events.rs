//! Lists the newest events for people to look at.

use crate::error::{Error, Result};
use crate::query::{EventsQuery, StoredEvent};
use crate::snapshot::Snapshot;

/// The newest events of `query` known at `as_of`. Blocks: call it from a thread that may.
pub fn events(snapshot: &Snapshot, query: &EventsQuery, as_of: u64) -> Result<Vec<StoredEvent>> {
    let _ = (snapshot, query, as_of);
    Err(Error::Internal("events cannot be listed yet".into()))
}
