//! Step 7: few large segments.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::{Layout, SegmentEntry};
use crate::segment::Segment;

/// Which neighbours to join next.
pub fn choose(_entries: &[SegmentEntry]) -> Option<Range<usize>> {
    None
}

/// The next segment to rewrite for a changed layout.
pub fn outdated(_entries: &[SegmentEntry], _layout: &Layout) -> Option<usize> {
    None
}

/// Joins neighbouring segments.
pub fn join(
    _disk: &Arc<dyn Disk>,
    _folder: &Path,
    _file: &str,
    _inputs: &[Arc<Segment>],
    _layout: &Layout,
) -> Result<SegmentEntry> {
    Err(Error::Closed)
}
