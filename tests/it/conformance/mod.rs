//! What every backend must do: functions over any store, which are run on each. The documentation
//! of the traits is the specification.

mod across;
mod actors;
mod attribute_limits;
mod attribute_swaps;
mod attributes;
mod bucket_walk;
mod bulk;
pub(crate) mod fixtures;
mod found_by_value;
mod generated;
mod lookup;
mod older_ways;
mod own_state;
mod peer_trustees;
mod properties;
mod races;
mod removals;
pub(crate) mod strategies;
mod subscription_diffs;
mod subscriptions;
mod suspensions;
mod sweep;
mod trusts;
mod upkeep;
mod values;
pub(crate) mod verbatim;
mod watermarks;

/// Makes a test of each check on each backend. A check that is not named here is unused, which the
/// compiler tells.
macro_rules! on_each_backend {
    ($($subject:ident { $($check:ident)+ })+) => {
        mod on_postgresql {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let db = crate::harness::cluster::TestDb::new().await;
                    let store = crate::harness::store::unlimited(&db);
                    crate::conformance::$subject::$check(&*store).await;
                })+
            })+
        }

        mod on_dynamodb {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let tables = crate::harness::dynamodb::TestTables::new().await;
                    let store = tables.store();
                    crate::conformance::$subject::$check(&*store).await;
                })+
            })+
        }
    };
}

