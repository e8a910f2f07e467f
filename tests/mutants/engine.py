"""What could go wrong in workflows."""

from tests.mutants.mutant import Mutant

WORKFLOW = (
    Mutant(
        "A step begins before the values that its code has got are stored.",
        "runtara_sdk/workflow/engine/attempts.py",
        "Attempts.run",
        "await recorder.save_owed_outcomes()",
        "pass",
        (
            "tests/sdk/workflow/test_owed_records.py"
            "::test_no_step_gets_another_argument_under_the_same_key",
            "tests/sdk/workflow/test_owed_records.py"
            "::test_a_cancel_after_a_crash_in_a_step_ends_the_step_and_not_the_get",
            "tests/sdk/workflow/test_owed_records.py::test_it_is_stored_before_a_step_begins",
        ),
    ),
    Mutant(
        "What a wait for a value of another type made is owed as well.",
        "runtara_sdk/workflow/engine/recorder.py",
        "Recorder.record",
        "record.is_repeatable and self._may_owe(state)",
        "self._may_owe(state)",
        (
            "tests/sdk/workflow/test_owed_records.py"
            "::test_what_could_turn_out_otherwise_is_not_owed",
        ),
    ),
    Mutant(
        "A child is cancelled before the request that starts it.",
        "runtara_sdk/workflow/engine/child_starts.py",
        "ChildStarts.cancel",
        "self._under_way[child_id]",
        "False",
        (
            "tests/sdk/workflow/test_children_together.py"
            "::test_a_start_that_code_cuts_off_is_cancelled_after_its_answer",
        ),
    ),
    Mutant(
        "A timeout that has cancelled hides later cancellations in its scope.",
        "runtara_sdk/workflow/engine/cancel_scopes.py",
        "ScopeStack.exit",
        "self._move(scope, Event.CLOSE)",
        "scope.move(Event.CLOSE)",
        (
            "tests/sdk/workflow/test_cancellation_once.py"
            "::test_a_timeout_hides_no_outer_one_that_struck_its_clean_up",
        ),
    ),
    Mutant(
        "A group whose branches fail hides the cancel that ended it.",
        "runtara_sdk/workflow/engine/cancel_scopes.py",
        "ScopeStack.request_again",
        "self._move(scope, Event.REPLACED)",
        "pass",
        (
            "tests/sdk/workflow/test_cancellation_once.py"
            "::test_a_group_whose_branches_fail_hides_no_cancel",
        ),
    ),
    Mutant(
        "A branch has seen whatever was thrown in a task beside it.",
        "runtara_sdk/workflow/engine/cancellation.py",
        "Cancellation.error",
        "not is_detached()",
        "True",
        ("tests/sdk/workflow/test_cancellation_once.py::test_gather_hides_no_cancel",),
    ),
    Mutant(
        "A branch has not seen what was thrown in its own task.",
        "runtara_sdk/workflow/engine/cancellation.py",
        "Cancellation.error",
        "not is_detached()",
        "False",
        (
            "tests/sdk/workflow/test_cancellation_once.py"
            "::test_code_that_catches_a_cancel_and_goes_on_is_not_cancelled_again",
        ),
    ),
    Mutant(
        "Of two expired timeouts the later one cancels.",
        "runtara_sdk/workflow/engine/calls.py",
        "DurableCall.due_scope",
        "min(due, key=_due_since)",
        "max(due, key=_due_since)",
        (
            "tests/sdk/workflow/test_cancellation_once.py"
            "::test_of_two_expired_timeouts_the_earlier_cancels",
        ),
    ),
    Mutant(
        "Of two timeouts that expired during a sleep the later one cancels.",
        "runtara_sdk/workflow/engine/calls.py",
        "DurableCall.expired_during",
        "min(own, key=_due_since)",
        "max(own, key=_due_since)",
        (
            "tests/sdk/workflow/test_cancellation_once.py"
            "::test_of_two_expired_timeouts_the_earlier_cancels",
        ),
    ),
    Mutant(
        "A promise that was kept in time is late if no process was there.",
        "runtara_sdk/workflow/api/promises.py",
        "_is_sent",
        "return wait.ended.done()",
        "return False",
        (
            "tests/sdk/workflow/test_deadlines.py"
            "::test_a_value_that_was_sent_wins_over_the_deadline",
        ),
    ),
    Mutant(
        "A promise that was kept hides a cancel.",
        "runtara_sdk/workflow/api/promises.py",
        "_wait_for_value",
        "not (call.is_deadline(key) and await _is_sent(execution, name))",
        "not await _is_sent(execution, name)",
        ("tests/sdk/workflow/test_deadlines.py::test_a_cancel_wins_over_a_value",),
    ),
    Mutant(
        "A cancel that finds no live call is forgotten.",
        "runtara_sdk/workflow/engine/cancellation.py",
        "Cancellation.request",
        "scope.request()",
        "",
        ("tests/sdk/workflow/test_cancellation.py::test_an_effect_is_not_ended_by_a_cancel",),
    ),
    Mutant(
        "A branch begun in a group that has failed does its work.",
        "runtara_sdk/workflow/engine/branches.py",
        "BranchGroup.open",
        "whole.request()",
        "pass",
        (
            "tests/sdk/workflow/test_groups.py"
            "::test_a_branch_begun_where_another_has_failed_does_nothing",
        ),
    ),
    Mutant(
        "A promise is heard when those are that were waited for before it.",
        "runtara_sdk/workflow/engine/inbox.py",
        "SignalInbox.expecting",
        "self._changed.set()",
        "",
        (
            "tests/sdk/workflow/test_suspension.py"
            "::test_a_promise_that_begins_beside_a_held_poll_is_heard_at_once",
        ),
    ),
    Mutant(
        "A running instance gets a resume again and again.",
        "runtara_sdk/workflow/engine/inbox.py",
        "SignalInbox.answer",
        "await self._end.call_core(lambda: self._store.acknowledge(SignalType.RESUME))",
        "pass",
        ("tests/sdk/workflow/test_suspension.py::test_a_running_instance_acknowledges_a_resume",),
    ),
    Mutant(
        "A race leaves those that lost running.",
        "runtara_sdk/workflow/api/groups.py",
        "race",
        "group.cancel_rest()",
        "",
        ("tests/sdk/workflow/test_races.py::test_the_first_wins_and_the_others_clean_up",),
    ),
    Mutant(
        "A mapping that has failed begins more.",
        "runtara_sdk/workflow/engine/branches.py",
        "BranchGroup._open_next",
        "not self._is_cancelling or self._execution.replay.holds(path)",
        "True",
        ("tests/sdk/workflow/test_mappings.py::test_a_mapping_that_fails_begins_no_more",),
    ),
)
