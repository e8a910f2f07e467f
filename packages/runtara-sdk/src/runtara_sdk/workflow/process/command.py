"""The command `python -m runtara_sdk run`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from traceback import format_exception
from typing import TYPE_CHECKING, Any, NoReturn

from runtara_sdk.errors import (
    ConfigurationError,
    InstanceAlreadyExists,
    InstanceSuperseded,
    InvalidInstanceState,
    RequestNotKnown,
    RuntaraError,
    ValidationFailed,
)
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.api import logs
from runtara_sdk.workflow.api.workflows import Workflow
from runtara_sdk.workflow.engine.departure import Departure
from runtara_sdk.workflow.engine.outcome import Awaited, Ended, Outcome
from runtara_sdk.workflow.engine.runner import execute
from runtara_sdk.workflow.errors import (
    Incompatible,
    InputRefused,
    NotSerializable,
    OtherInput,
    Superseded,
)
from runtara_sdk.workflow.process import leaving, loading, outputs
from runtara_sdk.workflow.process.interrupts import INTERRUPTED, Interrupts
from runtara_sdk.workflow.process.leaving import Door, Leave, Manner
from runtara_sdk.workflow.values.forked_processes import EndsForks
from runtara_sdk.workflow.values.tracebacks import format_traceback

if TYPE_CHECKING:
    from runtara_sdk.client.settings import Settings

logger = get_logger(__name__)

_ENDED = (
    "the workflow's code has ended the process: return from the workflow, or raise an exception;"
    " the instance is blocked, and goes on when it is run with corrected code"
)

_BUG = (
    "the run ended with an error in the SDK: please report it; the instance has not ended, and"
    " goes on when it is run again\n"
)

DONE, FAILED, SUPERSEDED, INFRASTRUCTURE = 0, 1, 3, 4
USAGE, INPUT, SUSPENDED, REFUSED, CANCELLED = 64, 65, 75, 78, 130

_OF_USAGE = (
    OtherInput,
    ConfigurationError,
    InstanceAlreadyExists,
    InvalidInstanceState,
    ValidationFailed,
)

_NAMES = {"signal": "the custom signal", "sleep": "the end of", "retry": "another attempt at"}

_SHOWN = 5
"""Waits that are named."""

_CODES = {
    Outcome.DONE: DONE,
    Outcome.RESTARTED: DONE,
    Outcome.FAILED: FAILED,
    Outcome.SUSPENDED: SUSPENDED,
    Outcome.CANCELLED: CANCELLED,
}


class _Interrupted(Exception):
    """SIGTERM asked the run to leave, and its steps have ended."""


def main(arguments: list[str]) -> NoReturn:
    """Run an instance to its end, suspension or failure; the process ends with its exit code."""
    outputs.keep_open()
    door = Door()
    interrupts = Interrupts(INFRASTRUCTURE)
    options = _plainly(arguments) or _parser().parse_args(arguments)
    leaving.spare()
    # Only after the instance's end: closing the loop ends other tasks, and unwinds user code in
    # them.
    runner = _runner()
    with EndsForks() as forks:
        leave = _outcome(options, runner, interrupts, forks)
    interrupts.end_with(leave.code)
    door.leave(leave, runner)


def _runner() -> asyncio.Runner:
    """Return the runner that was prepared for this process; else a new one."""
    # Imported only here, because it imports the connection to the core.
    ahead = sys.modules.get("runtara_sdk.workflow.process.ahead")
    made: asyncio.Runner = asyncio.Runner() if ahead is None else ahead.runner()
    return made


def _outcome(
    options: argparse.Namespace, runner: asyncio.Runner, interrupts: Interrupts, forks: EndsForks
) -> Leave:
    """Carry out the command line, and return how the process must end."""
    try:
        workflow = loading.find(options.workflow)
        logs.show()
        given = loading.read(options.input)
    except loading.CodeUnusable as error:
        _block(options, str(error), has_run=False)
        return Leave(REFUSED, Manner.HANDLERS, str(error))
    except loading.UsageError as error:
        return Leave(USAGE, Manner.HANDLERS, str(error))
    try:
        return runner.run(_run(workflow, given, options, interrupts))
    except (SystemExit, KeyboardInterrupt) as error:
        if forks.is_forked():
            raise
        # Raised by the workflow's code: an interrupt raises no error.
        reason = f"{_ENDED}\n{format_traceback(error)}"
        _block(options, reason, has_run=True)
        return Leave(REFUSED, Manner.HANDLERS, reason)
    except Exception as error:
        if forks.is_forked():
            raise
        return _bug(error)


def _block(options: argparse.Namespace, reason: str, *, has_run: bool) -> None:
    """Block the instance in the core because this code can't go on with it, if its id is known."""
    # Only now: these import the connection to the core.
    from runtara_sdk.workflow.process import refusing

    with suppress(ConfigurationError):
        # In a new loop: in the run's loop the workflow would go on.
        asyncio.run(refusing.block(_settings(options), reason, has_run=has_run))


