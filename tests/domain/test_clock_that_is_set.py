"""A wall clock that is set, by an administrator, by NTP, or after a machine was suspended."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.domain.desk import ID, TOKEN, Desk, settled
from tests.domain.waiting import ScriptedWatch, session
from tests.support.clock import START, FrozenClock

from runtara_domain.activity import DELAY
from runtara_domain.held_sleeps import CLAIM, RENEWAL
from runtara_domain.status import State
from runtara_domain.waits import Waits

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
async def at_work(desk: Desk) -> AsyncIterator[None]:
    async with desk.at_work():
        keeping = asyncio.create_task(desk.activity.keep())
        yield
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_set_back_a_poll_waits_no_longer(desk: Desk, clock: FrozenClock) -> None:
    poll = asyncio.create_task(desk.poll(await desk.registered(), 60))
    await settled()

    clock.set(START - HOUR)
    clock.advance(timedelta(seconds=60))
    await settled()

    assert poll.done()
    assert poll.result().signal is None


async def test_set_forward_a_poll_waits_as_long_as_it_asked(desk: Desk, clock: FrozenClock) -> None:
    poll = asyncio.create_task(desk.poll(await desk.registered(), 60))
    await settled()

    clock.set(START + HOUR)
    clock.advance(timedelta(seconds=59))
    await settled()

    assert not poll.done()
    clock.advance(SECOND)
    await poll


async def test_set_back_claims_are_renewed_all_the_same(desk: Desk, clock: FrozenClock) -> None:
    own = await desk.registered()
    sleep = await desk.asleep(own)
    await settled()

    clock.set(START - HOUR)
    clock.advance(RENEWAL)
    await settled()

    assert (desk.claimed_by(), desk.row.wake_claim_until) == (TOKEN, clock.now() + CLAIM)
    own.close()
    await asyncio.wait([sleep])


async def test_set_back_activity_is_written_all_the_same(desk: Desk, clock: FrozenClock) -> None:
    await desk.registered()
    desk.row.last_activity_at = None
    desk.activity.note(desk.session().caller(ID))
    await settled()

    clock.set(START - HOUR)
    clock.advance(DELAY)
    await settled()

    assert desk.row.last_activity_at == START - HOUR + DELAY


async def test_set_back_a_watch_that_failed_is_tried_again(clock: FrozenClock) -> None:
    watch = ScriptedWatch()
    waits = Waits(watch, clock)
    keeping = asyncio.create_task(waits.keep())
    watch.is_out = True
    with waits.hold(session(), ID):
        await settled()
        watch.is_out = False

        clock.set(START - HOUR)
        clock.advance(SECOND)
        await settled()

        assert watch.entered == 1
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_a_sleep_is_over_when_the_wall_clock_says_so(desk: Desk, clock: FrozenClock) -> None:
    """Its deadline is a moment: others read it, and it outlives the machine."""
    sleep = await desk.asleep(await desk.registered(), seconds=60)

    clock.set(START - HOUR)
    clock.advance(timedelta(seconds=60))
    await settled()
    assert (sleep.done(), desk.state()) == (False, State.ASLEEP)
    clock.set(START + timedelta(seconds=60))

    await sleep
