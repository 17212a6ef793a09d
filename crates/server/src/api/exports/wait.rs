//! Waiting for an export to end, without asking the database all the time.

use std::time::Duration;

use domain::ids::ExportId;
use metadata::Export;
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;

use crate::api::parameters::{FromParameters, Parameters};
use crate::app::App;
use crate::error::{ApiError, ApiResult, Code};

/// Seconds one request may wait.
const WAIT_SECONDS_MAX: u64 = 60;
/// Time between looks at jobs that other servers may end.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long to wait.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// Seconds to wait for the end of the export, up to 60.
    #[param(default = 0, minimum = 0, maximum = 60)]
    wait: u64,
}

impl FromParameters for WaitQuery {
    fn read(sent: &Parameters) -> ApiResult<Self> {
        let wait = sent.parsed("wait", "a whole number of seconds")?;
        Ok(Self {
            wait: wait.unwrap_or(0),
        })
    }
}

impl WaitQuery {
    /// The export as it is once it has ended, or when the time is over or the server stops.
    pub(super) async fn until_ended(self, app: &App, export: Export) -> ApiResult<Export> {
        if self.wait > WAIT_SECONDS_MAX {
            let message = format!("wait is {}: expected 0 to {WAIT_SECONDS_MAX}", self.wait);
            return Err(ApiError::invalid(message));
        }
        if self.wait == 0 || !export.status.is_active() {
            return Ok(export);
        }
        let busy = |_| ApiError::new(Code::TooManyRequests, "too many requests wait already");
        let waiters = app.exports.waiters.try_acquire();
        let _room = waiters.map_err(|error| busy(error).retry_after(1))?;
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        wait_until(deadline, app, export).await
    }
}

async fn wait_until(deadline: Instant, app: &App, mut export: Export) -> ApiResult<Export> {
    let mut ends = app.exports.ends();
    // Before the first wait it is looked at again: it may have ended before we listened.
    loop {
        export = look(app, export).await?;
        if !export.status.is_active() || Instant::now() >= deadline {
            return Ok(export);
        }
        let next = deadline.min(Instant::now() + LOOK_INTERVAL);
        tokio::select! {
            () = app.stopping.cancelled() => return Ok(export),
            _ = timeout_at(next, told(export.id, &mut ends)) => {}
        }
    }
}

async fn look(app: &App, export: Export) -> ApiResult<Export> {
    let found = app.metadata.find_export(export.id).await?;
    found.ok_or_else(|| ApiError::not_found("export"))
}

/// Returns when the export ended in this process, or when that may have been missed.
async fn told(export: ExportId, ends: &mut broadcast::Receiver<ExportId>) {
    while let Ok(ended) = ends.recv().await {
        if ended == export {
            return;
        }
    }
}
