//! What callers do for the writer: row bytes, keys, and a look at the runs.

use std::ops::Range;
use std::sync::Arc;

use domain::event::{Event, EventTexts, Fingerprint, Refusal};
use domain::ids::OrganizationId;

use crate::error::Result;
use crate::journal::frame::{FIXED_ROW_BYTES, encode_row};
use crate::row::{Row, nanoseconds};
use crate::seen::key::{Key, KeyMaker};
use crate::seen::{Asked, Known, RunSet};
use crate::shared::Shared;

/// Bytes a row takes beside its texts: the struct and its allocation.
const ROW_OVERHEAD_BYTES: usize = size_of::<Row>() + 16;

/// A batch ready to be decided.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The drafts in order.
    pub(crate) items: Vec<Item>,
    /// Rows as the journal holds them, one after the other.
    pub(crate) bytes: Vec<u8>,
    runs: Arc<RunSet>,
}

/// One draft.
#[derive(Debug)]
pub(crate) enum Item {
    /// A valid event.
    Event(PreparedEvent),
    /// Not taken.
    Refused(Refusal),
}

/// A valid event, but for what the writer decides.
#[derive(Debug)]
pub(crate) struct PreparedEvent {
    /// The row; its sequence and conflict are open.
    pub(crate) row: Row,
    /// Where its bytes are.
    pub(crate) bytes: Range<usize>,
    pub(crate) key: Key,
    pub(crate) fingerprint: Fingerprint,
    candidate: bool,
    known: Option<Known>,
    known_conflict: bool,
    conflict_checked: bool,
}

impl Prepared {
    /// Makes rows, bytes and keys; asks the runs' filters.
    pub(crate) fn new(
        shared: &Shared,
        namespace: OrganizationId,
        drafts: Vec<Result<Event, Refusal>>,
    ) -> Self {
        let runs = shared.run_set();
        let encoded = drafts.iter().flatten().map(encoded_bytes).sum();
        let mut bytes = Vec::with_capacity(encoded);
        let item = |draft| match draft {
            Ok(event) => Item::Event(prepare(shared, &runs, namespace, event, &mut bytes)),
            Err(refusal) => Item::Refused(refusal),
        };
        let items = drafts.into_iter().map(item).collect();
        Self { items, bytes, runs }
    }

    /// Whether a run may know one of the keys.
    pub(crate) fn has_candidates(&self) -> bool {
        let candidate = |item: &Item| matches!(item, Item::Event(event) if event.candidate);
        self.items.iter().any(candidate)
    }

    /// Asks the runs for the keys they may know. Blocks.
    pub(crate) fn look_up(&mut self, keys: &KeyMaker) -> Result<()> {
        for item in &mut self.items {
            if let Item::Event(event) = item
                && event.candidate
            {
                event.known = self.runs.find(event.key, 0)?;
                let differs = |known: Known| !known.fingerprint.matches(event.fingerprint);
                if event.known.is_some_and(differs) {
                    let own_key = keys.conflict(event.key, event.fingerprint);
                    event.known_conflict = self.runs.find(own_key, 0)?.is_some();
                    event.conflict_checked = true;
                }
            }
        }
        Ok(())
    }

    /// Last sequence of the runs that were asked.
    pub(crate) fn checked_through(&self) -> u64 {
        self.runs.through
    }
}

impl PreparedEvent {
    /// What there is to tell apart.
    pub(crate) fn asked(&self, checked_through: u64) -> Asked {
        Asked {
            key: self.key,
            fingerprint: self.fingerprint,
            known: self.known,
            known_conflict: self.known_conflict,
            checked_through,
            conflict_checked_through: if self.conflict_checked {
                checked_through
            } else {
                0
            },
        }
    }
}

fn prepare(
    shared: &Shared,
    runs: &RunSet,
    namespace: OrganizationId,
    event: Event,
    bytes: &mut Vec<u8>,
) -> PreparedEvent {
    let key = shared
        .keys
        .key(namespace, event.texts.source(), event.texts.id());
    let fingerprint = event.fingerprint;
    let row = Row {
        sequence: 0,
        namespace,
        organization: event.organization,
        texts: event.texts,
        time_ns: nanoseconds(event.time),
        received_ns: nanoseconds(event.received),
        conflict_with: None,
    };
    let start = bytes.len();
    encode_row(&row, bytes);
    PreparedEvent {
        row,
        bytes: start..bytes.len(),
        key,
        fingerprint,
        candidate: runs.may_hold(key, 0),
        known: None,
        known_conflict: false,
        conflict_checked: false,
    }
}

/// Bytes an event takes in the journal.
fn encoded_bytes(event: &Event) -> usize {
    event.texts.bytes() + FIXED_ROW_BYTES
}

/// Bytes of memory an event takes, waiting or as a row, about.
pub(crate) fn held_bytes(texts: &EventTexts) -> usize {
    ROW_OVERHEAD_BYTES + texts.bytes()
}
