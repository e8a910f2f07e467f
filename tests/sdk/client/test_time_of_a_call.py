"""The time a call may take."""

import asyncio

import pytest

from runtara_sdk.client.deadline import CallDeadline


async def wait_after_the_end(seconds: float) -> None:
    async with asyncio.timeout(seconds) as limit:
        deadline = CallDeadline(limit, seconds)
        with deadline.extended(None):
            deadline.end()
        with deadline.extended(None):
            await asyncio.Event().wait()


async def test_time_that_is_up_for_good_is_not_given_back() -> None:
    """This holds also if the held answer comes at the same moment."""
    with pytest.raises(TimeoutError):
        await wait_after_the_end(60)
