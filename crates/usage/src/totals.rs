//! Totals per meter, window and group, folded from columns in any order.

use crate::error::{Error, Result};
use crate::query::{TotalRow, TotalsQuery};
use crate::snapshot::Snapshot;

/// Folds the readings of `query` known at `as_of`. Blocks: call it from a thread that may.
pub fn totals(snapshot: &Snapshot, query: &TotalsQuery, as_of: u64) -> Result<Vec<TotalRow>> {
    let _ = (snapshot, query, as_of);
    Err(Error::Internal("totals are not there yet".into()))
}
