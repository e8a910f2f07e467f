"""Children: started once, of the same tenant; the parent gets their endings."""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.launching import claim, hold_lease, put_image, start
from tests.contract.states import EARLIER, TENANT, WAKE, put_instance
from tests.contract.test_signals_watch import Told
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    ChildStarted,
    CustomSignal,
    Ending,
    Event,
    EventStep,
    EventType,
    NewChild,
    Registration,
    Signal,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, OPEN, WORKING, SignalType, State

PARENT = Caller("p", 2)
CHILD = Caller("c", 2)
NEW = NewChild("c", "orders", b"17")
DONE = Event(EventType.COMPLETED, b"out", START)
LIMIT = 64 * 1024

Way = Callable[[Persistence], Awaitable[object]]


async def complete(core: Persistence) -> None:
    ending = Ending(State.COMPLETED, output=b"out")
    await core.events.end(CHILD, DONE, ending, when=WORKING, at=START)


async def complete_in_a_batch(core: Persistence) -> None:
    ending = Ending(State.COMPLETED, output=b"out")
    custom = Event(EventType.CUSTOM, b"", START)
    steps = [
        EventStep(PARENT, custom, WORKING),
        EventStep(CHILD, custom, WORKING),
        EventStep(CHILD, DONE, WORKING, ending),
    ]
    await core.events.record_all(steps, at=START)


async def fail(core: Persistence) -> None:
    failed = Event(EventType.FAILED, b"why", START)
    ending = Ending(State.FAILED, error="why")
    await core.events.end(CHILD, failed, ending, when=WORKING, at=START)


async def suspend_on_a_cancel(core: Persistence) -> None:
    await core.signals.send("c", Signal(SignalType.CANCEL), when=OPEN, at=START)
    await core.events.suspend(CHILD, Event(EventType.SUSPENDED, b"", START), at=START)


async def acknowledge_a_cancel(core: Persistence) -> None:
    await core.signals.send("c", Signal(SignalType.CANCEL), when=OPEN, at=START)
    await core.signals.acknowledge(CHILD, SignalType.CANCEL, at=START)


async def cancel_while_pending(core: Persistence) -> None:
    await core.signals.send("c", Signal(SignalType.CANCEL), when=OPEN, at=START)


async def terminate(core: Persistence) -> None:
    await core.instances.finish(CHILD, Ending(State.CANCELLED), when=OPEN, at=START)


async def give_up(core: Persistence) -> None:
    ending = Ending(State.FAILED, b"half", "lost", "stderr", 1, 1)
    await core.instances.finish(CHILD, ending, when=OPEN, at=START)


WAYS: dict[str, tuple[Way, State, Row]] = {
    "completed": (complete, State.RUNNING, {"status": "completed", "output": "b3V0"}),
    "in a batch": (complete_in_a_batch, State.ASLEEP, {"status": "completed", "output": "b3V0"}),
    "failed": (fail, State.RUNNING, {"status": "failed", "error": "why"}),
    "suspended": (suspend_on_a_cancel, State.RUNNING, {"status": "cancelled"}),
    "acknowledged": (acknowledge_a_cancel, State.RUNNING, {"status": "cancelled"}),
    "cancelled": (cancel_while_pending, State.PENDING, {"status": "cancelled"}),
    "terminated": (terminate, State.PAUSED, {"status": "cancelled"}),
    "given up": (
        give_up,
        State.RUNNING,
        {"status": "failed", "error": "lost", "output": "aGFsZg=="},
    ),
}
ways = pytest.mark.parametrize("name", WAYS)


async def put_family(database: Database, parent: State, child: State) -> None:
    await put_instance(database, parent, "p")
    await put_instance(database, child, "c", parent_id="p")


async def signals(database: Database) -> list[Row]:
    rows = await database.rows("pending_checkpoint_signals")
    return [{name: row[name] for name in row if name != "id"} for row in rows]


@pytest.mark.parametrize("state", sorted(WORKING))
async def test_a_child_is_created_pending_for_the_same_tenant(
    persistence: Persistence, database: Database, state: State
) -> None:
    """A started child is a PENDING instance of its parent's tenant, with workflow and input."""
    before = await put_instance(database, state, "p")
    [parent] = await database.rows("instances")

    started = await persistence.instances.start_child(PARENT, NEW, when=WORKING, at=START)
    child = await persistence.instances.get("c")

    assert started == ChildStarted(before, created=True)
    assert child is not None
    assert (child.status, child.tenant_id, child.parent_id) == ("pending", TENANT, "p")
    assert (child.workflow, child.created_at, child.run) == ("orders", START, 0)
    assert await persistence.instances.input("c") == b"17"
    assert await database.row("p") == parent


