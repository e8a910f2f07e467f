"""Children that are started together, with checkpoints of their parent: all or nothing."""

import asyncio
from collections import Counter

import pytest
from tests.contract.database import Database, Row
from tests.contract.launching import hold_lease
from tests.contract.states import EARLIER, STIRRED, TENANT, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    ChildrenStarted,
    NewChild,
    NewChildren,
    Saved,
    Signal,
)
from runtara_domain.model.launches import Offer
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, SignalType, State

PARENT = Caller("p", 2)
FIRST, SECOND = NewChild("z", "orders", b"17"), NewChild("a", "orders")
WRITES = (CheckpointWrite("start", b"s"), CheckpointWrite("z!started", b"1"))
NEW = NewChildren((FIRST, SECOND), WRITES)
LARGE = 64 * 1024 + 1


async def start(core: Persistence, new: NewChildren = NEW) -> ChildrenStarted:
    return await core.instances.start_children(PARENT, new, when=WORKING, at=START)


async def saved(database: Database) -> list[tuple[str, bytes]]:
    rows = await database.rows("checkpoints")
    return [(row["checkpoint_id"], row["state"]) for row in rows if row["instance_id"] == "p"]


@pytest.mark.parametrize("state", sorted(WORKING))
async def test_children_and_checkpoints_are_stored_in_their_order(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The parent becomes as if it had saved; the children may be launched at once."""
    before = await put_instance(database, state, "p")
    parent = await database.row("p")
    worker: Row = {"kind": EnvironmentKind.WORKER, "tenant_id": TENANT, "workflows": ("orders",)}
    await hold_lease(persistence, "w", **worker)
    offer = Offer(environment_id="w", tenant_id=TENANT, workflows={"orders"})

    started = await start(persistence)
    first, second = await database.row("z"), await database.row("a")
    after = await database.row("p")
    claimed = await persistence.launches.claim(offer, limit=9, at=START)

    assert started == ChildrenStarted(before, (True, True), (Saved(before),) * 2)
    assert (first["parent_id"], first["workflow"], first["input"]) == ("p", "orders", b"17")
    assert (second["parent_id"], second["workflow"], second["input"]) == ("p", "orders", None)
    assert {first["tenant_id"], second["tenant_id"]} == {TENANT}
    assert {first["status"], second["status"]} == {"pending"}
    assert {first["created_at"], second["created_at"]} == {START}
    assert await saved(database) == [("start", b"s"), ("z!started", b"1")]
    stirred = STIRRED if state is State.ASLEEP else {}
    moved = {"checkpoint_id": "z!started", "last_activity_at": START, "waits": None}
    assert after == parent | moved | stirred
    assert {one.instance_id for one in claimed.assignments} == {"z", "a"}


async def test_without_checkpoints_the_parent_stays_as_it_is(
    persistence: Persistence, database: Database
) -> None:
    """Only a save stirs a parent that is asleep."""
    before = await put_instance(database, State.ASLEEP, "p")
    parent = await database.row("p")

    started = await start(persistence, NewChildren((FIRST,)))

    assert started == ChildrenStarted(before, (True,))
    assert await database.row("p") == parent


async def test_the_same_again_changes_nothing(persistence: Persistence, database: Database) -> None:
    """After a lost answer the request finds what it stored, whatever became of the children."""
    before = await put_instance(database, State.RUNNING, "p")
    await start(persistence)
    stored = await database.snapshot()

    again = await start(persistence)

    kept = (Saved(before, b"s"), Saved(before, b"1"))
    assert again == ChildrenStarted(before, (False, False), kept)
    assert await database.snapshot() == stored


async def test_what_is_missing_is_stored(persistence: Persistence, database: Database) -> None:
    """A child that exists and a state that was saved first stay; the others are new."""
    before = await put_instance(database, State.RUNNING, "p")
    await put_instance(
        database, State.COMPLETED, "z", parent_id="p", workflow="orders", input=b"17"
    )
    child = await database.row("z")
    await put_checkpoint(database, "start", "p", state=b"mine")
    await put_checkpoint(database, "large", "p", state=b"x" * LARGE)
    writes = (*WRITES, CheckpointWrite("large", b""))

    started = await start(persistence, NewChildren((FIRST, SECOND), writes))

    assert started.created == (False, True)
    assert started.saved == (Saved(before, b"mine"), Saved(before), Saved(before, is_large=True))
    assert await database.row("z") == child
    assert (await saved(database))[2:] == [("z!started", b"1")]
    assert (await database.row("p"))["checkpoint_id"] == "z!started"


@pytest.mark.parametrize(
    ("columns", "differs_in"),
    [
        ({"workflow": "other"}, ("workflow",)),
        ({"input": b"18"}, ("input",)),
        ({"input": b""}, ("input",)),
        ({"parent_id": "q"}, ("parent",)),
        ({"parent_id": None}, ("parent",)),
        ({"tenant_id": "foreign"}, ("parent",)),
        ({"parent_id": "q", "workflow": "other", "input": b"1"}, ("parent", "workflow", "input")),
    ],
)
async def test_one_id_that_is_taken_keeps_all_from_being_stored(
    persistence: Persistence, database: Database, columns: Row, differs_in: tuple[str, ...]
) -> None:
    """Neither a child before it nor a checkpoint is stored; the outcome names the child."""
    before = await put_instance(database, State.ASLEEP, "p")
    taken: Row = {"parent_id": "p", "workflow": "orders", "input": None, **columns}
    await put_instance(database, State.RUNNING, "a", **taken)
    stored = await database.snapshot()

    started = await start(persistence)

    assert started == ChildrenStarted(before, refused=1, differs_in=differs_in)
    assert await database.snapshot() == stored


async def test_an_instance_is_no_child_of_itself(
    persistence: Persistence, database: Database
) -> None:
    """The parent's own id is taken."""
    before = await put_instance(database, State.RUNNING, "p", workflow="w", input=None)
    stored = await database.snapshot()

    started = await start(persistence, NewChildren((NewChild("p", "w"),), WRITES))

    assert started == ChildrenStarted(before, refused=0, differs_in=("parent",))
    assert await database.snapshot() == stored


async def test_of_several_that_are_taken_the_first_is_named(
    persistence: Persistence, database: Database
) -> None:
    """The first in the order asked for, not in that of the ids."""
    await put_instance(database, State.RUNNING, "p")
    for taken in ("a", "z"):
        await put_instance(database, State.RUNNING, taken)

    started = await start(persistence)

    assert (started.refused, started.created, started.saved) == (0, (), ())


@pytest.mark.parametrize("state", sorted(frozenset(State) - WORKING))
async def test_a_parent_in_another_state_starts_none(
    persistence: Persistence, database: Database, state: State
) -> None:
    """A refused step changes nothing, also where an id is taken."""
    before = await put_instance(database, state, "p")
    await put_instance(database, State.RUNNING, "a")
    stored = await database.snapshot()

    started = await start(persistence)

    assert started == ChildrenStarted(before)
    assert await database.snapshot() == stored


async def test_a_superseded_run_and_an_unknown_instance_start_none(
    persistence: Persistence, database: Database
) -> None:
    """The step is fenced by the parent's run."""
    before = await put_instance(database, State.RUNNING, "p")
    stored = await database.snapshot()
    instances = persistence.instances

    old = await instances.start_children(Caller("p", 1), NEW, when=WORKING, at=START)
    unknown = await instances.start_children(Caller("q", 1), NEW, when=WORKING, at=START)

    assert old == ChildrenStarted(before)
    assert unknown == ChildrenStarted(None)
    assert await database.snapshot() == stored


async def test_the_outcome_has_the_pending_signal(
    persistence: Persistence, database: Database
) -> None:
    """A run hears of a cancel at each of its saves."""
    await put_instance(database, State.RUNNING, "p")
    cancel = Signal(SignalType.CANCEL, b"why")
    await persistence.signals.send("p", cancel, when=OPEN, at=EARLIER)

    started = await start(persistence)

    assert started.signal == cancel


async def test_of_racing_starts_one_creates_each_child(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """Requests for the same children, in any order and beside single ones, store each once."""
    await put_instance(database, State.RUNNING, "p")
    both = (NEW, NewChildren((SECOND, FIRST), WRITES[::-1]))

    started = await asyncio.gather(
        *(
            start((persistence, neighbour)[number % 2], both[number // 2 % 2])
            for number in range(16)
        ),
    )
    created = Counter(
        child.child_id
        for number, one in enumerate(started)
        for child, is_created in zip(both[number // 2 % 2].children, one.created, strict=True)
        if is_created
    )

    assert created == {"z": 1, "a": 1}
    assert {one.refused for one in started} == {None}
    assert sorted(await saved(database)) == [("start", b"s"), ("z!started", b"1")]


async def test_parents_that_race_for_an_id_store_all_or_nothing(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """Of two parents one gets the id; the other stores none of its children and checkpoints."""
    parents = [f"p{number}" for number in range(8)]
    for parent in parents:
        await put_instance(database, State.RUNNING, parent)

    started = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].instances.start_children(
                Caller(parent, 2),
                NewChildren((NewChild(f"own of {parent}", "w"), NewChild("shared", "w")), WRITES),
                when=WORKING,
                at=START,
            )
            for number, parent in enumerate(parents)
        )
    )

    [winner] = [parent for parent, one in zip(parents, started, strict=True) if one.created]
    assert {one.refused for one in started if not one.created} == {1}
    stored = {row["instance_id"] for row in await database.rows("instances")}
    assert stored == {*parents, f"own of {winner}", "shared"}
    assert {row["instance_id"] for row in await database.rows("checkpoints")} == {winner}
