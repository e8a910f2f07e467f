"""Cancelled callers, closing and opening again: each step is whole or not there."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from tests.contract.database import Database
from tests.contract.states import TENANT, WAKE, put_instance
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    CustomSignal,
    Ending,
    Event,
    EventStep,
    EventType,
    Registration,
    RetryAttempt,
    Signal,
    Sleep,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, OPEN, WORKING, SignalType, State

ME = Caller("i")
DEADLINE = START + timedelta(minutes=1)
ITERATIONS = pytest.mark.parametrize("iterations", range(6))


@pytest_asyncio.fixture(loop_scope="module")
async def persistence(database: Database) -> AsyncIterator[Persistence]:
    """An adapter of the test's own: the steps of cancelled callers end before it closes."""
    async with database.connect() as persistence:
        yield persistence


async def cancel_after(iterations: int, task: asyncio.Task[object]) -> None:
    """
    Cancel a caller when the loop has turned so often since it was started.

    Its step may still go on: only an adapter that has closed has no step under way.
    """
    for _ in range(iterations):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None


@ITERATIONS
async def test_a_cancelled_registration_is_whole_or_not_there(
    persistence: Persistence, database: Database, iterations: int
) -> None:
    """The runs are as many as the `started` events, and the next one follows."""
    task = asyncio.create_task(
        persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)
    )
    await cancel_after(iterations, task)

    found = await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)

    assert (found.before is None) is (found.run == 1)
    assert await database.events("i") == ["started"] * found.run


@ITERATIONS
async def test_a_cancelled_save_is_whole_or_not_there(database: Database, iterations: int) -> None:
    """The checkpoint is there exactly if the pointer is at it, and other callers are unhurt."""
    await put_instance(database, State.ASLEEP)
    async with database.connect() as persistence:
        task = asyncio.create_task(
            persistence.checkpoints.save(ME, CheckpointWrite("c", b""), when=WORKING, at=START)
        )
        other = asyncio.create_task(
            persistence.checkpoints.save(
                Caller("nobody"), CheckpointWrite("c", b""), when=WORKING, at=START
            )
        )
        await cancel_after(iterations, task)
        others = await other

    row = await database.row("i")
    assert others.before is None
    kept = [found["checkpoint_id"] for found in await database.rows("checkpoints")]
    assert (kept, row["checkpoint_id"], row["status"]) in (
        ([], None, "suspended"),
        (["c"], "c", "running"),
    )


@ITERATIONS
async def test_a_cancelled_ending_is_whole_or_not_there(
    database: Database, iterations: int
) -> None:
    """The event is there exactly if the instance has ended."""
    await put_instance(database, State.RUNNING)
    event = Event(EventType.COMPLETED, b"", START)
    async with database.connect() as persistence:
        task = asyncio.create_task(
            persistence.events.end(
                ME, event, Ending(State.COMPLETED, output=b""), when=WORKING, at=START
            )
        )
        await cancel_after(iterations, task)

    status = (await database.row("i"))["status"]
    assert (status, await database.events("i")) in (("running", []), ("completed", ["completed"]))


@ITERATIONS
async def test_a_cancelled_sleep_is_whole_or_not_there(database: Database, iterations: int) -> None:
    """The deadline is there exactly if the instance sleeps until it, under the claim."""
    await put_instance(database, State.RUNNING)
    async with database.connect() as persistence:
        task = asyncio.create_task(
            persistence.checkpoints.sleep(
                ME,
                Sleep("c", b"", timedelta(minutes=1)),
                when=WORKING,
                claim=Claim("me", WAKE),
                earliest=None,
                at=START,
            )
        )
        await cancel_after(iterations, task)

    row = await database.row("i")
    kept = [found["wake_at"] for found in await database.rows("checkpoints")]
    assert (kept, row["sleep_until"], row["wake_claim_by"], row["status"]) in (
        ([], None, None, "running"),
        ([DEADLINE], DEADLINE, "me", "suspended"),
    )


@ITERATIONS
async def test_a_cancelled_batch_is_whole_or_not_there(database: Database, iterations: int) -> None:
    """All of its events, with the ending among them, or none."""
    await put_instance(database, State.RUNNING)
    word = EventStep(ME, Event(EventType.CUSTOM, b"", START), ANY)
    done = Event(EventType.COMPLETED, b"", START)
    end = EventStep(ME, done, WORKING, Ending(State.COMPLETED, output=b""))
    async with database.connect() as persistence:
        task = asyncio.create_task(persistence.events.record_all([word, end, word], at=START))
        await cancel_after(iterations, task)

    events = await database.events("i")
    status = (await database.row("i"))["status"]
    assert (status, events) in (
        ("running", []),
        ("completed", ["custom", "completed", "custom"]),
    )


@ITERATIONS
async def test_a_cancelled_send_is_whole_or_not_there(database: Database, iterations: int) -> None:
    """The signal is there exactly if it has ended the instance that was never launched."""
    await put_instance(database, State.PENDING)
    async with database.connect() as persistence:
        task = asyncio.create_task(
            persistence.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START)
        )
        await cancel_after(iterations, task)

    row = await database.row("i")
    signals = [found["acknowledged_at"] for found in await database.rows("pending_signals")]
    assert (row["status"], signals) in (("pending", []), ("cancelled", [START]))


async def test_what_was_stored_is_there_when_it_is_opened_again(database: Database) -> None:
    """Every step is durable when its call returns."""
    async with database.connect() as persistence:
        await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)
        await persistence.checkpoints.save(ME, CheckpointWrite("c", b"1"), when=WORKING, at=START)
        await persistence.signals.send("i", Signal(SignalType.PAUSE), when=OPEN, at=START)
        await persistence.signals.send_custom("i", CustomSignal("c", b"2"), when=OPEN, at=START)
        await persistence.checkpoints.record_retry(
            ME, RetryAttempt("d", 1, START), when=OPEN, at=START
        )
    stored = await database.snapshot()

    async with database.connect() as persistence:
        found = await persistence.checkpoints.get("i", "c")
        told = await persistence.signals.pending(ME, ["c"])

    assert found is not None
    assert found.state == b"1"
    assert (told.signal, told.custom_signals) == (Signal(SignalType.PAUSE), {"c": b"2"})
    assert await database.snapshot() == stored


async def test_steps_under_way_are_finished_before_it_closes(database: Database) -> None:
    """Each caller gets an answer."""
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
    """A call that comes too late, or too early, raises; nothing hangs."""
    persistence = database.connect()

    with pytest.raises(DatabaseError):
        await persistence.instances.get("i")
    async with persistence:
        await persistence.instances.get("i")
    with pytest.raises(DatabaseError):
        await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)


async def test_an_open_database_answers(persistence: Persistence, database: Database) -> None:
    """Being asked changes nothing, and costs no step its turn."""
    stored = await database.snapshot()

    await asyncio.gather(*(persistence.check() for _ in range(16)))

    assert await database.snapshot() == stored


async def test_a_closed_database_does_not_answer(database: Database) -> None:
    """It does not answer before it was opened either."""
    persistence = database.connect()

    with pytest.raises(DatabaseError):
        await persistence.check()
    async with persistence:
        await persistence.check()
    with pytest.raises(DatabaseError):
        await persistence.check()


async def test_what_its_user_raises_passes_through(database: Database) -> None:
    """Closing hides no error."""
    with pytest.raises(LookupError, match="mine"):
        async with database.connect():
            raise LookupError("mine")
