"""
Executes a group of steps in the connection's thread, in one transaction for all of them.

A step is a plain function of the connection; it neither begins nor ends a transaction.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeAlias, TypeVar

from runtara_domain.record import record

S = TypeVar("S")
T = TypeVar("T")

Step: TypeAlias = Callable[[sqlite3.Connection], T]


@dataclass(slots=True, eq=False)
class Shared(Generic[S, T]):
    """
    A step that is executed in one call with the neighbouring steps of its kind in a group.

    together: executes all of them, with the effect of one after the other, and returns an outcome
    for each.
    """

    together: Callable[[sqlite3.Connection, Sequence[S]], Sequence[T]]
    asked: S

    def __call__(self, connection: sqlite3.Connection) -> T:
        [outcome] = self.together(connection, [self.asked])
        return outcome


@record
class Done:
    """A step was executed; if it wrote, its effect is durable."""

    value: Any  # The steps of a group have different types; `StepThread.run` restores the type.


@record
class Failed:
    """A step had no effect: it raised (`own_doing`), or the transaction of its group failed."""

    error: BaseException
    own_doing: bool = False


Outcome: TypeAlias = Done | Failed


def _go_on() -> None:
    """Do nothing before a commit."""


def commit_together(
    connection: sqlite3.Connection,
    steps: Sequence[Step[Any]],
    *,
    before_commit: Callable[[], None] = _go_on,
) -> list[Outcome]:
    """
    Execute the steps in one transaction; if one of them raises, execute each step in its own
    transaction, in order. `before_commit` is called before the COMMIT of the one transaction.

    A step that raises thus fails alone. If a transaction can't begin or commit, all its steps fail,
    and all later ones: no step waits for the database again. Raises nothing.
    """
    try:
        return list(_transact(connection, steps, before_commit))
    except _StepFailed as failure:
        if len(steps) == 1:
            return [Failed(failure.error, own_doing=True)]
    except BaseException as error:
        return [Failed(error)] * len(steps)
    return _commit_each(connection, steps)


def read_each(connection: sqlite3.Connection, steps: Sequence[Step[Any]]) -> list[Outcome]:
    """Execute steps that only read; each sees the data committed before it. Raises nothing."""
    return [_read(connection, step) for step in steps]


class _StepFailed(Exception):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _transact(
    connection: sqlite3.Connection, steps: Sequence[Step[Any]], before_commit: Callable[[], None]
) -> list[Done]:
    try:
        # IMMEDIATE, because a transaction that reads before it writes may fail at once, without
        # waiting for the busy timeout.
        connection.execute("BEGIN IMMEDIATE")
        done = _execute(connection, steps)
        before_commit()
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return done


def _execute(connection: sqlite3.Connection, steps: Sequence[Step[Any]]) -> list[Done]:
    try:
        return [
            Done(outcome)
            for together, alike in groupby(steps, key=_kind)
            for outcome in _outcomes(connection, together, alike)
        ]
    except BaseException as error:
        raise _StepFailed(error) from error


def _kind(step: Step[Any]) -> Callable[..., Sequence[Any]] | None:
    return step.together if isinstance(step, Shared) else None


def _outcomes(
    connection: sqlite3.Connection,
    together: Callable[..., Sequence[Any]] | None,
    steps: Iterable[Any],
) -> Sequence[Any]:
    if together is None:
        return [step(connection) for step in steps]
    return together(connection, [step.asked for step in steps])


def _commit_each(connection: sqlite3.Connection, steps: Sequence[Step[Any]]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for step in steps:
        outcomes += commit_together(connection, [step])
        last = outcomes[-1]
        if isinstance(last, Failed) and not last.own_doing:
            return outcomes + [last] * (len(steps) - len(outcomes))
    return outcomes


def _read(connection: sqlite3.Connection, step: Step[Any]) -> Outcome:
    try:
        return Done(step(connection))
    except BaseException as error:
        return Failed(error, own_doing=True)
