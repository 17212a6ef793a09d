//! Section `exports`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Export jobs and their artifacts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exports {
    /// Jobs worked on at once.
    pub workers: usize,
    /// Milliseconds a job may take in the express lane; 0 for no such lane.
    pub express_budget_ms: u32,
    /// Unfinished exports one organization may have through `/api/v1`.
    pub active_per_organization: u32,
    /// Days a finished export can be downloaded.
    pub artifact_days: u32,
    /// Where artifacts go; empty for a folder in the data directory.
    pub artifacts_url: String,
    /// Addresses outside of the public internet that callbacks may go to.
    pub callback_addresses: Vec<IpAddr>,
}
