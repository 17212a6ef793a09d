//! A store put together from the parts reads are made of, without intake.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use usage::disk::Disk;
use usage::disk::real::RealDisk;
use usage::manifest::Layout;
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::row::Row;
use usage::segment::{self, Segment, Shape};
use usage::snapshot::{Snapshot, TailChunk};
use usage::traits::SequencedBatch;
use usage::{Result, UsageStore, compact, events, scan, totals};

/// Segments in a folder of their own, and a tail.
#[derive(Debug)]
pub(crate) struct Assembled {
    folder: tempfile::TempDir,
    disk: Arc<dyn Disk>,
    flush_rows: usize,
    state: Mutex<(Snapshot, u32)>,
}

impl Assembled {
    /// A store that flushes its tail when it holds `flush_rows`.
    pub(crate) fn new(flush_rows: usize) -> Self {
        let snapshot = Snapshot {
            segments: Vec::new(),
            flushed_through: 0,
            tail: Vec::new(),
            watermark: 0,
            retention: Vec::new(),
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            disk: Arc::new(RealDisk),
            flush_rows,
            state: Mutex::new((snapshot, 0)),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.lock().unwrap().0.clone()
    }

    pub(crate) fn append(&self, rows: Vec<Row>) {
        let mut state = self.state.lock().unwrap();
        state.0.watermark = rows.last().unwrap().sequence;
        state.0.tail.push(Arc::new(TailChunk::new(rows)));
    }

    /// Moves the tail into a segment; rows stay in the tail too when `keep` says so.
    pub(crate) fn flush(&self, layout: &Layout, shape: Shape, keep: bool) {
        let mut state = self.state.lock().unwrap();
        let (snapshot, files) = &mut *state;
        let rows = snapshot.tail.iter().flat_map(|chunk| chunk.rows.clone());
        let rows: Vec<Row> = rows
            .filter(|row| row.sequence > snapshot.flushed_through)
            .collect();
        if rows.is_empty() {
            return;
        }
        *files += 1;
        let file = format!("{files}.parquet");
        let folder = self.folder.path();
        let entry = segment::write_shaped(&self.disk, folder, &file, &rows, layout, shape).unwrap();
        snapshot.flushed_through = entry.last;
        let opened = Segment::open(&self.disk, folder, &entry).unwrap();
        snapshot.segments.push(opened);
        if !keep {
            snapshot.tail.clear();
        }
    }

    /// Takes the segments' own files away and leaves their rollups.
    pub(crate) fn remove_files_of_rows(&self) {
        for segment in self.snapshot().segments {
            let file = self.folder.path().join(&segment.entry().file);
            std::fs::remove_file(file).unwrap();
        }
    }

    /// Joins `count` segments from the one with index `first` on, or rewrites a single one.
    pub(crate) fn join(&self, first: usize, count: usize, layout: &Layout, shape: Shape) {
        let mut state = self.state.lock().unwrap();
        let (snapshot, files) = &mut *state;
        let end = snapshot.segments.len().min(first + count);
        if first >= end {
            return;
        }
        *files += 1;
        let file = format!("{files}.parquet");
        let folder = self.folder.path();
        let inputs = &snapshot.segments[first..end];
        let entry = compact::join_shaped(&self.disk, folder, &file, inputs, layout, shape).unwrap();
        let opened = Segment::open(&self.disk, folder, &entry).unwrap();
        snapshot.segments.splice(first..end, [opened]);
    }
}

#[async_trait]
impl UsageStore for Assembled {
    async fn insert(&self, batch: SequencedBatch) -> Result<()> {
        if batch.rows[0].sequence <= self.snapshot().watermark {
            return Ok(());
        }
        self.append(batch.rows);
        let tail_rows: usize = self
            .snapshot()
            .tail
            .iter()
            .map(|chunk| chunk.rows.len())
            .sum();
        if tail_rows >= self.flush_rows {
            self.flush(&Layout::default(), Shape::default(), false);
        }
        Ok(())
    }

    async fn scan(&self, query: ScanQuery, as_of: u64) -> Result<Batches> {
        scan::scan(self.snapshot(), query, as_of)
    }

    async fn totals(&self, query: TotalsQuery, as_of: u64) -> Result<Vec<TotalRow>> {
        totals::totals(&self.snapshot(), &query, as_of)
    }

    async fn events(&self, query: EventsQuery, as_of: u64) -> Result<Vec<StoredEvent>> {
        events::events(&self.snapshot(), &query, as_of)
    }

    async fn watermark(&self) -> Result<u64> {
        Ok(self.snapshot().watermark)
    }
}
