"""A module with logging settings of its own, as programs have them."""

import logging

from runtara_sdk import promise, sleep, step, timeout, workflow

logging.basicConfig(level=logging.INFO, format="own settings: %(message)s")
logger = logging.getLogger(__name__)


@step
async def add(number: int) -> int:
    return number + 1


@workflow(suspend_after="0s")
async def counting(count: int) -> int:
    logger.info("it is mine")
    for number in range(count):
        await add(number)
    await sleep("1s")
    return count


@workflow(suspend_after="0s")
async def asking(deadline: str) -> str:
    async with timeout(deadline):
        return await promise("approval", str)
