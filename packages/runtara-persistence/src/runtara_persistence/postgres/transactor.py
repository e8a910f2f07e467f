"""Carries out transactions that are written once for both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from runtara_persistence.transactions.transaction import End

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtara_persistence.postgres.connection import Connection
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Query, Transaction

T = TypeVar("T")

_MOST_ROWS, _MOST_BYTES = 256, 1 << 22
"""Rows, and bytes, of which a part of a batch takes little more."""


async def run_transaction(
    connection: Connection, transaction: Transaction[T], *, step_timeout: float | None
) -> T:
    """
    Execute the queries of a transaction; return its outcome.

    step_timeout: seconds that each query may take, and each part of a large batch; None: those that
    the connection was opened with.
    """
    try:
        query = next(transaction)
        while True:
            if isinstance(query, End):
                # Only now: it needs records that most commands do not.
                from runtara_persistence.postgres import moves

                await moves.end(connection, query.instance_id, query.ending, query.at)
                query = transaction.send(())
            else:
                query = transaction.send(await _executed(connection, query, step_timeout))
    except StopIteration as end:
        outcome: T = end.value
        return outcome


async def _executed(
    connection: Connection, query: Query, step_timeout: float | None
) -> Sequence[Row]:
    if query.statement.postgres is None:
        return ()
    text, names = query.statement.postgres
    if query.batch is not None:
        for part in _parts(_values(names, each) for each in query.batch):
            await connection.executemany(text, part, timeout=step_timeout)
        return ()
    return await connection.fetch(text, *_values(names, query.parameters), timeout=step_timeout)


def _values(names: Sequence[str], parameters: Mapping[str, object]) -> list[Any]:
    return [parameters[name] for name in names]


def _parts(rows: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    """
    Divide the rows of a batch, in order.

    So each part passes within the timeout of any other statement, however large the batch is.
    """
    part: list[list[Any]] = []
    size = 0
    for row in rows:
        part.append(row)
        size += sum(len(value) for value in row if isinstance(value, bytes | str))
        if len(part) == _MOST_ROWS or size > _MOST_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
