import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.domain.desk import ID, settled, until
from tests.domain.waiting import ScriptedWatch, session, sleeping, woken
from tests.support.clock import FrozenClock

from runtara_domain.waits import Waits, WakeReason

SECOND = timedelta(seconds=1)
LINGER = timedelta(seconds=5)


@pytest.fixture
def watch() -> ScriptedWatch:
    return ScriptedWatch()


@pytest.fixture
def waits(watch: ScriptedWatch, clock: FrozenClock) -> Waits:
    return Waits(watch, clock)


@pytest.fixture
async def keeping(waits: Waits) -> AsyncIterator[asyncio.Task[None]]:
    """Keep the waits for the test's length."""
    task = asyncio.create_task(waits.keep())
    yield task
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.usefixtures("keeping")
async def test_it_watches_only_while_there_are_waits(
    waits: Waits, watch: ScriptedWatch, clock: FrozenClock
) -> None:
    await settled()
    assert watch.entered == 0

    with waits.hold(session(), ID), waits.hold(session(), "i-2"):
        await until(lambda: watch.entered == 1)
    clock.advance(LINGER)
    await until(lambda: watch.left == 1)

    with waits.hold(session(), ID):
        await until(lambda: watch.entered == 2)


@pytest.mark.usefixtures("keeping")
async def test_waits_that_follow_each_other_share_a_watch(
    waits: Waits, watch: ScriptedWatch, clock: FrozenClock
) -> None:
    for _ in range(3):
        with waits.hold(session(), ID):
            await until(lambda: watch.entered == 1)
            clock.advance(LINGER)
            await settled()
        clock.advance(LINGER / 2)
        await settled()

    assert (watch.entered, watch.left) == (1, 0)


@pytest.mark.usefixtures("keeping")
async def test_what_the_watch_reports_wakes_the_waits(waits: Waits, watch: ScriptedWatch) -> None:
    with waits.hold(session(), ID) as wait:
        assert await woken(wait) is WakeReason.RECHECK  # As the watch begins.
        watch.told([ID])

        assert await woken(wait) is WakeReason.RECHECK


@pytest.mark.usefixtures("keeping")
async def test_a_watch_that_fails_is_tried_again_and_all_look_again(
    waits: Waits, watch: ScriptedWatch, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Signals put in without a watch are found: all waits are woken when it is back."""
    watch.is_out = True
    with waits.hold(session(), ID) as wait:
        waiting = await sleeping(wait)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        watch.is_out = False
        clock.advance(SECOND)

        assert await waiting is WakeReason.RECHECK
        assert watch.entered == 1


@pytest.mark.usefixtures("keeping")
async def test_a_wait_that_begins_while_the_watch_fails_is_not_forgotten(
    waits: Waits, watch: ScriptedWatch, clock: FrozenClock
) -> None:
    watch.is_out = True
    with waits.hold(session(), ID):
        await settled()
    with waits.hold(session(), "i-2") as wait:
        watch.is_out = False
        clock.advance(SECOND)

        assert await woken(wait) is WakeReason.RECHECK


async def test_moments_are_kept_while_the_watch_fails(
    waits: Waits, watch: ScriptedWatch, clock: FrozenClock, keeping: "asyncio.Task[None]"
) -> None:
    watch.is_out = True
    with waits.hold(session(), ID) as wait:
        waits.fire_at(wait, clock.now() + SECOND / 2)
        await settled()
        clock.advance(SECOND / 2)

        assert await woken(wait) is WakeReason.DUE
    assert not keeping.done()


async def test_when_its_keeper_ends_the_watch_and_the_timer_end(
    waits: Waits, watch: ScriptedWatch, clock: FrozenClock, keeping: "asyncio.Task[None]"
) -> None:
    before = asyncio.all_tasks() - {keeping}
    with waits.hold(session(), ID) as wait:
        waits.fire_at(wait, clock.now() + SECOND)
        await until(lambda: watch.entered == 1)
        keeping.cancel()
        await asyncio.wait([keeping])
        await settled()

        assert watch.left == 1
        assert asyncio.all_tasks() == before
