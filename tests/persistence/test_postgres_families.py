"""A parent's row that another program holds: an ending waits for it before it locks the child."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import asyncpg
import pytest
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, Event, EventStep, EventType, Signal
from runtara_domain.status import OPEN, WORKING, SignalType, State
from runtara_persistence.postgres.persistence import PostgresPersistence

CHILD = Caller("a-child", 1)
FAMILY = """
INSERT INTO instances (instance_id, tenant_id, status, run_epoch, parent_id)
VALUES ('parent', 't', 'running', 1, NULL), ('a-child', 't', 'running', 1, 'parent');
INSERT INTO pending_signals (instance_id, signal_type) VALUES ('a-child', 'cancel')
"""
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
CHILD_ALONE = "SELECT FROM instances WHERE instance_id = 'a-child' FOR UPDATE NOWAIT"
ENDING = Ending(State.COMPLETED, output=b"")
DONE = Event(EventType.COMPLETED, b"", START)
WORD = Event(EventType.CUSTOM, b"", START)

Way = Callable[[PostgresPersistence], Awaitable[object]]

WAYS: dict[str, Way] = {
    "end": lambda core: core.events.end(CHILD, DONE, ENDING, when=WORKING, at=START),
    "suspend": lambda core: core.events.suspend(
        CHILD, Event(EventType.SUSPENDED, b"", START), at=START
    ),
    "batch": lambda core: core.events.record_all(
        [EventStep(CHILD, WORD, WORKING), EventStep(Caller("parent", 1), WORD, WORKING)], at=START
    ),
    "finish": lambda core: core.instances.finish(CHILD, ENDING, when=OPEN, at=START),
    "acknowledge": lambda core: core.signals.acknowledge(CHILD, SignalType.CANCEL, at=START),
    "send": lambda core: core.signals.send(
        "a-child", Signal(SignalType.CANCEL), when=OPEN, at=START
    ),
}


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture
async def stranger(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Give a program that has locked the parent's row."""
    connection = await asyncpg.connect(url)
    await connection.execute(FAMILY)
    await connection.execute("BEGIN")
    await connection.execute("SELECT FROM instances WHERE instance_id = 'parent' FOR UPDATE")
    yield connection
    await connection.close()


@pytest.mark.parametrize("name", WAYS)
async def test_the_parent_is_locked_before_the_child(
    url: str, stranger: "asyncpg.Connection[asyncpg.Record]", name: str
) -> None:
    """A step that waits for the parent's row holds nothing that a step of the parent may need."""
    async with PostgresPersistence(url) as core:
        step = asyncio.ensure_future(WAYS[name](core))
        async with asyncio.timeout(30):
            while not await stranger.fetchval(WAITING):
                await stranger.execute("SELECT pg_stat_clear_snapshot()")
        await stranger.execute(CHILD_ALONE)
        was_done = step.done()
        await stranger.execute("COMMIT")
        await step

    assert not was_done
