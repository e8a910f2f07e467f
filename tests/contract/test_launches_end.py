"""Ends that close launches: one step ends an instance and the launch of its worker."""

from dataclasses import replace
from datetime import datetime

import pytest
from tests.contract.database import Database
from tests.contract.launching import KILLED, SECOND, close, hold_lease, launch, start
from tests.contract.states import TENANT, put_instance
from tests.contract.test_launchable_watch import Launches
from tests.contract.test_signals_watch import Told
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, Event, EventStep, EventType, Recorded, Registration
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, Claims, Offer
from runtara_domain.model.limits import Limit, Scope
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.model.stored_launches import Launch, LaunchFilter
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import MOVES, OPEN, Move, State

WORKFLOW = "orders"
LATER = START + SECOND
COMPLETED, FAILED = Ending(State.COMPLETED, b"1"), Ending(State.FAILED, b"{}", "broken")
EXITED = LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=0)


async def hold(persistence: Persistence) -> None:
    await hold_lease(
        persistence,
        "w",
        kind=EnvironmentKind.WORKER,
        tenant_id=TENANT,
        workflows=frozenset({WORKFLOW}),
    )


async def claimed(persistence: Persistence, *, at: datetime = START) -> Claims:
    offer = Offer(environment_id="w", workflows=frozenset({WORKFLOW}), tenant_id=TENANT)
    return await persistence.launches.claim(offer, limit=9, at=at)


async def register(persistence: Persistence, launched: Assignment) -> Caller:
    asked = Registration(launched.instance_id, TENANT, launch_id=launched.launch_id)
    registered = await persistence.instances.register(asked, when=OPEN, at=START)
    assert registered.run is not None
    return Caller(launched.instance_id, registered.run)


async def run(persistence: Persistence, instance_id: str = "i") -> tuple[Assignment, Caller]:
    """Have a worker's run of a new instance."""
    await hold(persistence)
    await start(persistence, instance_id)
    [launched] = (await claimed(persistence)).assignments
    return launched, await register(persistence, launched)


def step(caller: Caller, ending: Ending = COMPLETED, exit_code: int | None = 0) -> EventStep:
    event = Event(EventType(ending.state.value), ending.output or b"", START, exit_code=exit_code)
    return EventStep(caller, event, MOVES[Move.COMPLETE].sources, ending)


async def end(
    persistence: Persistence,
    caller: Caller,
    ending: Ending = COMPLETED,
    exit_code: int | None = 0,
    at: datetime = LATER,
) -> Recorded:
    one = step(caller, ending, exit_code)
    return await persistence.events.end(caller, one.event, ending, when=one.when, at=at)


async def launches(persistence: Persistence, instance_id: str = "i") -> list[Launch]:
    return list(await persistence.launches.page(LaunchFilter(instance_id)))


@pytest.mark.parametrize(
    ("ending", "exit_code"), [(COMPLETED, 0), (FAILED, 1), (FAILED, 65)], ids=str
)
async def test_an_end_closes_its_launch_as_a_report_would(
    persistence: Persistence, database: Database, ending: Ending, exit_code: int
) -> None:
    """The rows are those of an end without an exit code, and of a report after it."""
    _, caller = await run(persistence)
    launched, other = await run(persistence, "reported")

    recorded = await end(persistence, caller, ending, exit_code)
    first = await end(persistence, other, ending, None)
    exited = LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=exit_code)
    reported = await close(persistence, launched.launch_id, exited, at=LATER)

    assert (recorded.after, recorded.is_launch_closed) == (ending.state, True)
    assert (first.is_launch_closed, reported.is_closed) == (False, True)
    rows = [await database.row(each) | {"instance_id": "-"} for each in ("i", "reported")]
    assert rows[0] == rows[1]
    assert rows[0]["launch_id"] is None
    [ours], [theirs] = await launches(persistence), await launches(persistence, "reported")
    assert ours == replace(theirs, launch_id=ours.launch_id, instance_id="i")
    assert (ours.closed_at, ours.exit_code, ours.run) == (LATER, exit_code, 1)
    assert (ours.cause, ours.verdict) == ("exited", "nothing")


async def test_a_report_of_a_closed_launch_changes_nothing(
    persistence: Persistence, database: Database
) -> None:
    """As one by a worker that is too old to know of the end."""
    launched, caller = await run(persistence)
    await end(persistence, caller)
    rows = await database.row("i"), await launches(persistence)

    closed = await close(persistence, launched.launch_id, KILLED, at=LATER + SECOND)

    assert not closed.is_closed
    assert rows == (await database.row("i"), await launches(persistence))


async def test_the_launch_of_an_image_stays_open(persistence: Persistence) -> None:
    """Its process still runs, and its figures come later."""
    launched = await launch(persistence)
    caller = await register(persistence, launched)

    recorded = await end(persistence, caller)

    assert (recorded.after, recorded.is_launch_closed) == (State.COMPLETED, False)
    assert [one.closed_at for one in await launches(persistence)] == [None]
    assert (await close(persistence, launched.launch_id, EXITED)).is_closed


