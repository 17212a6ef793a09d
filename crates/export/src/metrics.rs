//! Numbers of the exports made by this process, since it started.

use std::sync::atomic::{AtomicU64, Ordering};

static MISMATCHES: AtomicU64 = AtomicU64::new(0);

/// Exports that failed because their rows did not add up to a second reading.
pub fn mismatches_total() -> u64 {
    MISMATCHES.load(Ordering::Relaxed)
}

pub(crate) fn count_mismatch() {
    MISMATCHES.fetch_add(1, Ordering::Relaxed);
}
