//! The embedded store does what every usage store must.

use std::collections::BTreeMap;

use domain::aggregation::Aggregation;
use domain::meter::ReadingRule;
use domain::number::NumberRule;
use usage::store::Progress;

use super::fixture::{Ground, event, send};

#[tokio::test]
async fn the_embedded_store_passes_the_conformance_suite() {
    for flush_rows in [1, 7, 1_000_000] {
        let mut ground = Ground::new(1);
        ground.options.flush_rows = flush_rows;
        usage::suite::run(&*ground.open()).await;
    }
}

#[tokio::test]
async fn a_rule_declared_later_is_built_into_every_segment() {
    let mut ground = Ground::new(1);
    let store = ground.open();
    for id in ["a", "b"] {
        send(&store, vec![event(id, 1)]).await;
        store.flush_now().unwrap();
    }
    let rule = ReadingRule {
        event_type: "t".to_owned(),
        filters: Vec::new(),
        value_property: Some("$.value".parse().unwrap()),
        aggregation: Aggregation::Sum,
        numbers: NumberRule::Value,
    };
    let paths = BTreeMap::from([("kind".to_owned(), "$.kind".parse().unwrap())]);
    let unbuilt = Progress {
        rows: 2,
        rows_built: 0,
    };
    assert_eq!(store.progress(&rule, &paths), unbuilt);
    ground.layout.rules = vec![rule.clone()];
    store.set_layout(ground.layout.clone());
    store.compact_now().unwrap();
    assert_eq!(store.progress(&rule, &paths), unbuilt, "a path is missing");
    ground.layout.values = paths.values().cloned().collect();
    store.set_layout(ground.layout.clone());
    store.compact_now().unwrap();
    let built = Progress {
        rows: 2,
        rows_built: 2,
    };
    assert_eq!(store.progress(&rule, &paths), built);
    store.close().unwrap();
    assert_eq!(
        ground.open().progress(&rule, &paths),
        built,
        "and it stays so"
    );
    assert_eq!(ground.verify().damage, []);
}
