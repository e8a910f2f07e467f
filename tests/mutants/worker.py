"""What could go wrong in workers: how runs leave, and what follows a death."""

from tests.mutants.mutant import Mutant

_DEPARTURE = "tests/sdk/workflow/test_departure.py"
_LAUNCHER = "tests/domain/launching/test_launcher.py"

WORKER = (
    Mutant(
        "A call begins in a run that leaves.",
        "runtara_sdk/workflow/engine/execution.py",
        "Execution._recorded",
        "await self.departure.block_if_leaving()",
        "pass",
        (f"{_DEPARTURE}::test_code_between_two_calls_starts_no_child",),
    ),
    Mutant(
        "Code goes on with what was saved while its run leaves.",
        "runtara_sdk/workflow/engine/execution.py",
        "Execution._hand_over",
        "await self.departure.block_if_leaving()",
        "pass",
        (f"{_DEPARTURE}::test_a_step_under_way_ends_and_nothing_follows_it",),
    ),
    Mutant(
        "A further attempt is made in a run that leaves.",
        "runtara_sdk/workflow/engine/attempts.py",
        "Attempts.run",
        "await self.execution.departure.block_if_leaving(self.call)",
        "pass",
        (f"{_DEPARTURE}::test_no_further_attempt_is_made",),
    ),
    Mutant(
        "A run that falls asleep leaves before it sleeps.",
        "runtara_sdk/workflow/engine/departure.py",
        "Departure.finish_if_idle",
        "suspending is None or suspending.done()",
        "True",
        (f"{_DEPARTURE}::test_one_that_falls_asleep_just_then_sleeps",),
    ),
    Mutant(
        "A run that is asked to leave before it begins runs code.",
        "runtara_sdk/workflow/engine/departure.py",
        "Departure.of",
        "self.finish_if_idle()",
        "pass",
        (f"{_DEPARTURE}::test_one_that_is_asked_before_it_begins_does_nothing",),
    ),
    Mutant(
        "A lost environment is noticed at the next renewal that comes anyhow.",
        "runtara_domain/launching/lease.py",
        "LeaseKeeper._until_next",
        "self._next_lease_over_at is not None",
        "False",
        (f"{_LAUNCHER}::test_a_lost_environment_is_noticed_when_its_lease_is_over",),
    ),
    Mutant(
        "What an environment claimed at its end is left for its lease to run out.",
        "runtara_domain/launching/launcher.py",
        "Launcher.__aexit__",
        "await self._supervisor.give_back()",
        "pass",
        (f"{_LAUNCHER}::test_what_an_environment_has_claimed_at_its_end_is_given_back",),
    ),
    Mutant(
        "What a worker claimed at its end is left for its lease to run out.",
        "runtara_environment/management_handlers/workers.py",
        "close_worker",
        'await _give_back(core, [row.launch_id for row in left], "the worker has ended")',
        "pass",
        (
            "tests/environment/management/test_operators.py"
            "::test_a_worker_claims_reports_and_leaves",
        ),
    ),
    Mutant(
        "A run whose end is on its way to its worker is superseded.",
        "runtara_domain/launching/supervisor.py",
        "Supervisor._attend_one",
        "now < killed_at",
        "False",
        (
            "tests/domain/launching/test_runs_of_workers.py"
            "::test_a_run_has_time_to_say_that_its_launch_is_closed",
        ),
    ),
    Mutant(
        "Other workers don't know what may have killed its process.",
        "runtara_domain/model/launches.py",
        "Assignment.is_suspect",
        "self.crashes > 0 or self.last_cause in of_many",
        "self.crashes > 0",
        (
            "tests/contract/test_launches_claim.py"
            "::test_a_claim_says_what_may_have_killed_its_process",
        ),
    ),
    Mutant(
        "A death counts for all that shared the process.",
        "runtara/children.py",
        "ChildRuns.died",
        "is_alone and code is not None",
        "code is not None",
        ("tests/runtara/test_children.py::test_a_death_harms_no_other_instance",),
    ),
    Mutant(
        "All suspects begin at once.",
        "runtara/starts.py",
        "Starts._go_on",
        "len(self._beginning) < self._most",
        "True",
        ("tests/runtara/test_starts.py::test_no_more_begin_at_once_than_there_are_places",),
    ),
    Mutant(
        "A death before its process ran anything counts for the instance.",
        "runtara/children.py",
        "Child._over",
        "code if has_begun else None",
        "code",
        ("tests/runtara/test_suspects_begin.py::test_a_death_counts_if_it_ran_alone",),
    ),
    Mutant(
        "An instance that is delayed waits for a slot in its queue.",
        "runtara_domain/launching/room.py",
        "Room.queue_wait",
        "limit is None or since is None or since > at",
        "limit is None or since is None",
        ("tests/contract/test_queues.py::test_a_view_shows_that_an_instance_waits_in_its_queue",),
    ),
)
