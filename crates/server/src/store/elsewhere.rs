//! The store of a server beside the one that keeps the usage.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::Timestamp;
use domain::event::{Event, Refusal};
use domain::ids::OrganizationId;
use domain::meter::ReadingRule;
use domain::path::JsonPath;
use metadata::{Instance, Metadata};
use tokio::runtime::Handle;
use usage::manifest::{Counters, Layout};
use usage::metrics::Metrics;
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::store::Progress;
use usage::traits::{Outcome, SequencedBatch};
use usage::verify::Report;
use usage::{Error, Intake, Result, Turn, UsageStore};

use super::Readings;
use crate::clock::Clock;

/// Stands where another server of the same database keeps the usage.
#[derive(Debug)]
pub(super) struct NoStore {
    /// Names the server that keeps the usage.
    pub(super) metadata: Metadata,
    pub(super) clock: Clock,
}

impl Readings for NoStore {
    fn set_layout(&self, _layout: Layout) {}

    fn progress(&self, _rule: &ReadingRule, _paths: &BTreeMap<String, JsonPath>) -> Progress {
        Progress {
            rows: 0,
            rows_built: 0,
        }
    }

    fn read_only_reason(&self) -> Option<String> {
        None
    }

    fn waits_for_space(&self) -> Option<String> {
        None
    }

    fn store_id(&self) -> Option<String> {
        None
    }

    fn counters(&self) -> BTreeMap<String, Counters> {
        BTreeMap::new()
    }

    fn metrics(&self) -> Metrics {
        Metrics::default()
    }

    fn verify(&self) -> Result<Report> {
        Handle::current().block_on(self.elsewhere())
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl NoStore {
    /// Names the URL of the server that keeps the usage at this moment, never its host or folder.
    async fn elsewhere<T>(&self) -> Result<T> {
        let reason = match self.metadata.find_instance().await {
            Ok(found) => reason(found.as_ref(), self.clock.now()),
            Err(error) => {
                tracing::warn!("who keeps the usage is not known: {error}");
                "usage is kept by another server: send the request there".to_owned()
            }
        };
        Err(Error::Elsewhere { reason })
    }
}

fn reason(holder: Option<&Instance>, now: Timestamp) -> String {
    let live = holder.filter(|holder| holder.lease_expires_at > now);
    match live.map(|holder| holder.url.as_deref()) {
        Some(Some(url)) => format!("usage is kept by {url}: send the request there"),
        Some(None) => "usage is kept by a process without a URL, such as an import: try again \
                       when a server keeps it"
            .to_owned(),
        None => "no server keeps the usage now: start the one that has the store".to_owned(),
    }
}

#[async_trait]
impl Intake for NoStore {
    async fn accept_in_turn(
        &self,
        _namespace: OrganizationId,
        _drafts: Vec<Result<Event, Refusal>>,
        _turn: Turn,
    ) -> Result<Vec<Outcome>> {
        self.elsewhere().await
    }

    async fn identity(&self) -> Result<String> {
        self.elsewhere().await
    }
}

#[async_trait]
impl UsageStore for NoStore {
    async fn insert(&self, _batch: SequencedBatch) -> Result<()> {
        self.elsewhere().await
    }

    async fn scan(&self, _query: ScanQuery, _as_of: u64) -> Result<Batches> {
        self.elsewhere().await
    }

    async fn totals(&self, _query: TotalsQuery, _as_of: u64) -> Result<Vec<TotalRow>> {
        self.elsewhere().await
    }

    async fn events(&self, _query: EventsQuery, _as_of: u64) -> Result<Vec<StoredEvent>> {
        self.elsewhere().await
    }

    async fn watermark(&self) -> Result<u64> {
        self.elsewhere().await
    }
}
