"""Records of reopening, by which an operator lets a finished instance go on."""

import json
from base64 import b64encode
from collections.abc import Collection
from datetime import datetime

from runtara_domain import values
from runtara_domain.model.caller import RunState
from runtara_domain.model.events import Event
from runtara_domain.model.history import EventType
from runtara_domain.record import record
from runtara_domain.status import State

REOPENED = "runtara.reopened"
"""The subtype of the custom event that stores the instance's former end."""
SET_ASIDE = "set aside when the instance was reopened"

_MAX_OUTPUT_BYTES = 64 * 1024
_MAX_ERROR_LENGTH = 64 * 1024


@record
class Reopening:
    """
    A finished instance that shall go on.

    set_aside: ids of checkpoints that the next run doesn't find: it makes their calls again.
    """

    instance_id: str
    set_aside: Collection[str] = ()

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        for checkpoint_id in self.set_aside:
            values.check_id("set_aside", checkpoint_id)


@record
class Reopened:
    """
    The outcome of reopening an instance.

    before: its state before the step; None if it is unknown. run: its newest run after the step.
    set_aside: the named checkpoints that existed.
    """

    before: RunState | None
    run: int = 0
    set_aside: frozenset[str] = frozenset()


@record
class FormerEnding:
    """The former end of a reopened instance."""

    state: State
    finished_at: datetime | None
    output: bytes | None
    error: str | None

    def event(self, at: datetime) -> Event:
        """
        Return the event's payload: a JSON object of `status`, `finished_at`, `error`, `output`.

        The error is cut at 65,536 characters; the output is base64, and left out above 64 KiB.
        """
        kept = {
            "status": self.state.value,
            "finished_at": self.finished_at and self.finished_at.isoformat(timespec="milliseconds"),
            "error": self.error and self.error[:_MAX_ERROR_LENGTH],
        }
        if self.output is None or len(self.output) <= _MAX_OUTPUT_BYTES:
            kept["output"] = None if self.output is None else b64encode(self.output).decode()
        payload = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
        return Event(EventType.CUSTOM, payload, at, subtype=REOPENED)


def aside(checkpoint_id: str, run: int, number: int) -> str:
    """
    Return the id of an audit row: of a checkpoint that was set aside when this run was opened
    (number 0), or of a retry attempt that was recorded for it before.
    """
    return f"{checkpoint_id}{aside_suffix(run)}{number}"


def aside_suffix(run: int) -> str:
    """Return the part of an audit row's id between the checkpoint's id and the number."""
    return f"::reopened{run}::retry::"
