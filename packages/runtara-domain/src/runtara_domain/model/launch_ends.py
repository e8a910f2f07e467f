"""The end of a launch's process, as far as there is evidence."""

import json
from datetime import timedelta
from enum import StrEnum

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.record import record


class Cause(StrEnum):
    """Why a launch has ended, by evidence; UNKNOWN without evidence."""

    EXITED = "exited"
    KILLED = "killed"
    OUT_OF_MEMORY = "out_of_memory"
    MACHINE_OUT_OF_MEMORY = "machine_out_of_memory"
    TIMED_OUT = "timed_out"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    ENVIRONMENT_LOST = "environment_lost"
    MACHINE_RESTARTED = "machine_restarted"
    IMAGE_MISSING = "image_missing"
    START_TIMEOUT = "start_timeout"
    WAITING = "waiting"
    """No node has enough free for its image: the launch is tried again."""
    RUNNER_FAILED = "runner_failed"
    UNKNOWN = "unknown"


class OutputStatus(StrEnum):
    """The status that a process writes into its file `output.json`."""

    COMPLETED = "completed"
    FAILED = "failed"
    SUSPENDED = "suspended"
    SLEEPING = "sleeping"
    CANCELLED = "cancelled"


@record
class ProcessOutput:
    """
    The valid content of an `output.json`.

    result: JSON, of a completed process. checkpoint_id, wake_after: of a sleeping process;
    wake_after is counted from the process's end.
    """

    status: OutputStatus
    result: bytes | None = None
    error: str | None = None
    checkpoint_id: str | None = None
    wake_after: timedelta | None = None


@record(kw_only=True)
class LaunchEnd:
    """
    The evidence of a process's end.

    exit_code, signal: at most one of them is set; neither if it could not be read. reports: whether
    the process uses the exit codes of our SDK, as Python images and workers do. stderr: the end of
    its output. reason: of a stop or a timeout, for people. is_closed: the step that ended the
    instance has closed the launch, so that nothing is left to do.
    """

    cause: Cause
    reports: bool
    exit_code: int | None = None
    signal: int | None = None
    output: ProcessOutput | None = None
    stderr: str = ""
    reason: str = ""
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    is_closed: bool = False

    def describe(self) -> str:
        """Return the cause in words, with the exit code or signal if there is one."""
        if self.reason:
            return self.reason
        match self.cause, self.exit_code, self.signal:
            case Cause.EXITED, int(code), _:
                return f"exited with code {code}"
            case Cause.KILLED, _, int(signal):
                return f"killed by signal {signal}"
            case _:
                return self.cause.replace("_", " ")


def parse_output(content: bytes) -> ProcessOutput:
    """Read an `output.json`; raise InvalidValue, naming the field, if it is not valid."""
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"output.json: takes a JSON object: {error}") from error
    if not isinstance(document, dict):
        raise InvalidValue(f"output.json: takes a JSON object, got {type(document).__name__}")
    status = _status(document.get("status"))
    checkpoint_id = _text(document, "checkpoint_id")
    wake_after = _milliseconds(document.get("wake_after_ms"))
    if status is OutputStatus.SLEEPING:
        if checkpoint_id is None or wake_after is None:
            raise InvalidValue("output.json: sleeping needs checkpoint_id and wake_after_ms")
        values.check_id("output.json: checkpoint_id", checkpoint_id)
    result = json.dumps(document["result"]).encode() if "result" in document else None
    return ProcessOutput(status, result, _text(document, "error"), checkpoint_id, wake_after)


def _status(word: object) -> OutputStatus:
    if not isinstance(word, str) or word not in set(OutputStatus):
        takes = ", ".join(OutputStatus)
        raise InvalidValue(f"output.json: status: takes one of {takes}, got {word!r}")
    return OutputStatus(word)


def _text(document: dict[str, object], field: str) -> str | None:
    text = document.get(field)
    if text is not None and not isinstance(text, str):
        raise InvalidValue(f"output.json: {field}: takes a text, got {type(text).__name__}")
    if text is not None:
        values.check_storable(f"output.json: {field}", text)
    return text


def _milliseconds(number: object) -> timedelta | None:
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidValue(f"output.json: wake_after_ms: takes a whole number, got {number!r}")
    values.check_range("output.json: wake_after_ms", number, 0, values.MAX_INTEGER)
    return timedelta(milliseconds=min(number, _LONGEST_MS))


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_LONGEST_MS = int(values.MAX_SLEEP.total_seconds() * 1000)
