"""The command `runtara-server`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from runtara_domain.error import DatabaseError
from runtara_protocol.quic.certificates import Certificate, CertificateError
from runtara_server import config, dev, logs
from runtara_server.log_queue import LogQueue
from runtara_server.runtime import CoreRuntime, StartError

_ENDING = (signal.SIGTERM, signal.SIGINT)
OK, CANNOT_START, BAD_CONFIGURATION = 0, 1, 2
OUT_OF_MEMORY = 1

_log = logging.getLogger(__name__)


def run(arguments: list[str]) -> int:
    """Serve until told to end by SIGTERM or SIGINT; the result is the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.postgres and not options.dev:
        parser.error("--postgres goes with --dev: otherwise RUNTARA_DATABASE_URL says where")
    log = logs.configure(readable=options.dev or sys.stderr.isatty())
    try:
        settings = config.load(dev.DevSettings if options.dev else config.Settings)
        if options.dev:
            settings = dev.on_own_database(settings)
        with asyncio.Runner(loop_factory=_event_loop) as runner:
            runner.get_loop().set_exception_handler(partial(_failed, log))
            runner.run(_serve(settings, is_dev=options.dev, on_postgres=options.postgres))
    except (config.ConfigurationError, CertificateError) as error:
        log.say(str(error))
        return BAD_CONFIGURATION
    except (StartError, DatabaseError) as error:
        log.say(str(error))
        return CANNOT_START
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runtara-server",
        description="Keep what workflows must not lose. Settings come from the environment"
        " (RUNTARA_DATABASE_URL and others, see the README) and from a .env file."
        " There is no authentication: whoever reaches the port can read and end every instance."
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
        help="with --dev: on a PostgreSQL of its own, which it starts and stops",
    )
    return parser


async def _serve(settings: config.Settings, *, is_dev: bool, on_postgres: bool) -> None:
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _ENDING:
        loop.add_signal_handler(number, told_to_end.set)
    authority = dev.authority() if is_dev else None
    certificate: Certificate | None = authority.issue() if authority else None
    async with AsyncExitStack() as exits:
        if on_postgres:
            settings = await exits.enter_async_context(dev.on_postgres(settings))
        async with _broken_off_by(told_to_end):
            runtime = await exits.enter_async_context(CoreRuntime(settings, certificate))
            if authority is not None:
                said = dev.instructions(*runtime.address, authority.ca_path, settings.database_url)
                print(said, flush=True)
        await told_to_end.wait()
    # The loop takes its handlers along when it closes: told again after that, we would be killed.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


@asynccontextmanager
async def _broken_off_by(told_to_end: asyncio.Event) -> AsyncIterator[None]:
    """Cancel the block once told to end, and go on behind it: a start may wait for minutes."""
    try:
        async with asyncio.timeout(None) as block:
            watching = asyncio.create_task(_expire(block, told_to_end))
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not block.expired():
            raise
        _log.info("told to end before it listened")


async def _expire(block: asyncio.Timeout, told_to_end: asyncio.Event) -> None:
    await told_to_end.wait()
    block.reschedule(0)


def _event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def _failed(log: LogQueue, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """
    Take in what nothing else did; end the process at once if it is for want of memory.

    What lets one request or connection fail is dealt with there. Here the loop itself can't go on,
    and would try again and again; started anew, the server has all that it acknowledged.
    """
    if isinstance(context.get("exception"), MemoryError):
        log.say("out of memory: the server ends, to be started again")
        log.drain(logs.PATIENCE)
        os._exit(OUT_OF_MEMORY)
    loop.default_exception_handler(context)
