"""Saving checkpoints: those that wait at the same time, with the same few statements."""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any, TypeAlias

from runtara_domain import values
from runtara_domain.model import Caller, CheckpointWrite, RunState, Saved
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.rows import to_text

_SQL = queries.load("runtara_persistence.sqlite", "checkpoints.sql")

_FOUND_BYTES = {"found_bytes": values.MAX_FOUND_STATE_BYTES}
_NOTHING_MORE = (False, None, None, b"", None)
"""No checkpoint, no signal, no custom signal: as `save.find` gives them."""
_MOST_ROWS = 32
"""Rows of a statement: each number of rows has one of its own, which the connection keeps."""
_MOST_BYTES = 1 << 20
"""What the rows of a statement bring together, unless one alone brings more: it is copied."""
_ROW = re.compile(r"\(\?(?:, \?)*\)")
_STIRRING = MOVES[Move.STIR]

_Key: TypeAlias = tuple[str, str]
_Found: TypeAlias = Sequence[Any]
_Kept: TypeAlias = tuple[str, str, str, bytes]
"""The ids of an instance and its new checkpoint, when it was made, and its state."""


@dataclass(slots=True, eq=False)
class Save:
    """What one caller asks for."""

    caller: Caller
    write: CheckpointWrite
    when: Condition
    at: datetime


def save(connection: sqlite3.Connection, saves: Sequence[Save]) -> list[Saved]:
    """Carry out `checkpoints.save` for each, as if one after the other."""
    found = _find(
        connection, [(each.caller.instance_id, each.write.checkpoint_id) for each in saves]
    )
    group = _Group()
    outcomes = [group.judge(each, found.get(place)) for place, each in enumerate(saves)]
    _keep(connection, list(group.kept.values()))
    if group.stirred:
        connection.executemany(_SQL["save.stir"], group.stirred)
    return outcomes


def _find(connection: sqlite3.Connection, keys: Sequence[_Key]) -> Mapping[int, _Found]:
    """Look up how things are, by the key's place; nothing for an unknown instance."""
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


def _keep(connection: sqlite3.Connection, kept: Sequence[_Kept]) -> None:
    """
    Store new states, and point each instance to the last of its own.

    Many rows go into one statement: the thread gives the interpreter's lock away for each, and
    waits to have it back.
    """
    points = {
        instance_id: (instance_id, checkpoint_id, at) for instance_id, checkpoint_id, at, _ in kept
    }
    _execute(connection, _SQL["save.insert"], kept)
    if len(points) == 1:
        # Half the time that it takes with a table of one row.
        [(instance_id, checkpoint_id, at)] = points.values()
        asked = {"instance_id": instance_id, "checkpoint_id": checkpoint_id, "at": at}
        connection.execute(_SQL["save.point"], asked)
    else:
        _execute(connection, _SQL["save.point_all"], [*points.values()])


def _execute(connection: sqlite3.Connection, query: str, given: Sequence[Sequence[Any]]) -> None:
    for part in _parts(given):
        connection.execute(_of_rows(query, len(part)), [*chain.from_iterable(part)])


def _parts(given: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Divide rows, each with what is large at its end, into those of one statement each."""
    part: list[Sequence[Any]] = []
    size = 0
    for row in given:
        if part and (len(part) == _MOST_ROWS or size + len(row[-1]) > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row[-1])
    if part:
        yield part


@cache
def _of_rows(query: str, count: int) -> str:
    """Give a query that takes one row for so many."""
    return _ROW.sub(lambda row: ", ".join([row[0]] * count), query)


class _Group:
    """What the saves of a group do to instances and checkpoints, each seeing those before it."""

    def __init__(self) -> None:
        self.kept: dict[_Key, _Kept] = {}
        self.stirred: list[dict[str, str]] = []
        self._standings: dict[str, RunState] = {}

    def judge(self, asked: Save, found: _Found | None) -> Saved:
        """Return a caller's outcome."""
        if found is None:
            return Saved(before=None)
        status, sleep_until, run, is_found, kept, signal_type, payload, custom_signal = found
        instance_id = asked.caller.instance_id
        before = self._standings.get(instance_id) or rows.run_state(status, sleep_until, run)
        if not before.admits(asked.caller, asked.when):
            return Saved(before)
        is_large = is_found and kept is None
        if not is_found:
            kept, is_large = self._keep(asked)
        if before.state in _STIRRING.sources:
            self.stirred.append({"instance_id": instance_id, "status": _STIRRING.target.status})
            self._standings[instance_id] = RunState(_STIRRING.target, run)
        signal = rows.signal(signal_type, payload)
        return Saved(before, kept, signal, custom_signal, bool(is_large))

    def _keep(self, asked: Save) -> tuple[bytes | None, bool]:
        """Keep the state unless another of the group was first; give that one's, unless large."""
        instance_id, checkpoint_id = key = asked.caller.instance_id, asked.write.checkpoint_id
        if first := self.kept.get(key):
            state = first[-1]
            is_large = len(state) > values.MAX_FOUND_STATE_BYTES
            return (None if is_large else state), is_large
        self.kept[key] = (instance_id, checkpoint_id, to_text(asked.at), asked.write.state)
        return None, False
