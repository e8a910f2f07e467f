"""
Steps that are written once for SQLite and PostgreSQL.

A step is a generator: it yields queries, gets their rows, and returns its outcome. It knows no
connection. An adapter carries it out within one transaction, and may begin it anew if the first
try had no effect. What it raises before its first query, for a wrong argument, it raises at once,
also while the database is out of reach.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

from runtara_domain.record import record

if TYPE_CHECKING:
    from datetime import datetime

    from runtara_domain.model import Ending
    from runtara_persistence.queries import Statement
    from runtara_persistence.records import Row

T = TypeVar("T")
P = ParamSpec("P")


class Query(NamedTuple):
    """
    A statement with its parameters by name; moments are datetimes, lists arrays of text.

    A database that has no text of the statement does not execute it; there are no rows then.

    batch: parameters for each time that the statement is executed; such a query has no rows. A
    large batch may be executed in parts.
    """

    statement: Statement
    parameters: Mapping[str, object] = {}
    batch: Sequence[Mapping[str, object]] | None = None


class End(NamedTuple):
    """
    Ends an instance with all fields of the ending, and sends its parent the ending; has no rows.

    It stands for queries that each database has in its own form, because runs end often. The rows
    of the instance and its parent are locked already.
    """

    instance_id: str
    ending: Ending
    at: datetime


Transaction: TypeAlias = Generator[Query | End, "Sequence[Row]", T]


def fetch(statement: Statement, /, **parameters: object) -> Transaction[Sequence[Row]]:
    """Execute a statement; return its rows."""
    return (yield Query(statement, parameters))


def first(statement: Statement, /, **parameters: object) -> Transaction[Row | None]:
    """Execute a statement that has at most one row; return it, or None."""
    rows = yield Query(statement, parameters)
    return rows[0] if rows else None


def only(statement: Statement, /, **parameters: object) -> Transaction[Row]:
    """Execute a statement that has exactly one row; return it."""
    [row] = yield Query(statement, parameters)
    return row


def execute_many(
    statement: Statement, batch: Sequence[Mapping[str, object]], /
) -> Transaction[None]:
    """Execute a statement once for each of these parameters; there may be none."""
    if batch:
        yield Query(statement, batch=batch)


@record(kw_only=True)
class Traits:
    """
    The traits of a transaction.

    only_reads: each query sees what was committed before it. reads_much: it counts or searches, and
    may take longer than other transactions. is_single: one statement writes, and each of the others
    may be a transaction of its own. is_repeatable: carrying it out twice has the effect of carrying
    it out once.
    """

    only_reads: bool = False
    reads_much: bool = False
    is_single: bool = False
    is_repeatable: bool = False


class Transactor(Protocol):
    """A database that carries out transactions."""

    async def perform(self, attempt: str, begin: Callable[[], Transaction[T]], traits: Traits) -> T:
        """
        Carry out a transaction; its effect is durable when this returns. Raises DatabaseError.

        begin: called again for a further try, after a try that had no effect.
        """


class Transacting:
    """A class with methods that are transactions on a database."""

    def __init__(self, database: Transactor) -> None:
        self._database = database


Noun = TypeVar("Noun", bound=Transacting)
Method: TypeAlias = Callable[Concatenate[Noun, P], Transaction[T]]
AsyncMethod: TypeAlias = Callable[Concatenate[Noun, P], Coroutine[None, None, T]]


def transact(
    attempt: str,
    *,
    only_reads: bool = False,
    reads_much: bool = False,
    is_single: bool = False,
    is_repeatable: bool = False,
) -> Callable[[Method[Noun, P, T]], AsyncMethod[Noun, P, T]]:
    """Make a method of a transaction, as `Transactor.perform` does it for these traits."""

    traits = Traits(
        only_reads=only_reads,
        reads_much=reads_much,
        is_single=is_single,
        is_repeatable=is_repeatable or only_reads or reads_much,
    )

    def decorate(method: Method[Noun, P, T]) -> AsyncMethod[Noun, P, T]:
        @wraps(method)
        async def transacting(self: Noun, /, *args: P.args, **options: P.kwargs) -> T:
            def begin() -> Transaction[T]:
                return method(self, *args, **options)

            _check(begin())
            return await self._database.perform(attempt, begin, traits)

        return transacting

    return decorate


def _check(transaction: Transaction[object]) -> None:
    """Raise what a transaction raises before its first query."""
    with suppress(StopIteration):
        next(transaction)
    transaction.close()
