//! The usage store of a server that keeps none: whatever needs usage answers 503.

use async_trait::async_trait;
use domain::event::{Event, Refusal};
use domain::ids::OrganizationId;
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::traits::{Outcome, SequencedBatch};
use usage::{Error, Intake, Result, UsageStore};

/// Stands where another server of the same database keeps the usage.
#[derive(Debug)]
pub struct NoStore {
    /// Who keeps the usage, as far as known.
    pub owner: String,
}

impl NoStore {
    fn elsewhere<T>(&self) -> Result<T> {
        Err(Error::ReadOnly {
            reason: format!("usage is kept by {}", self.owner),
        })
    }
}

#[async_trait]
impl Intake for NoStore {
    async fn accept(
        &self,
        _namespace: OrganizationId,
        _drafts: Vec<Result<Event, Refusal>>,
    ) -> Result<Vec<Outcome>> {
        self.elsewhere()
    }
}

#[async_trait]
impl UsageStore for NoStore {
    async fn insert(&self, _batch: SequencedBatch) -> Result<()> {
        self.elsewhere()
    }

    async fn scan(&self, _query: ScanQuery, _as_of: u64) -> Result<Batches> {
        self.elsewhere()
    }

    async fn totals(&self, _query: TotalsQuery, _as_of: u64) -> Result<Vec<TotalRow>> {
        self.elsewhere()
    }

    async fn events(&self, _query: EventsQuery, _as_of: u64) -> Result<Vec<StoredEvent>> {
        self.elsewhere()
    }

    async fn watermark(&self) -> Result<u64> {
        self.elsewhere()
    }
}
