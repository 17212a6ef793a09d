//! Rows that no segment holds yet, as a source like any segment.

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::columns;
use crate::error::Result;
use crate::row::Row;
use crate::segment::Ask;
use crate::snapshot::{Snapshot, TailChunk};
use crate::visible::Visible;

/// The rows of a snapshot's tail that are seen, sorted as segments are.
#[derive(Debug)]
pub(crate) struct TailRows {
    chunks: Vec<Arc<TailChunk>>,
    /// Chunk and row of each, in order.
    picked: Vec<(u32, u32)>,
    next: usize,
    ask: Ask,
}

/// Calls `seen` with each row of the tail that is seen, by sequence, and its place.
pub(crate) fn each_row<'s>(
    snapshot: &'s Snapshot,
    visible: &Visible,
    mut seen: impl FnMut((u32, u32), &'s Row),
) {
    for (chunk, rows) in (0..).zip(&snapshot.tail) {
        for (index, row) in (0..).zip(&rows.rows) {
            if row.sequence > snapshot.flushed_through && visible.sees(row) {
                seen((chunk, index), row);
            }
        }
    }
}

impl TailRows {
    pub(crate) fn new(snapshot: &Snapshot, visible: &Visible, ask: &Ask) -> Self {
        let mut sorted: Vec<(&Row, (u32, u32))> = Vec::new();
        each_row(snapshot, visible, |place, row| sorted.push((row, place)));
        sorted.sort_unstable_by(|(left, _), (right, _)| {
            (left.organization.cmp(&right.organization))
                .then_with(|| left.texts.event_type().cmp(right.texts.event_type()))
                .then_with(|| left.time_ns.cmp(&right.time_ns))
                .then_with(|| left.sequence.cmp(&right.sequence))
        });
        Self {
            chunks: snapshot.tail.clone(),
            picked: sorted.into_iter().map(|(_, place)| place).collect(),
            next: 0,
            ask: ask.clone(),
        }
    }
}

impl Iterator for TailRows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.picked.len().min(self.next + self.ask.batch_rows);
        let places = &self.picked[self.next..end];
        if places.is_empty() {
            return None;
        }
        self.next = end;
        let rows = places
            .iter()
            .map(|(chunk, row)| &self.chunks[*chunk as usize].rows[*row as usize]);
        Some(columns::build(rows, &self.ask.columns, self.ask.texts))
    }
}