async def test_a_successor_runs_the_code_of_its_predecessor_and_is_no_child(
    persistence: Persistence,
) -> None:
    """It has the image, the variables and the workflow; a child of the same workflow has not."""
    image = await put_image(persistence, "code")
    await hold_lease(persistence, "e")
    await start(persistence, "p", image_id=image.image_id, env={"PLACE": "here"})
    registration = Registration("p", TENANT, workflow="orders")
    registered = await persistence.instances.register(registration, when=OPEN, at=START)
    caller = Caller("p", registered.run)
    successor = NewChild("s", "code of orders", b"17", is_successor=True)
    started = [
        await persistence.instances.start_child(caller, one, when=WORKING, at=START)
        for one in (successor, successor, NewChild("c", "orders"))
    ]

    [claimed] = await claim(persistence)
    kept = await persistence.instances.get("s")

    assert [(one.created, one.differs_in) for one in started] == [
        (True, ()),
        (False, ()),
        (True, ()),
    ]
    assert (claimed.instance_id, claimed.env) == ("s", {"PLACE": "here"})
    assert claimed.image is not None
    assert claimed.image.image_id == image.image_id
    assert kept is not None
    assert (kept.tenant_id, kept.parent_id, kept.workflow) == (TENANT, None, "orders")


@pytest.mark.parametrize(
    ("columns", "differs_in"),
    [
        ({}, ()),
        ({"workflow": "quotes"}, ()),
        ({"parent_id": "p"}, ()),
        ({"workflow": None}, ("workflow",)),
        ({"workflow": "other"}, ("workflow",)),
        ({"input": None}, ("input",)),
        ({"parent_id": "q"}, ("parent",)),
        ({"tenant_id": "foreign"}, ("parent",)),
    ],
)
async def test_an_instance_is_the_successor_or_another(
    persistence: Persistence, database: Database, columns: Row, differs_in: tuple[str, ...]
) -> None:
    """The workflow has its code's name or its predecessor's; an older server made a child of it."""
    before = await put_instance(database, State.RUNNING, "p", workflow="quotes")
    kept: Row = {"workflow": "quote", "input": b"17", **columns}
    await put_instance(database, State.PENDING, "p~2", **kept)
    stored = await database.snapshot()
    successor = NewChild("p~2", "quote", b"17", is_successor=True)

    started = await persistence.instances.start_child(PARENT, successor, when=WORKING, at=START)

    assert started == ChildStarted(before, differs_in=differs_in)
    assert await database.snapshot() == stored


async def test_a_successor_has_its_codes_name_where_its_predecessor_has_none(
    persistence: Persistence, database: Database
) -> None:
    """Such a predecessor is an instance whose process did not name its workflow."""
    await put_instance(database, State.RUNNING, "p", workflow=None)
    successor = NewChild("p~2", "quote", is_successor=True)

    await persistence.instances.start_child(PARENT, successor, when=WORKING, at=START)

    assert (await database.row("p~2"))["workflow"] == "quote"


@pytest.mark.parametrize("state", sorted(State))
async def test_the_same_child_asked_for_again_is_the_same_child(
    persistence: Persistence, database: Database, state: State
) -> None:
    """A second StartChild for the same child changes nothing, whatever became of the child."""
    before = await put_instance(database, State.RUNNING, "p")
    child: Row = {"parent_id": "p", "workflow": "orders", "input": b"17"}
    await put_instance(database, state, "c", **child)
    stored = await database.snapshot()

    started = await persistence.instances.start_child(PARENT, NEW, when=WORKING, at=START)

    assert started == ChildStarted(before)
    assert await database.snapshot() == stored


@pytest.mark.parametrize(
    ("columns", "differs_in"),
    [
        ({"workflow": "other"}, ("workflow",)),
        ({"workflow": None}, ("workflow",)),
        ({"input": b"18"}, ("input",)),
        ({"input": None}, ("input",)),
        ({"parent_id": None}, ("parent",)),
        ({"parent_id": "q"}, ("parent",)),
        ({"tenant_id": "foreign"}, ("parent",)),
        ({"parent_id": "q", "workflow": "other", "input": b""}, ("parent", "workflow", "input")),
    ],
)
async def test_another_instance_of_the_id_is_left_alone(
    persistence: Persistence, database: Database, columns: Row, differs_in: tuple[str, ...]
) -> None:
    """StartChild changes nothing where the id is taken, and tells what is different."""
    before = await put_instance(database, State.RUNNING, "p")
    child: Row = {"parent_id": "p", "workflow": "orders", "input": b"17", **columns}
    await put_instance(database, State.RUNNING, "c", **child)
    stored = await database.snapshot()

    started = await persistence.instances.start_child(PARENT, NEW, when=WORKING, at=START)

    assert started == ChildStarted(before, differs_in=differs_in)
    assert await database.snapshot() == stored


