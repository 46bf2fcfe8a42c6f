//! Deleting the changes of subscriptions.

mod archive;
mod holes;
mod kills;
mod library;
mod people;
mod rules;
mod scene;
mod times;
mod trouble;

/// Makes a test of each check on each backend.
macro_rules! on_each_backend {
    ($($subject:ident { $($check:ident)+ })+) => {
        mod on_postgresql {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let scene = crate::jobs::diff_prune::scene::Scene::on_postgresql().await;
                    crate::jobs::diff_prune::$subject::$check(&scene).await;
                })+
            })+
        }

        mod on_dynamodb {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let scene = crate::jobs::diff_prune::scene::Scene::on_dynamodb().await;
                    crate::jobs::diff_prune::$subject::$check(&scene).await;
                })+
            })+
        }
    };
}

on_each_backend! {
    rules {
        what_a_subscriber_has_goes
        numbers_are_compared_as_numbers
        without_knowing_who_has_them_they_stay
        of_several_subscribers_the_last_counts
        siblings_are_told_apart
        what_has_no_subscription_goes_when_it_is_seen_so_twice
        a_subscription_that_came_back_keeps_its_changes
        a_subscription_to_somebody_counts_as_one
        what_is_not_seen_again_is_forgotten
        what_is_stored_otherwise_is_left_alone
        a_look_says_the_same_and_changes_nothing
        a_report_names_who_has_to_begin_anew
    }
    times {
        what_was_seen_long_ago_goes
        a_wrong_time_makes_nothing_old
        what_says_that_it_is_young_stays
        numbers_that_went_back_have_no_age
        what_is_needed_no_more_is_forgotten
    }
    archive {
        what_goes_is_written_down_before
        without_its_directory_nothing_goes
        nothing_is_left_of_a_run_that_deletes_nothing
    }
    holes {
        no_reader_ever_sees_a_hole
    }
    kills {
        two_daemons_are_killed_at_any_moment
    }
    trouble {
        a_run_that_was_cut_off_is_taken_up_where_it_was
        a_broken_place_is_the_beginning
        a_lost_answer_is_counted_once
        a_process_that_is_killed_leaves_a_prefix_removed
        without_the_lease_nothing_goes
    }
}
