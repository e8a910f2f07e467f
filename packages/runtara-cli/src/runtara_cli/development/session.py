"""All of `runtara dev`, from its start to its end."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from runtara_cli.access import Access
from runtara_cli.development import server
from runtara_cli.development.live import Live
from runtara_cli.development.reloading import Source, keep
from runtara_management_sdk import ManagementClient
from runtara_protocol.server import logs, process


def run(sources: Sequence[str], database_url: str | None, *, is_verbose: bool) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code that our servers have."""
    log = logs.configure(readable=True)
    logging.getLogger().setLevel(logging.INFO if is_verbose else logging.WARNING)

    def serve(told_to_end: asyncio.Event) -> Coroutine[Any, Any, None]:
        return _served(told_to_end, sources, database_url)

    return process.run(serve, log)


async def _served(
    told_to_end: asyncio.Event, sources: Sequence[str], database_url: str | None
) -> None:
    async with server.running(told_to_end, database_url) as access:
        if access is None:
            return
        async with access.client() as client:
            await _developed(told_to_end, client, access, sources)


async def _developed(
    told_to_end: asyncio.Event, client: ManagementClient, access: Access, names: Sequence[str]
) -> None:
    live = Live(client)
    try:
        await _shown(told_to_end, client, access, names, live)
        live.say("ending: open instances go on at the next start")
    finally:
        live.close()


async def _shown(
    told_to_end: asyncio.Event,
    client: ManagementClient,
    access: Access,
    names: Sequence[str],
    live: Live,
) -> None:
    sources = [Source(name, client, server.TENANT, live.say) for name in names]
    live.say(f"runtara dev: {access.environment_addr}, in {access.dev_folder}/.runtara")
    for source in sources:
        await source.load()
    name, *_ = [each for source in sources for each in source.workflows] or ["NAME"]
    live.say(
        f"In another terminal of this folder: runtara start {name} '\"JSON\"' --wait\n"
        "Ctrl-C ends this, and so does kill -9: open instances go on at the next start."
    )
    beside = [asyncio.create_task(keep(sources)), asyncio.create_task(live.keep())]
    ended = asyncio.create_task(told_to_end.wait())
    try:
        done, _ = await asyncio.wait([*beside, ended], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (*beside, ended):
            task.cancel()
        await asyncio.wait([*beside, ended])
