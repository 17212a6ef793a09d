//! Keeping a job's lease: proof of life, and how far the worker is.

use std::time::Duration;

use domain::ids::ExportId;
use metadata::{Claimed, ExportStatus, Progress};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::{Worker, taken_over};
use crate::build::Gauge;
use crate::error::{Error, Result};

/// Time between two looks at how far a job is.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

impl Worker {
    /// Extends the lease until it is lost, which it tells.
    ///
    /// Progress is written as it moves, the lease a third of its length after the last time.
    pub(super) async fn keep_lease(&self, claimed: &Claimed, gauge: &Gauge) -> Error {
        let lease = Duration::from_millis(u64::from(self.options.lease_ms));
        let mut ends = self.ends.subscribe();
        let mut failed_since: Option<Instant> = None;
        let mut told = (Progress::default(), Instant::now());
        loop {
            let pause = LOOK_INTERVAL.min(lease / 3);
            let is_ended = wait(pause, claimed.export.id, &mut ends).await;
            let (percent, rows) = (gauge.percent(), gauge.rows());
            let progress = Progress { percent, rows };
            if !is_ended && told.0 == progress && told.1.elapsed() < lease / 3 {
                continue;
            }
            match self.beat(claimed, progress, self.options.lease_ms).await {
                Ok(()) => {
                    failed_since = None;
                    told = (progress, Instant::now());
                }
                Err(error @ Error::TakenOver(_)) => return error,
                // The database may come back before the lease lapses; the fence guards the rest.
                Err(error) => {
                    if failed_since.get_or_insert_with(Instant::now).elapsed() >= lease {
                        return error;
                    }
                }
            }
        }
    }

    /// Makes sure that the lease is this worker's; writes nothing while it lasts.
    pub(super) async fn hold(&self, claimed: &Claimed, progress: Progress) -> Result<()> {
        let held = self.metadata.find_export(claimed.export.id).await?;
        let lasts = held.is_some_and(|held| {
            held.fence == claimed.fence
                && held.status == ExportStatus::Processing
                && held.lease_expires_at > Some((self.clock)())
        });
        if lasts {
            return Ok(());
        }
        self.beat(claimed, progress, self.options.lease_ms).await
    }

    pub(super) async fn beat(
        &self,
        claimed: &Claimed,
        progress: Progress,
        lease_ms: u32,
    ) -> Result<()> {
        let (export, now) = (claimed.export.id, (self.clock)());
        let beat = self
            .metadata
            .heartbeat_export(export, claimed.fence, progress, lease_ms, now);
        beat.await.map_err(|error| taken_over(export, error))
    }
}

/// Waits for so long; ends early, with `true`, when somebody says that the job ended.
async fn wait(pause: Duration, export: ExportId, ends: &mut broadcast::Receiver<ExportId>) -> bool {
    let told = async {
        loop {
            match ends.recv().await {
                Ok(ended) if ended == export => return,
                Ok(_) => {}
                // Some were missed, perhaps this one: the lease knows.
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    tokio::time::timeout(pause, told).await.is_ok()
}
