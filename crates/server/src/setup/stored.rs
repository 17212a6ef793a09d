//! Whether usage was stored, where a declaration depends on it.

use std::sync::Arc;

use domain::ids::OrganizationId;
use usage::disk::Disk;
use usage::disk::real::RealDisk;

use crate::config::{Config, StoreMode};
use crate::error::{ApiError, ApiResult};
use crate::store::Readings;

/// Where the usage of the accounts is.
#[derive(Debug, Clone, Copy)]
pub enum Stored<'a> {
    /// In the store that this server has open.
    Open(&'a dyn Readings),
    /// In a data directory that nobody has open.
    Closed(&'a Config),
    /// With another server.
    Elsewhere,
}

impl<'a> Stored<'a> {
    /// The usage of a running server.
    pub fn of(config: &Config, readings: &'a dyn Readings) -> Self {
        match config.store.mode {
            StoreMode::None => Self::Elsewhere,
            StoreMode::Embedded => Self::Open(readings),
        }
    }

    /// Whether anything was ever sent for an organization; where nobody can say, it was.
    pub(super) async fn is_used(self, organization: OrganizationId) -> ApiResult<bool> {
        let counters = match self {
            Self::Open(readings) => readings.counters(),
            Self::Elsewhere => return Ok(true),
            Self::Closed(config) if config.store.mode == StoreMode::None => return Ok(true),
            Self::Closed(config) if !config.server.data_dir.join("usage").exists() => {
                return Ok(false);
            }
            Self::Closed(config) => {
                let folder = config.server.data_dir.join("usage");
                let disk: Arc<dyn Disk> = Arc::new(RealDisk);
                let read = move || usage::verify::counters(&disk, &folder);
                let read = tokio::task::spawn_blocking(read).await;
                read.map_err(ApiError::internal)??
            }
        };
        let counted = counters.get(organization.as_str());
        Ok(counted.is_some_and(|counters| counters.received > 0))
    }
}
