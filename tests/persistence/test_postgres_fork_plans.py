"""A fork copies a history, whatever plan the server has for it."""

import asyncpg
import pytest
from tests.support.clock import START
from tests.support.postgres import migrated_database

from runtara_domain.model.interventions import Fork
from runtara_persistence.connect import connect

HISTORY = """
INSERT INTO instances (instance_id, tenant_id, status, created_at, workflow)
VALUES ('i', 't', 'failed', now(), 'w');
INSERT INTO checkpoints (instance_id, checkpoint_id, is_retry_attempt, attempt_number, state)
VALUES
    ('i', 'one', FALSE, NULL, ''),
    ('i', 'two', FALSE, NULL, ''),
    ('i', 'two::retry::1', TRUE, 1, '');
"""


@pytest.mark.parametrize("join", ["enable_hashjoin", "enable_mergejoin", "enable_nestloop"])
async def test_short_keys_are_copied_by_every_kind_of_join(join: str) -> None:
    """A hash of the rows asks also rows that are no attempts for the key of their call."""
    joins = {"enable_hashjoin", "enable_mergejoin", "enable_nestloop"}
    with migrated_database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(HISTORY)
        name = await connection.fetchval("SELECT current_database()")
        try:
            for one in joins:
                value = "on" if one == join else "off"
                await connection.execute(f'ALTER DATABASE "{name}" SET {one} = {value}')
            async with connect(url) as persistence:
                forked = await persistence.launches.fork(Fork("i", "new"), at=START)
        finally:
            await connection.execute(f'ALTER DATABASE "{name}" RESET ALL')
            await connection.close()

    assert (forked.created, forked.copied) == (True, 2)
