//! The right to keep the usage where several servers share one database.
//!
//! The file lock of the store settles it on one machine; the row in the database settles it
//! between machines and tells servers without a store who keeps the usage. Who holds the right also
//! records which store it is and how far it goes, so that a lost or older folder is noticed.

use std::sync::Arc;
use std::time::Duration;

use export::tasks;
use metadata::{Instance, Metadata};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, StoreMode};
use crate::store::Readings;

/// How long the right lasts without a renewal, in milliseconds.
const LEASE_MS: u32 = 30_000;
/// Time between renewals.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Time between looks whether there is a newer sequence to record.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// Longest time one record may take, so that none keeps the right from its renewal.
const RECORD_WAIT: Duration = Duration::from_secs(2);

/// The right, renewed until it is given back.
#[derive(Debug)]
pub struct Lease {
    metadata: Metadata,
    held: Instance,
    readings: Arc<dyn Readings>,
    renewing: JoinHandle<()>,
    ended: CancellationToken,
}

impl Lease {
    /// Takes the right for an open store; `None` where this server keeps no usage.
    ///
    /// `url` is where its holder answers requests, for servers without a store to name. Losing the
    /// right closes the store: writes are refused from then on.
    pub async fn take(
        config: &Config,
        metadata: &Metadata,
        clock: &Clock,
        readings: &Arc<dyn Readings>,
        url: Option<&str>,
    ) -> metadata::Result<Option<Self>> {
        if config.store.mode == StoreMode::None {
            return Ok(None);
        }
        let owner = owner(config);
        let held = metadata
            .claim_instance(&owner, url, LEASE_MS, clock.now())
            .await?;
        record(metadata, readings.as_ref()).await?;
        let ended = CancellationToken::new();
        let renewal = Renewal {
            metadata: metadata.clone(),
            held: held.clone(),
            clock: clock.clone(),
            readings: Arc::clone(readings),
        };
        let (renewal, stop) = (Arc::new(renewal), ended.clone());
        let stopped = stop.clone().cancelled_owned();
        let renewing = tokio::spawn(tasks::keep("usage lease", stopped, move || {
            Arc::clone(&renewal).run(stop.clone())
        }));
        Ok(Some(Self {
            metadata: metadata.clone(),
            held,
            readings: Arc::clone(readings),
            renewing,
            ended,
        }))
    }

    /// Gives the right back, once the store is closed.
    pub async fn release(self) {
        self.ended.cancel();
        if self.renewing.await.is_err() {
            tracing::warn!("renewing the right to keep the usage ended early");
        }
        if let Err(error) = record(&self.metadata, self.readings.as_ref()).await {
            tracing::warn!("the newest sequence was not recorded: {error}");
        }
        if let Err(error) = self.metadata.release_instance(&self.held).await {
            tracing::warn!("could not give back the right to keep the usage: {error}");
        }
    }
}

/// Records the store and its newest sequence; never an earlier one, as a damaged store shows.
async fn record(metadata: &Metadata, readings: &dyn Readings) -> metadata::Result<()> {
    let Some(store) = readings.store_id() else {
        return Ok(());
    };
    let newest = readings.metrics().watermark;
    metadata.record_usage(&store, newest).await
}

/// Host and folder: the same after a restart, so that a crash does not lock its server out.
fn owner(config: &Config) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.unwrap_or_else(|_| "this host".to_owned());
    let folder = &config.server.data_dir;
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
    format!("{}:{}", host.trim(), folder.display())
}

struct Renewal {
    metadata: Metadata,
    held: Instance,
    clock: Clock,
    readings: Arc<dyn Readings>,
}

impl Renewal {
    async fn run(self: Arc<Self>, ended: CancellationToken) {
        let mut renewed = Instant::now();
        let (mut recorded, mut said) = (self.readings.metrics().watermark, false);
        while ended
            .run_until_cancelled(tokio::time::sleep(RECORD_EVERY))
            .await
            .is_some()
        {
            self.record_newer(&mut recorded, &mut said).await;
            if renewed.elapsed() < RENEW_EVERY {
                continue;
            }
            renewed = Instant::now();
            let now = self.clock.now();
            match self
                .metadata
                .renew_instance(&self.held, LEASE_MS, now)
                .await
            {
                Ok(_) => {}
                Err(metadata::Error::InUse { holder }) => return self.lost(&holder),
                Err(error) => tracing::warn!("the right to keep the usage not renewed: {error}"),
            }
        }
    }

    /// Records the newest sequence when it is another than the last recorded one; says once that
    /// it cannot.
    async fn record_newer(&self, recorded: &mut u64, said: &mut bool) {
        let newest = self.readings.metrics().watermark;
        if newest == *recorded {
            return;
        }
        let recording = record(&self.metadata, self.readings.as_ref());
        let failure = match tokio::time::timeout(RECORD_WAIT, recording).await {
            Ok(Ok(())) => {
                (*recorded, *said) = (newest, false);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the database took more than {RECORD_WAIT:?}"),
        };
        if !std::mem::replace(said, true) {
            tracing::warn!("the newest sequence was not recorded: {failure}");
        }
    }

    fn lost(&self, holder: &str) {
        tracing::error!("{holder} took over the usage: this server stops taking any in");
        let readings = Arc::clone(&self.readings);
        let closed = tokio::task::spawn_blocking(move || readings.close());
        drop(closed);
    }
}
