//! A flipped bit anywhere in a segment is found and named, never read past.

use std::path::Path;
use std::sync::Arc;

use domain::aggregation::Aggregation;
use domain::dimension::Dimension;
use domain::event::{EventTexts, TextParts};
use domain::meter::ReadingRule;
use domain::number::NumberRule;
use domain::range::TimeRange;
use domain::tree::Scope;
use usage::disk::Disk;
use usage::disk::real::RealDisk;
use usage::manifest::{Layout, SegmentEntry};
use usage::query::{EventsQuery, GroupKey, TotalRow, TotalsQuery};
use usage::segment::{self, Segment, Shape};
use usage::snapshot::Snapshot;
use usage::{Error, compact, events, totals};

use crate::model::usage_row;
use crate::random;

pub(crate) fn layout() -> Layout {
    let rule = ReadingRule {
        event_type: "a".into(),
        filters: Vec::new(),
        value_property: Some("$.n".parse().unwrap()),
        aggregation: Aggregation::Sum,
        numbers: NumberRule::Value,
    };
    Layout {
        rules: vec![rule],
        ..Layout::default()
    }
}

fn alone(segment: Arc<Segment>) -> Snapshot {
    let last = segment.entry().last;
    Snapshot {
        segments: vec![segment],
        flushed_through: last,
        tail: Vec::new(),
        watermark: last,
        retention: Vec::new(),
    }
}

/// Reads every byte of every column, twice over.
fn read_all(disk: &Arc<dyn Disk>, folder: &Path, entry: &SegmentEntry) -> Result<(), Error> {
    let segment = Segment::open(disk, folder, entry)?;
    let copy = format!("copy of {}", entry.file);
    let joined = compact::rewrite(disk, folder, &copy, &segment, &layout());
    for file in joined.iter().flat_map(segment::files) {
        disk.remove(&folder.join(file)).unwrap();
    }
    // A join that fails leaves a part of its file behind, as a crash would.
    drop(disk.remove(&folder.join(&copy)));
    joined?;
    let snapshot = alone(segment);
    let query = EventsQuery {
        scope: Scope::alone(random::organization(1)),
        range: TimeRange::ALWAYS,
        texts: Vec::new(),
        time: None,
        received: None,
        after: None,
        meters: Vec::new(),
        with_error: None,
        limit: 10_000,
    };
    let found = events::events(&snapshot, &query, entry.last)?;
    assert_eq!(found.len() as u64, entry.rows);
    Ok(())
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let noise = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let rows = (1..=1500).map(|sequence| {
        let mut row = usage_row(sequence, 1);
        let noise: Vec<u64> = (0..10).map(|part| noise(sequence * 10 + part)).collect();
        row.texts = EventTexts::from(TextParts {
            data: Some(&format!("{{\"n\":{sequence},\"noise\":{noise:?}}}")),
            ..row.texts.parts()
        });
        row
    });
    let rows: Vec<_> = rows.collect();
    let entry = segment::write(&disk, folder.path(), "s.parquet", &rows, &layout()).unwrap();
    read_all(&disk, folder.path(), &entry).unwrap();
    let path = folder.path().join("s.parquet");
    let sound = std::fs::read(&path).unwrap();
    assert!(
        entry.bytes - entry.tail_bytes >= 64 * 1024,
        "some blocks lie before the tail"
    );
    let (length, tail) = (sound.len(), usize::try_from(entry.tail_bytes).unwrap());
    let mut places: Vec<usize> = (0..length).step_by(length / 24).collect();
    places.extend([
        0,
        3,
        4,
        length - tail - 1,
        length - tail,
        length - 9,
        length - 5,
        length - 1,
    ]);
    for place in places {
        let mut damaged = sound.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&path, damaged).unwrap();
        let error = read_all(&disk, folder.path(), &entry).unwrap_err();
        assert!(
            matches!(&error, Error::Corrupt { path: named, .. } if *named == path),
            "byte {place}: {error:?}"
        );
    }
    std::fs::write(&path, &sound[..length - 1]).unwrap();
    let error = read_all(&disk, folder.path(), &entry).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    std::fs::write(&path, &sound).unwrap();
    read_all(&disk, folder.path(), &entry).unwrap();
}

/// Totals that only rollups of `level` are read for.
fn totals_from(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    entry: &SegmentEntry,
    level: u8,
) -> Result<Vec<TotalRow>, Error> {
    let mut group_by = vec![GroupKey::Organization];
    group_by.extend((level == 2).then_some(GroupKey::Dimension(Dimension::Project)));
    let query = TotalsQuery {
        scope: Scope::alone(random::organization(1)),
        meters: vec![random::plain_meter(layout().rules.remove(0))],
        windows: None,
        group_by,
        filters: Vec::new(),
        spans: false,
    };
    let snapshot = alone(Segment::open(disk, folder, entry)?);
    totals::totals(&snapshot, &query, entry.last)
}

#[test]
fn a_flipped_bit_in_a_rollup_is_found_and_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let shape = Shape {
        rollup_rows_min: 1,
        fine_rows_min: 1,
        ..Shape::default()
    };
    let rows: Vec<_> = (1..=1500).map(|sequence| usage_row(sequence, 1)).collect();
    let entry = segment::write_shaped(&disk, folder.path(), "s", &rows, &layout(), shape).unwrap();
    let levels: Vec<u8> = entry.rollups.iter().map(|rollup| rollup.level).collect();
    assert_eq!(levels, [1, 2]);
    std::fs::remove_file(folder.path().join("s")).unwrap();
    for rollup in &entry.rollups {
        let path = folder.path().join(&rollup.file);
        let sound = std::fs::read(&path).unwrap();
        let told = totals_from(&disk, folder.path(), &entry, rollup.level).unwrap();
        assert!(!told.is_empty());
        for place in (0..sound.len()).step_by(sound.len() / 40) {
            let mut damaged = sound.clone();
            damaged[place] ^= 1 << (place % 8);
            std::fs::write(&path, damaged).unwrap();
            let error = totals_from(&disk, folder.path(), &entry, rollup.level).unwrap_err();
            assert!(
                matches!(&error, Error::Corrupt { path: named, .. } if *named == path),
                "byte {place}: {error:?}"
            );
        }
        std::fs::write(&path, &sound).unwrap();
        assert_eq!(
            totals_from(&disk, folder.path(), &entry, rollup.level).unwrap(),
            told
        );
    }
}
