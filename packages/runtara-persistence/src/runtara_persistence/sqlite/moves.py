"""Moves of an instance within a larger step, and how it stands before them."""

import sqlite3

from runtara_domain.model import Ending, RunState
from runtara_domain.status import MOVES, Move, SignalType
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.children import tell_parent

_SQL = queries.load("runtara_persistence.sqlite", "moves.sql")


def run_state(connection: sqlite3.Connection, instance_id: str) -> RunState | None:
    """Read an instance's state and run; None if it is unknown."""
    row = connection.execute(_SQL["run_state"], {"instance_id": instance_id}).fetchone()
    return None if row is None else rows.run_state(*row)


def state_and_signal(
    connection: sqlite3.Connection, instance_id: str
) -> tuple[RunState | None, SignalType | None]:
    """Read an instance's state and run, and its pending signal; None, None if it is unknown."""
    row = connection.execute(_SQL["state_and_signal"], {"instance_id": instance_id}).fetchone()
    if row is None:
        return None, None
    *found, signal_type = row
    return rows.run_state(*found), None if signal_type is None else SignalType(signal_type)


def end(
    connection: sqlite3.Connection, instance_id: str, ending: Ending, at: str, heard: list[str]
) -> None:
    """End an instance with all fields of the ending, and send its parent the ending."""
    ended = {
        "instance_id": instance_id,
        "status": ending.state.status,
        "output": ending.output,
        "error": ending.error,
        "stderr": ending.stderr,
        "memory_peak_bytes": ending.memory_peak_bytes,
        "cpu_usage_usec": ending.cpu_usage_usec,
        "at": at,
    }
    [(parent_id,)] = connection.execute(_SQL["end"], ended).fetchall()
    tell_parent(connection, instance_id, parent_id, ending, at, heard)


def block(
    connection: sqlite3.Connection, instance_id: str, reason: str, waits: str | None = None
) -> None:
    """Pause an instance for this reason; its pending signal no longer makes it due."""
    status = MOVES[Move.BLOCK].target.status
    blocked = {"instance_id": instance_id, "status": status, "reason": reason, "waits": waits}
    connection.execute(_SQL["block"], blocked)
