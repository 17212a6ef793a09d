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
use crate::segment::{Ask, Packing, Segment, SegmentWriter, Shape};

/// Rows that a join never goes beyond.
pub const SEGMENT_ROWS_MAX: u64 = 8_000_000;
/// Neighbours of similar size that are joined.
pub const JOIN_SEGMENTS: usize = 8;
/// Most segments read by one join.
const INPUTS_MAX: usize = 3 * JOIN_SEGMENTS;
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

/// Segments that are still to be joined into large ones.
pub fn owed(entries: &[SegmentEntry]) -> usize {
    let rests = |entry: &&SegmentEntry| entry.rows * 2 > SEGMENT_ROWS_MAX;
    entries.iter().filter(|entry| !rests(entry)).count()
}

/// The neighbours worth joining from the first of `entries` on, and their tier.
///
/// They begin and end with one of the tier. Smaller ones between are taken along, or they would
/// stay for ever.
fn stretch(entries: &[SegmentEntry], start: usize) -> Option<(u32, Range<usize>)> {
    let wanted = tier(entries.first()?.rows);
    let (mut alike, mut end, mut rows, mut rows_joined) = (0, 0, 0, 0);
    let mut full = false;
    for (index, entry) in entries.iter().take(INPUTS_MAX).enumerate() {
        full = rows + entry.rows > SEGMENT_ROWS_MAX;
        if full || tier(entry.rows) > wanted || alike == JOIN_SEGMENTS {
            break;
        }
        rows += entry.rows;
        if tier(entry.rows) == wanted {
            (alike, end, rows_joined) = (alike + 1, index + 1, rows);
        }
    }
    // Where no eight fit, fewer will do if the result is so large that it rests.
    let rests = full && alike > 1 && rows_joined * 2 > SEGMENT_ROWS_MAX;
    (alike == JOIN_SEGMENTS || rests).then(|| (wanted, start..start + end))
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
    let columns = filled(Column::all(layout, reads), inputs)?;
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
    let packing = (shape, Packing::Tight);
    let mut writer = SegmentWriter::create(disk, folder, file, columns, packing, rows)?;
    for batch in Merge::new(sources, BATCH_ROWS) {
        writer.push(&batch?)?;
    }
    writer.finish(first.entry().first, last.entry().last, layout)
}

