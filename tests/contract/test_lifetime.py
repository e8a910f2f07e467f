import asyncio

import pytest
from tests.contract.database import Database
from tests.contract.states import TENANT, put_instance
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Ending,
    Event,
    EventType,
    Registration,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, State

ME = Caller("i")
TURNS = pytest.mark.parametrize("turns", range(6))


async def cancel_after(turns: int, task: asyncio.Task[object]) -> None:
    """Cancel a caller when the loop has turned so often since it was started."""
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None


@TURNS
async def test_a_cancelled_registration_is_whole_or_not_there(
    persistence: Persistence, database: Database, turns: int
) -> None:
    """The runs are as many as the `started` events, and the next one follows."""
    task = asyncio.create_task(
        persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)
    )
    await cancel_after(turns, task)

    found = await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)

    assert (found.before is None) is (found.run == 1)
    assert await database.events("i") == ["started"] * found.run


@TURNS
async def test_a_cancelled_save_is_whole_or_not_there(
    persistence: Persistence, database: Database, turns: int
) -> None:
    """The checkpoint is there exactly if the pointer is at it, and other callers are unhurt."""
    await put_instance(database, State.ASLEEP)
    task = asyncio.create_task(
        persistence.checkpoints.save(ME, CheckpointWrite("c", b""), when=WORKING, at=START)
    )
    other = asyncio.create_task(
        persistence.checkpoints.save(
            Caller("nobody"), CheckpointWrite("c", b""), when=WORKING, at=START
        )
    )
    await cancel_after(turns, task)

    others = await other
    await persistence.instances.touch([ME], at=START)

    row = await database.row("i")
    assert others.before is None
    kept = [found["checkpoint_id"] for found in await database.rows("checkpoints")]
    assert (kept, row["checkpoint_id"], row["status"]) in (
        ([], None, "suspended"),
        (["c"], "c", "running"),
    )


@TURNS
async def test_a_cancelled_ending_is_whole_or_not_there(
    persistence: Persistence, database: Database, turns: int
) -> None:
    """The event is there exactly if the instance has ended."""
    await put_instance(database, State.RUNNING)
    event = Event(EventType.COMPLETED, b"", START)
    task = asyncio.create_task(
        persistence.events.end(
            ME, event, Ending(State.COMPLETED, output=b""), when=WORKING, at=START
        )
    )
    await cancel_after(turns, task)

    await persistence.instances.touch([ME], at=START)

    status = (await database.row("i"))["status"]
    assert (status, await database.events("i")) in (("running", []), ("completed", ["completed"]))


async def test_what_was_stored_is_there_when_it_is_opened_again(database: Database) -> None:
    """Every step is durable when its call returns."""
    async with database.connect() as persistence:
        await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)
        await persistence.checkpoints.save(ME, CheckpointWrite("c", b"1"), when=WORKING, at=START)
    stored = await database.snapshot()

    async with database.connect() as persistence:
        found = await persistence.checkpoints.get("i", "c")

    assert found is not None
    assert found.state == b"1"
    assert await database.snapshot() == stored


async def test_steps_under_way_are_finished_before_it_closes(database: Database) -> None:
    """Whoever has asked gets an answer."""
    async with database.connect() as persistence:
        steps = [
            asyncio.create_task(
                persistence.instances.register(
                    Registration(f"i{number}", TENANT), when=OPEN, at=START
                )
            )
            for number in range(16)
        ]
        await asyncio.sleep(0)

    stored = await database.rows("instances")
    found = await asyncio.gather(*steps)

    assert [outcome.run for outcome in found] == [1] * 16
    assert len(stored) == 16


async def test_what_is_closed_says_so(database: Database) -> None:
    """A caller that comes too late, or too early, is told; nothing hangs."""
    persistence = database.connect()

    with pytest.raises(DatabaseError):
        await persistence.instances.get("i")
    async with persistence:
        await persistence.instances.get("i")
    with pytest.raises(DatabaseError):
        await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)


async def test_what_its_user_raises_passes_through(database: Database) -> None:
    """Closing hides no error."""
    with pytest.raises(LookupError, match="mine"):
        async with database.connect():
            raise LookupError("mine")
