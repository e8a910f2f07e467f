"""The command `python -m runtara_sdk run`."""

import argparse
import asyncio
import importlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from runtara_sdk.errors import (
    ConfigurationError,
    InstanceSuperseded,
    InvalidInstanceState,
    RuntaraError,
)
from runtara_sdk.workflow.definition import Workflow
from runtara_sdk.workflow.ending import Ended, Outcome
from runtara_sdk.workflow.errors import Refused, Superseded
from runtara_sdk.workflow.executing import execute
from runtara_sdk.workflow.reports import report

if TYPE_CHECKING:
    from runtara_sdk.settings import Settings

logger = logging.getLogger(__name__)

DONE, FAILED, USAGE, SUPERSEDED, INFRASTRUCTURE, SUSPENDED, CANCELLED = 0, 1, 2, 3, 4, 75, 130

_CODES = {
    Outcome.DONE: DONE,
    Outcome.FAILED: FAILED,
    Outcome.SUSPENDED: SUSPENDED,
    Outcome.CANCELLED: CANCELLED,
}


class _Unusable(Exception):
    """What was asked for on the command line can't be done."""


def main(arguments: list[str]) -> NoReturn:
    """Run an instance to its end, suspension or failure; the process ends with its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # aioquic's: what of a connection matters to a workflow, the client says.
    logging.getLogger("quic").setLevel(logging.ERROR)
    options = _parser().parse_args(arguments)
    try:
        workflow = _found(options.workflow)
        given = _read(options.input)
    except _Unusable as error:
        _leave(USAGE, str(error))
    try:
        asyncio.run(_run(workflow, given, options))
    except KeyboardInterrupt:
        _leave(INFRASTRUCTURE, "interrupted: run the instance again, and it goes on")
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


def _found(target: str) -> Workflow[..., Any]:
    module_name, colon, name = target.partition(":")
    if not colon:
        raise _Unusable(f"takes MODULE:FUNCTION, got {target!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise _Unusable(
            f"{target}: {error}; name a module as `import` does,"
            " and run this where it can be imported"
        ) from error
    except Exception as error:
        # Whatever a module of the user's raises, the instance has not failed by it.
        raise _Unusable(f"{target} can't be imported: {report(error)}") from error
    found = getattr(module, name, None)
    if not isinstance(found, Workflow):
        raise _Unusable(f"{target}: {name!r} is no function decorated with @workflow")
    return found


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        text = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        json.loads(text)
    except OSError as error:
        raise _Unusable(f"--input {path}: {error.strerror}") from error
    except ValueError as error:
        raise _Unusable(f"--input {path} is no JSON: {error}") from error
    return text


async def _run(
    workflow: Workflow[..., Any], given: bytes | None, options: argparse.Namespace
) -> NoReturn:
    # Only now: they import what speaks to the core.
    from runtara_sdk.settings import Settings

    named = {"instance_id": options.instance_id, "tenant_id": options.tenant_id}
    try:
        settings = Settings(**{name: value for name, value in named.items() if value is not None})
        ended = await _lived(workflow, settings, given)
    except RuntaraError as error:
        _leave(_code_of(error), f"{type(error).__name__}: {error}")
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
        settings, given = settings.model_copy(update={"instance_id": ended.successor}), None


def _code_of(error: RuntaraError) -> int:
    if isinstance(error, Superseded | InstanceSuperseded):
        return SUPERSEDED
    if isinstance(error, Refused | ConfigurationError | InvalidInstanceState):
        return USAGE
    return INFRASTRUCTURE


def _said(ended: Ended) -> str:
    if ended.outcome is Outcome.DONE:
        sys.stdout.buffer.write(ended.output + b"\n")
        return ""
    if ended.outcome is Outcome.SUSPENDED:
        return f"suspended: run the instance again when it is due (exit code {SUSPENDED})"
    return ended.error


def _leave(code: int, message: str) -> NoReturn:
    """End the process without unwinding anything."""
    if message:
        sys.stderr.write(message.rstrip("\n") + "\n")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
