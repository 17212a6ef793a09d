//! Where rows are damaged or missing, reads at or past them fail instead of counting less; reads
//! at an earlier sequence go on.

use std::path::PathBuf;

use domain::range::TimeRange;
use domain::tree::Scope;
use usage::query::{EventsQuery, TotalsQuery};
use usage::{EmbeddedStore, Error, UsageStore};

use super::fixture::*;

/// Two rows in a segment, three in the journal in frames of their own; gives the journal's file
/// and where each of the three begins, with the end.
async fn filled(ground: &Ground) -> (PathBuf, Vec<usize>) {
    let store = ground.open();
    send(&store, vec![event("1", 1), event("2", 1)]).await;
    store.flush_now().unwrap();
    let path = ground.file(".journal");
    let mut ends = vec![ground.disk.bytes(&path).unwrap().len()];
    for id in ["3", "4", "5"] {
        send(&store, vec![event(id, 1)]).await;
        ends.push(ground.disk.bytes(&path).unwrap().len());
    }
    drop(store);
    ground.disk.kill();
    (path, ends)
}

fn events_query() -> EventsQuery {
    EventsQuery {
        scope: Scope::alone(organization(OWN)),
        range: TimeRange::ALWAYS,
        texts: Vec::new(),
        time: None,
        received: None,
        after: None,
        meters: Vec::new(),
        with_error: None,
        limit: 100,
    }
}

/// Fails unless an answer says from which sequence on rows are missing.
fn assert_missing<T>(answer: usage::Result<T>, first: u64) {
    match answer.map(drop).unwrap_err() {
        Error::Incomplete { first: said, .. } => assert_eq!(said, first),
        other => panic!("{other}"),
    }
}

/// Every kind of read, at the first missing sequence, past it and before it.
async fn check_reads(store: &EmbeddedStore, first: u64) {
    assert!(store.read_only_reason().is_some());
    assert_missing(store.watermark().await, first);
    for as_of in [first, first + 1, 1_000] {
        let totals = TotalsQuery {
            scope: Scope::alone(organization(OWN)),
            meters: Vec::new(),
            windows: None,
            group_by: Vec::new(),
            filters: Vec::new(),
            spans: false,
        };
        assert_missing(store.check(as_of).await, first);
        assert_missing(store.scan(scan_query(), as_of).await, first);
        assert_missing(store.totals(totals, as_of).await, first);
        assert_missing(store.events(events_query(), as_of).await, first);
    }
    let before = first - 1;
    store.check(before).await.unwrap();
    let rows = counted_at(store, before).await;
    let expected = (1..first).map(|sequence| (sequence.to_string(), sequence));
    assert_eq!(rows, expected.collect());
    let listed = store.events(events_query(), before).await.unwrap();
    assert_eq!(listed.len() as u64, before);
    assert_ne!(store.verify().unwrap().damage, [], "verify names it");
}

#[tokio::test]
async fn a_damaged_frame_hides_what_comes_from_it_on() {
    let ground = Ground::new(1);
    let (path, ends) = filled(&ground).await;
    for (first, start) in (3..).zip(&ends[..3]) {
        ground.flip(&path, start + 60, 1);
        check_reads(&ground.open(), first).await;
        ground.flip(&path, start + 60, 1);
    }
    let store = ground.open();
    assert_eq!(counted(&store).await.len(), 5);
}

#[tokio::test]
async fn a_journal_file_that_is_gone_hides_every_row_that_is_not_flushed() {
    let ground = Ground::new(1);
    let (path, _) = filled(&ground).await;
    ground.disk.lose(&path);
    check_reads(&ground.open(), 3).await;
}

#[tokio::test]
async fn a_journal_cut_before_a_sequence_that_is_known_is_damaged_and_left_as_it_is() {
    let mut ground = Ground::new(1);
    let (path, ends) = filled(&ground).await;
    let whole = ground.disk.bytes(&path).unwrap();
    ground.options.durable_through = 5;
    for (end, first) in [(ends[2], 5), (ends[2] + 30, 5), (ends[1], 4), (ends[0], 3)] {
        ground.disk.replace(&path, &whole[..end]);
        let store = ground.open();
        check_reads(&store, first).await;
        let reason = store.read_only_reason().unwrap();
        let last = first - 1;
        let said = format!("usage ends with sequence {last}, and 5 was there before");
        assert!(reason.ends_with(&said), "{reason}");
        store.close().unwrap();
        assert_eq!(ground.disk.bytes(&path).unwrap(), &whole[..end]);
    }
    assert_eq!(ground.files(".cut"), [] as [PathBuf; 0]);
    ground.disk.replace(&path, &whole);
    assert_eq!(ground.open().read_only_reason(), None);
}

#[tokio::test]
async fn an_older_manifest_whose_journal_is_gone_hides_what_came_after_it() {
    let ground = Ground::new(1);
    filled(&ground).await;
    let path = ground.options.folder.join("manifest");
    let older = ground.disk.bytes(&path).unwrap();
    ground.open().close().unwrap();
    let newer = ground.disk.bytes(&path).unwrap();
    let files = ground.disk.paths();
    ground.disk.replace(&path, &older);
    check_reads(&ground.open(), 3).await;
    assert_eq!(ground.disk.paths(), files, "nothing is removed");
    ground.disk.replace(&path, &newer);
    assert_eq!(counted(&ground.open()).await.len(), 5);
}

#[tokio::test]
async fn an_older_manifest_whose_segments_were_rewritten_reads_nothing_and_removes_nothing() {
    let mut ground = Ground::new(1);
    let store = ground.open();
    send(
        &store,
        (1..=3).map(|id| event(&id.to_string(), 1)).collect(),
    )
    .await;
    store.close().unwrap();
    let path = ground.options.folder.join("manifest");
    let older = ground.disk.bytes(&path).unwrap();
    ground.layout = crate::damage::layout();
    ground.layout.rules[0].event_type = "t".to_owned();
    let store = ground.open();
    store.compact_now().unwrap();
    store.close().unwrap();
    let newer = ground.disk.bytes(&path).unwrap();
    let files = ground.disk.paths();
    ground.disk.replace(&path, &older);
    let store = ground.open();
    let reason = store.read_only_reason().unwrap();
    assert!(reason.ends_with("the file is missing"), "{reason}");
    let error = store.events(events_query(), 3).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    store.close().unwrap();
    assert_eq!(ground.disk.paths(), files, "nothing is removed");
    ground.disk.replace(&path, &newer);
    assert_eq!(counted(&ground.open()).await.len(), 3);
}
