"""A reopened parent gets the present state of its children."""

import asyncio
import json
from base64 import b64encode
from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.states import TENANT, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, Event, EventType, Registration, Reopening
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import MOVES, OPEN, WORKING, Move, State

WHEN = MOVES[Move.REOPEN].sources
FAILED = Event(EventType.FAILED, b"broken", START)
BROKEN = Ending(State.FAILED, error="broken")
DONE = Event(EventType.COMPLETED, b"out", START)
OUT = Ending(State.COMPLETED, output=b"out")
TOLD_OUT = '{"status":"completed","error":null,"output":"b3V0"}'
LONG, LONGER = "\u00f6" * 16_384, "\u00f6" * 16_385


async def reopen(persistence: Persistence) -> None:
    await persistence.instances.reopen(Reopening("i"), when=WHEN, at=START)


async def put_child(database: Database, state: State, **columns: object) -> None:
    child: Row = {"parent_id": "i"} | columns
    await put_instance(database, state, "c", **child)


async def heard(database: Database) -> dict[str, str]:
    """The signals of its children to the reopened parent: status, error and output of each."""
    rows = await database.rows("pending_checkpoint_signals")
    return {
        row["checkpoint_id"]: row["payload"].decode() for row in rows if row["instance_id"] == "i"
    }


@pytest.mark.parametrize(
    ("state", "columns", "told"),
    [
        (State.COMPLETED, {}, '{"status":"completed","error":null,"output":"ZG9uZQ=="}'),
        (
            State.FAILED,
            {"error": LONGER, "output": b""},
            f'{{"status":"failed","error":"{LONG}","output":""}}',
        ),
        (State.CANCELLED, {}, '{"status":"cancelled","error":null,"output":null}'),
    ],
    ids=["completed", "failed", "cancelled"],
)
@pytest.mark.parametrize("is_stale", [False, True])
async def test_a_reopened_parent_hears_of_children_that_have_ended(
    persistence: Persistence,
    database: Database,
    state: State,
    columns: Row,
    told: str,
    is_stale: bool,
) -> None:
    """A finished child's signal is put in, or replaced, as the child's ending would have put it."""
    await put_instance(database, State.FAILED)
    await put_child(database, state, **columns)
    if is_stale:
        await database.put_custom_signal("i", "~child/c", b'{"status":"failed"}')

    await reopen(persistence)

    assert await heard(database) == {"~child/c": told}


async def test_an_ending_that_was_heard_stays_as_it_was(
    persistence: Persistence, database: Database
) -> None:
    """A reopened parent's signal of an ending that still stands keeps its place and its time."""
    await put_instance(database, State.RUNNING)
    await put_child(database, State.RUNNING)
    await persistence.events.end(Caller("c"), FAILED, BROKEN, when=WORKING, at=START)
    await persistence.events.end(Caller("i"), FAILED, BROKEN, when=WORKING, at=START)
    stored = await database.rows("pending_checkpoint_signals")

    later = START + timedelta(seconds=1)
    await persistence.instances.reopen(Reopening("i"), when=WHEN, at=later)

    assert len(stored) == 1
    assert await database.rows("pending_checkpoint_signals") == stored


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_reopened_parent_hears_nothing_of_children_that_are_open(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The signal of an open child is from an ending before, and is removed; others stay."""
    await put_instance(database, State.FAILED)
    await put_child(database, state)
    for name in ("~child/c", "~child/gone", "mine"):
        await database.put_custom_signal("i", name, b"said")

    await reopen(persistence)

    assert await heard(database) == {"~child/gone": "said", "mine": "said"}


@pytest.mark.parametrize(("size", "is_told"), [(65_536, True), (65_537, False)])
async def test_a_reopened_parent_hears_outputs_of_up_to_64_kib(
    persistence: Persistence, database: Database, size: int, is_told: bool
) -> None:
    """A child's larger output is left out of the signal that a reopened parent is given."""
    await put_instance(database, State.FAILED)
    await put_child(database, State.COMPLETED, output=b"x" * size)

    await reopen(persistence)

    told = json.loads((await heard(database))["~child/c"])
    output = {"output": b64encode(b"x" * size).decode()} if is_told else {}
    assert told == {"status": "completed", "error": None, **output}


@pytest.mark.parametrize("columns", [{"tenant_id": "foreign"}, {"parent_id": "other"}])
async def test_a_reopened_parent_hears_of_no_child_but_its_own(
    persistence: Persistence, database: Database, columns: Row
) -> None:
    """An instance of another tenant or of another parent is no child of the reopened one."""
    await put_instance(database, State.FAILED)
    await put_child(database, State.COMPLETED, **columns)

    await reopen(persistence)

    assert await heard(database) == {}


async def test_a_family_reopened_from_the_top_hears_each_of_its_own_children(
    persistence: Persistence, database: Database
) -> None:
    """With two levels, each reopened parent gets the endings of its own children only."""
    await put_instance(database, State.FAILED)
    await put_child(database, State.FAILED)
    await put_instance(database, State.COMPLETED, "grandchild", parent_id="c")

    await reopen(persistence)
    first = await heard(database)
    await persistence.instances.reopen(Reopening("c"), when=WHEN, at=START)

    assert list(first) == ["~child/c"]
    rows = await database.rows("pending_checkpoint_signals")
    assert [(row["instance_id"], row["checkpoint_id"]) for row in rows] == [
        ("c", "~child/grandchild")
    ]


async def test_a_child_that_ended_anew_while_its_parent_was_final_is_heard_so(
    persistence: Persistence, database: Database
) -> None:
    """The parent's signal tells how the child ended last, not how it ended before."""
    await put_instance(database, State.RUNNING)
    await put_child(database, State.RUNNING)
    for name in ("c", "i"):
        await persistence.events.end(Caller(name), FAILED, BROKEN, when=WORKING, at=START)
    await persistence.instances.reopen(Reopening("c"), when=WHEN, at=START)
    await persistence.instances.register(Registration("c", TENANT), when=OPEN, at=START)
    await persistence.events.end(Caller("c"), DONE, OUT, when=WORKING, at=START)

    await reopen(persistence)

    assert await heard(database) == {"~child/c": TOLD_OUT}


async def test_children_that_end_while_their_parent_is_reopened_are_all_heard(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """An ending that races with the reopening of the parent reaches it, whichever comes first."""
    await put_instance(database, State.FAILED)
    names = [f"{'az'[number % 2]}{number:02}" for number in range(24)]
    for name in names:
        await put_instance(database, State.RUNNING, name, parent_id="i")

    ends = [neighbour.events.end(Caller(name), DONE, OUT, when=WORKING, at=START) for name in names]
    await asyncio.gather(*ends[:12], reopen(persistence), *ends[12:])

    assert await heard(database) == {f"~child/{name}": TOLD_OUT for name in names}
