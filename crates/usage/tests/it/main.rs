//! Stories about the store as others use it.

#![expect(
    clippy::unwrap_used,
    reason = "a story whose ground is missing may end at once"
)]

mod assembled;
mod damage;
mod intake;
mod model;
mod random;
mod retention;

#[tokio::test]
async fn what_reads_are_made_of_passes_the_conformance_suite() {
    for flush_rows in [1, 7, usize::MAX] {
        let store = assembled::Assembled::new(flush_rows);
        usage::suite::run(&store).await;
    }
}
