import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.domain.desk import ID, TENANT, TOKEN, Desk, settled
from tests.support.clock import FrozenClock

from runtara_domain.error import (
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    InvalidValue,
    NoAnswer,
)
from runtara_domain.model import (
    NewInstance,
    Signal,
    Sleep,
)
from runtara_domain.status import FINAL, OPEN, SignalType, State
from runtara_persistence.memory.persistence import MemoryPersistence

CANCEL = Signal(SignalType.CANCEL)


@pytest.fixture(autouse=True)
async def at_work(desk: Desk) -> AsyncIterator[None]:
    """See that every test leaves nothing that waits, and no task."""
    tasks = len(asyncio.all_tasks())
    async with desk.at_work():
        yield
        await settled()
        assert (desk.waits.held, desk.held.held) == (0, 0)
    await settled()
    assert len(asyncio.all_tasks()) == tasks


async def test_a_sleep_is_answered_when_it_is_over_and_not_before(
    desk: Desk, clock: FrozenClock
) -> None:
    session = await desk.registered()

    sleep = await desk.asleep(session, seconds=60)
    assert (desk.state(), desk.claimed_by()) == (State.ASLEEP, TOKEN)
    clock.advance(timedelta(seconds=59.999))
    await settled()
    assert not sleep.done()
    clock.advance(timedelta(milliseconds=1))
    await sleep

    assert (desk.state(), desk.claimed_by()) == (State.RUNNING, None)


async def test_asked_again_only_what_is_left_is_slept(desk: Desk, clock: FrozenClock) -> None:
    first = await desk.registered()
    lost = await desk.asleep(first, seconds=60)
    clock.advance(timedelta(seconds=40))
    first.close()
    with pytest.raises(NoAnswer):
        await lost

    again = await desk.asleep(await desk.registered(), seconds=60)
    clock.advance(timedelta(seconds=20))

    await again


async def test_it_says_when_it_is_stored_and_only_waited_for(
    desk: Desk, clock: FrozenClock
) -> None:
    """From then on the caller may free its request."""
    session = await desk.registered()
    seen: list[State] = []
    asked = Sleep("nap", bytes(1000), timedelta(seconds=60))
    before = sys.getrefcount(asked)

    sleep = asyncio.create_task(
        desk.sleep_durably(
            session=session,
            caller=session.caller(ID),
            sleep=asked,
            on_stored=lambda: seen.append(desk.state()),
        )
    )
    await settled()

    assert seen == [State.ASLEEP]
    assert sys.getrefcount(asked) == before
    clock.advance(timedelta(seconds=60))
    await sleep


async def test_a_sleep_that_is_over_is_answered_at_once(desk: Desk, clock: FrozenClock) -> None:
    """This holds also while the core shuts down: there is nothing to wait for."""
    session = await desk.registered()
    await desk.sleep(session, seconds=0)
    desk.waits.end()

    await desk.sleep(session, seconds=60)

    assert desk.state() is State.RUNNING


async def test_with_a_cancel_pending_a_sleep_is_answered_at_once(desk: Desk) -> None:
    session = await desk.registered()
    desk.put_signal(SignalType.CANCEL)

    await desk.sleep(session)

    assert desk.state() is State.RUNNING


@pytest.mark.parametrize("iterations", range(8))
async def test_a_cancel_that_comes_while_a_sleep_begins_is_not_missed(
    desk: Desk, persistence: MemoryPersistence, iterations: int
) -> None:
    session = await desk.registered()
    sleep = asyncio.create_task(desk.sleep(session))
    for _ in range(iterations):
        await asyncio.sleep(0)

    await persistence.signals.send(ID, CANCEL, when=OPEN, at=desk.clock.now())

    await sleep
    assert desk.state() is State.RUNNING


@pytest.mark.parametrize("keep_running", [False, True])
async def test_a_cancel_wakes_every_sleep_of_its_instance_and_no_other(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock, keep_running: bool
) -> None:
    session = await desk.registered()
    await desk.register(session, "i-2")
    mine = [await desk.asleep(session, name, keep_running=keep_running) for name in ("one", "two")]
    others = await desk.asleep(session, instance_id="i-2", seconds=90)

    await persistence.signals.send(ID, CANCEL, when=OPEN, at=clock.now())

    await asyncio.gather(*mine)
    assert desk.state() is State.RUNNING
    assert not others.done()
    clock.advance(timedelta(seconds=90))
    await others


