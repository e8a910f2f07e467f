"""The command `runtara-environment`."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from runtara_environment import dev
from runtara_environment.config import EnvironmentSettings
from runtara_environment.runtime import EnvironmentRuntime
from runtara_protocol.server import logs, process
from runtara_protocol.server.settings import load


def run(arguments: list[str]) -> int:
    """Launch and serve until SIGTERM or SIGINT, and return the exit code."""
    options = _parser().parse_args(arguments)
    log = logs.configure(readable=options.dev or sys.stderr.isatty())

    def serve(told_to_end: asyncio.Event) -> Coroutine[Any, Any, None]:
        settings = load(dev.DevSettings if options.dev else EnvironmentSettings)
        if options.dev:
            settings = dev.on_own_database(settings)
        return _serve(told_to_end, settings, is_dev=options.dev)

    return process.run(serve, log)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runtara-environment",
        description="Store workflow code, launch and watch its processes, and wake instances."
        " Settings come from the environment (RUNTARA_DATABASE_URL and others, see the README) and"
        " from a .env file. There is no authentication: a client of the port can run code.",
    )
    parser.add_argument(
        "--dev",
        action="store_true",
        help="try it out: the core in the same process, SQLite and a local certificate authority"
        " in .runtara/, 127.0.0.1 only",
    )
    return parser


async def _serve(
    told_to_end: asyncio.Event, settings: EnvironmentSettings, *, is_dev: bool
) -> None:
    authority = dev.authority() if is_dev else None
    async with AsyncExitStack() as exits:
        async with process.broken_off_by(told_to_end):
            runtime = await exits.enter_async_context(EnvironmentRuntime(settings, authority))
            if authority is not None:
                told = (*runtime.address, runtime.core_address, authority.ca_path)
                print(dev.instructions(*told), flush=True)
        await told_to_end.wait()
