//! When joins happen by themselves: after usage has stopped pouring in, or once many are owed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use usage::EmbeddedStore;
use usage::options::JOIN_DEBT_SEGMENTS_MAX;

use super::fixture::*;

/// Longest time anything here may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A store that flushes every event, and the number of the next one.
fn flushing_store() -> Arc<EmbeddedStore> {
    let mut ground = Ground::new(1);
    ground.options.flush_rows = 1;
    ground.open()
}

/// Sends an event and waits until it is flushed.
async fn flush_one(store: &Arc<EmbeddedStore>, number: u64) {
    let before = store.metrics().flushes_total;
    send(store, vec![event(&number.to_string(), 1)]).await;
    until(|| store.metrics().flushes_total > before);
}

fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "it never came");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn joins_that_waited_are_made_when_usage_stops_pouring_in() {
    let store = flushing_store();
    for number in 0..10 {
        flush_one(&store, number).await;
    }
    until(|| store.metrics().compactions_total > 0);
    assert_eq!(counted(&store).await.len(), 10);
}

#[tokio::test]
async fn joins_do_not_wait_once_many_are_owed() {
    let store = flushing_store();
    let many = JOIN_DEBT_SEGMENTS_MAX as u64 + 8;
    let mut number = 0;
    // Flushes go on all the time, so that only the debt lets a join begin.
    while store.metrics().compactions_total == 0 {
        assert!(number < 10 * many, "{number} segments are owed a join");
        flush_one(&store, number).await;
        number += 1;
    }
    assert_eq!(counted(&store).await.len() as u64, number);
}
