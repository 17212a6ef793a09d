//! The order of batches, and how long they wait for the writer.

use std::sync::Arc;
use std::time::Duration;

use usage::{EmbeddedStore, Error, Intake, Series, Turn, UsageStore};

use super::fixture::*;

/// Longer than any of these stories.
const LONG: Duration = Duration::from_mins(10);

/// Events that all batches have in common; each says something else of them.
fn batch(value: u64) -> Drafts {
    let events = 0..300;
    events.map(|id| event(&id.to_string(), value)).collect()
}

async fn accept(store: &EmbeddedStore, drafts: Drafts, turn: Turn) -> usage::Result<Vec<String>> {
    let outcomes = store.accept_in_turn(organization(OWN), drafts, turn).await;
    Ok(outcomes?.iter().map(spell).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_a_series_are_decided_in_the_order_of_their_turns() {
    for seed in 0..20 {
        let store = Ground::new(seed).open();
        let mut series = Series::default();
        let turns: Vec<_> = (0..8).map(|value| (value, series.next(LONG))).collect();
        // The last begin first.
        let begun = turns.into_iter().rev().map(|(value, turn)| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { accept(&store, batch(value), turn).await.unwrap() })
        });
        let mut outcomes = Vec::new();
        for outcome in begun.collect::<Vec<_>>() {
            outcomes.push(outcome.await.unwrap());
        }
        outcomes.reverse();
        assert_eq!(outcomes[0][299], "accepted 300");
        for later in &outcomes[1..] {
            assert_eq!(later[299], "conflict with 300");
        }
    }
}

#[tokio::test]
async fn parts_of_a_batch_come_before_whatever_is_behind_it() {
    let store = Ground::new(1).open();
    let mut series = Series::default();
    let (mut first, second) = (series.next(LONG), series.next(LONG));
    let parts = async {
        let part = accept(&store, vec![event("a", 1)], first.part()).await;
        let rest = accept(&store, Vec::new(), first.part()).await;
        let last = accept(&store, vec![event("b", 1)], first).await;
        [part, rest, last].map(|part| part.unwrap().concat())
    };
    let behind = accept(&store, vec![event("a", 2), event("b", 2)], second);
    let (behind, parts) = tokio::join!(behind, parts);
    assert_eq!(parts, ["accepted 1", "", "accepted 2"]);
    assert_eq!(behind.unwrap(), ["conflict with 1", "conflict with 2"]);
}

#[tokio::test]
async fn a_batch_that_is_not_stored_holds_back_all_behind_it() {
    let ground = Ground::new(1);
    let store = ground.open();
    let mut series = Series::default();
    let (first, second) = (series.next(LONG), series.next(LONG));
    ground.disk.set_space(Some(100));
    let error = accept(&store, batch(1), first).await.unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    ground.disk.set_space(None);
    let error = accept(&store, batch(2), second).await.unwrap_err();
    assert!(matches!(error, Error::HeldBack), "{error}");
    assert_eq!(store.watermark().await.unwrap(), 0);

    let mut series = Series::default();
    let (first, second, third) = (series.next(LONG), series.next(LONG), series.next(LONG));
    drop(first);
    for turn in [second, third] {
        let error = accept(&store, batch(2), turn).await.unwrap_err();
        assert!(matches!(error, Error::HeldBack), "{error}");
    }
    assert_eq!(send(&store, batch(1)).await[0], "accepted 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_a_busy_writer_as_long_as_it_may_and_is_then_not_taken() {
    let ground = Ground::new(1);
    let store = ground.open();
    let frozen = ground.disk.freeze();
    let first = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { send(&store, vec![event("a", 1)]).await })
    };
    let frozen = tokio::task::spawn_blocking(move || {
        frozen.until_a_sync_hangs();
        frozen
    });
    let frozen = frozen.await.unwrap();

    let mut series = Series::default();
    let (second, third) = (series.next(Duration::from_millis(1)), series.next(LONG));
    let error = accept(&store, vec![event("b", 1)], second)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Busy { waited_ms: 1 }), "{error}");
    let third = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { accept(&store, vec![event("b", 2)], third).await })
    };
    drop(frozen);
    assert_eq!(first.await.unwrap(), ["accepted 1"]);
    let error = third.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::HeldBack), "{error}");
    assert_eq!(send(&store, vec![event("b", 1)]).await, ["accepted 2"]);
    assert_eq!(
        conserved(&store).received,
        2,
        "what was not taken was not received"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_room_is_waited_for_no_longer_than_the_writer() {
    let mut ground = Ground::new(1);
    // Room for one batch.
    ground.options.queue_bytes_max = 1;
    let store = ground.open();
    let frozen = ground.disk.freeze();
    let first = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { send(&store, vec![event("a", 1)]).await })
    };
    let frozen = tokio::task::spawn_blocking(move || {
        frozen.until_a_sync_hangs();
        frozen
    });
    let frozen = frozen.await.unwrap();
    let turn = Turn::alone(Duration::from_millis(1));
    let error = accept(&store, batch(1), turn).await.unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    drop(frozen);
    assert_eq!(first.await.unwrap(), ["accepted 1"]);
    assert_eq!(send(&store, batch(1)).await[299], "accepted 301");
}
