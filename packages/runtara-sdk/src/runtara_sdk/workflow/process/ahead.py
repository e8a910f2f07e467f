"""The preparation of a run's process before it knows its instance."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

from runtara_protocol.quic import client as quic
from runtara_sdk.client.connection import servers
from runtara_sdk.client.settings import Settings

_runners: list[asyncio.Runner] = []


def prepare(variables: Mapping[str, str]) -> None:
    """
    Make the event loop, and the keys of a connection to the core that these variables name.

    An interpreter calls it in a process that it has forked for a launch to come. Nothing is sent.
    Raises nothing: where it fails, the run does all that itself. A run with other variables opens
    a connection of its own.
    """
    # The launch replaces them all.
    os.environ.update(variables)
    runner = asyncio.Runner()
    with suppress(Exception):
        runner.run(_prepare())
    _runners.append(runner)


def runner() -> asyncio.Runner:
    """Return the runner that was prepared, once; else a new one."""
    # A launch's own variable may ask for another loop.
    if _runners and not os.environ.get("PYTHONASYNCIODEBUG"):
        return _runners.pop()
    return asyncio.Runner()


async def _prepare() -> None:
    settings = Settings(instance_id="prepared", tenant_id="prepared")
    quic.prepare(servers(settings)[0])
