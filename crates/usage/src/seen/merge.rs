//! Merging runs of one size class into one of the next, page by page.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::key::Key;
use super::run::write::{RunWriter, Written};
use super::run::{Entry, PAGE_BYTES, Page, Run};
use crate::disk::Disk;
use crate::error::Result;
use crate::identity::Identity;
use crate::options::RUNS_PER_TIER_MAX;

/// Keys of the largest run in the lowest size class.
const TIER_KEYS_MIN: u64 = 1 << 16;

/// The size class of a run: each holds up to [`RUNS_PER_TIER_MAX`] times the one below.
fn tier(keys: u64) -> u32 {
    (keys.max(TIER_KEYS_MIN) / TIER_KEYS_MIN)
        .ilog2()
        .div_ceil(RUNS_PER_TIER_MAX.ilog2())
}

/// Which neighbours to merge next, oldest run first: the newest ones of small classes.
pub(crate) fn choose(keys: &[u64]) -> Option<Range<usize>> {
    let highest = keys.iter().map(|keys| tier(*keys)).max()?;
    (0..=highest).find_map(|class| {
        let small = keys
            .iter()
            .rev()
            .take_while(|keys| tier(**keys) <= class)
            .count();
        (small >= RUNS_PER_TIER_MAX).then(|| keys.len() - small..keys.len())
    })
}

/// Writes one run with the entries of all `inputs`; memory is bounded by a page of each and one
/// block of the result.
pub(crate) fn merge(
    disk: &Arc<dyn Disk>,
    path: &Path,
    identity: &Identity,
    inputs: &[Arc<Run>],
) -> Result<Written> {
    let mut walks: Vec<Walk> = inputs
        .iter()
        .map(|run| Walk::new(Arc::clone(run)))
        .collect();
    let mut heap = BinaryHeap::new();
    for (index, walk) in walks.iter_mut().enumerate() {
        if let Some(entry) = walk.next()? {
            heap.push(Reverse(head(entry, index)));
        }
    }
    let mut writer = RunWriter::create(disk, path, identity)?;
    while let Some(Reverse((key, sequence, index, fingerprint))) = heap.pop() {
        let fingerprint = domain::event::Fingerprint(fingerprint);
        writer.push(Entry {
            key,
            fingerprint,
            sequence,
        })?;
        let next = walks.get_mut(index).map(Walk::next).transpose()?.flatten();
        if let Some(entry) = next {
            heap.push(Reverse(head(entry, index)));
        }
    }
    writer.finish()
}

/// Orders entries by key; of equal keys the first event's comes first.
fn head(entry: Entry, index: usize) -> (Key, u64, usize, u64) {
    (entry.key, entry.sequence, index, entry.fingerprint.0)
}

/// All entries of a run in order, one page in memory.
#[derive(Debug)]
pub(crate) struct Walk {
    run: Arc<Run>,
    block: usize,
    page_in_block: usize,
    page: Option<Page>,
    entry: usize,
}

impl Walk {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self {
            run,
            block: 0,
            page_in_block: 0,
            page: None,
            entry: 0,
        }
    }

    /// The next entry; `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.page.as_ref().and_then(|page| page.entry(self.entry)) {
                self.entry += 1;
                return Ok(Some(entry));
            }
            let Some(block) = self.run.blocks().get(self.block) else {
                return Ok(None);
            };
            if self.page_in_block == block.fences.len() {
                self.block += 1;
                self.page_in_block = 0;
                continue;
            }
            let offset = block.offset + (self.page_in_block * PAGE_BYTES) as u64;
            self.page = Some(self.run.page(offset)?);
            self.page_in_block += 1;
            self.entry = 0;
        }
    }

    /// Offset of the page the last entry came from.
    pub(crate) fn offset(&self) -> u64 {
        let block = self.run.blocks().get(self.block);
        let pages = self.page_in_block.saturating_sub(1) * PAGE_BYTES;
        block.map_or(0, |block| block.offset) + pages as u64
    }
}
