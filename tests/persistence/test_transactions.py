"""Transactions that are written once: what a generator asks for, and what each database does."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.support import postgres

from runtara_domain.error import DatabaseError, InvalidValue
from runtara_domain.model.interventions import Deletion
from runtara_domain.ports.persistence import Persistence
from runtara_persistence.connect import connect
from runtara_persistence.postgres import transactor as on_postgres
from runtara_persistence.queries import Statement
from runtara_persistence.sqlite import transactor as on_sqlite
from runtara_persistence.transactions.images import ImageTransactions
from runtara_persistence.transactions.transaction import (
    Traits,
    Transaction,
    execute_many,
    fetch,
    first,
    only,
)

Run = Callable[[Transaction[Any]], Awaitable[Any]]

MOMENT = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
TABLES = "CREATE TEMPORARY TABLE things (name TEXT, due_at {moment})"


def statement(text: str) -> Statement:
    return Statement(postgres=text, sqlite=text)


PUT = statement("INSERT INTO things (name, due_at) VALUES (:name, :at) RETURNING name")
ALL = statement('SELECT name, due_at FROM things ORDER BY name COLLATE "C"')
SOME = statement("SELECT name FROM things WHERE name = ANY (:names::text[])")
EMPTY = statement("DELETE FROM things")
LATER = Statement(
    postgres="SELECT :at::timestamptz + :span::interval AS later_at",
    sqlite="SELECT strftime('%Y-%m-%dT%H:%M:%fZ', :at, :span) AS later_at",
)
IN_NEITHER = Statement(postgres=None, sqlite=None)


@pytest.fixture(params=["sqlite", "postgres"])
async def run(request: pytest.FixtureRequest) -> AsyncIterator[Run]:
    if request.param == "sqlite":
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(TABLES.format(moment="TEXT"))

            async def perform(transaction: Transaction[Any]) -> object:
                return on_sqlite.run_transaction(connection, transaction, [])

            yield perform
    else:
        with postgres.migrated_database() as url:
            # As a pool gives it, without a pool.
            server: Any = await asyncpg.connect(url)
            await server.execute(TABLES.format(moment="TIMESTAMPTZ"))
            yield lambda transaction: on_postgres.run_transaction(
                server, transaction, step_timeout=None
            )
            await server.close()


async def test_queries_get_their_rows_and_moments_stay_datetimes(run: Run) -> None:
    def transaction() -> Transaction[list[tuple[str, datetime | None]]]:
        put = yield from only(PUT, name="a", at=MOMENT)
        yield from execute_many(PUT, [{"name": "b", "at": None}, {"name": "c", "at": MOMENT}])
        rows = yield from fetch(ALL)
        assert put["name"] == "a"
        return [(row["name"], row["due_at"]) for row in rows]

    assert await run(transaction()) == [("a", MOMENT), ("b", None), ("c", MOMENT)]


async def test_a_list_is_an_array_of_either_database(run: Run) -> None:
    def transaction() -> Transaction[set[str]]:
        yield from execute_many(PUT, [{"name": name, "at": None} for name in ("a", "b", "ö,'")])
        rows = yield from fetch(SOME, names=["b", "ö,'", "x"])
        return {row["name"] for row in rows}

    assert await run(transaction()) == {"b", "ö,'"}


async def test_a_span_of_time_is_an_interval_of_either_database(run: Run) -> None:
    span = -timedelta(days=1, milliseconds=1)

    assert (await run(only(LATER, at=MOMENT, span=span)))["later_at"] == MOMENT + span


async def test_a_query_without_a_text_for_the_database_is_not_executed(run: Run) -> None:
    assert await run(first(IN_NEITHER)) is None


async def test_there_may_be_no_row_and_a_statement_may_have_none(run: Run) -> None:
    def transaction() -> Transaction[object]:
        yield from fetch(PUT, name="a", at=None)
        emptied = yield from fetch(EMPTY)
        return len(emptied), (yield from first(ALL))

    assert await run(transaction()) == (0, None)


async def test_an_error_within_the_transaction_reaches_its_caller(run: Run) -> None:
    def transaction() -> Transaction[None]:
        yield from fetch(ALL)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await run(transaction())


@pytest.mark.parametrize("url", ["sqlite:/nowhere/core.db", "postgresql://127.0.0.1:1/nowhere"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda core: core.launches.resume("a\0", at=MOMENT),
        lambda core: core.launches.move("a\0", "image", at=MOMENT),
        lambda core: core.launches.delete(Deletion("a\0")),
        lambda core: core.images.set_problem("a\0", None),
        lambda core: core.schedules.pause("t", "a\0"),
    ],
    ids=["resume", "move", "delete", "set_problem", "pause"],
)
async def test_a_wrong_argument_is_refused_without_the_database(
    url: str, ask: Callable[[Persistence], Awaitable[object]]
) -> None:
    """The caller need not wait for a database that is out of reach."""
    with pytest.raises(InvalidValue, match="takes text without NUL characters"):
        await ask(connect(url))


class Scripted:
    """A database that answers the queries of a transaction with these rows, in order."""

    def __init__(self, *answers: Sequence[dict[str, object]]) -> None:
        self.left = list(answers)

    async def perform(
        self, attempt: str, begin: Callable[[], Transaction[Any]], traits: Traits
    ) -> Any:
        transaction = begin()
        try:
            next(transaction)
            while True:
                transaction.send(self.left.pop(0))
        except StopIteration as end:
            return end.value


GONE: tuple[Sequence[dict[str, object]], ...] = ([], [])


async def test_a_chunk_that_is_deleted_before_it_is_compared_is_stored_again() -> None:
    database = Scripted(*GONE, [{"position": 0}])
    await ImageTransactions(database).put_chunk("u", 0, b"x", at=MOMENT)
    assert database.left == []

    with pytest.raises(DatabaseError, match="no row of its position is there"):
        await ImageTransactions(Scripted(*3 * GONE)).put_chunk("u", 0, b"x", at=MOMENT)
