"""Each query is one the database takes."""

import asyncpg
import pytest
from tests.support import postgres

from runtara_persistence.queries import load

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
