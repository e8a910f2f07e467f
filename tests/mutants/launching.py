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
        "An environment that was cut off takes others for lost.",
        _ENGINE + "lease.py",
        "LeaseKeeper._has_renewed",
        "self._steady_since = None",
        "pass",
        (_SEQUENCES + "test_an_environment_that_was_cut_off_takes_no_other_for_lost[failures]",),
    ),
    Mutant(
        "An environment whose renewal had no answer for long takes others for lost.",
        _ENGINE + "lease.py",
        "LeaseKeeper._hold",
        "self._answered_at - asked_at >= self._times.every",
        "False",
        (_SEQUENCES + "test_an_environment_that_was_cut_off_takes_no_other_for_lost[no answer]",),
    ),
    Mutant(
        "A verdict that can't be stored is forgotten, with the ending.",
        _ENGINE + "supervisor.py",
        "Supervisor._until_stored",
        "await self.clock.pause(_AFTER_FAILURE)",
        "return None",
        (_SEQUENCES + "test_an_outage_of_the_database_that_is_longer_than_all_leases",),
    ),
    Mutant(
        "An environment that is drained notices the end of that with its next renewal.",
        _ENGINE + "launcher.py",
        "Launcher._free",
        "self._is_ending or not self._lease.is_good()",
        "self._is_ending or self._known.is_draining or not self._lease.is_good()",
        (_LAUNCHER + "test_a_drained_environment_goes_on_as_soon_as_the_drain_is_taken_back",),
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
        "Supervisor._begun",
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
        _ENGINE + "known.py",
        "Known.note",
        "self.is_wanted |= self.is_waiting",
        "self.is_wanted = self.is_waiting",
        (_LAUNCHER + "test_what_becomes_launchable_during_a_claim_is_claimed_next",),
    ),
    Mutant(
        "The end of a launch asks for no claim, though its instance goes on.",
        _ENGINE + "supervisor.py",
        "Supervisor._judge",
        "self.relaunchable()",
        "pass",
        (_LAUNCHER + "test_an_end_asks_for_a_claim_if_its_instance_goes_on",),
    ),
    Mutant(
        "The next moment that a claim tells is forgotten.",
        _ENGINE + "known.py",
        "Known.note",
        "self._note_next(claims.next_at)",
        "pass",
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
        "How a process ended is told once, and forgotten before it is confirmed.",
        _SPAWNER + "service.py",
        "Spawner._hello",
        "child.ended is not None",
        "False",
        (
            "tests/environment/test_local_contract.py::TestLocalPlacement::test_processes_are_found_again",
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
