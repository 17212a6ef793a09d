//! What becomes of an event: new, known, contradicting, refused.

use domain::event::TextParts;
use usage::manifest::Counters;
use usage::options::RUNS_PER_TIER_MAX;
use usage::traits::SequencedBatch;
use usage::{Error, Intake, UsageStore};

use super::fixture::*;

/// Copies are recognized in memory, in the journal read back, and in runs.
#[tokio::test]
async fn an_event_counts_once_wherever_its_first_copy_is() {
    let ground = Ground::new(1);
    let mut store = ground.open();
    assert_eq!(send(&store, vec![event("a", 1)]).await, ["accepted 1"]);
    for stop in ["memory", "killed", "flushed", "closed", "merged"] {
        match stop {
            "killed" => {
                drop(store);
                ground.disk.kill();
                store = ground.open();
            }
            "flushed" => store.flush_now().unwrap(),
            "closed" => {
                store.close().unwrap();
                store = ground.open();
            }
            "merged" => {
                for number in 0..RUNS_PER_TIER_MAX {
                    send(&store, vec![event(&format!("m{number}"), 1)]).await;
                    store.flush_now().unwrap();
                }
                store.compact_now().unwrap();
                // Eight or nine became one, by whether the background thread was there first.
                let metrics = store.metrics();
                assert_eq!(metrics.run_merges_total, 1);
                assert!(metrics.runs <= 2, "{} runs", metrics.runs);
            }
            _ => {}
        }
        let told = send(&store, vec![event("a", 1), event("a", 2)]).await;
        assert_eq!(told, ["duplicate of 1", "conflict with 1"], "{stop}");
    }
    assert_eq!(
        counted(&store).await.keys().filter(|id| *id == "a").count(),
        1
    );
}

#[tokio::test]
async fn two_copies_inside_one_batch_are_told_apart() {
    let store = Ground::new(1).open();
    let batch = vec![event("a", 1), event("b", 1), event("a", 1), event("a", 2)];
    let told = send(&store, batch).await;
    assert_eq!(
        told,
        [
            "accepted 1",
            "accepted 2",
            "duplicate of 1",
            "conflict with 1"
        ]
    );
}

#[tokio::test]
async fn the_same_conflicting_copy_is_stored_once() {
    let ground = Ground::new(1);
    let store = ground.open();
    send(&store, vec![event("a", 1)]).await;
    send(&store, vec![event("a", 2), event("a", 2)]).await;
    store.flush_now().unwrap();
    let told = send(&store, vec![event("a", 2), event("a", 3)]).await;
    assert_eq!(told, ["conflict with 1", "conflict with 1"]);
    assert_eq!(
        store.watermark().await.unwrap(),
        3,
        "two conflicting copies are kept"
    );
    assert_eq!(counted(&store).await.len(), 1);
    let counts = Counters {
        received: 5,
        stored: 1,
        conflict: 4,
        ..Counters::default()
    };
    assert_eq!(conserved(&store), counts);
}

#[tokio::test]
async fn time_counts_only_when_both_copies_carry_one() {
    let store = Ground::new(1).open();
    let noon = r#","time":"2026-05-01T12:00:00Z""#;
    let later = r#","time":"2026-05-01T12:00:01Z""#;
    send(&store, vec![event("without", 1), timed("with", 1, noon)]).await;
    let again = vec![
        timed("without", 1, later),
        event("with", 1),
        timed("with", 1, later),
    ];
    let told = send(&store, again).await;
    assert_eq!(
        told,
        ["duplicate of 1", "duplicate of 2", "conflict with 2"]
    );
}

#[tokio::test]
async fn keys_of_different_namespaces_never_meet() {
    let store = Ground::new(1).open();
    send(&store, vec![event("a", 1)]).await;
    let told = store
        .accept(organization(2), vec![event("a", 2)])
        .await
        .unwrap();
    assert_eq!(told.iter().map(spell).collect::<Vec<_>>(), ["accepted 2"]);
}

#[tokio::test]
async fn every_event_received_is_in_one_counter() {
    let ground = Ground::new(1);
    let store = ground.open();
    let broken = validate(r#"{"specversion":"1.0","id":"x","source":"s","type":"t"}"#);
    let batch = vec![
        event("a", 1),
        broken,
        validate("{"),
        event("a", 1),
        event("a", 9),
    ];
    let told = send(&store, batch).await;
    assert_eq!(
        told[1..3],
        ["refused missing_attribute", "refused malformed_event"]
    );
    let counts = store.counters();
    assert_eq!(counts["unattributed"].refused, 1);
    let own = counts[organization(OWN).as_str()];
    let expected = Counters {
        received: 4,
        stored: 1,
        duplicate: 1,
        conflict: 1,
        refused: 1,
    };
    assert_eq!(own, expected);
    drop(store);
    ground.disk.kill();
    let store = ground.open();
    assert_eq!(
        store.counters(),
        counts,
        "counters are as durable as the answers"
    );
    store.close().unwrap();
    assert_eq!(ground.open().counters(), counts);
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused_whole() {
    let store = Ground::new(1).open();
    let batch = (0..=usage::options::BATCH_EVENTS_MAX)
        .map(|_| validate("{"))
        .collect();
    let error = store.accept(organization(OWN), batch).await.unwrap_err();
    assert!(
        matches!(error, Error::OverLimit { asked: 100_001, .. }),
        "{error}"
    );
    assert_eq!(conserved(&store), Counters::default());
}

#[tokio::test]
async fn inserted_batches_must_follow_and_may_be_repeated() {
    let store = Ground::new(1).open();
    let row = |sequence: u64| {
        let texts = TextParts {
            event_type: "t",
            subject: &format!("n{sequence}"),
            source: "s",
            id: &sequence.to_string(),
            data: None,
        };
        usage::row::Row {
            sequence,
            namespace: organization(OWN),
            organization: organization(OWN),
            texts: texts.into(),
            time_ns: 0,
            received_ns: 0,
            conflict_with: None,
        }
    };
    let batch = |from, to| SequencedBatch {
        rows: (from..=to).map(row).collect(),
    };
    store.insert(batch(1, 3)).await.unwrap();
    store.insert(batch(1, 3)).await.unwrap();
    store.insert(batch(4, 4)).await.unwrap();
    let error = store.insert(batch(6, 7)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the batch starts at sequence 6: expected 5"
    );
    store.flush_now().unwrap();
    assert_eq!(counted(&store).await.len(), 4);
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_store() {
    let ground = Ground::new(1);
    let store = ground.open();
    let error = ground.try_open().unwrap_err();
    assert_eq!(error.to_string(), "/store is in use by a test");
    store.close().unwrap();
    let error = store
        .accept(organization(OWN), vec![event("a", 1)])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
    ground.open();
}

#[tokio::test]
async fn files_go_only_when_no_read_pins_them() {
    let ground = Ground::new(1);
    let store = ground.open();
    for number in 0..16 {
        send(&store, vec![event(&number.to_string(), 1)]).await;
        store.flush_now().unwrap();
    }
    let pinned = store.snapshot();
    store.compact_now().unwrap();
    assert!(store.metrics().segments < 16);
    for segment in &pinned.segments {
        let path = ground
            .options
            .folder
            .join("segments")
            .join(&segment.entry().file);
        assert!(ground.disk.bytes(&path).is_some(), "{}", path.display());
    }
    drop(pinned);
    store.compact_now().unwrap();
    assert_eq!(
        ground.files(".parquet").len() as u64,
        store.metrics().segments
    );
    assert_eq!(ground.files(".keys").len() as u64, store.metrics().runs);
    assert_eq!(counted(&store).await.len(), 16);
}
