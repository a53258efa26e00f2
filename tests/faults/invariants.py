"""What holds of the dataset whatever goes wrong, and which tests prove it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Invariant:
    """A section of the page, `text` in Markdown; `tests` are names of test functions."""

    name: str
    text: str
    tests: Sequence[str]


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        "I1. An export never shrinks stored data, unless it is forced to",
        """\
- A response shrinks an object if a row is missing in it or a count is lower than the stored one.
  Rows are identified by their key columns, an API by its resolved id. Percentiles, percentages
  and top lists may change; they shrink only by becoming empty.
- Such a response is refused, on every day that may still be queried, today included. The ledger
  has `kept`, with what would be lost. Only `force` writes it.
- A response is compared with the object that was listed before the run began. If another run has
  written the object since, the older of the two responses is dropped, whatever it holds.
- A day is queried for every API that was listed on it. If an API was deleted since and the
  service refuses it, or returns less for it, its stored rows are carried over and nothing fails.
""",
        (
            "test_a_row_that_disappears_or_a_count_that_falls_is_lost",
            "test_growth_of_one_row_excuses_no_loss_of_another",
            "test_percentiles_and_top_lists_lose_by_becoming_empty_alone",
            "test_today_is_guarded_too",
            "test_force_takes_less",
            "test_an_older_response_never_overwrites_a_newer_forced_one",
            "test_a_newer_response_is_compared_with_what_another_run_wrote",
            "test_the_hours_of_an_api_that_is_deleted_today_stay",
            "test_an_api_that_is_gone_and_refused_keeps_its_rows_and_fails_nothing",
            "test_what_the_source_has_forgotten_is_kept",
            "test_an_api_is_deleted_and_refused",
        ),
    ),
    Invariant(
        "I2. A closed day is a confirmed day",
        """\
- A day is closed once its object's LastModified is at or after the end of the day plus
  SettleHours plus 15 minutes. No run lasts longer, so the response was requested after the day
  had settled. Age alone closes nothing.
- Every accepted response is written, even if it equals the object: the write is the confirmation.
  A refused one writes nothing, so the day stays open. After settling, such a day is queried once
  a day.
- The first refusal more than a week after settling writes the object once more, unchanged, with
  the metadata `confirmed=no`: the day is closed as unconfirmed. `insights status`, the views and
  the alarm on `Kept` report kept and unconfirmed days.
""",
        (
            "test_a_day_is_closed_by_what_was_requested_after_it_settled",
            "test_settling_at_once_still_waits_for_the_end_of_the_day",
            "test_as_much_or_more_is_written_and_confirms",
            "test_less_is_refused_and_confirms_nothing",
            "test_a_refused_partition_is_queried_once_a_day_after_it_settled",
            "test_a_source_that_recovers_within_a_week_completes_the_day",
            "test_after_a_week_the_day_is_closed_as_unconfirmed",
            "test_a_confirmed_day_never_becomes_unconfirmed",
            "test_kept_and_unconfirmed_days_are_named",
            "test_kept_days_are_reported_until_they_are_closed",
            "test_an_open_day_that_runs_query_is_left_to_them",
        ),
    ),
    Invariant(
        "I3. An environment is its id",
        """\
- The part of an object's key that names the environment is bound to the environment's id for
  ever. It is made of the first name seen, survives renames, and is never given to another id.
  Legacy ids follow the first name as well.
- The registry holds these bindings, and the names of APIs and applications. Every run merges its
  lists into it, by conditional writes. It only grows. If it is lost, the next run makes it anew
  from the dataset.
- An id whose objects lie under two keys, as 0.1.0 left them after a rename, is not exported until
  `insights migrate` has merged them; the others are.
