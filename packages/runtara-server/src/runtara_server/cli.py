"""The command `runtara-server`."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from runtara_protocol.quic.certificates import Certificate
from runtara_protocol.server import logs, process
from runtara_protocol.server.settings import load
from runtara_server import dev
from runtara_server.config import Settings
from runtara_server.runtime import CoreRuntime


def run(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.postgres and not options.dev:
        parser.error("--postgres needs --dev; without --dev, set RUNTARA_DATABASE_URL")
    log = logs.configure(readable=options.dev or sys.stderr.isatty())

    def serve(told_to_end: asyncio.Event) -> Coroutine[Any, Any, None]:
        settings = load(dev.DevSettings if options.dev else Settings)
        if options.dev:
            settings = dev.on_own_database(settings)
        return _serve(told_to_end, settings, is_dev=options.dev, on_postgres=options.postgres)

    return process.run(serve, log)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runtara-server",
        description="Store the instances of workflows. Settings come from the environment"
        " (RUNTARA_DATABASE_URL and others, see the README) and from a .env file."
        " There is no authentication: any client of the port can read and end every instance."
        " RUNTARA_QUIC_HOST=127.0.0.1 keeps it to this machine.",
    )
    parser.add_argument(
        "--dev",
        action="store_true",
        help="try it out: SQLite and a local certificate authority in .runtara/, 127.0.0.1 only",
    )
    parser.add_argument(
        "--postgres",
        action="store_true",
        help="with --dev: use a separate PostgreSQL, which the server starts and stops",
    )
    return parser


async def _serve(
    told_to_end: asyncio.Event, settings: Settings, *, is_dev: bool, on_postgres: bool
) -> None:
    authority = dev.authority() if is_dev else None
    certificate: Certificate | None = authority.issue() if authority else None
    async with AsyncExitStack() as exits:
        if on_postgres:
            settings = await exits.enter_async_context(dev.on_postgres(settings))
        async with process.broken_off_by(told_to_end):
            runtime = await exits.enter_async_context(CoreRuntime(settings, certificate))
            if authority is not None:
                said = dev.instructions(*runtime.address, authority.ca_path, settings.database_url)
                print(said, flush=True)
        await told_to_end.wait()
