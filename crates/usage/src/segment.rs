//! Segments: immutable Parquet files of rows, sorted for reads (step 6 of usage in).
//!
//! Written by [`write`] and [`crate::compact`], read by [`crate::scan`] and its neighbours.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::{Layout, SegmentEntry};
use crate::row::Row;

/// Version of the segment's form this release writes.
pub const SEGMENT_FORMAT: u32 = 1;

/// A segment file that reads go to. Nothing is read before it is needed.
#[derive(Debug)]
pub struct Segment {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    entry: SegmentEntry,
}

impl Segment {
    /// Prepares a segment for reading; the file itself is opened by the first read.
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path, entry: SegmentEntry) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            disk: Arc::clone(disk),
            path: folder.join(&entry.file),
            entry,
        }))
    }

    /// What the manifest says of it.
    pub fn entry(&self) -> &SegmentEntry {
        &self.entry
    }
}

/// Names of all files of a segment, which come and go together: its own and its rollups'.
pub fn files(entry: &SegmentEntry) -> impl Iterator<Item = &str> {
    let rollups = entry.rollups.iter().map(|rollup| rollup.file.as_str());
    std::iter::once(entry.file.as_str()).chain(rollups)
}

/// Writes rows (at least one, in any order) as a segment file and its rollups.
///
/// The files are synced, the folder is not. Blocks: call it from a thread that may.
pub fn write(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    file: &str,
    rows: Vec<Row>,
    layout: &Layout,
) -> Result<SegmentEntry> {
    let _ = (disk, folder, file, rows, layout);
    Err(Error::Internal("segments cannot be written yet".into()))
}
