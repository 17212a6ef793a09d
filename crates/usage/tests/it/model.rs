//! Whatever rows are split into, reads give what a plain map of rows gives.

use domain::dimension::Dimension;
use domain::event::TextParts;
use domain::range::TimeRange;
use domain::tree::Scope;
use futures::TryStreamExt;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};
use usage::manifest::Layout;
use usage::query::{GroupKey, ScanQuery, TotalsQuery};
use usage::row::Row;
use usage::segment::Shape;
use usage::sim::oracle::{Oracle, ScanRow};
use usage::snapshot::Snapshot;
use usage::{events, scan, totals};

use crate::assembled::Assembled;
use crate::{damage, random};

/// Something that happens to a store and changes no row.
#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Flush(Layout, Shape, bool),
    Join(usize, usize, Layout, Shape),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rollup_rows_min = prop_oneof![3 => Just(0_u64), 1 => Just(u64::MAX)];
    let shape = (1..60_usize, 1..20_usize, rollup_rows_min);
    let shape = || {
        let shape = shape.clone();
        shape.prop_map(|(group_rows_max, page_rows_max, rollup_rows_min)| Shape {
            group_rows_max,
            page_rows_max,
            rollup_rows_min,
            fine_rows_min: 0,
        })
    };
    let flush = (random::layout(), shape(), any::<bool>());
    let join = (0..3_usize, 1..4_usize, random::layout(), shape());
    let step = prop_oneof![
        4 => (1..50_usize).prop_map(Step::Append),
        3 => flush.prop_map(|(layout, shape, keep)| Step::Flush(layout, shape, keep)),
        1 => join.prop_map(|(first, count, layout, shape)| Step::Join(first, count, layout, shape)),
    ];
    prop::collection::vec(step, 1..12)
}

