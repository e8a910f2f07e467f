"""The command `python -m runtara_sdk run`."""

import argparse
import asyncio
import logging
import os
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from traceback import format_exception
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from runtara_sdk.errors import (
    ConfigurationError,
    InstanceAlreadyExists,
    InstanceSuperseded,
    InvalidInstanceState,
    RequestNotKnown,
    RuntaraError,
    ValidationFailed,
)
from runtara_sdk.workflow import target
from runtara_sdk.workflow.definition import Workflow
from runtara_sdk.workflow.ending import Ended, Outcome
from runtara_sdk.workflow.errors import NotSaveable, Refused, Superseded
from runtara_sdk.workflow.executing import execute
from runtara_sdk.workflow.interrupts import SAID, Interrupts
from runtara_sdk.workflow.reports import traced

if TYPE_CHECKING:
    from runtara_sdk.settings import Settings

logger = logging.getLogger(__name__)

_ENDED = (
    "the workflow's code has ended the process: return from the workflow, or raise an exception;"
    " the instance has not ended, and goes on where it was when it is run again"
)

_BROKEN = (
    "the run broke off with an error that nobody expected, which please report; the instance has"
    " not ended, and goes on where it was when it is run again\n"
)

DONE, FAILED, USAGE, SUPERSEDED, INFRASTRUCTURE, SUSPENDED, CANCELLED = 0, 1, 2, 3, 4, 75, 130

_OF_USAGE = (
    NotSaveable,
    Refused,
    ConfigurationError,
    InstanceAlreadyExists,
    InvalidInstanceState,
    ValidationFailed,
)

_CODES = {
    Outcome.DONE: DONE,
    Outcome.FAILED: FAILED,
    Outcome.SUSPENDED: SUSPENDED,
    Outcome.CANCELLED: CANCELLED,
}


def main(arguments: list[str]) -> NoReturn:
    """Run an instance to its end, suspension or failure; the process ends with its exit code."""
    interrupts = Interrupts(INFRASTRUCTURE)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # aioquic's: what of a connection matters to a workflow, the client says.
    logging.getLogger("quic").setLevel(logging.ERROR)
    options = _parser().parse_args(arguments)
    try:
        workflow = target.find(options.workflow)
        given = target.read(options.input)
    except target.Unusable as error:
        _leave(USAGE, str(error))
    try:
        # Never closed: that would end other tasks, and user code in them.
        asyncio.Runner().run(_run(workflow, given, options, interrupts))
    except (SystemExit, KeyboardInterrupt) as error:
        # Raised by the workflow's code: who interrupts raises nothing.
        _leave(USAGE, f"{_ENDED}\n{traced(error)}")
    raise AssertionError("the run has ended the process")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtara_sdk")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser(
        "run",
        help="run an instance of a workflow",
        epilog="exit codes: 0 done, 1 failed, 2 usage, 3 superseded, 4 infrastructure,"
        " 75 suspended (run it again when it is due), 130 cancelled",
    )
    run.add_argument("workflow", metavar="MODULE:FUNCTION")
    run.add_argument("--input", metavar="FILE", help="a JSON file, - for standard input")
    run.add_argument("--instance-id", help="instead of RUNTARA_INSTANCE_ID")
    run.add_argument("--tenant-id", help="instead of RUNTARA_TENANT_ID")
    return parser


async def _run(
    workflow: Workflow[..., Any],
    given: bytes | None,
    options: argparse.Namespace,
    interrupts: Interrupts,
) -> NoReturn:
    # Only now: they import what speaks to the core.
    from runtara_sdk.settings import Settings

    named = {"instance_id": options.instance_id, "tenant_id": options.tenant_id}
    interrupts.cancel(asyncio.current_task())
    try:
        settings = Settings(**{name: value for name, value in named.items() if value is not None})
        ended = await _lived(workflow, settings, given)
    except asyncio.CancelledError:
        _leave(INFRASTRUCTURE, SAID)
    except RuntaraError as error:
        _leave(_code_of(error), f"{type(error).__name__}: {error}{_advice(error)}")
    except Exception as error:
        # Not 1: a launcher would take the instance for failed, and it has not ended.
        _leave(INFRASTRUCTURE, _BROKEN + "".join(format_exception(error)))
    # Here and not after the loop's end, which would wait for threads and end other tasks.
    _leave(_CODES[ended.outcome], _said(ended))


async def _lived(workflow: Workflow[..., Any], settings: "Settings", given: bytes | None) -> Ended:
    """Run an instance, and those that it restarts as."""
    from runtara_sdk.workflow.remote_journal import connected

    while True:
        async with connected(settings) as journal:
            ended = await execute(workflow, journal, given)
        if ended.outcome is not Outcome.RESTARTED:
            return ended
        logger.info("instance %r goes on as %r", settings.instance_id, ended.successor)
        settings, given = replace(settings, instance_id=ended.successor), None


def _code_of(error: RuntaraError) -> int:
    if isinstance(error, Superseded | InstanceSuperseded):
        return SUPERSEDED
    return USAGE if isinstance(error, _OF_USAGE) else INFRASTRUCTURE


def _advice(error: RuntaraError) -> str:
    """What to do next, where the message can't know that this is the command."""
    if isinstance(error, ConfigurationError) and "_ID: " in str(error):
        return "\n--instance-id and --tenant-id may be given instead of the variables"
    if isinstance(error, InstanceAlreadyExists):
        return ": give --tenant-id or RUNTARA_TENANT_ID as it was created, or another --instance-id"
    if isinstance(error, RequestNotKnown):
        return ": the server is older than this SDK; update it"
    return ""


def _said(ended: Ended) -> str:
    if ended.outcome is Outcome.DONE:
        _write(sys.stdout, ended.output + b"\n")
        return ""
    if ended.outcome is Outcome.SUSPENDED:
        return f"suspended: {_due(ended.until)} (exit code {SUSPENDED})"
    return ended.error


def _due(until: datetime | None) -> str:
    if until is None:
        return "it is paused; run it again when it was told to resume"
    return f"run it again at {until:%Y-%m-%d %H:%M:%S} UTC, or when it was told or sent something"


def _leave(code: int, message: str) -> NoReturn:
    """End the process without unwinding anything."""
    if message:
        _write(sys.stderr, f"{message.rstrip()}\n".encode(errors="backslashreplace"))
    logging.shutdown()
    _write(sys.stdout)
    _write(sys.stderr)
    os._exit(code)


def _write(stream: TextIO | None, text: bytes = b"") -> None:
    """Write behind what is there already; that nobody reads it changes no exit code."""
    if stream is not None:  # As it is where the descriptor was closed.
        with suppress(OSError, ValueError):
            stream.flush()
            stream.buffer.write(text)
            stream.flush()
