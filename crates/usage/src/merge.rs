//! Merges sorted sources into one sorted stream of batches, holding one batch of each.

use std::cmp::Ordering;

use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;

use crate::columns::Keys;
use crate::error::{Error, Result};

/// Batches of one source, sorted; each starts with the key columns.
pub(crate) type Source = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Rows of sorted sources in the order (organization, event type, time, sequence).
pub(crate) struct Merge {
    sources: Vec<Cursor>,
    batch_rows: usize,
    started: bool,
}

struct Cursor {
    rest: Source,
    batch: Option<RecordBatch>,
    next: usize,
}

impl std::fmt::Debug for Merge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Merge")
            .field("sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}

impl Merge {
    /// Merges `sources` into batches of at most `batch_rows`.
    pub(crate) fn new(sources: Vec<Source>, batch_rows: usize) -> Self {
        let cursor = |rest| Cursor {
            rest,
            batch: None,
            next: 0,
        };
        Self {
            sources: sources.into_iter().map(cursor).collect(),
            batch_rows,
            started: false,
        }
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        if !self.started {
            for source in &mut self.sources {
                source.load()?;
            }
            self.started = true;
        }
        self.sources.retain(|source| source.batch.is_some());
        match self.sources.as_mut_slice() {
            [] => Ok(None),
            [only] => only.take_rest(),
            _ => self.merge_batch().map(Some),
        }
    }

    /// Picks rows until a batch is full or a source must be read on.
    fn merge_batch(&mut self) -> Result<RecordBatch> {
        let batches: Vec<&RecordBatch> = self.batches();
        let keys: Vec<Keys<'_>> = batches.iter().map(|batch| Keys::of(batch)).collect();
        let mut next: Vec<usize> = self.sources.iter().map(|source| source.next).collect();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|left, right| compare(&keys, &next, *right, *left));
        let mut picked: Vec<(usize, usize)> = Vec::with_capacity(self.batch_rows);
        while picked.len() < self.batch_rows {
            let Some((&least, others)) = order.split_last() else {
                break;
            };
            picked.push((least, next[least]));
            next[least] += 1;
            if next[least] == keys[least].time.len() {
                break;
            }
            let goes_on = others
                .last()
                .is_none_or(|second| compare(&keys, &next, least, *second) == Ordering::Less);
            if !goes_on {
                let above =
                    others.partition_point(|other| compare(&keys, &next, *other, least).is_gt());
                order.pop();
                order.insert(above, least);
            }
        }
        let merged = interleave_record_batch(&batches, &picked)
            .map_err(|error| Error::Internal(format!("rows could not be merged: {error}")))?;
        drop(keys);
        for (source, next) in self.sources.iter_mut().zip(next) {
            source.next = next;
            source.load_when_spent()?;
        }
        Ok(merged)
    }

    fn batches(&self) -> Vec<&RecordBatch> {
        let held = self.sources.iter().map(|source| source.batch.as_ref());
        held.map(|batch| batch.expect("sources without a batch are gone"))
            .collect()
    }
}

fn compare(keys: &[Keys<'_>], next: &[usize], left: usize, right: usize) -> Ordering {
    let (one, two) = (&keys[left], &keys[right]);
    let (row, other) = (next[left], next[right]);
    one.organization
        .at(row)
        .cmp(two.organization.at(other))
        .then_with(|| one.event_type.at(row).cmp(two.event_type.at(other)))
        .then_with(|| one.time[row].cmp(&two.time[other]))
        .then_with(|| one.sequence[row].cmp(&two.sequence[other]))
}

impl Cursor {
    fn load(&mut self) -> Result<()> {
        self.next = 0;
        self.batch = None;
        for batch in self.rest.by_ref() {
            let batch = batch?;
            if batch.num_rows() > 0 {
                self.batch = Some(batch);
                break;
            }
        }
        Ok(())
    }

    fn load_when_spent(&mut self) -> Result<()> {
        let rows = self.batch.as_ref().map_or(0, RecordBatch::num_rows);
        if self.next >= rows {
            self.load()
        } else {
            Ok(())
        }
    }

    /// What is left of the batch at hand, without copying.
    fn take_rest(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.batch.take() else {
            return Ok(None);
        };
        let rest = batch.slice(self.next, batch.num_rows() - self.next);
        self.load()?;
        Ok(Some(rest))
    }
}

impl Iterator for Merge {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}
