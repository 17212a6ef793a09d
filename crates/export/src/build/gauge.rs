//! What the outside may see and ask of a running build.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// How far a build is, and whether it shall go on.
///
/// The work has equal parts, one after the other; what is done of the current part is told as a
/// share of it. The percent never goes back.
#[derive(Debug, Default)]
pub struct Gauge {
    stop: AtomicBool,
    rows: AtomicU64,
    percent: AtomicU8,
    part: AtomicUsize,
    parts: AtomicUsize,
}

impl Gauge {
    /// Asks the build to end without a result.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the build was asked to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Share of the work done, 0 to 100.
    pub fn percent(&self) -> u8 {
        self.percent.load(Ordering::Relaxed)
    }

    /// Fails when the build was asked to end.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_stopped() {
            return Err(Error::Stopping);
        }
        Ok(())
    }

    pub(super) fn count_row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    /// Starts a part of the work.
    pub(super) fn enter(&self, part: usize, parts: usize) -> Result<()> {
        self.part.store(part, Ordering::Relaxed);
        self.parts.store(parts, Ordering::Relaxed);
        self.advance(0, 1)
    }

    /// Tells what is done of the current part.
    pub(super) fn advance(&self, done: usize, all: usize) -> Result<()> {
        let part = self.part.load(Ordering::Relaxed);
        let parts = self.parts.load(Ordering::Relaxed).max(1);
        let all = all.max(1);
        let whole = part.saturating_mul(all).saturating_add(done.min(all));
        let percent = whole.saturating_mul(100) / parts.saturating_mul(all);
        let percent = u8::try_from(percent.min(100)).expect("at most 100");
        self.percent.fetch_max(percent, Ordering::Relaxed);
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percent_counts_parts_and_shares_of_them_and_never_goes_back() {
        let gauge = Gauge::default();
        let mut seen = Vec::new();
        for part in 0..2 {
            gauge.enter(part, 2).unwrap();
            for done in [0, 1, 2, 1] {
                gauge.advance(done, 2).unwrap();
                seen.push(gauge.percent());
            }
        }
        assert_eq!(seen, [0, 25, 50, 50, 50, 75, 100, 100]);
        gauge.stop();
        assert!(matches!(gauge.advance(2, 2), Err(Error::Stopping)));
    }
}