on_each_backend! {
    actors {
        what_was_created_is_read
        without_a_time_it_was_made_now_where_that_is_kept
        the_first_to_create_stays
        addresses_are_stored_and_found_in_small_letters
        a_creators_actors_come_by_id
        a_change_changes_what_it_names
        who_is_gone_stays_gone
        after_its_properties_an_actor_leaves_nothing_to_be_found_by
        only_postgresql_deletes_look_up_entries_with_the_actor
        what_does_not_fit_is_refused
    }
    properties {
        what_was_stored_is_read
        an_empty_value_deletes
        the_first_to_create_stays
        creating_makes_no_look_up_entry
        a_swap_wants_exactly_what_stands
        every_text_can_be_expected
        what_is_deleted_is_gone_once
        many_are_deleted_by_name
        an_actors_are_deleted_together
        all_come_in_the_order_of_bytes
        a_range_includes_both_its_ends
        ranks_of_lists_are_ranges
        a_prefix_is_taken_by_its_bytes
        plain_properties_are_all_but_list_items
        what_is_too_much_for_one_answer_comes_whole
        what_does_not_fit_is_refused
        only_dynamodb_has_a_limit_to_a_row
    }
    found_by_value {
        an_actor_is_found_by_its_value
        the_first_owner_keeps_the_entry
        another_value_moves_the_entry
        deleting_frees_the_value_for_the_next
        deleting_items_leaves_entries_alone
        a_stale_entry_names_nobody
        nobody_is_found_by_what_is_not_looked_up
        without_an_entry_postgresql_reads_every_property
        an_id_without_an_actor_is_found_where_that_is_possible
        a_value_that_is_too_long_to_be_found_is_stored
    }
    lookup {
        an_entry_is_of_whoever_made_it_first
        only_ones_own_entry_is_deleted
        names_and_values_are_told_apart_exactly
        an_entry_outlives_what_it_says
        what_does_not_fit_is_refused
    }
    attributes {
        what_was_stored_is_read
        a_new_value_replaces_all_of_the_old_one
        what_python_takes_for_false_deletes
        a_ttl_ends_an_hour_after_it_seems_to
        what_ends_now_is_not_live
        buckets_are_told_apart_exactly
        of_two_pairs_with_one_key_only_the_last_exists
        they_come_by_bucket_and_name
        one_is_deleted_once
        many_are_deleted_together
        what_is_too_much_for_one_answer_comes_whole
        a_chain_is_deleted_where_it_was_looked_for
        a_long_chain_is_deleted_whole
    }
    attribute_swaps {
        a_swap_never_makes_one
        a_swap_wants_what_python_finds_equal
        every_text_can_be_expected
        what_is_read_can_be_expected
        what_a_swap_does_not_name_stays
        a_swap_changes_one_row
        an_expired_one_is_swapped_like_any
    }
    attribute_limits {
        a_key_that_does_not_fit_is_refused
        no_id_is_none_where_that_cannot_be_stored
        what_jsonb_cannot_hold_is_refused_by_postgresql
        what_python_cannot_read_is_refused
        a_long_chain_id_is_too_much_for_an_index_of_postgresql
        what_is_not_a_number_is_kept_on_dynamodb_only
        only_dynamodb_has_a_limit_to_a_row
        deep_and_wide_values_are_kept
    }
    trusts {
        what_was_created_is_read
        what_is_not_given_follows_from_what_is
        ways_of_connecting_are_stored_in_the_librarys_words
        a_blank_way_of_connecting_is_none
        the_first_to_create_stays
        a_trust_is_found_by_its_secret
        an_actors_come_by_the_bytes_of_their_peers
        a_change_changes_what_it_names
        what_is_gone_stays_gone
        many_are_deleted_together
        what_does_not_fit_is_refused
    }
    peer_trustees {
        what_was_created_is_read
        the_first_to_create_stays
        they_come_by_the_bytes_of_their_peers
        a_change_changes_what_it_names
        what_is_gone_stays_gone
        what_does_not_fit_is_refused
    }
    subscriptions {
        what_was_created_is_read
        what_is_empty_reads_as_nothing
        the_first_to_create_stays
        of_two_with_one_key_the_first_stays
        siblings_are_told_apart
        a_change_changes_what_it_names
        what_is_gone_stays_gone
        what_does_not_fit_is_refused
    }
    subscription_diffs {
        what_was_added_is_read
        a_number_is_taken_once
        they_come_by_number_and_not_as_text
        siblings_are_told_apart
        they_are_cleared_through_a_number
        numbers_below_one_are_cleared_with_the_others
        many_are_cleared
        one_is_deleted_once
        what_is_too_much_for_one_answer_comes_whole
        what_does_not_fit_is_refused
    }
    suspensions {
        a_target_is_suspended_with_all_its_parts
        a_part_is_suspended_alone
        it_is_suspended_once_and_resumed_once
        they_come_by_target_and_part
        texts_are_kept
        of_two_with_one_key_dynamodb_keeps_the_first
        many_are_deleted_together
        what_does_not_fit_is_refused
    }
    bulk {
        an_empty_table_has_no_rows
        what_was_written_is_scanned
        what_was_scanned_is_written_verbatim
        whatever_stands_is_replaced
        segments_are_the_whole_table
        segments_are_read_at_the_same_time
        one_actors_rows_stay_in_one_walk
        who_writes_meanwhile_does_no_harm
        what_is_too_much_for_one_answer_comes_in_several
        all_of_an_actor_are_read
        what_it_costs_is_told_where_it_is_billed
        either_all_can_be_written_or_none_is
        what_is_known_as_a_digest_cannot_be_written_to_postgresql
    }
    own_state {
        a_lease_is_somebodys_until_the_run_ends
        of_many_claims_at_once_one_wins
        each_slot_is_run_once
        slots_are_passed_over_by_the_first_to_say_so
        a_paused_job_does_not_run
        what_just_ended_is_not_forgotten
    }
    bucket_walk {
        exactly_what_is_wanted_is_found_once
        no_more_rows_are_looked_at_than_may_be
        rows_are_located_by_their_keys
    }
    sweep {
        only_what_has_expired_is_deleted
        other_buckets_are_left_alone
        what_was_extended_meanwhile_stays
        without_the_lease_nothing_is_deleted
    }
    removals {
        a_row_of_every_table_goes_as_it_was_read
        what_has_changed_since_stays
        what_was_read_twice_goes_once
        a_row_goes_only_while_another_is_absent
        a_row_goes_only_while_a_property_has_its_value
        without_the_lease_nothing_goes
    }
    watermarks {
        a_number_is_remembered_with_its_first_time
        the_highest_number_before_a_time_is_found
        the_newest_of_each_is_never_forgotten
        of_what_is_old_the_highest_is_kept
        texts_and_numbers_are_kept
    }
    upkeep {
        it_is_there_and_current
        applying_again_changes_nothing
        a_deployment_has_one_identity
        a_deployment_is_at_home_until_it_is_adopted_elsewhere
        a_mark_stays_until_it_is_taken_back
        it_can_be_asked_to_hurry_and_to_end
    }
    generated {
        rows_that_are_written_are_scanned_and_read
        rows_that_are_written_are_found_by_their_keys
        rows_that_are_created_are_read
        values_that_are_set_are_read_and_can_be_expected
    }
    races {
        creating_an_actor
        creating_a_property
        counting_in_a_property
        deleting_a_property_that_is_found_by
        creating_an_entry
        storing_a_value_that_is_looked_up
        changing_a_value_that_is_looked_up
        swapping_an_attribute
        swapping_and_deleting_an_attribute
        creating_a_trust
        creating_a_peer_trustee
        creating_a_subscription
        adding_a_change
        suspending_a_target
        changing_what_is_deleted
    }
}
