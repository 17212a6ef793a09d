//! The embedded store: one process, one folder, both traits.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::event::{Event, Refusal};
use domain::ids::OrganizationId;
use domain::meter::ReadingRule;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::{Counters, Layout};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use crate::snapshot::Snapshot;
use crate::traits::{Intake, Outcome, SequencedBatch, UsageStore};

/// How far segments have the column of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Flushed rows the reading may concern.
    pub rows: u64,
    /// Those of them in segments that have its column.
    pub rows_built: u64,
}

/// The usage store of one process, in one folder.
#[derive(Debug)]
pub struct EmbeddedStore {}

impl EmbeddedStore {
    /// Opens the store in `options.folder`, creating it when the folder is empty.
    pub fn open(_options: Options, _disk: Arc<dyn Disk>, _layout: Layout) -> Result<Arc<Self>> {
        Err(Error::Closed)
    }

    /// Declares which readings and paths get columns; segments are rewritten in the background.
    pub fn set_layout(&self, _layout: Layout) {}

    /// How far the rewrite for `rule` is.
    pub fn progress(&self, _rule: &ReadingRule) -> Progress {
        Progress {
            rows: 0,
            rows_built: 0,
        }
    }

    /// Pins segments and unflushed rows in one step.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Err(Error::Closed)
    }

    /// Conservation counters by organization id or `unattributed`.
    pub fn counters(&self) -> BTreeMap<String, Counters> {
        BTreeMap::new()
    }

    /// Why the store refuses writes; `None` while it takes them.
    pub fn read_only_reason(&self) -> Option<String> {
        None
    }

    /// Plain numbers for monitoring.
    pub fn metrics(&self) -> Metrics {
        Metrics::default()
    }

    /// Writes every durable row into segments; blocks until done.
    pub fn flush_now(&self) -> Result<()> {
        Err(Error::Closed)
    }

    /// Joins segments and merges key runs until nothing is left to do; blocks until done.
    pub fn compact_now(&self) -> Result<()> {
        Err(Error::Closed)
    }

    /// Flushes and stops: the next start has nothing to replay. Blocks until done.
    pub fn close(&self) -> Result<()> {
        Err(Error::Closed)
    }
}

#[async_trait]
impl Intake for EmbeddedStore {
    async fn accept(
        &self,
        _namespace: OrganizationId,
        _drafts: Vec<Result<Event, Refusal>>,
    ) -> Result<Vec<Outcome>> {
        Err(Error::Closed)
    }
}

#[async_trait]
impl UsageStore for EmbeddedStore {
    async fn insert(&self, _batch: SequencedBatch) -> Result<()> {
        Err(Error::Closed)
    }

    async fn scan(&self, _query: ScanQuery, _as_of: u64) -> Result<Batches> {
        Err(Error::Closed)
    }

    async fn totals(&self, _query: TotalsQuery, _as_of: u64) -> Result<Vec<TotalRow>> {
        Err(Error::Closed)
    }

    async fn events(&self, _query: EventsQuery, _as_of: u64) -> Result<Vec<StoredEvent>> {
        Err(Error::Closed)
    }

    async fn watermark(&self) -> Result<u64> {
        Err(Error::Closed)
    }
}
