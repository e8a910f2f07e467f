"""What could go wrong in the engine of launches, and in the spawner that owns its processes."""

from tests.mutants.mutant import Mutant

_ENGINE = "runtara_domain/launching/"
_SPAWNER = "runtara_environment/spawner/"
_SEQUENCES = "tests/environment/sequences/test_of_the_engine.py::"
_LAUNCHER = "tests/domain/launching/test_launcher.py::"
_VERDICTS = "tests/domain/launching/test_verdicts.py::"
_PROCESSES = "tests/environment/spawner/test_processes.py::"

LAUNCHING = (
    Mutant(
        "A process is started under a lease that is over.",
        _ENGINE + "lease.py",
        "LeaseKeeper.is_good",
        "self._clock.uptime() < self._good_until",
        "True",
        (_SEQUENCES + "test_an_environment_that_stalls_between_claim_and_fork",),
    ),
    Mutant(
        "A lease that was renewed after a gap lets a process of a claim before it be started.",
        _ENGINE + "lease.py",
        "LeaseKeeper.unbroken",
        "self.is_good() and self._lapses == lapses",
        "self.is_good()",
        (_SEQUENCES + "test_an_environment_that_renews_before_it_forks",),
    ),
    Mutant(
        "An instance's next process is started beside the one before.",
        _ENGINE + "supervisor.py",
        "Supervisor._launch",
        "await self._end_others(watched)",
        "pass",
        (_SEQUENCES + "test_a_reopened_instance_whose_old_process_lives",),
    ),
    Mutant(
        "A process that was to end before it was there lives on.",
        _ENGINE + "supervisor.py",
        "Supervisor._mark_started",
        "await watched.placement.send(watched.launch_id, _SENT[watched.taken.act])",
        "pass",
        (_SEQUENCES + "test_a_process_that_is_to_end_while_it_is_being_started",),
    ),
    Mutant(
        "A process in a held sleep is killed for its silence.",
        _ENGINE + "attention.py",
        "_silent",
        "launch.state is State.RUNNING and launch.run is not None",
        "launch.run is not None",
        (_LAUNCHER + "test_a_silent_process_is_killed",),
    ),
    Mutant(
        "A crash with progress counts on.",
        _ENGINE + "verdicts.py",
        "_crash",
        "1 if instance.has_progressed else instance.crashes + 1",
        "instance.crashes + 1",
        (_VERDICTS + "test_progress_begins_the_count_and_the_back_off_anew",),
    ),
    Mutant(
        "A claim forgets what it was told of while it was under way.",
        _ENGINE + "launcher.py",
        "Launcher._claim_once",
        "known.is_wanted |= known.is_waiting",
        "known.is_wanted = known.is_waiting",
        (_LAUNCHER + "test_what_becomes_launchable_during_a_claim_is_claimed_next",),
    ),
    Mutant(
        "The next moment that a claim tells is forgotten.",
        _ENGINE + "launcher.py",
        "Launcher._claim_once",
        "known.next_at, known.again_at = claims.next_at, claims.again_at",
        "known.again_at = claims.again_at",
        (_LAUNCHER + "test_a_sleeper_that_is_due_before_the_next_renewal_is_launched_then",),
    ),
    Mutant(
        "A launch that is taken fills no slot under its limits.",
        _ENGINE + "room.py",
        "Room.take",
        "counter[key] += 1",
        "counter[key] += 0",
        (
            "tests/contract/test_launches_claim.py::test_a_limit_by_environment_bounds_each_of_them_alone",
        ),
    ),
    Mutant(
        "A launch that is asked for twice has two processes.",
        _SPAWNER + "service.py",
        "Spawner._start",
        "launch_id in self._children",
        "False",
        (_PROCESSES + "test_a_launch_is_started_once",),
    ),
)
