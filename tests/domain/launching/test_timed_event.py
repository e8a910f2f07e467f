"""Waits for an event that end by the domain's clock."""

import asyncio
from datetime import timedelta

import pytest
from tests.support.clock import FrozenClock

from runtara_domain.launching.timed_event import TimedEvent

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("span", [None, SECOND])
async def test_all_that_wait_are_woken(span: timedelta | None) -> None:
    """Two launches of an instance may wait for the end of a third one."""
    event = TimedEvent(FrozenClock())
    async with asyncio.timeout(10):
        waits = [asyncio.create_task(event.wait(span)) for _ in range(3)]
        await asyncio.sleep(0)
        event.set()
        assert await asyncio.gather(*waits) == [True, True, True]


async def test_a_wait_that_is_over_ends_no_other() -> None:
    clock = FrozenClock()
    event = TimedEvent(clock)
    async with asyncio.timeout(10):
        short = asyncio.create_task(event.wait(SECOND))
        long = asyncio.create_task(event.wait(2 * SECOND))
        while len(clock._pausing) < 2:  # noqa: ASYNC110  # It tells nothing.
            await asyncio.sleep(0)
        clock.advance(SECOND)
        assert not await short
        assert not long.done()
        event.set()
        assert await long
