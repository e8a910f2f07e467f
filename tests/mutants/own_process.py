"""What could go wrong in the user's own process: client, worker and the core beneath them."""

from tests.mutants.mutant import Mutant

_CLIENT = "tests/runtara/test_client.py"
_STORE = "tests/runtara/test_embedded_store.py"
_ENDINGS = "tests/domain/launching/test_endings.py"

OWN_PROCESS = (
    Mutant(
        "Of two places for the core the address wins without a word.",
        "runtara/locating.py",
        "_located",
        "len(named) == 2",
        "False",
        ("tests/runtara/test_locating.py::test_two_variables_are_one_too_many",),
    ),
    Mutant(
        "The first user of a connection that ends closes it for all.",
        "runtara/connection.py",
        "connected",
        "not shared.users and _shared.get((loop, location)) is shared",
        "_shared.get((loop, location)) is shared",
        (f"{_CLIENT}::test_a_client_goes_on_when_another_user_of_its_connection_ends",),
    ),
    Mutant(
        "An instance that goes on as another one is taken for its end.",
        "runtara/handle.py",
        "Handle.result",
        "found.status is not Status.COMPLETED or successor is None",
        "True",
        (f"{_CLIENT}::test_one_that_goes_on_as_another_is_followed_to_its_end",),
    ),
    Mutant(
        "A wait that is over in time gives what an open instance has.",
        "runtara/handle.py",
        "Handle.result",
        "not found.status.is_final",
        "False",
        (f"{_CLIENT}::test_a_cancelled_one_raises_that_it_is",),
    ),
    Mutant(
        "A list is not bounded by the time that is asked for.",
        "runtara/client.py",
        "Client.list",
        "_moment(since)",
        "None",
        (f"{_CLIENT}::test_a_list_begins_where_it_is_asked_to",),
    ),
    Mutant(
        "A queue is used without its bounds.",
        "runtara/client.py",
        "Client._queue",
        "queue not in self._queues",
        "False",
        (
            "tests/runtara/test_schedules.py"
            "::test_a_queue_bounds_what_an_embedded_worker_runs_at_once",
        ),
    ),
    Mutant(
        "A run gets its own state where another one was saved first.",
        "runtara/embedded/store.py",
        "EmbeddedStore._kept",
        "not saved.is_found",
        "True",
        (f"{_STORE}::test_the_first_save_stands_and_a_newer_run_ends_the_older",),
    ),
    Mutant(
        "Only the first page of a history is replayed.",
        "runtara/embedded/store.py",
        "EmbeddedStore._passed",
        "after = page.next_id",
        "after = None",
        (f"{_STORE}::test_all_pages_of_what_was_saved_are_read",),
    ),
    Mutant(
        "A database that is away ends the run at once.",
        "runtara/embedded/store.py",
        "EmbeddedStore._persist",
        "loop.time() + span > until",
        "True",
        (f"{_STORE}::test_a_database_that_is_away_is_asked_again_within_the_budget",),
    ),
    Mutant(
        "Names beyond what a poll takes are not asked for.",
        "runtara/embedded/store.py",
        "EmbeddedStore.poll",
        "parts = [tuple(names)[at : at + size] for at in range(0, len(names), size)]",
        "parts = [tuple(names)[:size]]",
        (f"{_STORE}::test_what_is_sent_to_any_of_very_many_names_is_heard",),
    ),
    Mutant(
        "A worker does not tell that a run is over.",
        "runtara/embedded/placement.py",
        "InlinePlacement.tell",
        "self._over([self._instances[launch_id]])",
        "pass",
        ("tests/runtara/test_worker.py::test_an_end_in_this_process_is_heard_without_a_look",),
    ),
    Mutant(
        "An end that is told while it is looked for is heard at the next look.",
        "runtara_domain/launching/endings.py",
        "Endings.tell",
        "waiter.due = 0.0",
        "pass",
        (f"{_ENDINGS}::test_a_change_during_a_read_leads_to_another_read",),
    ),
    Mutant(
        "A stored end is heard at the next look.",
        "runtara_domain/launching/endings.py",
        "Endings.ended",
        "waiter.answer()",
        "pass",
        (f"{_ENDINGS}::test_a_stored_end_is_heard_without_a_read",),
    ),
    Mutant(
        "A wait ends with an end that was heard after the instance was reopened.",
        "runtara_domain/launching/endings.py",
        "Endings.until_final",
        "not has_heard or found is None or found.state.is_final",
        "True",
        (f"{_ENDINGS}::test_an_instance_that_was_reopened_is_not_final_though_its_end_is_heard",),
    ),
    Mutant(
        "What runs here is read again and again while its end is waited for.",
        "runtara_domain/launching/endings.py",
        "Endings._look",
        "not one.puts_off()",
        "True",
        (f"{_ENDINGS}::test_what_runs_here_is_read_rarely_from_the_beginning",),
    ),
)
