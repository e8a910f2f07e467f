"""Blocks an instance for which this process has no run, or no longer has one."""

from runtara_sdk.client.client import Client
from runtara_sdk.client.records import InstanceStatus
from runtara_sdk.client.settings import Settings
from runtara_sdk.errors import RuntaraError
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_OPEN = (InstanceStatus.PENDING, InstanceStatus.RUNNING, InstanceStatus.SUSPENDED)


async def block(settings: Settings, reason: str, *, has_run: bool) -> None:
    """
    Block the instance, if the core knows it and it has not ended.

    `has_run`: this process has a run of it; else a run is begun, so that no earlier one goes on. An
    error is only logged: the process ends with another message.
    """
    try:
        async with Client(settings) as client:
            if (await client.get_status()).status not in _OPEN:
                return
            if not has_run:
                await client.register()
            await client.suspended(blocked_reason=reason)
    except RuntaraError as error:
        logger.warning(
            "instance %r could not be blocked, and is as it was: %s", settings.instance_id, error
        )
