"""Each query is one the database takes."""

from pathlib import Path

import asyncpg
import pytest
from tests.support import postgres

import runtara_persistence
from runtara_persistence.queries import load, shared

FILES = (
    "checkpoints.sql",
    "claims.sql",
    "events.sql",
    "instances.sql",
    "saving.sql",
    "signals.sql",
)


@pytest.mark.parametrize("file", FILES)
async def test_every_query_can_be_prepared(file: str) -> None:
    queries = load("runtara_persistence.postgres", file)
    with postgres.migrated_database() as url:
        connection = await asyncpg.connect(url)

        refused = {}
        for name in queries:
            try:
                await connection.prepare(queries[name])
            except asyncpg.PostgresError as error:
                refused[name] = str(error)

        await connection.close()
        assert refused == {}


async def test_every_query_of_both_databases_can_be_prepared() -> None:
    folder = Path(runtara_persistence.__file__).parent / "transactions" / "sql"
    files = {file.name for file in folder.glob("*.sql")} - {"fragments.sql"}
    with postgres.migrated_database() as url:
        connection = await asyncpg.connect(url)

        refused = {}
        for file in files:
            for name, statement in shared(file).items():
                if statement.postgres is None:
                    continue
                try:
                    await connection.prepare(statement.postgres.text)
                except asyncpg.PostgresError as error:
                    refused[file, name] = str(error)

        await connection.close()
        assert files
        assert refused == {}
