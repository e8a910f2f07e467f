"""What could go wrong where launches run."""

from tests.mutants.mutant import Mutant

PLACEMENTS = (
    Mutant(
        "Freed room calls nothing that waits for it.",
        "runtara_environment/placements/waiting.py",
        "WaitingLine.freed",
        "self._freed += 1",
        "pass",
        (
            "tests/environment/test_waiting_line.py::test_room_is_offered_to_those_that_wait_longest",
        ),
    ),
    Mutant(
        "Freed room calls all waiting launches, which take every slot.",
        "runtara_environment/placements/waiting.py",
        "WaitingLine._call",
        "untried[: _AT_ONCE - len(self._called)]",
        "untried",
        (
            "tests/environment/test_waiting_line.py::test_room_is_offered_to_those_that_wait_longest",
        ),
    ),
    Mutant(
        "A node is large enough that has one of the two things asked for.",
        "runtara_environment/placements/ray_cluster/wire.py",
        "why_waiting",
        "all(node.get(name, 0) >= count for name, count in bundle.items())",
        "any(node.get(name, 0) >= count for name, count in bundle.items())",
        (
            "tests/environment/test_waiting_line.py::test_what_has_no_room_now_differs_from_what_never_has",
        ),
    ),
    Mutant(
        "A lease that has just run out is a lost node.",
        "runtara_environment/placements/ray_cluster/nodes.py",
        "NodeWatch.look",
        "uptime - self._missing_since.setdefault(agent, uptime) >= MISSED",
        "True",
        ("tests/environment/test_node_watch.py::test_a_node_is_lost_whose_lease_stays_over",),
    ),
    Mutant(
        "An outage of the database counts as silence of the nodes.",
        "runtara_environment/placements/ray_cluster/nodes.py",
        "NodeWatch.look",
        "self._missing_since.clear()",
        "pass",
        ("tests/environment/test_node_watch.py::test_an_outage_of_the_database_loses_no_node",),
    ),
    Mutant(
        "Processes live on whose launches were closed.",
        "runtara_environment/placements/local.py",
        "LocalPlacement.take_up",
        "set(self._living) - kept",
        "set[str]()",
        (
            "tests/environment/test_local_contract.py::TestLocalPlacement::test_launches_and_processes_that_have_lost_each_other",
        ),
    ),
    Mutant(
        "A process is started without a lease.",
        "runtara_environment/placements/local.py",
        "LocalPlacement._start",
        "not may_start()",
        "False",
        (
            "tests/environment/test_local_contract.py::TestLocalPlacement::test_a_lease_that_is_over_starts_nothing",
        ),
    ),
    Mutant(
        "How processes ended while no environment ran is never told.",
        "runtara_environment/placements/local.py",
        "LocalPlacement.take_up",
        "self._hear(launch_id, message)",
        "pass",
        (
            "tests/environment/test_local_contract.py::TestLocalPlacement::test_processes_are_found_again",
        ),
    ),
    Mutant(
        "Of a log that was rotated only the older part is read.",
        "runtara_environment/folders.py",
        "_piece",
        "start + len(data) - begin",
        "start - begin",
        (
            "tests/environment/management/test_operators.py::test_a_log_that_was_rotated_is_read_on_where_it_was",
        ),
    ),
    Mutant(
        "A far log that still grows is shown as an empty one.",
        "runtara_environment/management_handlers/operators.py",
        "_kept",
        "launch.closed_at is not None",
        "True",
        (
            "tests/environment/management/test_operators.py::test_of_a_far_log_its_stored_end_is_shown",
        ),
    ),
    Mutant(
        "Nodes keep the folders of deleted instances.",
        "runtara_environment/placements/ray_cluster/agent.py",
        "NodeAgent._sweep",
        "self._setup.retention",
        "None",
        ("tests/environment/test_node_agent.py::test_an_agent_clears_folders_away",),
    ),
    Mutant(
        "Freed room ends the back-off of those that crashed.",
        "runtara_persistence/transactions/sql/intervening.sql",
        "end_waits",
        "AND l.cause = 'waiting'",
        "",
        ("tests/contract/test_launches_interventions.py::test_room_ends_the_wait_for_it",),
    ),
)
