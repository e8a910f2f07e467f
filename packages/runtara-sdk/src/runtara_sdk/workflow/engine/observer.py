"""
The observer port: events of a run, for logs, traces and metrics.

An observer is called at once, in the task in which the event happens, and must not block. Its
errors are logged, and the run goes on. Without observers no events are made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine.outcome import Ended
from runtara_sdk.workflow.engine.records import Kind

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunBegun:
    """The first run of an instance has saved the instance's start."""

    workflow: str


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A later run goes on; `steps` ended before it, None where the core can't list them."""

    workflow: str
    steps: int | None


@dataclass(frozen=True, slots=True)
class StepBegun:
    """An attempt at a step begins; `attempt` counts from 1, across processes."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt at a step has failed; the next begins at `next_at`, None: it was the last."""

    key: str
    attempt: int
    error: Exception
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record was saved under this key; the key of a call's further records has a "!"."""

    key: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Replayed:
    """A durable call returned its record, and did no work."""

    key: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class RunSuspended:
    """The run has suspended; `ended` has the deadline and the instance's waits."""

    ended: Ended


@dataclass(frozen=True, slots=True)
class RunEnded:
    """How the run ended, or the error with which it can't go on; nothing follows."""

    end: Ended | Exception


Event: TypeAlias = (
    RunBegun
    | RunResumed
    | StepBegun
    | AttemptFailed
    | Recorded
    | Replayed
    | RunSuspended
    | RunEnded
)


class Observer(Protocol):
    """Gets the events of runs, of one instance or of several."""

    def __call__(self, instance_id: str, event: Event, /) -> None: ...


Observe: TypeAlias = Callable[[Event], None] | None
"""The engine's callback for each event; None: no observer."""


def observing(instance_id: str, observers: Sequence[Observer]) -> Observe:
    """Make one function that calls every observer with an instance's event, in the order given."""

    def observe(event: Event) -> None:
        for observer in observers:
            try:
                observer(instance_id, event)
            except Exception:
                logger.exception("an observer of instance %r failed at %r", instance_id, event)

    return observe if observers else None
