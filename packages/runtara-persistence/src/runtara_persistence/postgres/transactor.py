"""Carries out transactions that are written once for both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from runtara_persistence.transactions.transaction import End

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtara_persistence.postgres.connection import Connection
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Query, Transaction

T = TypeVar("T")


async def run_transaction(
    connection: Connection, transaction: Transaction[T], step_timeout: float | None = None
) -> T:
    """
    Execute the queries of a transaction, each in one request; return its outcome.

    step_timeout: seconds that each query may take; None: the database's own limit counts.
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
        given = [_values(names, each) for each in query.batch]
        await connection.executemany(text, given, timeout=step_timeout)
        return ()
    return await connection.fetch(text, *_values(names, query.parameters), timeout=step_timeout)


def _values(names: Sequence[str], parameters: Mapping[str, object]) -> list[Any]:
    return [parameters[name] for name in names]
