"""Carries out transactions that are written once for both databases."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.rows import to_text
from runtara_persistence.transactions.transaction import End

if TYPE_CHECKING:
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Query, Transaction

T = TypeVar("T")


def run_transaction(
    connection: sqlite3.Connection, transaction: Transaction[T], heard: list[str]
) -> T:
    """
    Execute the queries of a transaction within the connection's own; return its outcome.

    heard: gets the ids of instances for which signals were stored, so that the watch reports them.
    """
    try:
        query = next(transaction)
        while True:
            if isinstance(query, End):
                # Only now: it needs records that most commands do not.
                from runtara_persistence.sqlite import moves

                moves.end(connection, query.instance_id, query.ending, to_text(query.at), heard)
                query = transaction.send(())
            else:
                query = transaction.send(_executed(connection, query))
    except StopIteration as end:
        outcome: T = end.value
        return outcome


def _executed(connection: sqlite3.Connection, query: Query) -> Sequence[Row]:
    text = query.statement.sqlite
    if text is None:
        return ()
    if query.batch is not None:
        connection.executemany(text, map(_stored, query.batch))
        return ()
    return rows.found(connection, text, _stored(query.parameters), dict)


def _stored(parameters: Mapping[str, object]) -> dict[str, object]:
    """Write moments as text, spans of time as modifiers of moments, and lists as JSON."""
    return {name: _value(value) for name, value in parameters.items()}


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():+.3f} seconds"
    return json.dumps(value) if isinstance(value, list | tuple) else value
