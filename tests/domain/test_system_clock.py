import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import pytest

from runtara_domain import system_clock
from runtara_domain.system_clock import SystemClock


def test_it_gives_the_time_in_whole_milliseconds_of_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    after = datetime.now(UTC)

    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0
    assert before - timedelta(milliseconds=1) < now <= after


async def test_a_moment_that_is_past_is_not_waited_for() -> None:
    past = datetime.now(UTC) - timedelta(days=1)

    async with asyncio.timeout(0):
        await SystemClock().sleep_until(past)


async def test_a_moment_to_come_is_waited_for() -> None:
    moment = datetime.now(UTC) + timedelta(milliseconds=20)

    await SystemClock().sleep_until(moment)

    assert datetime.now(UTC) >= moment


async def test_a_moment_is_waited_for_although_the_clock_is_set_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set forward an hour, as it seems to a machine that was suspended: noticed in a second."""
    shift = timedelta(0)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + shift

    monkeypatch.setattr(system_clock, "datetime", Shifted)
    waiting = asyncio.create_task(SystemClock().sleep_until(datetime.now(UTC) + timedelta(hours=1)))
    await asyncio.sleep(0)
    assert not waiting.done()

    shift = timedelta(hours=1)

    async with asyncio.timeout(30):
        await waiting


async def test_a_pause_lasts_as_long_as_it_is_asked_to() -> None:
    clock = SystemClock()
    before = clock.uptime()

    await clock.pause(timedelta(milliseconds=20))

    assert clock.uptime() - before >= timedelta(milliseconds=20)