/// Leaves out derived columns that would hold nothing but nulls.
fn filled(columns: Vec<Column>, inputs: &[Arc<Segment>]) -> Result<Vec<Column>> {
    let mut filled = Vec::with_capacity(columns.len());
    for column in columns {
        let mut holds = !column.is_derived();
        for input in inputs {
            holds = holds || input.may_hold(&column)?;
        }
        if holds {
            filled.push(column);
        }
    }
    Ok(filled)
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
        let lacks_value = || {
            let mut values = layout.values.iter();
            values.any(|path| !entry.layout.values.contains(path))
        };
        // A segment that was never looked through cannot show dimensions as they were sent.
        entry.exponents.is_none() || lacks_rule || lacks_path() || lacks_value()
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

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use domain::aggregation::Aggregation;
    use domain::dimension::Dimension;
    use domain::event::TextParts;
    use domain::ids::OrganizationId;
    use domain::number::NumberRule;

    use super::*;
    use crate::disk::real::RealDisk;
    use crate::row::Row;
    use crate::segment;

    fn entry(first: u64, rows: u64) -> SegmentEntry {
        SegmentEntry {
            format: 1,
            file: String::new(),
            first,
            last: first + rows - 1,
            rows,
            bytes: 0,
            checksum: String::new(),
            tail_bytes: 0,
            tail_checksum: String::new(),
            time_min_ns: 0,
            time_max_ns: 0,
            event_types: vec!["a".into()],
            layout: Layout::default(),
            rollups: Vec::new(),
            exponents: Some(false),
        }
    }

    fn entries(rows: &[u64]) -> Vec<SegmentEntry> {
        let numbered = rows.iter().scan(1, |next, rows| {
            *next += rows;
            Some(entry(*next - rows, *rows))
        });
        numbered.collect()
    }

    #[test]
    fn eight_neighbours_of_similar_size_are_joined_the_smallest_first() {
        assert_eq!(choose(&entries(&[100; 7])), None);
        assert_eq!(choose(&entries(&[100; 9])), Some(0..8));
        let mut rows = vec![300_000; 8];
        rows.extend([50; 8]);
        assert_eq!(choose(&entries(&rows)), Some(8..16));
        assert_eq!(choose(&entries(&rows[..12])), Some(0..8));
    }

    #[test]
    fn joins_stay_below_the_largest_size_and_large_ones_rest() {
        assert_eq!(choose(&entries(&[1_100_000; 8])), Some(0..7));
        assert_eq!(choose(&entries(&[7_000_000, 900_000, 900_000])), None);
        assert_eq!(choose(&entries(&[8_000_000; 20])), None);
    }

    #[test]
    fn large_segments_are_owed_no_join() {
        assert_eq!(owed(&entries(&[8_000_000, 100, 3_000_000, 5_000_000])), 2);
    }

    #[test]
    fn each_row_is_written_a_few_times_however_many_come() {
        let mut held: Vec<u64> = Vec::new();
        let (mut stored, mut written) = (0, 0);
        for number in 0..2_000 {
            let fresh = 20_000 + number % 7;
            held.push(fresh);
            stored += fresh;
            while let Some(range) = choose(&entries(&held)) {
                let rows = held[range.clone()].iter().sum();
                written += rows;
                held.splice(range, [rows]);
            }
        }
        assert!(held.len() < 40, "{held:?}");
        assert!(written < 4 * stored, "{written} of {stored}");
    }

    #[test]
    fn only_segments_with_events_of_a_new_rule_are_outdated() {
        let rule = |event_type: &str| ReadingRule {
            event_type: event_type.into(),
            filters: Vec::new(),
            value_property: None,
            aggregation: Aggregation::Count,
            numbers: NumberRule::Value,
        };
        let layout = |event_type: &str| Layout {
            rules: vec![rule(event_type)],
            ..Layout::default()
        };
        let mut entries = entries(&[10, 10]);
        entries[0].layout = layout("a");
        assert_eq!(outdated(&entries, &layout("a")), Some(1));
        assert_eq!(outdated(&entries, &layout("b")), None);
        assert_eq!(outdated(&entries, &Layout::default()), None);
        entries[1].exponents = None;
        assert_eq!(outdated(&entries, &Layout::default()), Some(1));
        entries[1].exponents = Some(true);
        let values = Layout {
            values: vec!["$.model".parse().unwrap()],
            ..Layout::default()
        };
        assert_eq!(outdated(&entries, &values), Some(0));
    }

    fn row(sequence: u64, data: &str) -> Row {
        let texts = TextParts {
            event_type: "a",
            id: &sequence.to_string(),
            data: Some(data),
            ..TextParts::default()
        };
        Row {
            sequence,
            namespace: OrganizationId::from_random(1),
            organization: OrganizationId::from_random(1),
            texts: texts.into(),
            time_ns: 0,
            received_ns: 0,
            conflict_with: None,
        }
    }

    fn counted() -> Layout {
        let count = ReadingRule {
            event_type: "a".into(),
            filters: Vec::new(),
            value_property: None,
            aggregation: Aggregation::Count,
            numbers: NumberRule::Value,
        };
        Layout {
            rules: vec![count],
            ..Layout::default()
        }
    }

    #[test]
    fn a_join_leaves_out_columns_of_nulls_and_reads_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let layout = counted();
        let shape = Shape {
            rollup_rows_min: 0,
            fine_rows_min: 0,
            ..Shape::default()
        };
        let open = |entry| Segment::open(&disk, folder.path(), &entry).unwrap();
        let write = |first: u64, data: &str| {
            let rows: Vec<Row> = (first..first + 4).map(|n| row(n, data)).collect();
            let file = format!("{first}.parquet");
            open(segment::write(&disk, folder.path(), &file, &rows, &layout).unwrap())
        };
        let inputs = [
            write(1, r#"{"billingTag":"tag"}"#),
            write(5, r#"{"billingTag":"tag","asset":"car"}"#),
        ];
        let (folder, to) = (folder.path(), "joined.parquet");
        let joined = open(join_shaped(&disk, folder, to, &inputs, &layout, shape).unwrap());

        let held = |segment: &Arc<Segment>| {
            let all = Dimension::ALL.iter().copied();
            let held = |held: &Dimension| segment.may_hold(&Column::Dimension(*held)).unwrap();
            all.filter(held).collect::<Vec<Dimension>>()
        };
        assert_eq!(held(&inputs[0]), [Dimension::BillingTag]);
        assert_eq!(held(&joined), [Dimension::Asset, Dimension::BillingTag]);
        let ask = Ask {
            columns: vec![
                Column::Dimension(Dimension::User),
                Column::Dimension(Dimension::Asset),
            ],
            texts: Texts::Plain,
            batch_rows: 100,
        };
        let batches: Result<Vec<_>> = joined.read(vec![0], &ask).unwrap().collect();
        let batches = batches.unwrap();
        let nulls = |column: usize| -> usize {
            let columns = batches.iter().map(|batch| batch.column(column));
            columns.map(Array::null_count).sum()
        };
        assert_eq!((nulls(0), nulls(1)), (8, 4));

        let mut rolled = Vec::new();
        let fine = joined.rollup(2).unwrap().unwrap();
        fine.each_row(
            |_, _| true,
            |row| {
                let texts = row.dimensions.iter().map(|text| text.map(str::to_owned));
                rolled.push((texts.collect::<Vec<_>>(), row.rolled.count));
                Ok(())
            },
        )
        .unwrap();
        let values = |asset: Option<&str>| {
            let values = [None, None, asset, None, Some("tag"), None];
            values.map(|value| value.map(str::to_owned)).to_vec()
        };
        assert_eq!(rolled, [(values(None), 4), (values(Some("car")), 4)]);
    }
}
