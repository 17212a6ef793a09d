//! One list of stories, told on SQLite and on PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a story stops at the first thing that goes wrong"
)]

mod access;
mod anchors;
mod control;
mod damage;
mod declared;
mod exports;
mod hidden;
mod messages;
mod migrating;
mod opening;
mod pages;
mod random;
mod remakes;
mod rules;
mod schedules;
mod servers;
mod turns;
mod watermarks;
mod webhooks;
mod world;

/// Declares each story once and runs it on both databases.
macro_rules! stories {
    ($($module:ident: $($story:ident)*;)*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    let server = crate::servers::sqlite().await;
                    crate::$module::$story(server.metadata.clone()).await;
                    server.metadata.close().await;
                }
            )*)*
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    let server = crate::servers::postgres().await;
                    crate::$module::$story(server.metadata.clone()).await;
                    server.metadata.close().await;
                }
            )*)*
        }
    };
}

stories! {
    watermarks:
        servers_that_start_at_once_get_one_key
        only_the_very_watermark_of_an_export_is_found;
    remakes:
        a_damaged_artifact_goes_back_and_nobody_hears_of_its_end_again;
    damage:
        every_change_leaves_rows_that_fit_their_checksums;
    hidden:
        totals_hold_for_parallel_changes_of_several_accounts
        lists_leave_out_nothing_of_what_a_snapshot_has;
    control:
        a_read_at_an_old_revision_is_unchanged_by_later_changes
        a_move_splits_usage_between_the_old_parent_and_the_new
        attributes_change_from_a_date_on
        what_is_there_already_makes_no_revision
        a_dropped_change_leaves_nothing_behind
        parallel_changes_get_revisions_of_their_own
        several_changes_of_one_thing_share_a_revision
        names_resolve_only_inside_the_scope
        whoever_holds_a_change_can_read_while_many_wait_for_it
        an_archived_meter_frees_its_slug
        two_accounts_may_have_meters_of_one_id
        a_meter_keeps_every_field;
    anchors:
        an_anchor_that_is_not_named_is_the_parents_at_each_time
        a_root_inherits_no_anchor
        a_bare_account_goes_for_one_with_other_ids_and_its_users_stay;
    random:
        random_changes_leave_every_older_revision_alone;
    rules:
        names_that_must_be_unique_are_refused_by_the_name_of_their_constraint
        organizations_lie_only_where_their_kind_may
        rates_neither_overlap_nor_price_what_cannot_be_rated
        fields_over_their_limits_are_refused_by_name
        what_is_not_there_is_not_found;
    access:
        a_session_ends_when_idle_deleted_or_disabled
        a_new_password_keeps_only_the_session_that_set_it
        a_rotated_key_works_until_its_overlap_is_over
        a_key_notes_its_use_and_ends_once
        roles_are_given_once_and_taken_back
        failed_logins_are_counted_in_a_window;
    exports:
        fifty_parallel_requests_give_exactly_five_active_exports
        exports_of_our_own_api_take_no_room_at_the_vendors_door
        a_row_of_every_kind_takes_every_status
        a_stale_worker_settles_nothing
        a_watermark_is_pinned_at_the_first_claim_and_versions_at_each
        a_watermark_that_is_asked_for_comes_with_its_time
        claims_are_fair_between_organizations
        parallel_workers_never_share_an_export
        the_same_request_again_finds_its_export
        an_artifact_expires_and_the_row_stays
        only_our_own_exports_can_be_cancelled;
    turns:
        workers_serve_every_organization_once_before_any_twice
        a_job_behind_a_thousand_is_the_next_of_the_express_lane
        a_long_job_is_left_to_ordinary_workers
        the_later_turn_stays_when_clocks_disagree;
    schedules:
        a_period_gets_one_export_however_many_servers_try
        missed_periods_come_oldest_first_and_wait_at_the_limit
        a_pause_delays_and_a_deleted_schedule_leaves_its_exports
        schedules_are_listed_below_the_requester_and_bounded;
    messages:
        a_callback_is_written_with_the_end_it_tells_about
        a_late_sender_settles_nothing
        a_dead_host_with_thousands_of_messages_delays_nobody
        one_process_at_a_time_holds_the_data_directory
        the_newest_sequence_of_a_store_is_known_until_it_is_forgotten;
    webhooks:
        an_end_is_told_to_the_organization_and_those_above_it
        a_callback_is_signed_where_the_organization_has_a_secret
        a_secret_signs_beside_the_new_one_until_its_overlap_is_over
        an_organization_has_twenty_webhooks_and_one_for_callbacks
        a_disabled_webhook_hears_nothing_and_its_messages_fail
        a_receiver_that_is_gone_disables_its_webhook
        an_end_is_replayed_under_the_same_id
        what_is_old_is_swept;
    pages:
        every_list_comes_in_pages_without_gaps_or_repeats
        lists_show_only_what_lies_below_the_requester;
}
