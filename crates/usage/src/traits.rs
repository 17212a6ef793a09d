//! The two seams: who decides and numbers, and where numbered events live.

use std::time::Duration;

use async_trait::async_trait;
use domain::event::{Event, Refusal};
use domain::ids::OrganizationId;

use crate::error::{Error, Result};
use crate::options::WRITER_WAIT_MS;
use crate::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use crate::row::Row;
use crate::series::Turn;

/// What became of one draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// New: stored and counted once.
    Accepted {
        /// Its sequence.
        sequence: u64,
    },
    /// Known already and the same: nothing was stored.
    Duplicate {
        /// Sequence of the first copy.
        sequence: u64,
    },
    /// Known already but different: kept for people to see, counted nowhere.
    Conflict {
        /// Sequence of the copy that counts.
        sequence: u64,
    },
    /// Not taken.
    Refused(Refusal),
}

/// Decides what is new, numbers it and makes it durable.
#[async_trait]
pub trait Intake: Send + Sync + std::fmt::Debug {
    /// Tells, for each draft and in order, whether it was fresh, a duplicate, a conflict or
    /// refused.
    ///
    /// Keys of different namespaces never meet. After `Ok` every accepted event survives a crash
    /// and counts once. After `Err` nothing is promised: the caller repeats the same call.
    ///
    /// Batches of one series are decided in the order of their turns, however many calls run at
    /// once; after one that fails, all behind it fail undecided. Batches of different series are
    /// in no order. A batch waits no longer than its turn says, unless its decision has begun.
    async fn accept_in_turn(
        &self,
        namespace: OrganizationId,
        drafts: Vec<Result<Event, Refusal>>,
        turn: Turn,
    ) -> Result<Vec<Outcome>>;

    /// The same for a batch that is in no order with others.
    async fn accept(
        &self,
        namespace: OrganizationId,
        drafts: Vec<Result<Event, Refusal>>,
    ) -> Result<Vec<Outcome>> {
        let turn = Turn::alone(Duration::from_millis(WRITER_WAIT_MS));
        self.accept_in_turn(namespace, drafts, turn).await
    }

    /// Tells the store events go into from every other, at whatever address it is reached.
    async fn identity(&self) -> Result<String>;
}

/// Rows with contiguous sequences, as handed from intake to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequencedBatch {
    /// The rows, ascending by sequence without gaps; not empty.
    pub rows: Vec<Row>,
}

/// Where numbered events live and are read.
///
/// A scale-out store will stand behind this trait: nothing of the embedded one may show through.
#[async_trait]
pub trait UsageStore: Send + Sync + std::fmt::Debug {
    /// Takes a batch once: the same first and last sequence again changes nothing.
    async fn insert(&self, batch: SequencedBatch) -> Result<()>;

    /// Streams rows of the query's scope known at `as_of`, ordered by organization, event type,
    /// time and sequence.
    async fn scan(&self, query: ScanQuery, as_of: u64) -> Result<Batches>;

    /// Totals per meter, window and group; equals folding [`Self::scan`].
    ///
    /// Ordered by meter, window and keys.
    async fn totals(&self, query: TotalsQuery, as_of: u64) -> Result<Vec<TotalRow>>;

    /// The newest events first, for people to look at.
    async fn events(&self, query: EventsQuery, as_of: u64) -> Result<Vec<StoredEvent>>;

    /// The newest sequence at which reads are complete and durable; 0 for an empty store.
    ///
    /// Fails with [`Error::Incomplete`] where later rows were stored and cannot be read: a read
    /// of now would count too little.
    async fn watermark(&self) -> Result<u64>;

    /// Fails unless reads at `as_of` give every row: with [`Error::BeyondWatermark`] for a
    /// sequence that is not there yet, with [`Error::Incomplete`] at or past damage.
    async fn check(&self, as_of: u64) -> Result<()> {
        let watermark = self.watermark().await?;
        if as_of > watermark {
            return Err(Error::BeyondWatermark {
                asked: as_of,
                watermark,
            });
        }
        Ok(())
    }
}