fn play(rows: &[Row], steps: Vec<Step>) -> Assembled {
    let store = Assembled::new(usize::MAX);
    let mut rest = rows;
    for step in steps {
        match step {
            Step::Append(count) if !rest.is_empty() => {
                let (now, later) = rest.split_at(count.min(rest.len()));
                store.append(now.to_vec());
                rest = later;
            }
            Step::Append(_) => {}
            Step::Flush(layout, shape, keep) => store.flush(&layout, shape, keep),
            Step::Join(first, count, layout, shape) => store.join(first, count, &layout, shape),
        }
    }
    if !rest.is_empty() {
        store.append(rest.to_vec());
    }
    store
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

pub(crate) fn scanned(
    runtime: &Runtime,
    snapshot: &Snapshot,
    query: &ScanQuery,
    as_of: u64,
) -> Vec<ScanRow> {
    runtime.block_on(async {
        let stream = scan::scan(snapshot.clone(), query.clone(), as_of).unwrap();
        let batches: Vec<_> = stream.try_collect().await.unwrap();
        let rows = batches
            .iter()
            .flat_map(|batch| ScanRow::all_of(batch, query));
        rows.collect()
    })
}

fn oracle(rows: &[Row]) -> Oracle {
    let mut oracle = Oracle::default();
    oracle.insert(rows.iter().cloned());
    oracle
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn scans_totals_and_events_equal_the_model(
        rows in random::rows(250),
        steps in steps(),
        as_of in 0..300_u64,
        scan_query in random::scan_query(),
        totals_queries in prop::collection::vec(random::totals_query(), 4),
        events_query in random::events_query(),
    ) {
        let store = play(&rows, steps);
        let (snapshot, oracle) = (store.snapshot(), oracle(&rows));
        let as_of = as_of.min(snapshot.watermark);
        let found = scanned(&runtime(), &snapshot, &scan_query, as_of);
        prop_assert_eq!(found, oracle.scan(&scan_query, as_of));
        for query in totals_queries {
            let found = totals::totals(&snapshot, &query, as_of).unwrap();
            prop_assert_eq!(found, oracle.totals(&query, as_of));
        }
        let found = events::events(&snapshot, &events_query, as_of).unwrap();
        prop_assert_eq!(found, oracle.events(&events_query, as_of));
    }
}

#[test]
fn many_rows_merge_across_batches_and_row_groups() {
    let mut rows = Vec::new();
    for sequence in 1..=9000_u64 {
        let spread = sequence * 7919 % 100_003;
        let mut row = usage_row(sequence, u8::try_from(spread % 3).unwrap());
        row.time_ns = 1_383_264_000_000_000_000 + i64::try_from(spread).unwrap() * 1_000_000_000;
        rows.push(row);
    }
    let store = Assembled::new(usize::MAX);
    let shape = Shape {
        group_rows_max: 1000,
        page_rows_max: 300,
        rollup_rows_min: 0,
        fine_rows_min: 0,
    };
    for part in rows.chunks(2500) {
        store.append(part.to_vec());
        if part.len() == 2500 {
            store.flush(&Layout::default(), shape, false);
        }
    }
    let query = ScanQuery {
        scope: Scope::alone(random::organization(1)),
        event_types: Vec::new(),
        dimensions: vec![Dimension::Project],
        rules: Vec::new(),
    };
    let expected = oracle(&rows).scan(&query, 8000);
    assert_eq!(expected.len(), 2666);
    assert_eq!(
        scanned(&runtime(), &store.snapshot(), &query, 8000),
        expected
    );
    store.join(0, 3, &Layout::default(), shape);
    assert_eq!(store.snapshot().segments.len(), 1);
    assert_eq!(
        scanned(&runtime(), &store.snapshot(), &query, 8000),
        expected
    );
}

#[test]
fn whole_hours_of_flushed_usage_need_no_rows() {
    let layout = damage::layout();
    let store = Assembled::new(usize::MAX);
    let rows: Vec<Row> = (1..=2000_u64)
        .map(|sequence| {
            let mut row = usage_row(sequence, 1);
            row.time_ns += i64::try_from(sequence * 60_000_000_000).unwrap();
            row
        })
        .collect();
    store.append(rows.clone());
    let shape = Shape {
        rollup_rows_min: 0,
        fine_rows_min: 0,
        ..Shape::default()
    };
    store.flush(&layout, shape, false);
    let snapshot = store.snapshot();
    let rollups = &snapshot.segments[0].entry().rollups;
    let levels: Vec<(u8, u64)> = rollups.iter().map(|held| (held.level, held.rows)).collect();
    assert_eq!(levels, [(1, 34), (2, 34 * 9)]);
    let mut query = TotalsQuery {
        scope: Scope::alone(random::organization(1)),
        meters: vec![random::plain_meter(layout.rules[0].clone())],
        windows: None,
        group_by: vec![GroupKey::Dimension(Dimension::Project)],
        filters: Vec::new(),
        spans: false,
    };
    store.remove_files_of_rows();
    let oracle = oracle(&rows);
    let found = totals::totals(&snapshot, &query, 2000).unwrap();
    assert_eq!(found, oracle.totals(&query, 2000));
    // A row that is not known yet lies in the segment: its hours must come from rows.
    assert!(totals::totals(&snapshot, &query, 1999).is_err());
    let start = usage::row::instant(rows[0].time_ns);
    query.scope = query.scope.within(TimeRange::since(start));
    assert!(totals::totals(&snapshot, &query, 2000).is_err());
}

pub(crate) fn usage_row(sequence: u64, organization: u8) -> Row {
    let texts = TextParts {
        event_type: "a",
        subject: "subject",
        source: "source",
        id: &format!("event {sequence}"),
        data: Some(&format!(
            "{{\"n\":{sequence},\"project\":\"p{}\"}}",
            sequence % 9
        )),
    };
    Row {
        sequence,
        namespace: random::organization(0),
        organization: random::organization(organization),
        texts: texts.into(),
        time_ns: 1_383_264_000_000_000_000,
        received_ns: 1_383_264_000_000_000_000,
        conflict_with: None,
    }
}
