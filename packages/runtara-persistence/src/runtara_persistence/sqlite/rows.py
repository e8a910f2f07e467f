"""Reads rows; writes moments as text in UTC with milliseconds, which sort as in time."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from runtara_domain.model import RunState, Signal
from runtara_domain.status import InstanceStatus, SignalType, State

T = TypeVar("T")

_MOMENTS = ("_at", "_until", "_after")
"""How the names of the columns end that hold moments."""

# States by status and whether there is a deadline: a table, because each step looks one up.
_STATES: Mapping[tuple[str, bool], State] = MappingProxyType(
    {
        (status.value, is_timed): State.of(status, datetime.max if is_timed else None)
        for status in InstanceStatus
        for is_timed in (False, True)
    }
)


def to_text(moment: datetime) -> str:
    """Write an aware moment as `YYYY-MM-DDTHH:MM:SS.mmmZ`; parts of a millisecond are cut off."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def from_text(text: str) -> datetime:
    """Read any ISO 8601 moment, as other programs may write it; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def from_optional(text: str | None) -> datetime | None:
    """Read a moment from a column that may be null; None if it is."""
    return None if text is None else from_text(text)


def state(status: str, sleep_until: object) -> State:
    """Build a state from an instance's status and deadline."""
    return _STATES[status, sleep_until is not None]


def run_state(status: str, sleep_until: str | None, run: int) -> RunState:
    """Build a state and run from an instance's status, deadline and run number."""
    return RunState(state(status, sleep_until), run)


def signal(signal_type: str | None, payload: bytes) -> Signal | None:
    """Build a pending signal from the columns of an outer join; None if there is none."""
    return None if signal_type is None else Signal(SignalType(signal_type), payload)


def found(
    connection: sqlite3.Connection,
    query: str,
    parameters: Mapping[str, object],
    build: Callable[[dict[str, Any]], T],
) -> list[T]:
    """Run a query, and build a record of each of its rows; some statements have none."""
    cursor = connection.execute(query, parameters)
    names = [column[0] for column in cursor.description or ()]
    return [build(_named(names, row)) for row in cursor]


def first(
    connection: sqlite3.Connection,
    query: str,
    parameters: Mapping[str, object],
    build: Callable[[dict[str, Any]], T],
) -> T | None:
    """Run a query, and build a record of its one row; None if there is none."""
    return next(iter(found(connection, query, parameters, build)), None)


def _named(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return {
        name: from_optional(value) if name.endswith(_MOMENTS) else value
        for name, value in zip(names, row, strict=True)
    }


def parameters(columns: Mapping[str, object]) -> dict[str, object]:
    """Return columns as parameters of these names: moments become text."""
    return {
        name: to_text(value) if isinstance(value, datetime) else value
        for name, value in columns.items()
    }


def silences(silence: timedelta, lost_silence: timedelta) -> dict[str, str]:
    """Return the parameters of statements that ask when instances fall silent."""
    return {
        "silence": f"+{silence.total_seconds():.3f} seconds",
        "lost_silence": f"+{lost_silence.total_seconds():.3f} seconds",
    }
