"""Heartbeats: sent in the background, so that a busy workflow counts as alive."""

import asyncio
from collections.abc import Awaitable, Callable

from runtara_sdk.errors import (
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    RuntaraError,
)
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)


async def beat(
    send: Callable[[], Awaitable[None]], interval: float, *, is_due: bool = False
) -> None:
    """
    Send a heartbeat at every interval, in seconds, until the server says that the run is over.

    is_due: the first is sent at once. If a heartbeat fails, that is logged, and the next one is
    sent all the same.
    """
    while True:
        if not is_due:
            await asyncio.sleep(interval)
        is_due = False
        try:
            await send()
        except (InstanceSuperseded, InvalidInstanceState, InstanceNotFound) as error:
            # No warning: the instance may just have ended, and other calls raise the error.
            logger.info("heartbeats end: %s", error)
            return
        except RuntaraError as error:
            logger.warning("heartbeat failed: %s", error)
