"""Deleting finished instances with all that belongs to them."""

import asyncio
from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, Event, EventStep, EventType, NewInstance
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, FINAL, OPEN, SignalType, State

MILLISECOND = timedelta(milliseconds=1)


async def names(database: Database) -> list[str]:
    return [row["instance_id"] for row in await database.rows("instances")]


async def put_belongings(database: Database, instance_id: str) -> None:
    """Insert something that belongs to an instance into every other table."""
    await put_checkpoint(database, "c", instance_id)
    await database.put_attempt(instance_id, "c", 1)
    await database.put("instance_events", {"instance_id": instance_id, "event_type": "started"})
    await database.put_signal(instance_id, SignalType.CANCEL)
    await database.put_custom_signal(instance_id, "c", b"answer")


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_goes_with_all_that_belongs_to_it(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Nothing that belongs to another instance is deleted."""
    await put_instance(database, State.RUNNING, "other")
    await put_belongings(database, "other")
    others = await database.snapshot()
    await put_instance(database, state)
    await put_belongings(database, "i")

    pruned = await persistence.instances.prune(START)

    assert pruned == 1
    assert await database.snapshot() == others


@pytest.mark.parametrize("finished_at", [None, EARLIER])
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_open_instance_stays(
    persistence: Persistence, database: Database, state: State, finished_at: object
) -> None:
    """Its age and the columns that other programs wrote don't matter."""
    await put_instance(database, state, created_at=EARLIER, finished_at=finished_at)
    await put_belongings(database, "i")
    stored = await database.snapshot()

    assert await persistence.instances.prune(START) == 0
    assert await database.snapshot() == stored


@pytest.mark.parametrize(("offset", "goes"), [(-1, True), (0, False), (1, False)])
async def test_only_what_finished_before_goes(
    persistence: Persistence, database: Database, offset: int, goes: bool
) -> None:
    """The bound is exact to the millisecond. The time of creation doesn't matter."""
    finished_at = START + offset * MILLISECOND
    await put_instance(database, State.COMPLETED, created_at=EARLIER, finished_at=finished_at)

    pruned = await persistence.instances.prune(START)

    assert (pruned, await names(database)) == ((1, []) if goes else (0, ["i"]))


async def test_the_oldest_go_first_and_no_more_than_asked_for(
    persistence: Persistence, database: Database
) -> None:
    """Batch after batch, until nothing is left to delete."""
    for name, minutes in (("c", 3), ("a", 5), ("d", 2), ("b", 4), ("e", 1)):
        finished_at = START - timedelta(minutes=minutes)
        await put_instance(database, State.FAILED, name, finished_at=finished_at)
        await put_belongings(database, name)
    left: list[list[str]] = []
    pruned: list[int] = []

    while not pruned or pruned[-1]:
        pruned.append(await persistence.instances.prune(START, limit=2))
        left.append(sorted(await names(database)))

    assert pruned == [2, 2, 1, 0]
    assert left == [["c", "d", "e"], ["e"], [], []]
    assert not any((await database.snapshot()).values())


async def test_one_with_very_much_goes_whole(persistence: Persistence, database: Database) -> None:
    """The number of its rows doesn't matter."""
    await put_instance(database, State.COMPLETED)
    event = Event(EventType.CUSTOM, b"", EARLIER)
    await persistence.events.record_all([EventStep(Caller("i"), event, ANY)] * 2500, at=START)

    assert await persistence.instances.prune(START, limit=1) == 1
    assert not any((await database.snapshot()).values())


async def test_very_many_go_in_one_call(persistence: Persistence, database: Database) -> None:
    """The call deletes as many as the limit says, though an adapter divides the work."""
    names = [f"i{number}" for number in range(250)]
    await asyncio.gather(
        *(persistence.instances.create(NewInstance(name, "tenant"), at=EARLIER) for name in names)
    )
    ending = Ending(State.CANCELLED)
    await asyncio.gather(
        *(
            persistence.instances.finish(Caller(name), ending, when=OPEN, at=EARLIER)
            for name in names
        )
    )

    pruned = [await persistence.instances.prune(START, limit=240) for _ in range(3)]

    assert pruned == [240, 10, 0]
    assert await database.rows("instances") == []


async def test_a_pruned_id_is_free(persistence: Persistence, database: Database) -> None:
    """What is created under it again has nothing of the one before."""
    await put_instance(database, State.COMPLETED)
    await put_belongings(database, "i")
    await persistence.instances.prune(START)

    await put_instance(database, State.RUNNING)

    page = await persistence.checkpoints.page("i")
    assert page.entries == ()
    assert await persistence.checkpoints.get("i", "c") is None
