//! The conformance suite: what every usage store must do, whatever it is made of.
//!
//! Each case uses organizations of its own, so that all of them run on one store.

mod cases;
mod fixture;

use crate::traits::UsageStore;

/// Runs every case on a store that nobody else writes to; panics where the store is wrong.
pub async fn run(store: &dyn UsageStore) {
    cases::the_same_batch_again_changes_nothing(store).await;
    cases::rows_come_by_organization_type_time_and_sequence(store).await;
    cases::an_old_watermark_gives_the_same_rows_for_ever(store).await;
    cases::a_sequence_that_is_not_there_yet_is_refused(store).await;
    cases::a_scope_sees_each_organization_only_while_it_lay_there(store).await;
    cases::dimensions_come_as_they_were_sent(store).await;
    cases::readings_are_exact_and_conflicts_have_none(store).await;
    cases::a_rule_declared_later_reads_old_rows(store).await;
    cases::windows_follow_the_clock_across_its_changes(store).await;
    cases::totals_equal_the_fold_of_a_scan(store).await;
    cases::events_come_newest_first_with_their_errors(store).await;
}
