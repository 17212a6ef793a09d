//! One attempt at a job: made while the lease is kept, and ended either way.

use std::sync::Arc;
use std::time::Instant;

use domain::ids::ExportId;
use metadata::{Claimed, ExportStatus, Progress, Settlement};
use tracing::Instrument;

use super::{Worker, chain, reason};
use crate::build::Gauge;
use crate::error::{Error, Result};

/// Times a job is tried before it counts as failed; from the sixth on each waits for some minutes
/// ([`Metadata::claim_export`](metadata::Metadata::claim_export)), about an hour in all.
const ATTEMPTS_MAX: u32 = 20;
/// Milliseconds until a job that met a passing failure is tried again.
const RETRY_MS: u32 = 2_000;

impl Worker {
    /// Makes a claimed job's artifact while the lease is kept, and ends the job either way.
    ///
    /// What is logged meanwhile names the request that asked for the job.
    pub(crate) async fn work(&self, claimed: &Claimed, gauge: &Arc<Gauge>) -> Result<()> {
        let request_id = claimed.export.request.request_id.map(|id| id.to_string());
        let span = tracing::info_span!("job", request.id = request_id);
        self.work_through(claimed, gauge).instrument(span).await
    }

    async fn work_through(&self, claimed: &Claimed, gauge: &Arc<Gauge>) -> Result<()> {
        let started = Instant::now();
        let export = claimed.export.id;
        let made = if claimed.export.attempts > ATTEMPTS_MAX {
            let tries = ATTEMPTS_MAX;
            Err(Error::Deserted { tries })
        } else {
            tokio::select! {
                made = self.make(claimed, gauge) => made,
                lost = self.keep_lease(claimed, gauge) => Err(lost),
            }
        };
        let ended = match made {
            Ok(made) => {
                let rows = made.rows;
                self.settle(claimed, made).await.map(|()| rows)
            }
            Err(error) => Err(error),
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match ended {
            Ok(rows) => {
                tracing::info!(export.id = %export, duration_ms, rows, "export {export} is ready");
                Ok(())
            }
            Err(error) => {
                gauge.stop();
                self.give_up(claimed, gauge, error).await
            }
        }
    }

    /// What becomes of a job that could not be made: another try, or its end.
    ///
    /// The causes go to the log; the caller learns what failed, not the paths of this machine.
    async fn give_up(&self, claimed: &Claimed, gauge: &Gauge, error: Error) -> Result<()> {
        let export = claimed.export.id;
        let chain = chain(&error);
        match error {
            Error::TakenOver(_) => {
                tracing::warn!(export.id = %export, "export {export} was taken over");
                self.clear_cancelled(export).await
            }
            Error::Stopping => {
                let (fence, now) = (claimed.fence, (self.clock)());
                given_back(self.metadata.release_export(export, fence, now).await)
            }
            Error::TooLong => {
                tracing::info!(export.id = %export, "export {export} leaves the express lane");
                let (fence, now) = (claimed.fence, (self.clock)());
                given_back(self.metadata.hand_back_export(export, fence, now).await)
            }
            error if error.is_passing() && claimed.export.attempts < ATTEMPTS_MAX => {
                tracing::warn!(export.id = %export, "export {export} is tried again: {chain}");
                let progress = Progress {
                    percent: 0,
                    rows: gauge.rows(),
                };
                self.beat(claimed, progress, RETRY_MS).await
            }
            error => {
                tracing::error!(export.id = %export, "export {export} failed: {chain}");
                let error_message = reason(&error);
                self.end(claimed, &Settlement::Failed { error_message })
                    .await
            }
        }
    }

    /// Removes what was put for a job that was cancelled meanwhile: no row leads to it.
    pub(super) async fn clear_cancelled(&self, export: ExportId) -> Result<()> {
        let found = self.metadata.find_export(export).await?;
        if found.is_some_and(|found| found.status == ExportStatus::Cancelled) {
            self.artifacts.remove(export).await?;
        }
        Ok(())
    }
}

/// A job that somebody else has by now needs no giving back.
fn given_back(result: metadata::Result<()>) -> Result<()> {
    match result {
        Err(metadata::Error::Fenced { .. }) => Ok(()),
        result => Ok(result?),
    }
}
