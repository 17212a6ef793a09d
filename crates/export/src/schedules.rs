//! Schedules take their turns: the exports of periods that ended.
//!
//! Any number of servers may do this at once; the database lets one of them make each export.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metadata::{Metadata, Turn};
use tokio::sync::{Notify, watch};
use usage::UsageStore;

use crate::error::{Error, Result};
use crate::worker::{Clock, chain};

/// Schedules looked at together.
const SCHEDULES_MAX: u32 = 100;
/// Times one step looks for due schedules: it makes at most so many exports of one schedule.
const LOOKS_MAX: usize = 50;
/// Time between two steps.
const STEP_INTERVAL: Duration = Duration::from_secs(10);

/// Makes the exports that schedules ask for.
#[derive(Clone)]
pub struct Schedules {
    usage: Arc<dyn UsageStore>,
    metadata: Metadata,
    clock: Clock,
    active_max: u32,
    /// Whether it was said that they wait.
    said: Arc<AtomicBool>,
}

impl std::fmt::Debug for Schedules {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = formatter.debug_struct("Schedules");
        fields
            .field("active_max", &self.active_max)
            .finish_non_exhaustive()
    }
}

impl Schedules {
    /// Schedules of this database, by this clock; an organization has at most `active_max`
    /// unfinished exports. Periods wait while `usage` cannot be read as it is now.
    pub fn new(
        usage: Arc<dyn UsageStore>,
        metadata: Metadata,
        clock: Clock,
        active_max: u32,
    ) -> Self {
        Self {
            usage,
            metadata,
            clock,
            active_max,
            said: Arc::default(),
        }
    }

    /// Whether usage is complete: an export of now would fail otherwise, and its period with it.
    async fn may_go_on(&self) -> bool {
        let complete = self.usage.watermark().await;
        let said = self.said.swap(complete.is_err(), Ordering::Relaxed);
        match complete {
            Ok(_) if said => tracing::info!("schedules go on"),
            Err(error) if !said => {
                tracing::warn!("schedules wait until usage can be read: {error}");
            }
            _ => {}
        }
        !self.said.load(Ordering::Relaxed)
    }

    /// Makes the exports that are due, oldest periods first, and gives how many: none while usage
    /// is damaged or away.
    pub async fn step(&self) -> Result<usize> {
        if !self.may_go_on().await {
            return Ok(0);
        }
        let mut made = 0;
        for _ in 0..LOOKS_MAX {
            let now = (self.clock)();
            let due = self.metadata.due_schedules(now, SCHEDULES_MAX).await?;
            if due.is_empty() {
                break;
            }
            for schedule in due {
                match self
                    .metadata
                    .take_turn(schedule, self.active_max, now)
                    .await
                {
                    Ok(Turn::Made(export)) => {
                        made += 1;
                        let told = format!("schedule {schedule} asked for export {export}");
                        tracing::info!(export.id = %export, "{told}");
                    }
                    Ok(Turn::Waits | Turn::Idle) => {}
                    // One that fails must not keep the others from their turn.
                    Err(error) => {
                        let chain = chain(&Error::from(error));
                        tracing::warn!("schedule {schedule} missed a turn: {chain}");
                    }
                }
            }
        }
        Ok(made)
    }

    /// Steps until told to stop; `wake` tells a worker of new jobs.
    pub(crate) async fn run(self, wake: Arc<Notify>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.step().await {
                Ok(0) => {}
                Ok(_) => wake.notify_one(),
                Err(error) => tracing::warn!("schedules met a failure: {}", chain(&error)),
            }
            tokio::select! {
                () = tokio::time::sleep(STEP_INTERVAL) => {}
                _ = stop.changed() => {}
            }
        }
    }
}