async def test_a_child_without_input_is_another_than_one_with_an_empty_input(
    persistence: Persistence, database: Database
) -> None:
    """No input and an empty input are different inputs."""
    before = await put_instance(database, State.RUNNING, "p")
    without, empty = NewChild("c", "orders"), NewChild("c", "orders", b"")

    await persistence.instances.start_child(PARENT, without, when=WORKING, at=START)

    again = await persistence.instances.start_child(PARENT, without, when=WORKING, at=START)
    other = await persistence.instances.start_child(PARENT, empty, when=WORKING, at=START)
    assert again == ChildStarted(before)
    assert other == ChildStarted(before, differs_in=("input",))


@pytest.mark.parametrize("state", sorted(frozenset(State) - WORKING))
async def test_a_parent_in_another_state_starts_no_child(
    persistence: Persistence, database: Database, state: State
) -> None:
    """A refused StartChild changes nothing and tells how the parent stood."""
    before = await put_instance(database, state, "p")
    stored = await database.snapshot()

    started = await persistence.instances.start_child(PARENT, NEW, when=WORKING, at=START)

    assert started == ChildStarted(before)
    assert await database.snapshot() == stored


async def test_a_superseded_run_starts_no_child(
    persistence: Persistence, database: Database
) -> None:
    """StartChild is fenced by the parent's run."""
    before = await put_instance(database, State.RUNNING, "p")
    stored = await database.snapshot()

    old = await persistence.instances.start_child(Caller("p", 1), NEW, when=WORKING, at=START)
    unknown = await persistence.instances.start_child(Caller("q", 1), NEW, when=WORKING, at=START)

    assert old == ChildStarted(before)
    assert unknown == ChildStarted(None)
    assert await database.snapshot() == stored


@ways
async def test_a_parent_hears_of_each_ending_in_the_same_step(
    persistence: Persistence, database: Database, name: str
) -> None:
    """Whatever ends a child, the parent then has a custom signal under `~child/` and its id."""
    end, state, told = WAYS[name]
    await put_family(database, State.RUNNING, state)

    await end(persistence)

    [signal] = await signals(database)
    assert (
        signal.pop("payload")
        == json.dumps(
            {"status": None, "error": None, "output": None} | told, separators=(",", ":")
        ).encode()
    )
    assert signal == {"instance_id": "p", "checkpoint_id": "~child/c", "created_at": START}


@ways
async def test_a_sleeping_parent_is_due_when_a_child_ends(
    persistence: Persistence, database: Database, name: str
) -> None:
    """A child's ending makes a sleeping parent due, and leaves its claim."""
    end, state, _ = WAYS[name]
    await put_family(database, State.ASLEEP, state)
    stored = await database.row("p")

    await end(persistence)

    activity = {"last_activity_at": START} if name == "in a batch" else {}
    assert await database.row("p") == stored | {"sleep_until": START} | activity


@pytest.mark.parametrize("state", sorted(OPEN - {State.ASLEEP}))
async def test_a_parent_that_is_not_asleep_is_not_moved(
    persistence: Persistence, database: Database, state: State
) -> None:
    """A child's ending leaves the row of a parent alone that is not asleep."""
    await put_family(database, state, State.RUNNING)
    stored = await database.row("p")

    await complete(persistence)

    assert await database.row("p") == stored
    assert len(await signals(database)) == 1


async def test_a_parent_that_sleeps_for_less_stays_as_it_is(
    persistence: Persistence, database: Database
) -> None:
    """A child's ending never moves a parent's wake to later."""
    await put_instance(database, State.ASLEEP, "p", sleep_until=EARLIER)
    await put_instance(database, State.RUNNING, "c", parent_id="p")

    await complete(persistence)

    assert (await database.row("p"))["sleep_until"] == EARLIER


@ways
@pytest.mark.parametrize("parent", [*sorted(FINAL), None])
async def test_an_ending_stands_without_a_parent_that_is_open(
    persistence: Persistence, database: Database, name: str, parent: State | None
) -> None:
    """Where the parent is finished or gone a child ends all the same, and nothing is put in."""
    end, state, told = WAYS[name]
    if parent is not None:
        await put_instance(database, parent, "p")
    await put_instance(database, state, "c", parent_id="p")

    await end(persistence)

    assert (await database.row("c"))["status"] == told["status"]
    assert await signals(database) == []


