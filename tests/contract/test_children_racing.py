"""Families whose members end at the same time, and are ended by several programs."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Iterator

from tests.contract.database import Database
from tests.contract.states import put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, Event, EventStep, EventType, NewChild, Signal
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, SignalType, State

PARENT = Caller("m", 2)
CHILDREN = 48
ENDING = Ending(State.COMPLETED, output=b"out")
DONE = Event(EventType.COMPLETED, b"out", START)
WORD = Event(EventType.CUSTOM, b"word", START)


def ends(core: Persistence, child: str, number: int) -> Awaitable[object]:
    """End a child in one of the ways there are."""
    caller = Caller(child, 2)
    match number % 4:
        case 0:
            return core.events.end(caller, DONE, ENDING, when=WORKING, at=START)
        case 1:
            return core.instances.finish(caller, ENDING, when=OPEN, at=START)
        case 2:
            return cancelled(core, caller)
        case _:
            steps = [
                EventStep(PARENT, WORD, WORKING),
                EventStep(caller, WORD, WORKING),
                EventStep(caller, DONE, WORKING, ENDING),
            ]
            random.Random(number).shuffle(steps)
            return core.events.record_all(steps, at=START)


async def cancelled(core: Persistence, caller: Caller) -> None:
    await core.signals.send(caller.instance_id, Signal(SignalType.CANCEL), when=OPEN, at=START)
    await core.signals.acknowledge(caller, SignalType.CANCEL, at=START)


def names() -> Iterator[str]:
    """Ids that sort before and after the parent's: a step that locks in id order fails with one."""
    for number in range(CHILDREN):
        yield f"{'az'[number % 2]}{number:02}"


async def test_children_that_end_at_once_are_all_heard(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """Each ending reaches the parent exactly once, whichever way and through whichever program."""
    await put_instance(database, State.RUNNING, "m")
    for name in names():
        await put_instance(database, State.RUNNING, name, parent_id="m")

    await asyncio.gather(
        *(
            ends((persistence, neighbour)[number % 3 % 2], name, number)
            for number, name in enumerate(names())
        )
    )

    rows = await database.rows("pending_checkpoint_signals")
    heard = Counter(row["checkpoint_id"] for row in rows)
    assert heard == dict.fromkeys((f"~child/{name}" for name in names()), 1)
    states = Counter(str(row["status"]) for row in await database.rows("instances"))
    assert states == {"running": 1, "completed": 3 * CHILDREN // 4, "cancelled": CHILDREN // 4}


async def test_generations_that_end_at_once_never_wait_for_each_other(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """Members of one line end at once, one by one and in batches; all have ended afterwards."""
    line = ["m", "z", "a", "y", "b", "x"]
    for _ in range(3):
        for parent, name in zip([None, *line], line, strict=False):
            await put_instance(database, State.RUNNING, name, parent_id=parent)
        batch = [EventStep(Caller(name, 2), WORD, WORKING) for name in sorted(line)]
        await asyncio.gather(
            *(
                work
                for core in (persistence, neighbour)
                for name in line
                for work in (
                    core.events.record_all(batch, at=START),
                    core.events.end(Caller(name, 2), DONE, ENDING, when=WORKING, at=START),
                    core.events.record_all(batch[::-1], at=START),
                )
            )
        )
        rows = await database.rows("instances")
        assert {str(row["status"]) for row in rows} == {"completed"}
        line = [f"{name}-next" for name in line]


async def test_of_racing_starts_one_creates_the_child(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """Of any number of calls for one child, exactly one returns that it created the child."""
    await put_instance(database, State.RUNNING, "m")
    new = NewChild("c", "orders", b"17")

    started = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].instances.start_child(
                PARENT, new, when=WORKING, at=START
            )
            for number in range(16)
        )
    )

    assert Counter(each.created for each in started) == {True: 1, False: 15}
    assert {each.differs_in for each in started} == {()}
