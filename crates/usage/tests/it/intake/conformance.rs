//! The embedded store does what every usage store must.

use domain::aggregation::Aggregation;
use domain::meter::ReadingRule;
use usage::manifest::Layout;
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
    };
    let unbuilt = Progress {
        rows: 2,
        rows_built: 0,
    };
    assert_eq!(store.progress(&rule), unbuilt);
    let rules = vec![rule.clone()];
    store.set_layout(Layout {
        rules,
        ..Layout::default()
    });
    store.compact_now().unwrap();
    let built = Progress {
        rows: 2,
        rows_built: 2,
    };
    assert_eq!(store.progress(&rule), built);
    store.close().unwrap();
    ground.layout = Layout {
        rules: vec![rule.clone()],
        ..Layout::default()
    };
    assert_eq!(ground.open().progress(&rule), built, "and it stays so");
    assert_eq!(ground.verify().damage, []);
}