@pytest.mark.parametrize("columns", [{"tenant_id": "foreign"}, {"parent_id": "c"}])
async def test_only_a_parent_of_the_tenant_hears(
    persistence: Persistence, database: Database, columns: Row
) -> None:
    """A row that names another tenant's instance, or itself, as its parent tells nothing."""
    await put_instance(database, State.RUNNING, "p")
    child: Row = {"parent_id": "p"} | columns
    await put_instance(database, State.RUNNING, "c", **child)

    await complete(persistence)

    assert (await database.row("c"))["status"] == "completed"
    assert await signals(database) == []


async def test_a_repeated_ending_is_heard_once(
    persistence: Persistence, database: Database
) -> None:
    """A child's ending that is stored twice makes one signal."""
    await put_family(database, State.RUNNING, State.RUNNING)

    for _ in range(2):
        await complete(persistence)

    assert len(await signals(database)) == 1


async def test_a_signal_that_stands_already_stays(
    persistence: Persistence, database: Database
) -> None:
    """A value sent before under the child's name stands, and the child ends all the same."""
    await put_family(database, State.ASLEEP, State.RUNNING)
    sent = CustomSignal("~child/c", b"mine")
    await persistence.signals.send_custom("p", sent, when=OPEN, at=START)

    await complete(persistence)

    assert [row["payload"] for row in await signals(database)] == [b"mine"]
    assert (await database.row("c"))["status"] == "completed"


@pytest.mark.parametrize(("size", "is_told"), [(0, True), (LIMIT, True), (LIMIT + 1, False)])
async def test_a_large_output_is_left_out(
    persistence: Persistence, database: Database, size: int, is_told: bool
) -> None:
    """An output of at most 64 KiB is in the signal; a larger one is read from the child."""
    await put_family(database, State.RUNNING, State.RUNNING)
    output = b"\xff" * size

    await persistence.instances.finish(
        CHILD, Ending(State.COMPLETED, output=output), when=OPEN, at=START
    )

    told = json.loads((await signals(database))[0]["payload"])
    expected = {"output": b64encode(output).decode()} if is_told else {}
    assert told == {"status": "completed", "error": None} | expected


async def test_a_long_error_is_cut(persistence: Persistence, database: Database) -> None:
    """The signal has at most 16,384 characters of an error, so it can be polled."""
    await put_family(database, State.RUNNING, State.RUNNING)
    error = "\x01é😀" * 100_000

    await persistence.instances.finish(
        CHILD, Ending(State.FAILED, b"x" * LIMIT, error), when=OPEN, at=START
    )
    pending = await persistence.signals.pending(PARENT, ["~child/c"])

    payload = pending.custom_signals["~child/c"]
    assert json.loads(payload)["error"] == error[:16_384]
    assert len(payload) < 512 * 1024


@ways
async def test_a_watch_reports_the_parent(
    persistence: Persistence, neighbour: Persistence, database: Database, name: str
) -> None:
    """A child's ending calls watches in this process and in others, with the parent's id."""
    end, state, _ = WAYS[name]
    await put_family(database, State.RUNNING, state)
    here, there = Told(), Told()

    async with persistence.watch(here), neighbour.watch(there):
        await end(persistence)
        await here.of("p")
        await there.of("p")


async def test_children_of_an_open_parent_are_not_pruned(
    persistence: Persistence, database: Database
) -> None:
    """A finished child is pruned when its parent is finished or gone, not before."""
    await put_instance(database, State.PENDING, "open")
    await put_instance(database, State.FAILED, "ended", finished_at=START)
    for parent in ("open", "ended", "gone"):
        await put_instance(database, State.COMPLETED, f"of {parent}", parent_id=parent)

    pruned = await persistence.instances.prune(START)

    assert pruned == 2
    left = {row["instance_id"] for row in await database.rows("instances")}
    assert left == {"open", "ended", "of open"}


async def test_a_claimed_parent_is_due_as_soon_as_the_claim_is_over(
    persistence: Persistence, database: Database
) -> None:
    """A parent whose claim runs is launched by no other; then it is due, not at its deadline."""
    later = START + timedelta(seconds=30)
    await put_instance(database, State.ASLEEP, "p", sleep_until=WAKE, wake_claim_until=later)
    await put_instance(database, State.RUNNING, "c", parent_id="p")

    await complete(persistence)

    assert (await database.row("p"))["sleep_until"] == START
    assert (await database.row("p"))["wake_claim_until"] == later
