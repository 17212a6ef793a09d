//! Streams rows of a scope in order (step 4 of export out).

use crate::error::{Error, Result};
use crate::query::{Batches, ScanQuery};
use crate::snapshot::Snapshot;

/// Streams the rows of `query` known at `as_of` from a pinned state.
///
/// Returns at once; reading happens on a blocking thread that stops when the stream is dropped.
pub fn scan(snapshot: Snapshot, query: ScanQuery, as_of: u64) -> Result<Batches> {
    let _ = (snapshot, query, as_of);
    Err(Error::Internal("scans are not there yet".into()))
}