async def test_an_end_without_a_run_leaves_the_launch(persistence: Persistence) -> None:
    """It may be the end of another process than that of the launch."""
    await run(persistence)

    recorded = await end(persistence, Caller("i"))

    assert (recorded.after, recorded.is_launch_closed) == (State.COMPLETED, False)
    assert [one.closed_at for one in await launches(persistence)] == [None]


async def test_an_instance_without_a_launch_ends(
    persistence: Persistence, database: Database
) -> None:
    """As one whose process was started by hand: there is nothing to report."""
    await put_instance(database, State.RUNNING, run=1)

    recorded = await end(persistence, Caller("i", 1))

    assert (recorded.after, recorded.is_launch_closed) == (State.COMPLETED, True)


async def test_a_repeated_end_tells_again_that_the_launch_is_closed(
    persistence: Persistence,
) -> None:
    """The first answer may have been lost."""
    _, caller = await run(persistence)
    first = await end(persistence, caller)

    again = await end(persistence, caller)

    assert (again.repeated, again.is_launch_closed) == (True, first.is_launch_closed)
    assert len(await launches(persistence)) == 1


async def test_a_repeated_end_does_not_close_what_the_first_left(
    persistence: Persistence,
) -> None:
    """A server that is too old may have stored it: then the worker reports."""
    launched, caller = await run(persistence)
    await end(persistence, caller, exit_code=None)

    again = await end(persistence, caller)

    assert (again.repeated, again.is_launch_closed) == (True, False)
    assert (await close(persistence, launched.launch_id, EXITED)).is_closed


async def test_a_superseded_run_closes_no_launch(persistence: Persistence) -> None:
    first, old = await run(persistence)
    await close(persistence, first.launch_id, KILLED)
    [second] = (await claimed(persistence, at=START + SECOND)).assignments
    await register(persistence, second)

    recorded = await end(persistence, old)

    assert (recorded.after, recorded.is_launch_closed) == (None, False)
    assert [one.closed_at for one in await launches(persistence)] == [None, START]


@pytest.mark.parametrize("cause", [Cause.ENVIRONMENT_LOST, Cause.RUNNER_FAILED])
async def test_the_end_of_a_lost_run_leaves_the_launch_that_took_over(
    persistence: Persistence, cause: Cause
) -> None:
    """Its own launch is closed already, and the new one has a worker that must hear of the end."""
    first, old = await run(persistence)
    lost = LaunchEnd(cause=cause, reports=True)
    await close(persistence, first.launch_id, lost)
    [second] = (await claimed(persistence, at=START + 9 * SECOND)).assignments

    recorded = await end(persistence, old)

    assert (recorded.after, recorded.is_launch_closed) == (State.COMPLETED, True)
    newer, older = await launches(persistence)
    assert (newer.closed_at, older.cause) == (None, cause)
    assert (await close(persistence, second.launch_id, EXITED)).is_closed


async def test_an_end_gives_its_place_back(
    persistence: Persistence, neighbour: Persistence
) -> None:
    """At the same commit: watches are called, and the next claim has the place."""
    await persistence.limits.put(Limit(Scope.QUEUE, TENANT, "q", max_concurrent=1))
    await hold(persistence)
    for instance_id in ("i", "next"):
        await start(persistence, instance_id, queue="q")
    [launched] = (await claimed(persistence)).assignments
    caller = await register(persistence, launched)
    full = await claimed(persistence)
    here, there = Launches(), Launches()

    async with (
        persistence.watch(Told(), launchable=here),
        neighbour.watch(Told(), launchable=there),
    ):
        await end(persistence, caller)
        await here.heard()
        await there.heard()

    assert (full.assignments, full.is_held_back) == ((), True)
    [taken] = (await claimed(persistence)).assignments
    assert {launched.instance_id, taken.instance_id} == {"i", "next"}


async def test_ends_of_a_batch_close_their_launches(persistence: Persistence) -> None:
    await hold(persistence)
    for instance_id in "abc":
        await start(persistence, instance_id)
    callers = [await register(persistence, one) for one in (await claimed(persistence)).assignments]

    steps = [step(caller) for caller in callers]
    outcomes = await persistence.events.record_all(steps, at=LATER)

    assert [each.is_launch_closed for each in outcomes] == [True, True, True]
    for instance_id in "abc":
        assert [one.closed_at for one in await launches(persistence, instance_id)] == [LATER]


@pytest.mark.parametrize("exit_code", [0, None])
async def test_an_end_forgets_the_oldest_launches(
    persistence: Persistence, monkeypatch: pytest.MonkeyPatch, exit_code: int | None
) -> None:
    """As a report does; an end without an exit code leaves that to the report."""
    for module in ("memory.closing", "sqlite.events", "postgres.recording"):
        monkeypatch.setattr(f"runtara_persistence.{module}.KEPT_LAUNCHES", 2)
    launched, caller = await run(persistence)
    at = START
    while launched.number < 4:
        left = LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=4)
        closed = await close(persistence, launched.launch_id, left, at=at)
        assert closed.launch_after is not None
        at = closed.launch_after
        [launched] = (await claimed(persistence, at=at)).assignments
        caller = await register(persistence, launched)
    before = [one.number for one in await launches(persistence)]

    await end(persistence, caller, exit_code=exit_code, at=at)

    kept = before if exit_code is None else [4, 3]
    assert [one.number for one in await launches(persistence)] == kept
