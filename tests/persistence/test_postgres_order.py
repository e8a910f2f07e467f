"""Events that are recorded at the same time are stored in the order of their calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from tests.support.clock import START
from tests.support.postgres import migrated_database

from runtara_domain.error import DatabaseError
from runtara_domain.model import (
    Caller,
    Ending,
    Event,
    EventFilter,
    EventStep,
    EventType,
    Recorded,
    Registration,
)
from runtara_domain.status import ANY, OPEN, WORKING, State
from runtara_persistence.postgres.persistence import PostgresPersistence

EVENTS = 100
MANY = 10_000
ME = Caller("i")


@pytest.fixture
def url() -> Iterator[str]:
    with migrated_database() as url:
        yield url


@pytest.fixture
async def persistence(url: str) -> AsyncIterator[PostgresPersistence]:
    async with PostgresPersistence(url, patience=1.0, step_timeout=2.0) as persistence:
        for instance_id in ("i", "j"):
            registration = Registration(instance_id, "t")
            await persistence.instances.register(registration, when=OPEN, at=START)
        yield persistence


def custom(number: int) -> Event:
    return Event(EventType.CUSTOM, b"%d" % number, START)


async def tell(persistence: PostgresPersistence, instance_id: str, number: int) -> Recorded:
    """Tell an event, every tenth in a batch with one of another instance."""
    me, other = Caller(instance_id), Caller("j" if instance_id == "i" else "i")
    if number % 10:
        return await persistence.events.append(me, custom(number), when=ANY, at=START)
    steps = [EventStep(other, custom(-1), ANY), EventStep(me, custom(number), ANY)]
    return (await persistence.events.record_all(steps, at=START))[1]


async def stored(persistence: PostgresPersistence, instance_id: str) -> list[int]:
    which = EventFilter(instance_id=instance_id, type=EventType.CUSTOM)
    page = await persistence.events.page(which, limit=2 * MANY)
    numbers = [int(event.payload or b"") for event in page]
    return [number for number in numbers if number >= 0]


async def test_events_are_stored_in_the_order_of_their_calls(
    persistence: PostgresPersistence,
) -> None:
    telling = [tell(persistence, each, n) for n in range(EVENTS) for each in ("i", "j")]
    await asyncio.gather(*telling)

    for instance_id in ("i", "j"):
        assert await stored(persistence, instance_id) == list(range(EVENTS))


async def test_very_many_concurrent_events_are_all_stored(url: str) -> None:
    """They have the order of their calls, with the ending of the instance after them."""
    ended = Event(EventType.COMPLETED, b"", START)
    async with PostgresPersistence(url) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        telling = [
            persistence.events.append(ME, custom(number), when=WORKING, at=START)
            for number in range(MANY)
        ]
        ending = persistence.events.end(ME, ended, Ending(State.COMPLETED), when=WORKING, at=START)
        late = persistence.events.append(ME, custom(MANY), when=WORKING, at=START)
        *recorded, refused = await asyncio.gather(*telling, ending, late)

        assert all(each.after is not None for each in recorded)
        assert refused.after is None
        assert await stored(persistence, "i") == list(range(MANY))


async def test_one_that_cannot_be_stored_fails_alone(persistence: PostgresPersistence) -> None:
    """Events before and after it are stored in their order."""
    bad = Event(EventType.CUSTOM, b"", START)
    # It can't be written, and never comes from a client, where it is checked.
    object.__setattr__(bad, "subtype", "\ud800")
    told = [custom(1), bad, custom(2)]

    before, refused, after = await asyncio.gather(
        *(persistence.events.append(ME, event, when=ANY, at=START) for event in told),
        return_exceptions=True,
    )

    assert isinstance(before, Recorded)
    assert isinstance(refused, DatabaseError)
    assert isinstance(after, Recorded)
    assert await stored(persistence, "i") == [1, 2]


async def test_a_caller_that_gives_up_lets_no_other_pass(persistence: PostgresPersistence) -> None:
    telling = [asyncio.create_task(tell(persistence, "i", n)) for n in range(EVENTS)]
    await asyncio.sleep(0)
    for given_up in telling[1::3]:
        given_up.cancel()
    await asyncio.gather(*telling, return_exceptions=True)

    kept = await stored(persistence, "i")
    assert kept == sorted(kept)
    assert {n for n in range(EVENTS) if n % 3 != 1} <= set(kept)


async def test_no_caller_waits_for_ever_for_those_before(
    url: str, persistence: PostgresPersistence
) -> None:
    """The number of earlier callers doesn't matter, and later ones have their turn."""
    stranger = await asyncpg.connect(url)
    async with stranger.transaction():
        await stranger.execute("SELECT FROM instances WHERE instance_id = 'i' FOR UPDATE")
        began = time.monotonic()
        telling = [persistence.events.append(ME, custom(n), when=ANY, at=START) for n in range(20)]
        ends = await asyncio.gather(*telling, return_exceptions=True)
        took = time.monotonic() - began
    await stranger.close()
    recorded = await persistence.events.append(ME, custom(20), when=ANY, at=START)

    assert {type(end) for end in ends} == {DatabaseError}
    assert took < 12
    assert recorded.before is not None
    assert await stored(persistence, "i") == [20]
