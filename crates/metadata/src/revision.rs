//! The control revision: every change of control data gets the next one.

use domain::Timestamp;

use crate::database::Transaction;
use crate::error::Result;
use crate::open::Metadata;

/// A change of control data: all of it at one revision, or nothing.
///
/// It holds the revision counter locked, so that revisions are committed in order: nobody else
/// changes control data until it is committed or dropped. Dropping it undoes everything.
#[derive(Debug)]
pub struct Change {
    pub(crate) transaction: Transaction,
    pub(crate) revision: u64,
    pub(crate) now: Timestamp,
    pub(crate) is_empty: bool,
}

impl Metadata {
    /// Starts a change and locks the revision counter.
    pub async fn begin_change(&self, now: Timestamp) -> Result<Change> {
        todo!()
    }

    /// The newest committed control revision; 0 before the first change.
    pub async fn control_revision(&self) -> Result<u64> {
        todo!()
    }
}

impl Change {
    /// The revision everything in this change gets.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether nothing has changed so far.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Makes the change durable and gives the newest revision, which an empty change leaves as is.
    pub async fn commit(self) -> Result<u64> {
        todo!()
    }
}
