//! The embedded store does what every usage store must.

use super::fixture::Ground;

#[tokio::test]
async fn the_embedded_store_passes_the_conformance_suite() {
    for flush_rows in [1, 7, 1_000_000] {
        let mut ground = Ground::new(1);
        ground.options.flush_rows = flush_rows;
        usage::suite::run(&*ground.open()).await;
    }
}
