"""Saves checkpoints: those of several waiting callers together, those with locked rows alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import asyncpg

from runtara_domain import values
from runtara_domain.error import DatabaseError
from runtara_domain.model import RunState, Saved
from runtara_domain.record import record
from runtara_domain.status import MOVES, Move, State
from runtara_persistence import queries, records
from runtara_persistence.batcher import TaskBatcher, Waiting
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.driver_errors import is_of_one_step

if TYPE_CHECKING:
    from runtara_domain.model import Caller, CheckpointWrite
    from runtara_domain.status import Condition
    from runtara_persistence.postgres.database import Database

_SQL = queries.load("runtara_persistence.postgres", "saving.sql")

_ATTEMPT = "save a checkpoint"
_ASLEEP, _STIRRED = State.ASLEEP, MOVES[Move.STIR].target
_ALIKE = (_STIRRED.status, values.MAX_FOUND_STATE_BYTES)
"""The arguments that every statement takes after its own."""
_MOST_READINGS = 4
_MOST_SAVES = 128
"""The most saves that share a statement."""
_GROUPS = 1
"""
How many groups of saves are under way at once, besides one that is overdue.

While a group is committed, the next one forms. A statement and its commit cost as much as some
fifteen of its rows. Of two groups at once, each would be half as large.
"""
_PATIENCE = 0.05
"""Seconds after which a group, such as one on a connection that died, no longer delays the next."""
_LARGE = 64 * 1024
"""Bytes of a state from which its save is in a group of large ones, so that others don't wait."""
_LEAD = 2
"""
For how many iterations of the loop a save waits for others.

With one iteration, sixteen callers made a fifteenth fewer saves.
"""


@record
class Save:
    """The checkpoint that one caller saves."""

    caller: Caller
    write: CheckpointWrite
    when: Condition
    at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """The ids that identify the checkpoint."""
        return self.caller.instance_id, self.write.checkpoint_id

    @property
    def in_turn(self) -> Sequence[Save]:
        """The saves of its writes, each by itself, in their order."""
        if self.write.preceding is None:
            return (self,)
        return [replace(self, write=write) for write in self.write.in_turn]


class Saves:
    """Saves checkpoints, those of callers that wait at the same time in groups."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._small, self._large = (
            TaskBatcher[Save, Saved | None](
                self._save_together,
                most=_MOST_SAVES,
                groups=_GROUPS,
                lead=_LEAD,
                patience=_PATIENCE,
            )
            for _ in range(2)
        )

    async def save(
        self, caller: Caller, write: CheckpointWrite, when: Condition, at: datetime
    ) -> Saved:
        """Carry out the port's step `checkpoints.save`."""
        save = Save(caller, write, when, at)
        with self._database.step():
            future: asyncio.Future[Saved | None] = asyncio.get_running_loop().create_future()
            size = write.size
            groups = self._small if size < _LARGE else self._large
            keys = tuple([one.key for one in save.in_turn])
            groups.add(Waiting(save, future, keys, size))
            return await future or await save_alone(self._database, save)

    async def _save_together(self, saves: Sequence[Save]) -> Sequence[Saved | None]:
        return await save_together(self._database, saves)


async def save_together(database: Database, saves: Sequence[Save]) -> Sequence[Saved | None]:
    """
    Carry out the port's step `checkpoints.save` for callers with different checkpoints.

    The outcome None means that the caller's checkpoint must be saved alone: its row was locked, or
    one checkpoint of the group can't be stored.
    """
    each = [one for save in saves for one in save.in_turn]
    try:
        if len(each) == 1:
            return [await _save_unless_held(database, each[0])]
        found = await database.write(_ATTEMPT, _SQL["save.together"], *_columns(each), *_ALIKE)
    except DatabaseError as error:
        if not is_of_one_step(error):
            raise
        return [None] * len(saves)
    outcomes = _in_turn(each, [_outcome(row) for row in found])
    return [_whole(list(islice(outcomes, len(save.in_turn)))) for save in saves]


async def _save_unless_held(database: Database, save: Save) -> Saved | None:
    """
    Carry out the step for one caller by a statement that takes half of the CPU of a group's.

    The outcome None means as in `save_together`, or that there is no such instance.
    """
    found = await database.write(_ATTEMPT, _SQL["save.unless_held"], *_values(save), *_ALIKE)
    return _judged(found[0], records.run_state(found[0])) if found else None


async def save_alone(database: Database, save: Save) -> Saved:
    """Carry out the port's step `checkpoints.save` for one caller, waiting for locked rows."""
    *_, saved = [await _save_alone(database, one) for one in save.in_turn]
    return saved


def _whole(outcomes: Sequence[Saved | None]) -> Saved | None:
    """Return the outcome of a save by those of its writes."""
    return None if None in outcomes else outcomes[-1]


async def _save_alone(database: Database, save: Save) -> Saved:
    before: RunState | None = None
    for _ in range(_MOST_READINGS):
        found = await database.write(_ATTEMPT, _SQL["save.alone"], *_values(save), *_ALIKE)
        if not found:
            return Saved(before=None)
        before = before or records.run_state(found[0])
        if (outcome := _judged(found[0], before)) is not None:
            return outcome
    instance_id, checkpoint_id = save.key
    raise DatabaseError(
        f"Failed to {_ATTEMPT}: the id {checkpoint_id!r} of instance {instance_id!r} is taken by"
        " the audit row of a retry attempt"
    )


def _in_turn(saves: Sequence[Save], outcomes: Sequence[Saved | None]) -> Iterator[Saved | None]:
    """Give each outcome the state in which earlier saves of the group left the instance."""
    stirred: set[str] = set()
    for save, outcome in zip(saves, outcomes, strict=True):
        if outcome is None or outcome.before is None:
            yield outcome
        elif save.caller.instance_id in stirred:
            before = RunState(_STIRRED, outcome.before.run)
            yield replace(outcome, before=before)
        else:
            if outcome.before.admits(save.caller, save.when) and outcome.before.state is _ASLEEP:
                stirred.add(save.caller.instance_id)
            yield outcome


def _outcome(row: asyncpg.Record) -> Saved | None:
    if row["is_held"]:
        return None
    return Saved(None) if row["state"] is None else _judged(row, records.run_state(row))


def _judged(row: asyncpg.Record, before: RunState) -> Saved | None:
    """Return the outcome; None if another caller's row came first and was not yet visible."""
    if not row["is_admitted"]:
        return Saved(before)
    if not row["is_fresh"] and not row["is_found"]:
        return None
    is_large = row["is_found"] and row["kept"] is None
    return Saved(before, row["kept"], rows.signal(row), rows.custom_signal(row), is_large)


def _values(save: Save) -> tuple[object, ...]:
    return (
        save.caller.instance_id,
        save.caller.run,
        rows.states(save.when),
        save.write.checkpoint_id,
        save.write.state,
        save.at,
    )


def _columns(saves: Sequence[Save]) -> tuple[list[object], ...]:
    return (
        [save.caller.instance_id for save in saves],
        [save.caller.run for save in saves],
        [rows.states_text(save.when) for save in saves],
        [save.write.checkpoint_id for save in saves],
        [save.write.state for save in saves],
        [save.at for save in saves],
    )
