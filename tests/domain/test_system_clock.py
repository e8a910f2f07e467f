import asyncio
from datetime import UTC, datetime, timedelta

from runtara_domain.system_clock import SystemClock


def test_it_tells_the_time_in_whole_milliseconds_of_utc() -> None:
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
