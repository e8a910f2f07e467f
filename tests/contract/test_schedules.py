"""Schedules: put, declared in code, paused, and moved on by their ticks."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.database import Database
from tests.contract.launching import hold_lease
from tests.contract.states import TENANT
from tests.support.clock import START

from runtara_domain.model import Caller, Ending
from runtara_domain.model.instance_lists import InstanceQuery
from runtara_domain.model.schedules import (
    Declaration,
    Declared,
    Fired,
    FireOutcome,
    Firing,
    LocalTimeRule,
    Overlap,
    PausedBy,
    Schedule,
    StoredSchedule,
    Timing,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, State

TICK = datetime(2026, 1, 2, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHTLY = Schedule(tenant_id=TENANT, name="nightly", timing=Timing("@hourly"), workflow="report")
WHOLE = Schedule(
    tenant_id="a/b",
    name="ночь",
    timing=Timing("30 2 * * *", "Europe/Paris", LocalTimeRule.SKIP, LocalTimeRule.BOTH),
    image_id="image",
    overlap=Overlap.CANCEL_OTHER,
    catch_up=timedelta(minutes=10),
    jitter=timedelta(minutes=5),
    input=b'{"full": true}',
    queue="reports",
    priority=-3,
)


async def put(
    persistence: Persistence, schedule: Schedule = NIGHTLY, next_tick_at: datetime = TICK
) -> StoredSchedule:
    await persistence.schedules.put(schedule, next_tick_at=next_tick_at, at=START)
    return await read(persistence, schedule.name, schedule.tenant_id)


async def read(
    persistence: Persistence, name: str = "nightly", tenant_id: str = TENANT
) -> StoredSchedule:
    found = await persistence.schedules.get(tenant_id, name)
    assert found is not None
    return found


async def fire(persistence: Persistence, number: int = 0, **more: str) -> Fired:
    """Carry out the tick of an hour, by the schedule as it is."""
    tick = TICK + number * HOUR
    firing = Firing(read=await read(persistence), tick=tick, next_tick_at=tick + HOUR, **more)
    return await persistence.schedules.fire(firing, at=tick)


def id_of(number: int) -> str:
    return NIGHTLY.instance_id(TICK + number * HOUR)


async def state(persistence: Persistence, instance_id: str) -> State | None:
    found = await persistence.instances.get(instance_id)
    return None if found is None else found.state


async def finish(persistence: Persistence, instance_id: str) -> None:
    ending = Ending(State.FAILED, error="broken")
    await persistence.instances.finish(Caller(instance_id), ending, when=OPEN, at=START)


async def test_a_schedule_is_kept_whole_and_replaced_and_removed(persistence: Persistence) -> None:
    schedules = persistence.schedules
    assert await schedules.get("a/b", "ночь") is None
    assert await schedules.put(WHOLE, next_tick_at=TICK, at=START)
    first = await read(persistence, "ночь", "a/b")
    assert first == StoredSchedule(
        schedule=WHOLE, revision=first.revision, created_at=START, next_tick_at=TICK
    )

    kept = replace(WHOLE, queue=None, overlap=Overlap.ALLOW)
    assert not await schedules.put(kept, next_tick_at=TICK + HOUR, at=START)
    second = await read(persistence, "ночь", "a/b")
    assert (second.schedule, second.next_tick_at) == (kept, TICK)
    assert second.revision > first.revision

    other = replace(kept, timing=Timing("@daily"))
    await schedules.put(other, next_tick_at=TICK + HOUR, at=START)
    assert (await read(persistence, "ночь", "a/b")).next_tick_at == TICK + HOUR

    await put(persistence)
    assert [each.schedule.name for each in await schedules.page()] == ["ночь", "nightly"]
    assert [each.schedule.name for each in await schedules.page(TENANT)] == ["nightly"]
    after = await schedules.page(after=("a/b", "ночь"), limit=1)
    assert [each.schedule.name for each in after] == ["nightly"]

    assert await schedules.remove("a/b", "ночь")
    assert not await schedules.remove("a/b", "ночь")
    assert await schedules.get("a/b", "ночь") is None


async def test_a_paused_schedule_starts_nothing_until_it_is_resumed(
    persistence: Persistence,
) -> None:
    schedules = persistence.schedules
    stale = await put(persistence)
    firing = Firing(read=stale, tick=TICK, next_tick_at=TICK + HOUR)
    assert await schedules.pause(TENANT, "nightly", "too loud")
    paused = await read(persistence)
    assert (paused.paused_by, paused.pause_reason, paused.next_tick_at) == (
        PausedBy.OPERATOR,
        "too loud",
        None,
    )
    assert (await schedules.fire(firing, at=TICK)).outcome is FireOutcome.NOT_DUE
    assert await schedules.due(at=TICK) == await schedules.due(at=TICK + 9 * HOUR)

    changed = await put(persistence, replace(NIGHTLY, timing=Timing("@daily")))
    assert (changed.paused_by, changed.next_tick_at) == (PausedBy.OPERATOR, None)
    assert not await schedules.resume(paused, next_tick_at=TICK)
    assert await schedules.resume(changed, next_tick_at=TICK)
    resumed = await read(persistence)
    assert (resumed.paused_by, resumed.pause_reason, resumed.next_tick_at) == (None, "", TICK)
    assert (await fire(persistence)).outcome is FireOutcome.STARTED
    assert not await schedules.pause(TENANT, "unknown")


async def test_of_all_that_execute_a_tick_one_starts_its_instance(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    stored = await put(persistence, replace(NIGHTLY, queue="q", priority=7, jitter=HOUR))
    firing = Firing(read=stored, tick=TICK, next_tick_at=TICK + HOUR)

    fired = await asyncio.gather(
        *(each.schedules.fire(firing, at=TICK) for each in (persistence, neighbour) * 4)
    )

    assert sorted(each.outcome for each in fired) == ["not_due"] * 7 + ["started"]
    [instance_id] = {each.instance_id for each in fired if each.instance_id}
    assert instance_id == f"{TENANT}/nightly/2026-01-02T04:00Z"
    [listed] = await persistence.launches.instances(InstanceQuery())
    assert (listed.summary.workflow, listed.queue) == ("report", "q")
    assert (await database.row(instance_id))["priority"] == 7
    assert listed.next_at == TICK + stored.schedule.delay(TICK)
    assert await persistence.instances.input(instance_id) == (
        b'{"~tick": {"schedule": "nightly", "at": "2026-01-02T04:00Z"}}'
    )
    moved = await read(persistence)
    assert (moved.next_tick_at, moved.last_tick_at) == (TICK + HOUR, TICK)
    assert moved.last_instance_id == instance_id


@pytest.mark.parametrize(
    ("overlap", "outcome", "cancelled"),
    [
        (Overlap.SKIP, FireOutcome.SKIPPED, None),
        (Overlap.ALLOW, FireOutcome.STARTED, None),
        (Overlap.CANCEL_OTHER, FireOutcome.STARTED, id_of(0)),
    ],
)
async def test_a_tick_finds_the_earlier_instance_open(
    persistence: Persistence, overlap: Overlap, outcome: FireOutcome, cancelled: str | None
) -> None:
    await put(persistence, replace(NIGHTLY, overlap=overlap))
    await fire(persistence)

    fired = await fire(persistence, 1)

    assert (fired.outcome, fired.cancelled_instance_id) == (outcome, cancelled)
    starts = outcome is FireOutcome.STARTED
    assert fired.instance_id == (id_of(1) if starts else None)
    assert await state(persistence, id_of(1)) is (State.PENDING if starts else None)
    earlier = await persistence.instances.get(id_of(0))
    assert earlier is not None
    assert earlier.state is (State.CANCELLED if cancelled else State.PENDING)
    if cancelled:
        assert earlier.error == "the next tick of schedule 'nightly' has come: 2026-01-02T05:00Z"
    assert (await read(persistence)).last_instance_id == id_of(1 if starts else 0)
    await finish(persistence, id_of(1 if starts else 0))
    assert (await fire(persistence, 2)).outcome is FireOutcome.STARTED


async def test_a_buffered_tick_waits_for_the_earlier_instance_and_others_are_skipped(
    persistence: Persistence,
) -> None:
    await put(persistence, replace(NIGHTLY, overlap=Overlap.BUFFER_ONE))
    outcomes = [(await fire(persistence, number)).outcome for number in range(3)]
    assert outcomes == [FireOutcome.STARTED, FireOutcome.BUFFERED, FireOutcome.SKIPPED]
    assert (await fire(persistence, 1)).outcome is FireOutcome.WAITS
    waiting = await read(persistence)
    assert (waiting.wakes_at, waiting.next_tick_at) == (TICK + HOUR, TICK + 3 * HOUR)

    await finish(persistence, id_of(0))
    assert (await fire(persistence, 3)).outcome is FireOutcome.SKIPPED
    assert (await fire(persistence, 1)).instance_id == id_of(1)
    assert (await fire(persistence, 1)).outcome is FireOutcome.NOT_DUE
    done = await read(persistence)
    assert (done.wakes_at, done.last_tick_at) == (TICK + 4 * HOUR, TICK + 3 * HOUR)
    assert done.last_instance_id == id_of(1)


async def test_a_tick_that_can_start_nothing_says_why_and_moves_on(
    persistence: Persistence,
) -> None:
    gone = replace(NIGHTLY, workflow=None, image_id="gone")
    await put(persistence, gone)
    assert (await fire(persistence)).outcome is FireOutcome.REFUSED
    assert (await read(persistence)).problem == "its image is deleted: put it with another"

    missed = await fire(persistence, 1, problem="it came too late")
    stored = await read(persistence)
    assert (missed.outcome, stored.problem) == (FireOutcome.REFUSED, "it came too late")
    assert stored.next_tick_at == TICK + 2 * HOUR

    await put(persistence)
    assert (await fire(persistence, 2)).outcome is FireOutcome.STARTED
    assert (await read(persistence)).problem is None


async def test_an_instance_that_has_the_id_of_the_tick_is_its_own(persistence: Persistence) -> None:
    await put(persistence)
    start = NIGHTLY.start(id_of(0), TICK)
    await persistence.launches.start(start, at=START)

    assert (await fire(persistence)).outcome is FireOutcome.STARTED
    assert (await fire(persistence, 1)).outcome is FireOutcome.SKIPPED
    await persistence.schedules.remove(TENANT, "nightly")
    firing = Firing(read=await put(persistence), tick=TICK, next_tick_at=None)
    assert (await persistence.schedules.fire(firing, at=TICK)).outcome is FireOutcome.STARTED
    assert (await read(persistence)).next_tick_at is None


async def test_due_schedules_are_read_in_parts_with_the_moment_of_the_next(
    persistence: Persistence,
) -> None:
    await hold_lease(persistence, "e")
    for number, name in enumerate("cab"):
        await put(persistence, replace(NIGHTLY, name=name), TICK + number * HOUR)
    await put(persistence, replace(NIGHTLY, name="d"), TICK)

    first = await persistence.schedules.due(at=TICK + HOUR, limit=2)
    rest = await persistence.schedules.due(at=TICK + HOUR, after=first.due[-1], limit=2)

    assert [each.schedule.name for each in (*first.due, *rest.due)] == ["c", "d", "a"]
    assert first.next_at == rest.next_at == TICK + 2 * HOUR
    renewal = await persistence.environments.renew("e", ttl=HOUR)
    assert renewal is not None
    assert renewal.next_tick_at == TICK
    assert (await persistence.schedules.due(at=TICK + 9 * HOUR)).next_at is None


async def declare(
    persistence: Persistence, version: str, schedule: Schedule | None = NIGHTLY
) -> Declared:
    declaration = Declaration(
        tenant_id=TENANT,
        name="nightly",
        code_version=version,
        schedule=schedule,
        next_tick_at=TICK,
    )
    return await persistence.schedules.declare(declaration, at=START)


async def test_the_newest_code_declares_and_one_that_is_gone_is_paused(
    persistence: Persistence,
) -> None:
    daily = replace(NIGHTLY, timing=Timing("@daily"))
    assert await declare(persistence, "1", None) is Declared.ABSENT
    assert await declare(persistence, "1") is Declared.CREATED
    assert await declare(persistence, "1") is Declared.UNCHANGED
    assert await declare(persistence, "2", daily) is Declared.CHANGED
    assert await declare(persistence, "1") is Declared.OLDER
    assert (await read(persistence)).schedule == daily
    assert await declare(persistence, "3", daily) is Declared.UNCHANGED
    assert await declare(persistence, "2", None) is Declared.OLDER

    assert await declare(persistence, "4", None) is Declared.PAUSED
    gone = await read(persistence)
    assert (gone.paused_by, gone.next_tick_at) == (PausedBy.CODE, None)
    assert gone.pause_reason == "version 4 of the code doesn't declare it"
    assert await declare(persistence, "3", daily) is Declared.OLDER
    assert await declare(persistence, "5", daily) is Declared.CHANGED
    back = await read(persistence)
    assert (back.paused_by, back.next_tick_at) == (None, TICK)
    assert back.code_versions == ("1", "2", "3", "4", "5")


async def test_what_an_operator_does_to_a_declared_schedule_stands(
    persistence: Persistence,
) -> None:
    await declare(persistence, "1")
    await persistence.schedules.pause(TENANT, "nightly", "mine")
    assert await declare(persistence, "2", replace(NIGHTLY, priority=1)) is Declared.CHANGED
    assert await declare(persistence, "3", None) is Declared.UNCHANGED
    stored = await read(persistence)
    assert (stored.paused_by, stored.pause_reason) == (PausedBy.OPERATOR, "mine")
    assert stored.schedule.priority == 1

    own = await put(persistence, replace(NIGHTLY, priority=2))
    assert not own.is_declared
    assert await declare(persistence, "4") is Declared.OPERATORS
    assert await declare(persistence, "4", None) is Declared.ABSENT
    assert await read(persistence) == own


async def test_of_two_that_create_a_schedule_one_does(
    persistence: Persistence, neighbour: Persistence
) -> None:
    declared = await asyncio.gather(*(declare(each, "1") for each in (persistence, neighbour) * 3))

    assert sorted(declared) == ["created"] + ["unchanged"] * 5
