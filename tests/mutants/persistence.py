"""What could go wrong in the adapters."""

from tests.mutants.mutant import Mutant

PERSISTENCE = (
    Mutant(
        "Of children together those are started whose ids are not taken.",
        "runtara_persistence/sqlite/starting.py",
        "start",
        'differs_in = children.differences(connection, one) if one["child_id"] in known else ()',
        "differs_in = ()",
        (
            "tests/contract/test_children_together.py"
            "::test_one_id_that_is_taken_keeps_all_from_being_stored",
        ),
    ),
    Mutant(
        "A child that is cancelled on its own word tells its parent nothing.",
        "runtara_persistence/sqlite/events.py",
        "_suspend",
        "tell_parent(connection, caller.instance_id, parent_id, Ending(after), at, heard)",
        "pass",
        ("tests/contract/test_children.py::test_a_parent_hears_of_each_ending_in_the_same_step",),
    ),
    Mutant(
        "A child of an open parent is deleted with the old ones.",
        "runtara_persistence/sqlite/sql/instances.sql",
        "prune.find",
        "AND p.status IN ('pending', 'running', 'suspended')",
        "AND p.status IN ('running', 'suspended')",
        ("tests/contract/test_children.py::test_children_of_an_open_parent_are_not_pruned",),
    ),
    Mutant(
        "A group is answered before it is committed: with the next one.",
        "runtara_persistence/sqlite/group_commit.py",
        "_transact",
        'connection.execute("BEGIN IMMEDIATE")\n'
        "done = _execute(connection, steps)\n"
        "before_commit()\n"
        'connection.execute("COMMIT")',
        "if connection.in_transaction:\n"
        '    connection.execute("COMMIT")\n'
        'connection.execute("BEGIN IMMEDIATE")\n'
        "done = _execute(connection, steps)",
        (
            "tests/persistence/test_sqlite_processes.py"
            "::test_what_was_acknowledged_last_survives_sigkill",
        ),
    ),
    Mutant(
        "One step that fails fails all that shared its commit.",
        "runtara_persistence/sqlite/group_commit.py",
        "commit_together",
        "if len(steps) == 1:\n    return [Failed(failure.error, own_doing=True)]",
        "return [Failed(failure.error, own_doing=True)] * len(steps)",
        ("tests/persistence/test_sqlite_group_commit.py::test_a_failing_step_fails_alone",),
    ),
    Mutant(
        "A step that raises is not rolled back.",
        "runtara_persistence/sqlite/group_commit.py",
        "_transact",
        'connection.execute("ROLLBACK")',
        'connection.execute("COMMIT")',
        ("tests/persistence/test_sqlite_group_commit.py::test_a_failing_step_fails_alone",),
    ),
    Mutant(
        "A commit is not written through to the disk.",
        "runtara_persistence/sqlite/connection.py",
        "set_up_writer",
        'await connection.execute_fetchall("PRAGMA synchronous = FULL")\n'
        'await _expect(connection, "synchronous", _FULL)',
        'await connection.execute_fetchall("PRAGMA synchronous = NORMAL")',
        ("tests/persistence/test_sqlite_persistence.py::test_durability_is_in_force",),
    ),
    Mutant(
        "A group has no bound.",
        "runtara_persistence/batcher.py",
        "Batcher._next_group",
        "self._waiting and len(group.members) < self._most and size <= MAX_BYTES",
        "self._waiting and size <= MAX_BYTES",
        ("tests/persistence/test_sqlite_group_commit.py::test_a_group_is_bounded",),
    ),
    Mutant(
        "Groups of many callers do not alternate.",
        "runtara_persistence/batcher.py",
        "CallBatcher.ended",
        "callers >= self._alternate",
        "False",
        (
            "tests/persistence/test_batcher.py"
            "::test_of_enough_callers_one_half_goes_on_while_the_group_of_the_other_is_under_way",
        ),
    ),
    Mutant(
        "The loop takes the GIL from the thread during a group's statements.",
        "runtara_persistence/sqlite/step_thread.py",
        "StepThread._stands_still",
        "self._steps.is_alternating",
        "False",
        (
            "tests/persistence/test_sqlite_group_commit.py"
            "::test_the_loop_stands_still_for_the_statements_of_a_group_and_not_for_its_commit",
        ),
    ),
    Mutant(
        "The loop stands still for a step of any size.",
        "runtara_persistence/sqlite/step_thread.py",
        "StepThread.run",
        "is_small and self._is_calm() and await self._has_come_alone() and self._is_calm()",
        "self._is_calm() and await self._has_come_alone() and self._is_calm()",
        (
            "tests/persistence/test_sqlite_group_commit.py"
            "::test_a_caller_that_is_alone_is_served_in_the_loop_once_commits_were_fast",
        ),
    ),
    Mutant(
        "The loop goes on with commits that have become slow.",
        "runtara_persistence/sqlite/step_thread.py",
        "StepThread._timed",
        "time.monotonic() - began <= FAST",
        "True",
        (
            "tests/persistence/test_sqlite_group_commit.py"
            "::test_a_slow_commit_sends_the_next_ones_to_the_thread",
        ),
    ),
    Mutant(
        "The loop waits for another process to let go.",
        "runtara_persistence/sqlite/step_thread.py",
        "StepThread._at_once",
        'self._connection.execute("PRAGMA busy_timeout = 0")',
        "",
        (
            "tests/persistence/test_sqlite_group_commit.py"
            "::test_callers_at_once_go_to_the_thread_until_one_is_alone_for_a_while",
        ),
    ),
    Mutant(
        "Asked for again, a sleep begins anew.",
        "runtara_persistence/sqlite/checkpoints.py",
        "SqliteCheckpoints.sleep",
        "wake_at is None",
        "True",
        (
            "tests/contract/test_checkpoints_sleep_begin.py::test_asked_again_only_what_is_left_is_slept",
        ),
    ),
    Mutant(
        "`sleep_until` is the deadline of the latest sleep, not of the first to end.",
        "runtara_persistence/sqlite/checkpoints.py",
        "SqliteCheckpoints.sleep",
        "until = min(each for each in (wake_at, earliest, asleep_until) if each is not None)",
        "until = wake_at",
        (
            "tests/contract/test_checkpoints_sleep_deadlines.py"
            "::test_the_instance_sleeps_until_the_first_of_its_deadlines",
        ),
    ),
    Mutant(
        "One told to keep running is put to sleep.",
        "runtara_persistence/sqlite/checkpoints.py",
        "_lead",
        "asked.keep_running and state is State.RUNNING",
        "asked.keep_running and state is State.ASLEEP",
        (
            "tests/contract/test_checkpoints_sleep_deadlines.py"
            "::test_keep_running_keeps_the_deadline_and_moves_no_state",
        ),
    ),
    Mutant(
        "A cancel that is pending lets an instance fall asleep.",
        "runtara_persistence/sqlite/checkpoints.py",
        "SqliteCheckpoints.sleep",
        "wake_at <= at or _is_cancel(signal)",
        "wake_at <= at",
        (
            "tests/contract/test_checkpoints_sleep_begin.py"
            "::test_with_a_cancel_pending_no_instance_falls_asleep",
        ),
    ),
    Mutant(
        "A checkpoint that is found moves the instance's pointer.",
        "runtara_persistence/sqlite/saving.py",
        "save",
        'connection.executemany(_SQL["save.point"], group.kept.values())',
        "for one in saves:\n"
        "    key = one.caller.instance_id, one.write.checkpoint_id\n"
        '    moved = dict(zip(("instance_id", "checkpoint_id"), key), at=to_text(one.at))\n'
        '    connection.execute(_SQL["save.point"], moved)',
        ("tests/contract/test_checkpoints.py::test_finding_gives_the_first_state_and_only_stirs",),
    ),
    Mutant(
        "Of two concurrent saves of a new checkpoint, both report that they saved it.",
        "runtara_persistence/sqlite/saving.py",
        "_Group._keep",
        "return (None if is_large else state), is_large",
        "return None, False",
        ("tests/contract/test_racing.py::test_of_racing_saves_exactly_one_saves",),
    ),
    Mutant(
        "An empty state is taken for none.",
        "runtara_persistence/sqlite/saving.py",
        "_Group.judge",
        "not is_found",
        "not kept",
        ("tests/contract/test_checkpoints.py::test_a_state_is_kept_to_the_byte",),
    ),
    Mutant(
        "A checkpoint does not stir its sleeping instance.",
        "runtara_persistence/sqlite/sql/checkpoints.sql",
        "save.stir",
        "-- include: clear_wake",
        "waits = NULL",
        (
            "tests/contract/test_checkpoints.py::test_finding_gives_the_first_state_and_only_stirs",
            "tests/model/test_ports.py::test_an_adapter_does_what_the_model_does[sqlite]",
        ),
    ),
    Mutant(
        "A retry attempt's audit row is read as a checkpoint by its id.",
        "runtara_persistence/sqlite/sql/checkpoints.sql",
        "get",
        "AND checkpoint_id = :checkpoint_id AND NOT is_retry_attempt;",
        "AND checkpoint_id = :checkpoint_id;",
        (
            "tests/contract/test_checkpoints.py::test_an_audit_row_of_a_retry_is_no_checkpoint",
            "tests/contract/test_checkpoints_retries.py::test_an_attempt_is_never_a_checkpoint",
        ),
    ),
    Mutant(
        "A server wakes what another has claimed.",
        "runtara_persistence/sqlite/claims.py",
        "SqliteClaims.wake",
        "claimed_until is not None or not before.admits(caller, when)",
        "not before.admits(caller, when)",
        (
            "tests/contract/test_claims_renewal.py"
            "::test_an_instance_is_woken_unless_another_owner_claims_it",
        ),
    ),
    Mutant(
        "A claim that has run out still keeps others from waking.",
        "runtara_persistence/sqlite/sql/claims.sql",
        "wake.find",
        "WHEN wake_claim_until > :at",
        "WHEN wake_claim_until IS NOT NULL",
        (
            "tests/contract/test_claims_renewal.py"
            "::test_an_instance_is_woken_unless_another_owner_claims_it",
        ),
    ),
    Mutant(
        "What one server claims no other wakes, though it holds a sleep that is over.",
        "runtara_persistence/sqlite/claims.py",
        "SqliteClaims.wake",
        "owner(token)",
        "token",
        (
            "tests/contract/test_claims_renewal.py"
            "::test_an_instance_is_woken_unless_another_owner_claims_it",
        ),
    ),
    Mutant(
        "A sleep takes the claim of an environment that is about to launch its instance.",
        "runtara_persistence/sqlite/sql/checkpoints.sql",
        "sleep.claim",
        "OR wake_claim_until <= :at",
        "OR TRUE",
        (
            "tests/contract/test_checkpoints_sleep_deadlines.py"
            "::test_it_is_claimed_unless_another_owners_claim_runs",
        ),
    ),
    Mutant(
        "A claim that was lost is never taken again.",
        "runtara_persistence/memory/claims.py",
        "_renew",
        "row.wake_claim_by == claim.token or not row.is_claimed(half_way)",
        "row.wake_claim_by == claim.token",
        (
            "tests/domain/test_held_sleeps.py"
            "::test_a_claim_lost_to_the_environment_is_taken_again_once_that_is_over",
        ),
    ),
    Mutant(
        "The claim of a server that is gone is left until it has run out.",
        "runtara_persistence/memory/claims.py",
        "_renew",
        "half_way = at + (claim.until - at) / 2",
        "half_way = at",
        (
            "tests/domain/test_sleeps_of_several_servers.py"
            "::test_the_claim_of_a_server_that_is_gone_is_taken_over_before_it_ends",
        ),
    ),
    Mutant(
        "A claim that is still running is taken over.",
        "runtara_persistence/sqlite/sql/claims.sql",
        "claim_due.find",
        "AND (i.wake_claim_by IS NOT NULL AND i.wake_claim_until > :at) IS NOT TRUE",
        "",
        (
            "tests/contract/test_claims_due.py"
            "::test_what_is_claimed_is_not_claimed_again_until_that_ends",
        ),
    ),
    Mutant(
        "A paused instance with a resume pending is not due.",
        "runtara_persistence/sqlite/sql/claims.sql",
        "claim_due.find",
        "signal_type IN ('cancel', 'resume')",
        "signal_type IN ('cancel')",
        (
            "tests/contract/test_claims_due.py::test_exactly_what_is_due_is_claimed",
            "tests/model/test_ports.py::test_an_adapter_does_what_the_model_does[sqlite]",
        ),
    ),
    Mutant(
        "One that can't be launched stays at the head of the queue.",
        "runtara_persistence/sqlite/sql/claims.sql",
        "claim_due.find",
        "ORDER BY max(min(due.since), coalesce(i.wake_claim_until, '')), i.instance_id",
        "ORDER BY min(due.since), i.instance_id",
        ("tests/contract/test_claims_due.py::test_one_that_cannot_be_launched_goes_to_the_back",),
    ),
    Mutant(
        "An instance of another tenant is registered.",
        "runtara_persistence/sqlite/instances.py",
        "SqliteInstances.register",
        "owned = tenant_id == registration.tenant_id",
        "owned = True",
        (
            "tests/contract/test_instances_register.py"
            "::test_another_tenant_gets_the_owners_name_and_changes_nothing",
        ),
    ),
    Mutant(
        "A run begins with two `started` events.",
        "runtara_persistence/sqlite/instances.py",
        "_begin_run",
        'connection.execute(_SQL["register.add_started"], begun)',
        'connection.execute(_SQL["register.add_started"], begun)\n'
        'connection.execute(_SQL["register.add_started"], begun)',
        (
            "tests/contract/test_instances_register.py"
            "::test_runs_are_counted_from_one_with_one_started_event_each",
        ),
    ),
    Mutant(
        "Registering leaves a resume pending.",
        "runtara_persistence/sqlite/instances.py",
        "_begin_run",
        'connection.execute(_SQL["register.settle_resume"], begun)',
        "",
        (
            "tests/contract/test_instances_register.py"
            "::test_registering_settles_a_pending_resume_and_no_other_signal",
        ),
    ),
    Mutant(
        "Going on with a run begins another.",
        "runtara_persistence/sqlite/instances.py",
        "SqliteInstances.register",
        "begins = registration.continue_run is None and before.state in when",
        "begins = before.state in when",
        ("tests/contract/test_instances_continue.py::test_continuing_moves_and_adds_nothing",),
    ),
)
