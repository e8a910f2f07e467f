"""Builds records from rows, and parameters from records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from runtara_domain import model
from runtara_domain.status import SignalType

if TYPE_CHECKING:
    from runtara_domain.status import Condition


def states(when: Condition) -> list[str]:
    """Turn a condition into a parameter: an array of states."""
    return [state.value for state in when]


def states_text(when: Condition) -> str:
    """Turn a condition into text, as one element of an array of conditions."""
    return ",".join(states(when))


def signal(row: asyncpg.Record) -> model.Signal | None:
    """Build the pending signal from `signal_type` and `payload`; None if there is none."""
    if row["signal_type"] is None:
        return None
    return model.Signal(SignalType(row["signal_type"]), row["payload"] or b"")


def custom_signal(row: asyncpg.Record) -> bytes | None:
    """Return the payload of a custom signal; None if there is no signal."""
    return row["custom_signal"] or b"" if row["has_custom_signal"] else None


def custom_signals(row: asyncpg.Record) -> dict[str, bytes]:
    """Return the `payloads` of custom signals by their `checkpoint_ids`; it may be empty."""
    names, payloads = row["checkpoint_ids"] or (), row["payloads"] or ()
    return {name: payload or b"" for name, payload in zip(names, payloads, strict=True)}


def differences(row: asyncpg.Record) -> tuple[str, ...]:
    """Name the fields in which an instance differs from the child to be started."""
    names = ("parent", "workflow", "input")
    return tuple(name for name in names if not row[f"has_same_{name}"])