@pytest.mark.parametrize("kind", [SignalType.PAUSE, SignalType.RESUME])
async def test_other_signals_let_a_sleeper_sleep(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock, kind: SignalType
) -> None:
    sleep = await desk.asleep(await desk.registered(), seconds=60)

    await persistence.signals.send(ID, Signal(kind), when=OPEN, at=clock.now())
    await settled()

    assert not sleep.done()
    assert desk.state() is State.ASLEEP
    clock.advance(timedelta(seconds=60))
    await sleep


@pytest.mark.parametrize("state", sorted({State.PENDING, State.PAUSED} | FINAL))
async def test_an_instance_not_at_work_does_not_sleep(desk: Desk, state: State) -> None:
    desk.put(state)

    with pytest.raises(InvalidInstanceState, match=state):
        await desk.sleep(desk.session())
    assert desk.store.checkpoints == {}


async def test_a_sleep_of_an_unknown_instance_is_refused(desk: Desk) -> None:
    with pytest.raises(InstanceNotFound):
        await desk.sleep(desk.session())


async def test_a_superseded_run_does_not_sleep(desk: Desk) -> None:
    old = await desk.registered()
    await desk.registered()

    with pytest.raises(InstanceSuperseded):
        await desk.sleep(old)
    assert desk.state() is State.RUNNING


async def test_the_id_of_a_retry_attempt_is_none_to_sleep_under(desk: Desk) -> None:
    session = await desk.registered()

    with pytest.raises(InvalidValue, match="checkpoint_id"):
        await desk.sleep(session, "c-1::retry::2")


async def test_keep_running_holds_the_answer_and_moves_nothing(
    desk: Desk, clock: FrozenClock
) -> None:
    session = await desk.registered()

    sleep = await desk.asleep(session, keep_running=True)

    assert (desk.state(), desk.claimed_by()) == (State.RUNNING, None)
    assert desk.store.checkpoints[ID, "nap"].wake_at == clock.now() + timedelta(seconds=60)
    clock.advance(timedelta(seconds=60))
    await sleep
    assert desk.state() is State.RUNNING


async def test_of_several_sleeps_the_row_has_the_earliest(desk: Desk, clock: FrozenClock) -> None:
    """Among them one that keeps running: an instance relaunched later would miss its deadline."""
    session = await desk.registered()
    first = await desk.asleep(session, "first", 30, keep_running=True)
    later = await desk.asleep(session, "later", 90)
    assert desk.row.sleep_until == clock.now() + timedelta(seconds=30)

    clock.advance(timedelta(seconds=30))
    await first
    assert (desk.state(), later.done()) == (State.RUNNING, False)
    await desk.save(session, "work", b"")

    # The first one's deadline has passed: it counts no more.
    last = await desk.asleep(session, "last", 120)
    assert desk.row.sleep_until == clock.now() + timedelta(seconds=60)
    clock.advance(timedelta(seconds=120))
    await asyncio.gather(later, last)
    assert desk.state() is State.RUNNING


async def test_a_branch_that_saves_stirs_it_and_the_sleep_goes_on(
    desk: Desk, clock: FrozenClock
) -> None:
    session = await desk.registered()
    sleep = await desk.asleep(session)

    await desk.save(session, "work", b"")
    await settled()

    assert (desk.state(), sleep.done()) == (State.RUNNING, False)
    clock.advance(timedelta(seconds=60))
    await sleep


async def test_the_longest_sleep_is_a_hundred_years(desk: Desk, clock: FrozenClock) -> None:
    session = await desk.registered()

    sleep = await desk.asleep(session, seconds=300 * 365.25 * 86400)

    assert desk.row.sleep_until == clock.now() + timedelta(days=36_525)
    clock.advance(timedelta(days=36_525))
    await sleep


async def test_a_caller_that_never_registered_may_sleep(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock
) -> None:
    await desk.registered()

    sleep = await desk.asleep(desk.session(), seconds=1)
    clock.advance(timedelta(seconds=1))

    await sleep


async def test_one_that_was_only_created_does_not_sleep(
    desk: Desk, persistence: MemoryPersistence
) -> None:
    await persistence.instances.create(NewInstance(ID, TENANT), at=desk.clock.now())

    with pytest.raises(InvalidInstanceState, match="pending"):
        await desk.sleep(desk.session())
