//! What every handler has at hand.

use std::sync::Arc;

use domain::Timestamp;
use metadata::{Change, Metadata};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use usage::{Intake, UsageStore};

use crate::auth::Credentials;
use crate::bodies::Bodies;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Control;
use crate::error::ApiResult;
use crate::exports::Exports;
use crate::metrics::Metrics;
use crate::store::{self, GivenUp, Readings};
use crate::watermark::Seal;

/// The state of one running server.
#[derive(Debug)]
pub struct App {
    /// The configuration in force.
    pub config: Config,
    /// Base URL of this server without a trailing slash.
    pub public_url: String,
    /// What time it is.
    pub clock: Clock,
    /// Control data and jobs.
    pub metadata: Metadata,
    /// Takes events in.
    pub intake: Arc<dyn Intake>,
    /// When usage was last given up as lost.
    pub given_up: GivenUp,
    /// Memory for bodies.
    pub bodies: Arc<Bodies>,
    /// Turns of parsing large bodies, one for two cores: the others are for what comes after, and
    /// for those who read.
    pub parsing: Arc<Semaphore>,
    /// Gives usage out.
    pub usage: Arc<dyn UsageStore>,
    /// Gives meters columns of their own.
    pub readings: Arc<dyn Readings>,
    /// Jobs and their artifacts.
    pub exports: Exports,
    /// Newest control data by account.
    pub control: Control,
    /// Who callers are.
    pub credentials: Credentials,
    /// Gives watermarks the texts that the outside sees.
    pub seal: Seal,
    /// Counters of this server.
    pub metrics: Metrics,
    /// Cancelled when the server is told to stop.
    pub stopping: CancellationToken,
}

impl App {
    /// The current instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes a change of control data durable and visible to every later request.
    ///
    /// Every change goes through here. Gives the newest revision.
    pub async fn commit(&self, change: Change) -> ApiResult<u64> {
        let revision = change.commit().await?;
        self.credentials.forget_all();
        Ok(revision)
    }

    /// Gives the readings of all declared meters columns; to be called after meters changed.
    pub async fn declare_readings(&self) -> ApiResult<()> {
        let layout = store::layout(&self.metadata).await?;
        self.readings.set_layout(layout);
        Ok(())
    }
}
