//! Joins neighbouring segments into larger ones and brings them to a new layout (step 7).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::{Layout, SegmentEntry};
use crate::segment::Segment;

/// Rows of a segment beyond which it is joined with no other.
pub const SEGMENT_ROWS_MAX: u64 = 8_000_000;
/// Neighbours of similar size that make a join worth while.
pub const JOIN_SEGMENTS: usize = 8;

/// Which neighbours to join next, if any: indexes into `entries`.
pub fn choose(entries: &[SegmentEntry]) -> Option<Range<usize>> {
    let _ = entries;
    None
}

/// Writes the rows of neighbouring segments as one segment, with columns of `layout`.
///
/// Same sequences, same rows. The files are synced, the folder is not. Blocks.
pub fn join(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    file: &str,
    inputs: &[Arc<Segment>],
    layout: &Layout,
) -> Result<SegmentEntry> {
    let _ = (disk, folder, file, inputs, layout);
    Err(Error::Internal("segments cannot be joined yet".into()))
}

/// The first segment whose columns differ from what `layout` asks of its event types.
pub fn outdated(entries: &[SegmentEntry], layout: &Layout) -> Option<usize> {
    let _ = (entries, layout);
    None
}

/// Writes the rows of one segment again, with columns of `layout`. As [`join`] otherwise.
pub fn rewrite(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    file: &str,
    input: &Arc<Segment>,
    layout: &Layout,
) -> Result<SegmentEntry> {
    join(disk, folder, file, std::slice::from_ref(input), layout)
}