""",
        (
            "test_an_id_has_one_key_and_a_key_one_id_for_ever",
            "test_a_renamed_environment_keeps_its_key_and_its_legacy_ids",
            "test_another_order_of_two_environments_of_one_name_swaps_no_keys",
            "test_a_key_is_not_given_to_another_environment_that_has_the_name_now",
            "test_what_another_run_has_written_meanwhile_is_merged",
            "test_keys_of_a_dataset_stay_as_they_are",
            "test_a_doubled_environment_fails_alone_and_is_exported_after_the_migration",
            "test_no_row_is_lost_and_none_is_double_whatever_was_and_wherever_it_ends",
            "test_a_renamed_environment_is_one_with_its_newest_name",
            "test_an_environment_is_renamed",
        ),
    ),
    Invariant(
        "I4. Unknown is null, never 0",
        """\
- A view shows a count of 0 only where the table that counts was exported after the hour or the
  day in question had ended. Before that, and where a table is missing, it shows null, and so do
  the rates that follow from it.
- An API or an environment counts as listed only if the newest list has it. What is deleted is not
  missing.
""",
        (
            "test_an_hour_that_was_not_queried_is_not_known",
            "test_the_end_of_an_hour_is_the_first_instant_at_which_it_is_known",
            "test_errors_that_were_not_exported_are_not_none",
            "test_a_null_stays_null",
            "test_hours_that_were_not_queried_are_no_quiet_hours",
            "test_nothing_is_listed_where_the_newest_list_is_empty",
            "test_a_deleted_environment_is_not_stale",
        ),
    ),
    Invariant(
        "I5. An empty list is a failure",
        """\
- If `listEnvironments` returns nothing although the last list had environments, a person must
  act, and the same goes for `listAllAPI` of an environment. Nothing is forgotten or exported as
  empty meanwhile. `force` accepts the empty list.
""",
        (
            "test_an_empty_list_needs_a_person_where_the_last_one_was_not",
            "test_an_empty_list_of_apis_needs_a_person_where_the_last_one_was_not",
            "test_an_empty_list_is_a_failure_until_force_accepts_it",
            "test_an_empty_list_that_was_accepted_is_quiet_from_then_on",
        ),
    ),
    Invariant(
        "One event is one run",
        """\
- A run that completes is a success, whatever failed: the reply, the ledger, the metrics and the
  alarms have the failures, and the next run retries them. The function raises only if it could
  not work at all, and then it hands nothing over.
- The function never invokes itself. Work that is left for lack of time goes to the state machine,
  as an execution whose name follows from the UTC day and the bounds: there is one a day at most,
  and one that was stopped stays stopped. While it is running, other runs export open days only.
- A run ends in time: the ledger comes first, then the hand-over, then the checks with the time
  that is left. The ledger is appended in place as the run goes on, so that a kill loses minutes
  of it, and the next run adds what it lacks: it reads the ledger of days that have a newer object.
- RequestsPerMinute holds for the stack: half of it for one run at a time, half for the parts of
  the state machine. A second run waits, or reports that it is waiting.
""",
        (
            "test_a_run_that_completes_is_a_success_whatever_failed",
            "test_no_run_both_hands_over_and_raises",
            "test_what_makes_all_of_it_impossible",
            "test_what_remains_is_handed_over_before_the_checks",
            "test_there_is_one_a_day_whatever_became_of_it",
            "test_while_one_runs_open_days_are_exported_alone",
            "test_progress_does_not_use_up_the_retries",
            "test_the_runs_of_a_part_are_bounded",
            "test_runs_that_really_append_at_once_lose_nothing",
            "test_an_object_that_the_ledger_does_not_know_is_recorded_by_the_next_run",
            "test_what_a_killed_backfill_of_old_days_wrote_is_recorded_by_the_next_run",
            "test_a_day_whose_checks_are_older_than_its_objects_is_checked_by_the_next_run",
            "test_no_minute_has_more_requests_than_allowed",
            "test_no_event_leads_to_two_runs",
            "test_one_catch_up_exports_the_rest",
            "test_everything_but_the_broken_table_is_exported",
            "test_a_catch_up_that_was_stopped_stays_stopped_until_the_next_day",
            "test_little_time",
            "test_the_catch_up_exists_already",
            "test_a_slot_of_a_killed_run",
        ),
    ),
)
