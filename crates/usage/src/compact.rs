//! Joins neighbouring segments into larger ones and brings them to a new layout (step 7).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use domain::meter::ReadingRule;

use crate::columns::{Column, Texts};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::{Layout, SegmentEntry};
use crate::merge::{Merge, Source};
use crate::segment::{Ask, Segment, SegmentWriter, Shape};

/// Rows that a join never goes beyond.
pub const SEGMENT_ROWS_MAX: u64 = 8_000_000;
/// Neighbours of similar size that are joined.
pub const JOIN_SEGMENTS: usize = 8;
/// Rows below which segments count as equally small.
const SMALL_ROWS: u64 = 4_096;
/// Rows read from each input at once.
const SOURCE_ROWS: usize = 1024;
/// Rows handed to the writer at once.
const BATCH_ROWS: usize = 4 * 1024;

/// Which neighbours to join next, if any: indexes into `entries`, which are by sequence.
///
/// Every row is rewritten about once per factor of [`JOIN_SEGMENTS`] the store grows by.
pub fn choose(entries: &[SegmentEntry]) -> Option<Range<usize>> {
    let stretches = (0..entries.len()).filter_map(|start| stretch(&entries[start..], start));
    let least = stretches.min_by_key(|(tier, range)| (*tier, range.start));
    least.map(|(_, range)| range)
}

/// The neighbours worth joining from the first of `entries` on, and their tier.
fn stretch(entries: &[SegmentEntry], start: usize) -> Option<(u32, Range<usize>)> {
    let first = entries.first()?;
    let mut rows = 0;
    let mut full = false;
    // A small one between large ones is taken along, or it would stay for ever.
    let similar = entries
        .iter()
        .take(JOIN_SEGMENTS)
        .take_while(|entry| tier(entry.rows) <= tier(first.rows))
        .take_while(|entry| {
            full = rows + entry.rows > SEGMENT_ROWS_MAX;
            rows += if full { 0 } else { entry.rows };
            !full
        })
        .count();
    // No more fit: joining fewer pays when none of them is most of the result.
    let worth_while = full && similar > 1 && first.rows * 2 <= rows;
    (similar == JOIN_SEGMENTS || worth_while).then(|| (tier(first.rows), start..start + similar))
}

/// Segments of one tier differ in size by less than a factor of [`JOIN_SEGMENTS`].
fn tier(rows: u64) -> u32 {
    (rows / SMALL_ROWS).max(1).ilog2() / JOIN_SEGMENTS.ilog2()
}

/// Writes the rows of neighbouring segments as one segment, with columns of `layout`.
///
/// Same sequences, same rows, a few thousand of them in memory. The files are synced, the folder
/// is not. Blocks.
pub fn join(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    file: &str,
    inputs: &[Arc<Segment>],
    layout: &Layout,
) -> Result<SegmentEntry> {
    join_shaped(disk, folder, file, inputs, layout, Shape::default())
}

/// As [`join`], with rows cut as `shape` says.
pub fn join_shaped(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    file: &str,
    inputs: &[Arc<Segment>],
    layout: &Layout,
    shape: Shape,
) -> Result<SegmentEntry> {
    let Some((first, last)) = inputs.first().zip(inputs.last()) else {
        return Err(Error::Internal("a join needs a segment".into()));
    };
    let reads = |rule: &ReadingRule| {
        let mut held = inputs.iter().flat_map(|input| &input.entry().event_types);
        held.any(|event_type| *event_type == rule.event_type)
    };
    let columns = Column::all(layout, reads);
    let ask = Ask {
        columns: columns.clone(),
        texts: Texts::Plain,
        batch_rows: SOURCE_ROWS,
    };
    let mut sources: Vec<Source> = Vec::new();
    for input in inputs {
        let groups = (0..input.groups()?.len()).collect();
        sources.push(Box::new(input.read(groups, &ask)?));
    }
    let rows = inputs.iter().map(|input| input.entry().rows).sum();
    let mut writer =
        SegmentWriter::create(disk, folder, file, columns, Texts::Plain, (shape, rows))?;
    for batch in Merge::new(sources, BATCH_ROWS) {
        writer.push(&batch?)?;
    }
    writer.finish(first.entry().first, last.entry().last, layout)
}

/// The first segment whose columns lack something that `layout` asks of its event types.
///
/// Columns that are no longer asked for stay until a join leaves them out.
pub fn outdated(entries: &[SegmentEntry], layout: &Layout) -> Option<usize> {
    entries.iter().position(|entry| {
        let known: Vec<String> = entry.layout.rules.iter().map(ReadingRule::key).collect();
        let lacks_rule = layout.rules.iter().any(|rule| {
            entry.event_types.contains(&rule.event_type) && !known.contains(&rule.key())
        });
        let lacks_path = || {
            let mut paths = layout.paths.iter();
            paths.any(|path| !entry.layout.paths.contains(path))
        };
        lacks_rule || lacks_path()
    })
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
