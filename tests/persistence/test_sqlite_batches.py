"""Large steps on a SQLite file: whole or not at all, and never long at a time."""

import asyncio
import signal
import sys

import pytest
from tests.persistence.instances import START, ask_sql, put_finished, put_running, run_sql
from tests.persistence.statements import Statements

from runtara_persistence.sqlite.persistence import SqlitePersistence

KILLED = """
import asyncio, os, signal, sqlite3, sys
from tests.persistence.instances import START
from runtara_domain.model import Caller, Event, EventStep, EventType
from runtara_domain.status import ANY
from runtara_persistence.sqlite.persistence import SqlitePersistence

connect, kept = sqlite3.connect, 0

def kill_in_the_middle(statement):
    global kept
    kept += statement.startswith("INSERT INTO instance_events")
    if kept == 15:
        os.kill(os.getpid(), signal.SIGKILL)

def traced(*arguments, **options):
    connection = connect(*arguments, **options)
    connection.set_trace_callback(kill_in_the_middle)
    return connection

async def record(path):
    event = Event(EventType.CUSTOM, b"x" * 100_000, START)
    batch = [EventStep(Caller("i"), event, ANY)] * 10
    async with SqlitePersistence(path) as persistence:
        for _ in range(2):
            await persistence.events.record_all(batch, at=START)
            print("recorded", flush=True)

sqlite3.connect = traced
asyncio.run(record(sys.argv[1]))
"""


async def test_a_process_killed_in_a_batch_leaves_all_of_it_or_nothing(path: str) -> None:
    """What was answered is there; of what was not, nothing is."""
    async with SqlitePersistence(path):
        put_running(path, "i")

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, path), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()

    async with SqlitePersistence(path):
        events = ask_sql(path, "SELECT 1 FROM instance_events")
    assert process.returncode == -signal.SIGKILL
    assert output == b"recorded\n"
    assert len(events) == 10


async def test_many_are_pruned_in_bounded_transactions(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest first, with all that is theirs."""
    statements = Statements()
    statements.watch(monkeypatch)
    async with SqlitePersistence(path) as persistence:
        put_finished(path, 450)
        run_sql(
            path,
            "INSERT INTO checkpoints (instance_id, checkpoint_id, state) VALUES (?, ?, x'')",
            ((f"i{number:05}", f"c{each}") for number in range(450) for each in range(4)),
        )
        statements.seen.clear()

        pruned = await persistence.instances.prune(START, limit=430)

    left = ask_sql(path, "SELECT instance_id FROM instances ORDER BY 1")
    assert pruned == 430
    assert left == [(f"i{number:05}",) for number in range(430, 450)]
    assert len(ask_sql(path, "SELECT 1 FROM checkpoints")) == 20 * 4
    assert len(statements.of("COMMIT")) == 5


async def test_one_with_very_many_rows_is_pruned_in_parts(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as one, and is gone as a whole at the end."""
    statements = Statements()
    statements.watch(monkeypatch)
    async with SqlitePersistence(path) as persistence:
        put_finished(path, 2)
        run_sql(
            path,
            "INSERT INTO instance_events (instance_id, event_type) VALUES ('i00001', 'custom')",
            ((),) * 3500,
        )
        statements.seen.clear()

        pruned = await persistence.instances.prune(START)

    assert pruned == 2
    assert ask_sql(path, "SELECT 1 FROM instances") == []
    assert ask_sql(path, "SELECT 1 FROM instance_events") == []
    assert len(statements.of("COMMIT")) == 4


async def test_what_is_not_finished_is_never_pruned(
    persistence: SqlitePersistence, path: str
) -> None:
    """Its age and its columns don't matter."""
    put_running(path, "i")
    run_sql(path, "UPDATE instances SET finished_at = '2001-01-01T00:00:00.000Z'")

    assert await persistence.instances.prune(START) == 0