def _settings(options: argparse.Namespace) -> "Settings":
    from runtara_sdk.client.settings import Settings

    named = {"instance_id": options.instance_id, "tenant_id": options.tenant_id}
    return Settings(**{name: value for name, value in named.items() if value is not None})


class _Parser(argparse.ArgumentParser):
    """Exits with our code for usage errors."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def _plainly(arguments: list[str]) -> argparse.Namespace | None:
    """Read a launcher's usual arguments without a parser; None: there are others."""
    if len(arguments) != 2 or arguments[0] != "run" or arguments[1].startswith("-"):
        return None
    return argparse.Namespace(workflow=arguments[1], input=None, instance_id=None, tenant_id=None)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m runtara_sdk")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser(
        "run",
        help="run an instance of a workflow",
        epilog="exit codes: 0 done, 1 failed, 3 superseded, 4 infrastructure, 64 usage,"
        " 65 failed by its input, 75 suspended (run it again when it is due), 78 blocked: the code"
        " does not fit, 130 cancelled",
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
) -> Leave:
    departure, task = Departure(), asyncio.current_task()
    assert task is not None

    def leave() -> None:
        # Without a run there is no step to wait for, and the core may be out of reach.
        if departure.has_run:
            departure.ask(_Interrupted())
        else:
            task.cancel()

    interrupts.act(task.cancel, leave)
    try:
        ended = await _run_chain(workflow, _settings(options), given, departure)
    except (asyncio.CancelledError, _Interrupted):
        return Leave(INFRASTRUCTURE, Manner.NONE, INTERRUPTED)
    except RuntaraError as error:
        code = _code_of(error)
        manner = {SUPERSEDED: Manner.NONE, INPUT: Manner.WHOLE}.get(code, Manner.HANDLERS)
        return Leave(code, manner, f"{type(error).__name__}: {error}{_advice(error)}")
    except Exception as error:
        return _bug(error)
    return _leave_of(ended)


def _bug(error: Exception) -> Leave:
    # Not 1: a launcher would count the instance as failed, but it has not ended.
    text = _BUG + "".join(format_exception(error))
    return Leave(INFRASTRUCTURE, Manner.HANDLERS, text)


async def _run_chain(
    workflow: Workflow[..., Any],
    settings: "Settings",
    given: bytes | None,
    departure: Departure,
) -> Ended:
    """Run an instance, and by hand its successors too, which an environment would launch."""
    from runtara_sdk.workflow.process.core_store import connected

    while True:
        async with connected(settings, workflow.options.core_timeout, workflow.name) as store:
            ended = await execute(workflow, store, given, departure=departure)
        if ended.outcome is not Outcome.RESTARTED or settings.launch_id is not None:
            return ended
        logger.info("instance %r goes on as %r", settings.instance_id, ended.successor)
        settings, given = replace(settings, instance_id=ended.successor), None


def _code_of(error: RuntaraError) -> int:
    if isinstance(error, Superseded | InstanceSuperseded):
        return SUPERSEDED
    if isinstance(error, InputRefused):
        return INPUT
    if isinstance(error, _OF_USAGE):
        return USAGE
    return REFUSED if isinstance(error, Incompatible | NotSerializable) else INFRASTRUCTURE


def _advice(error: RuntaraError) -> str:
    """Return the next step for the user, which the error's text can't know."""
    if isinstance(error, ConfigurationError) and "_ID: " in str(error):
        return "\n--instance-id and --tenant-id may be given instead of the variables"
    if isinstance(error, InstanceAlreadyExists):
        return ": give its --tenant-id or RUNTARA_TENANT_ID, or another --instance-id"
    if isinstance(error, RequestNotKnown):
        return ": the server is older than this SDK; update it"
    return ""


def _leave_of(ended: Ended) -> Leave:
    code = _CODES[ended.outcome]
    if ended.outcome is Outcome.SUSPENDED:
        said = f"suspended: {_due_text(ended.until)}{_awaited(ended.awaits)} (exit code {code})"
        return Leave(code, Manner.HANDLERS, said)
    if code == DONE:
        return Leave(code, Manner.WHOLE, output=ended.output + b"\n")
    return Leave(code, Manner.WHOLE, ended.error)


def _due_text(until: datetime | None) -> str:
    if until is None:
        return "it is paused; run it again after it was resumed"
    return f"run it again at {_utc(until)}, or after a signal or a value was sent to it"


def _awaited(awaits: Sequence[Awaited]) -> str:
    """Describe an instance's waits with their deadlines."""
    shown = [
        f"{_NAMES[one.kind]} {one.name!r}" + (f" until {_utc(one.until)}" if one.until else "")
        for one in awaits[:_SHOWN]
    ]
    if len(awaits) > _SHOWN:
        shown.append(f"{len(awaits) - _SHOWN} more")
    return f"; it waits for {', '.join(shown)}" if shown else ""


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
