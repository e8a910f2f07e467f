"""Reading instances and how they stand, and noting that they live."""

from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, TENANT, WAKE, WHAT_IT_RUNS, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Instance, InstanceFilter, Registration
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, OPEN, State


@pytest.mark.parametrize("state", sorted(State))
async def test_get_gives_the_instance_in_any_state(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Every column that belongs to the record arrives as it is stored."""
    await put_instance(database, state, checkpoint_id="c", last_activity_at=START, **WHAT_IT_RUNS)

    found = await persistence.instances.get("i")

    assert found == Instance(
        instance_id="i",
        tenant_id=TENANT,
        status=state.status,
        run=2,
        checkpoint_id="c",
        created_at=EARLIER,
        started_at=None if state is State.PENDING else EARLIER,
        finished_at=EARLIER if state.is_final else None,
        sleep_until=WAKE if state is State.ASLEEP else None,
        last_activity_at=START,
        **WHAT_IT_RUNS,
        output=b"done" if state is State.COMPLETED else None,
        error="broken" if state is State.FAILED else None,
    )
    assert found.state is state


@pytest.mark.parametrize("state", sorted(State))
async def test_run_state_gives_state_and_run(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The two states with the status SUSPENDED differ."""
    run_state = await put_instance(database, state, run=7)

    found = await persistence.instances.run_state("i")

    assert found == run_state


async def test_an_unknown_instance_is_none(persistence: Persistence, database: Database) -> None:
    """It is no error, and no other instance with a similar id."""
    await put_instance(database, State.RUNNING, "known")

    found = [
        (await persistence.instances.get(name), await persistence.instances.run_state(name))
        for name in ("know", "knowns", "KNOWN", "%")
    ]

    assert found == [(None, None)] * 4


async def test_reads_move_nothing(persistence: Persistence, database: Database) -> None:
    """They are reads."""
    await put_instance(database, State.ASLEEP)
    stored = await database.snapshot()

    await persistence.instances.get("i")
    await persistence.instances.run_state("i")

    assert await database.snapshot() == stored


@pytest.mark.parametrize("millisecond", [0, 1, 10, 678, 999])
async def test_times_are_kept_to_the_millisecond_as_aware_utc(
    persistence: Persistence, millisecond: int
) -> None:
    """The time that is read back is the clock's, and can be compared with it."""
    moment = START.replace(microsecond=millisecond * 1000)
    await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=moment)

    found = await persistence.instances.get("i")

    assert found is not None
    assert found.created_at == found.started_at == found.last_activity_at == moment
    assert found.created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, START),
        (EARLIER, START),
        (START - timedelta(milliseconds=1), START),
        (START, START),
        (WAKE, WAKE),
    ],
)
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_touch_moves_activity_forward_and_nothing_else(
    persistence: Persistence,
    database: Database,
    state: State,
    before: datetime | None,
    after: datetime,
) -> None:
    """It never moves backward: touches are gathered, and may come after a later step."""
    await put_instance(database, state, last_activity_at=before)
    row = await database.row("i")

    await persistence.instances.mark_active([Caller("i")], at=START)

    assert await database.row("i") == row | {"last_activity_at": after}


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_touch_leaves_a_finished_instance_alone(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Nothing in the row of a finished instance changes."""
    await put_instance(database, state)
    stored = await database.snapshot()

    await persistence.instances.mark_active([Caller("i"), Caller("i", 2)], at=START)

    assert await database.snapshot() == stored


@pytest.mark.parametrize(("run", "moves"), [(1, False), (2, True), (None, True)])
async def test_touch_is_not_for_a_superseded_caller(
    persistence: Persistence, database: Database, run: int | None, moves: bool
) -> None:
    """A process thought dead must not make its successor look alive."""
    await put_instance(database, State.RUNNING)

    await persistence.instances.mark_active([Caller("i", run)], at=START)

    assert (await database.row("i"))["last_activity_at"] == (START if moves else None)


async def test_touch_takes_many_and_passes_over_the_unknown(
    persistence: Persistence, database: Database
) -> None:
    """One call may bring callers of every kind, and some of them twice."""
    await put_instance(database, State.RUNNING, "a")
    await put_instance(database, State.PAUSED, "b")
    await put_instance(database, State.FAILED, "c")
    await put_instance(database, State.RUNNING, "d")
    callers = [Caller("a"), Caller("?"), Caller("b", 1), Caller("b", 2), Caller("c"), Caller("a")]

    await persistence.instances.mark_active(callers, at=START)
    await persistence.instances.mark_active([], at=WAKE)

    rows = await database.rows("instances")
    assert [row["last_activity_at"] for row in rows] == [START, START, None, None]


@pytest.mark.parametrize("state", sorted(State))
async def test_only_a_paused_instance_with_an_error_is_blocked(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The reason is in the column `error`, which holds other words in other states."""
    await put_instance(database, state, error="the code has changed")

    found = await persistence.instances.get("i")
    [listed] = await persistence.instances.page(InstanceFilter())

    expected = "the code has changed" if state is State.PAUSED else None
    assert found is not None
    assert (found.blocked_reason, listed.blocked_reason) == (expected, expected)
