//! The right to keep the usage where several servers share one database.
//!
//! The file lock of the store settles it on one machine; the row in the database settles it
//! between machines and tells servers without a store who keeps the usage.

use std::sync::Arc;
use std::time::Duration;

use metadata::{Instance, Metadata};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, StoreMode};
use crate::store::Readings;

/// How long the right lasts without a renewal, in milliseconds.
const LEASE_MS: u32 = 30_000;
/// Time between renewals.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// The right, renewed until it is given back.
#[derive(Debug)]
pub struct Lease {
    metadata: Metadata,
    held: Instance,
    renewing: JoinHandle<()>,
    ended: CancellationToken,
}

impl Lease {
    /// Takes the right for an open store; `None` where this server keeps no usage.
    ///
    /// Losing it closes the store: writes are refused from then on.
    pub async fn take(
        config: &Config,
        metadata: &Metadata,
        clock: &Clock,
        readings: &Arc<dyn Readings>,
    ) -> metadata::Result<Option<Self>> {
        if config.store.mode == StoreMode::None {
            return Ok(None);
        }
        let owner = owner(config);
        let held = metadata
            .claim_instance(&owner, LEASE_MS, clock.now())
            .await?;
        let ended = CancellationToken::new();
        let renewal = Renewal {
            metadata: metadata.clone(),
            held: held.clone(),
            clock: clock.clone(),
            readings: Arc::clone(readings),
        };
        let renewing = tokio::spawn(renewal.run(ended.clone()));
        Ok(Some(Self {
            metadata: metadata.clone(),
            held,
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
        if let Err(error) = self.metadata.release_instance(&self.held).await {
            tracing::warn!("could not give back the right to keep the usage: {error}");
        }
    }
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
    async fn run(self, ended: CancellationToken) {
        while ended
            .run_until_cancelled(tokio::time::sleep(RENEW_EVERY))
            .await
            .is_some()
        {
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

    fn lost(self, holder: &str) {
        tracing::error!("{holder} took over the usage: this server stops taking any in");
        let closed = tokio::task::spawn_blocking(move || self.readings.close());
        drop(closed);
    }
}
