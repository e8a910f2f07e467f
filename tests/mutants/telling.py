"""What could go wrong in the adapters with events, signals and lists."""

from tests.mutants.mutant import Mutant

TELLING = (
    Mutant(
        "Activity moves backward when a sign of life comes late.",
        "runtara_persistence/sqlite/sql/instances.sql",
        "mark_active",
        "AND (:run IS NULL OR :run >= run_epoch) AND "
        "(last_activity_at IS NULL OR last_activity_at < :at);",
        "AND (:run IS NULL OR :run >= run_epoch);",
        (
            "tests/contract/test_instances_read.py"
            "::test_touch_moves_activity_forward_and_nothing_else",
        ),
    ),
    Mutant(
        "One never heard of is silent since its creation, not its start.",
        "runtara_persistence/transactions/sql/instances.sql",
        "inactive_since",
        "AND coalesce(last_activity_at, started_at, created_at) < :since",
        "AND coalesce(last_activity_at, created_at) < :since",
        ("tests/contract/test_instances_silent.py::test_the_last_known_sign_of_life_counts",),
    ),
    Mutant(
        "Pruning takes whatever has a time of its end, also if it is open.",
        "runtara_persistence/sqlite/sql/instances.sql",
        "prune.find",
        "WHERE finished_at < :finished_before AND status IN ('completed', 'failed', 'cancelled')",
        "WHERE finished_at < :finished_before",
        ("tests/persistence/test_sqlite_batches.py::test_what_is_not_finished_is_never_pruned",),
    ),
    Mutant(
        "A finished instance can be finished again from outside.",
        "runtara_persistence/sqlite/instances.py",
        "SqliteInstances.finish",
        "before is not None and before.admits(caller, when)",
        "before is not None and not before.supersedes(caller)",
        ("tests/contract/test_instances_finish.py::test_a_finished_instance_stays_as_it_is",),
    ),
    Mutant(
        "A later custom signal takes the place of the first.",
        "runtara_persistence/sqlite/sql/signals.sql",
        "send_custom.put",
        "ON CONFLICT (instance_id, checkpoint_id) DO NOTHING",
        "ON CONFLICT (instance_id, checkpoint_id) DO UPDATE SET payload = excluded.payload",
        ("tests/contract/test_signals_custom.py::test_the_first_one_stands",),
    ),
    Mutant(
        "A custom signal lets an instance sleep on.",
        "runtara_persistence/sqlite/signals.py",
        "SqliteSignals.send_custom",
        "is_first and before.state is State.ASLEEP",
        "False",
        (
            "tests/contract/test_signals_custom.py"
            "::test_a_sleeping_instance_is_due_when_the_claim_on_it_ends",
            "tests/contract/test_racing_claims.py"
            "::test_what_is_sent_while_one_falls_asleep_is_read_after_it_or_makes_it_due",
            "tests/model/test_ports.py::test_an_adapter_does_what_the_model_does[sqlite]",
        ),
    ),
    Mutant(
        "A custom signal that lost makes an instance due.",
        "runtara_persistence/sqlite/signals.py",
        "SqliteSignals.send_custom",
        "is_first and before.state is State.ASLEEP",
        "before.state is State.ASLEEP",
        ("tests/contract/test_signals_custom.py::test_a_later_one_makes_no_instance_due",),
    ),
    Mutant(
        "A second signal takes the place of a cancel.",
        "runtara_persistence/sqlite/signals.py",
        "SqliteSignals.send",
        "not replaces(signal.type, pending)",
        "False",
        (
            "tests/contract/test_signals_send.py"
            "::test_the_later_replaces_the_earlier_but_a_cancel_yields_to_nothing_else",
        ),
    ),
    Mutant(
        "A cancel leaves an instance open that was never launched.",
        "runtara_persistence/sqlite/signals.py",
        "SqliteSignals.send",
        "_move(connection, instance_id, MOVES[Move.CANCEL].target, to_text(at), heard)",
        "",
        (
            "tests/contract/test_signals_send.py"
            "::test_a_cancel_ends_an_instance_that_was_never_launched",
        ),
    ),
    Mutant(
        "Acknowledging takes for heard whatever is pending.",
        "runtara_persistence/sqlite/signals.py",
        "SqliteSignals.acknowledge",
        "pending is not acknowledged",
        "pending is None",
        (
            "tests/contract/test_signals_acknowledge.py"
            "::test_only_an_acknowledgement_of_what_is_pending_does_anything",
        ),
    ),
    Mutant(
        "Acknowledging a resume takes a sleeper's deadline away.",
        "runtara_persistence/sqlite/signals.py",
        "SqliteSignals.acknowledge",
        "after is not before.state",
        "True",
        (
            "tests/contract/test_signals_acknowledge.py"
            "::test_what_stays_where_it_is_keeps_its_deadline_and_claim",
            "tests/model/test_ports.py::test_an_adapter_does_what_the_model_does[sqlite]",
        ),
    ),
    Mutant(
        "No wait learns of a custom signal of this process.",
        "runtara_persistence/sqlite/signals.py",
        "SqliteSignals.send_custom",
        "heard.append(instance_id)",
        "",
        ("tests/persistence/test_sqlite_watch.py::test_a_database_in_memory_hears_its_own",),
    ),
    Mutant(
        "An ending that is refused leaves its event behind.",
        "runtara_persistence/sqlite/events.py",
        "_end",
        "not before.admits(caller, step.when) or _is_reopened(connection, before.state, caller)",
        "_add(connection, caller, step.event) or not before.admits(caller, step.when)",
        ("tests/contract/test_events_end.py::test_an_instance_that_does_not_run_cannot_end",),
    ),
    Mutant(
        "The same ending again is refused.",
        "runtara_persistence/sqlite/events.py",
        "_end",
        "before.state is ending.state and _has_ended_so(connection, ended)",
        "False",
        (
            "tests/contract/test_events_end.py"
            "::test_the_same_ending_again_is_repeated_and_recorded_once",
        ),
    ),
    Mutant(
        "Another output is taken for the same ending again.",
        "runtara_persistence/sqlite/events.py",
        "_end",
        "before.state is ending.state and _has_ended_so(connection, ended)",
        "before.state is ending.state",
        ("tests/contract/test_events_end.py::test_another_ending_changes_nothing",),
    ),
    Mutant(
        "`suspended` obeys a pause and leaves it pending.",
        "runtara_persistence/sqlite/events.py",
        "_suspend",
        'connection.execute(_SQL["suspend.settle_signal"], moved)',
        "",
        (
            "tests/contract/test_events_suspend.py"
            "::test_a_pending_cancel_or_pause_is_acknowledged_by_it",
        ),
    ),
    Mutant(
        "However much was sent for the checkpoints that a poll names, all of it is told.",
        "runtara_persistence/sqlite/signals.py",
        "_custom_signals",
        "number == 0 or size <= values.MAX_POLLED_BYTES",
        "True",
        (
            "tests/contract/test_signals_pending.py"
            "::test_of_much_that_was_sent_the_first_is_returned[sqlite]",
        ),
    ),
    Mutant(
        "In memory, an expired claim still keeps others from claiming.",
        "runtara_persistence/memory/rows.py",
        "InstanceRow.is_claimed",
        "return self.wake_claim_until > at",
        "return True",
        ("tests/model/test_ports.py::test_an_adapter_does_what_the_model_does[memory]",),
    ),
    Mutant(
        "A claim that was given back has an owner again, once the clock is set back.",
        "runtara_persistence/sqlite/sql/claims.sql",
        "claim_due.find",
        "(i.wake_claim_by IS NOT NULL AND i.wake_claim_until > :at)",
        "(i.wake_claim_until > :at)",
        (
            "tests/contract/test_claims_due.py"
            "::test_what_was_given_back_is_free_though_the_clock_is_set_back",
        ),
    ),
)
