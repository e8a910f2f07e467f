"""Saves checkpoints: all that wait at the same time are saved with the same few statements."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from runtara_domain import values
from runtara_domain.model import RunState, Saved
from runtara_domain.status import MOVES, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.rows import to_text

if TYPE_CHECKING:
    from runtara_domain.model import Caller, CheckpointWrite
    from runtara_domain.status import Condition

_SQL = queries.load("runtara_persistence.sqlite", "checkpoints.sql")

_FOUND_BYTES = {"found_bytes": values.MAX_FOUND_STATE_BYTES}
_NOTHING_MORE = (False, None, None, b"", None)
"""The columns of `save.find` when there is no checkpoint, no signal and no custom signal."""
_STIRRING = MOVES[Move.STIR]

_Key: TypeAlias = tuple[str, str]
_Found: TypeAlias = Sequence[Any]


@dataclass(slots=True, eq=False)
class Save:
    """The checkpoint that one caller saves."""

    caller: Caller
    write: CheckpointWrite
    when: Condition
    at: datetime


def save(connection: sqlite3.Connection, saves: Sequence[Save]) -> list[Saved]:
    """Carry out the port's step `checkpoints.save` for each, as if one after the other."""
    writes = [(each, write) for each in saves for write in each.write.in_turn]
    found = _find(
        connection, [(each.caller.instance_id, write.checkpoint_id) for each, write in writes]
    )
    group = _Group()
    outcomes = [
        group.judge(each, write, found.get(place)) for place, (each, write) in enumerate(writes)
    ]
    connection.executemany(_SQL["save.insert"], group.kept.values())
    connection.executemany(_SQL["save.point"], group.kept.values())
    if group.stirred:
        connection.executemany(_SQL["save.stir"], group.stirred)
    if len(writes) == len(saves):
        return outcomes
    return [
        outcome
        for (each, write), outcome in zip(writes, outcomes, strict=True)
        if write is each.write
    ]


def _find(connection: sqlite3.Connection, keys: Sequence[_Key]) -> Mapping[int, _Found]:
    """Look up instances and checkpoints, by the key's index; unknown instances are left out."""
    if len(keys) == 1:
        row = _find_one(connection, keys[0])
        return {} if row is None else {0: row}
    asked = {"keys": json.dumps(keys)}
    [states] = connection.execute(_SQL["save.run_states"], asked).fetchone()
    found: dict[int, _Found] = {}
    for place, has_more, *state in json.loads(states):
        row = _find_one(connection, keys[place]) if has_more else None
        found[place] = (*state, *_NOTHING_MORE) if row is None else row
    return found


def _find_one(connection: sqlite3.Connection, key: _Key) -> _Found | None:
    instance_id, checkpoint_id = key
    asked = {"instance_id": instance_id, "checkpoint_id": checkpoint_id, **_FOUND_BYTES}
    row: _Found | None = connection.execute(_SQL["save.find"], asked).fetchone()
    return row


class _Group:
    """The effects of a group's saves on instances and checkpoints; each save sees earlier ones."""

    def __init__(self) -> None:
        self.kept: dict[_Key, dict[str, Any]] = {}
        self.stirred: list[dict[str, str]] = []
        self._standings: dict[str, RunState] = {}

    def judge(self, asked: Save, write: CheckpointWrite, found: _Found | None) -> Saved:
        """Return the outcome of one of a caller's writes."""
        if found is None:
            return Saved(before=None)
        status, sleep_until, run, is_found, kept, signal_type, payload, custom_signal = found
        instance_id = asked.caller.instance_id
        before = self._standings.get(instance_id) or rows.run_state(status, sleep_until, run)
        if not before.admits(asked.caller, asked.when):
            return Saved(before)
        is_large = is_found and kept is None
        if not is_found:
            kept, is_large = self._keep(asked, write)
        if before.state in _STIRRING.sources:
            self.stirred.append({"instance_id": instance_id, "status": _STIRRING.target.status})
            self._standings[instance_id] = RunState(_STIRRING.target, run)
        signal = rows.signal(signal_type, payload)
        return Saved(before, kept, signal, custom_signal, bool(is_large))

    def _keep(self, asked: Save, write: CheckpointWrite) -> tuple[bytes | None, bool]:
        """Keep the state, or return an earlier save's of the group; if large, (None, True)."""
        instance_id, checkpoint_id = key = asked.caller.instance_id, write.checkpoint_id
        if first := self.kept.get(key):
            state: bytes = first["state"]
            is_large = len(state) > values.MAX_FOUND_STATE_BYTES
            return (None if is_large else state), is_large
        self.kept[key] = {
            "instance_id": instance_id,
            "checkpoint_id": checkpoint_id,
            "at": to_text(asked.at),
            "state": write.state,
        }
        return None, False
