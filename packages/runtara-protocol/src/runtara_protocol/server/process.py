"""A server's process: its exit codes, and the signals that end it."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from runtara_domain.error import DatabaseError
from runtara_protocol.quic.certificates import CertificateError
from runtara_protocol.server import logs
from runtara_protocol.server.endpoint import StartError
from runtara_protocol.server.log_queue import LogQueue
from runtara_protocol.server.settings import ConfigurationError

_ENDING = (signal.SIGTERM, signal.SIGINT)
OK, CANNOT_START, BAD_CONFIGURATION = 0, 1, 2
OUT_OF_MEMORY = 1

_log = logging.getLogger(__name__)


def run(serve: Callable[[asyncio.Event], Coroutine[Any, Any, None]], log: LogQueue) -> int:
    """
    Serve until SIGTERM or SIGINT, and return the exit code.

    serve: called in this thread, before there is an event loop; it may raise ConfigurationError. It
    gets the event that the signals set, and must return soon after.
    """
    try:
        told_to_end = asyncio.Event()
        work = serve(told_to_end)
        with asyncio.Runner(loop_factory=_event_loop) as runner:
            runner.get_loop().set_exception_handler(partial(_failed, log))
            runner.run(_until_ended(work, told_to_end))
    except (ConfigurationError, CertificateError) as error:
        log.say(str(error))
        return BAD_CONFIGURATION
    except (StartError, DatabaseError) as error:
        log.say(str(error))
        return CANNOT_START
    return OK


async def _until_ended(work: Coroutine[Any, Any, None], told_to_end: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in _ENDING:
        loop.add_signal_handler(number, told_to_end.set)
    await work
    # Closing the loop removes its signal handlers: a second signal would then kill the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


@asynccontextmanager
async def broken_off_by(told_to_end: asyncio.Event) -> AsyncIterator[None]:
    """Cancel the block once the event is set, and continue after it: a start may take minutes."""
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
        _log.info("server ended by a signal before it listened")


async def _expire(block: asyncio.Timeout, told_to_end: asyncio.Event) -> None:
    await told_to_end.wait()
    block.reschedule(0)


def _event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def _failed(log: LogQueue, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """
    Log an error that no other code handled; if memory is exhausted, end the process at once.

    Errors of requests and connections are handled elsewhere. If memory is missing for the event
    loop itself, it can't go on, and would only repeat the error. Restarted, the server has all data
    that it acknowledged.
    """
    if isinstance(context.get("exception"), MemoryError):
        log.say("out of memory: the server ends; start it again")
        log.drain(logs.PATIENCE)
        os._exit(OUT_OF_MEMORY)
    loop.default_exception_handler(context)
