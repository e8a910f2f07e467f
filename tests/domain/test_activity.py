import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from typing import cast

import pytest
from tests.domain.desk import ID, Desk
from tests.support.clock import START, FrozenClock

from runtara_domain.activity import DELAY, Activity
from runtara_domain.error import DatabaseError
from runtara_domain.model import Caller, Instance, Registered, Registration, RunState
from runtara_domain.ports.instances import Instances
from runtara_domain.status import Condition, State


class TouchedInstances:
    """An adapter that only notes signs of life, and can be out of order."""

    def __init__(self) -> None:
        self.touches: list[tuple[set[Caller], datetime]] = []
        self.is_broken = False
        self.held_up: set[str] = set()
        self.touched = asyncio.Event()

    async def mark_active(self, callers: Collection[Caller], *, at: datetime) -> set[str]:
        self.touches.append((set(callers), at))
        self.touched.set()
        if self.is_broken:
            raise DatabaseError("The database is out of order")
        return self.held_up

    async def register(
        self, registration: Registration, *, when: Condition, at: datetime
    ) -> Registered:
        raise AssertionError("no run registers here")

    async def get(self, instance_id: str) -> Instance | None:
        raise AssertionError("no instance is read here")

    async def run_state(self, instance_id: str) -> RunState | None:
        raise AssertionError("no instance is read here")


@pytest.fixture
def instances() -> TouchedInstances:
    return TouchedInstances()


@pytest.fixture
def activity(instances: TouchedInstances, clock: FrozenClock) -> Activity:
    # It has what activity asks of them.
    return Activity(cast(Instances, instances), clock)


@pytest.fixture
async def kept(activity: Activity) -> AsyncIterator[Activity]:
    """The same, being written again and again."""
    keeper = asyncio.create_task(activity.keep())
    yield activity
    keeper.cancel()
    await asyncio.wait([keeper])


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_is_heard_is_written_within_a_second() -> None:
    assert timedelta() < DELAY < timedelta(seconds=1)


async def test_many_signs_of_many_instances_are_one_step(
    kept: Activity, instances: TouchedInstances, clock: FrozenClock
) -> None:
    for _ in range(3):
        for number in range(100):
            kept.note(Caller(f"i-{number}", 1))
    await settled()
    assert instances.touches == []

    clock.advance(DELAY)
    await instances.touched.wait()

    assert instances.touches == [
        ({Caller(f"i-{number}", 1) for number in range(100)}, START + DELAY)
    ]


async def test_nothing_is_written_without_a_sign_of_life(
    kept: Activity, instances: TouchedInstances, clock: FrozenClock
) -> None:
    kept.note(Caller(ID))
    await settled()
    clock.advance(DELAY)
    await instances.touched.wait()

    for _ in range(5):
        clock.advance(DELAY)
        await settled()
    await kept.flush()

    assert len(instances.touches) == 1


async def test_a_later_sign_of_life_is_written_later(
    kept: Activity, instances: TouchedInstances, clock: FrozenClock
) -> None:
    for name in ("i-1", "i-2"):
        instances.touched.clear()
        kept.note(Caller(name))
        await settled()
        clock.advance(DELAY)
        await instances.touched.wait()

    assert [callers for callers, _ in instances.touches] == [{Caller("i-1")}, {Caller("i-2")}]


async def test_what_the_database_does_not_take_is_kept_and_tried_again(
    kept: Activity,
    instances: TouchedInstances,
    clock: FrozenClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    instances.is_broken = True
    kept.note(Caller("i-1"))
    await settled()
    with caplog.at_level(logging.WARNING):
        clock.advance(DELAY)
        await instances.touched.wait()
    await settled()
    kept.note(Caller("i-2"))
    instances.is_broken = False
    await settled()

    clock.advance(DELAY)
    await settled()

    assert [callers for callers, _ in instances.touches] == [
        {Caller("i-1")},
        {Caller("i-1"), Caller("i-2")},
    ]
    assert "out of order" in caplog.text


async def test_what_another_step_holds_up_is_kept_and_tried_again(
    kept: Activity, instances: TouchedInstances, clock: FrozenClock
) -> None:
    instances.held_up = {"i-1"}
    kept.note(Caller("i-1"))
    kept.note(Caller("i-2"))
    await settled()
    clock.advance(DELAY)
    await settled()

    clock.advance(DELAY)
    await settled()

    assert [callers for callers, _ in instances.touches] == [
        {Caller("i-1"), Caller("i-2")},
        {Caller("i-1")},
    ]


async def test_flushing_writes_now(
    activity: Activity, instances: TouchedInstances, clock: FrozenClock
) -> None:
    activity.note(Caller(ID, 1))

    await activity.flush()

    assert instances.touches == [({Caller(ID, 1)}, clock.now())]


async def test_every_sign_of_life_moves_it(desk: Desk, clock: FrozenClock) -> None:
    """Reads and found checkpoints show a live process, as writes do."""
    session = await desk.registered()
    caller = session.caller(ID)
    await desk.save(session, "c-1", b"one")
    row = desk.store.instances[ID]

    for sign in (
        lambda: desk.save(session, "c-1", b""),
        lambda: desk.get_checkpoint(caller=caller, checkpoint_id="c-9"),
        lambda: desk.get_instance_status(caller=caller),
        lambda: desk.heartbeat(caller=caller),
    ):
        clock.advance(timedelta(minutes=1))
        await sign()
        await desk.activity.flush()

        assert row.last_activity_at == clock.now()


async def test_asking_about_an_instance_one_has_not_registered_shows_nothing(desk: Desk) -> None:
    row = desk.put(State.RUNNING)

    await desk.get_instance_status(caller=Caller(ID))
    await desk.activity.flush()

    assert row.last_activity_at is None


async def test_a_finished_or_superseded_instance_shows_no_life(
    desk: Desk, clock: FrozenClock
) -> None:
    older = await desk.registered()
    await desk.registered()
    clock.advance(timedelta(minutes=1))

    await desk.get_checkpoint(caller=older.caller(ID), checkpoint_id="c-1")
    await desk.activity.flush()

    assert desk.store.instances[ID].last_activity_at == START
