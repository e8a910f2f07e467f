"""Work on very many rows: in parts that pass in time, or with a longer time of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from tests.support.clock import START
from tests.support.postgres import cloned_database

from runtara_domain.error import DatabaseError
from runtara_domain.model import EventFilter, Registration
from runtara_domain.model.instance_copies import CopiedCheckpoint, CopiedInstance, InstanceCopy
from runtara_domain.status import OPEN, InstanceStatus
from runtara_migrations import postgres as migrations
from runtara_migrations.ledger import Migration, packaged
from runtara_persistence.postgres import transactor
from runtara_persistence.postgres.persistence import PostgresPersistence

STEP_TIMEOUT = 0.5
# Six hundred milliseconds or more to delete them all.
SLOW_TO_DELETE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.001);
    RETURN OLD;
END $$;
CREATE TRIGGER dawdle BEFORE DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION dawdle();
INSERT INTO instances (instance_id, tenant_id, status, finished_at)
SELECT 'i' || n, 't', 'completed', '2000-01-01' FROM generate_series(1, 3) AS n;
INSERT INTO checkpoints (instance_id, checkpoint_id, state)
SELECT 'i' || n % 3 + 1, 'c' || n, '' FROM generate_series(1, 600) AS n;
"""
# Six hundred milliseconds or more to insert them all.
SLOW_TO_INSERT = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.001);
    RETURN NEW;
END $$;
CREATE TRIGGER dawdle BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION dawdle();
"""
# A migration that takes 700 milliseconds, and as long again for its commit.
SLOW_TO_COMMIT = """
SELECT pg_sleep(0.7);
CREATE TABLE slow (x int);
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.7);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION dawdle();
INSERT INTO slow VALUES (1);
"""


@pytest.fixture
def url() -> Iterator[str]:
    with cloned_database() as url:
        yield url


@pytest.fixture
async def persistence(url: str) -> AsyncIterator[PostgresPersistence]:
    async with PostgresPersistence(url, step_timeout=STEP_TIMEOUT) as persistence:
        yield persistence


@pytest.fixture
async def stranger(
    url: str, persistence: PostgresPersistence
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def test_pruning_takes_less_at_a_time_where_more_would_take_too_long(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await stranger.execute(SLOW_TO_DELETE)

    assert await persistence.instances.prune(START) == 3
    assert await stranger.fetchval("SELECT count(*) FROM checkpoints") == 0


@pytest.mark.parametrize("bound", ["_MOST_ROWS", "_MOST_BYTES"])
async def test_a_copy_that_takes_long_is_put_in_by_parts(
    persistence: PostgresPersistence,
    stranger: "asyncpg.Connection[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
) -> None:
    """Each part, bounded by rows and by bytes, has as long as any other statement."""
    await stranger.execute(SLOW_TO_INSERT)
    monkeypatch.setattr(transactor, bound, 100)
    done = InstanceStatus.COMPLETED
    instance = CopiedInstance(
        instance_id="i", tenant_id="t", status=done, created_at=START, run_epoch=1, priority=0
    )
    checkpoints = [
        CopiedCheckpoint(checkpoint_id=f"c{n}", state=b"1", created_at=START) for n in range(600)
    ]
    copy = InstanceCopy(instance=instance, checkpoints=checkpoints, events=(), signals=())

    put = await persistence.launches.put_copy(copy, "file", image_id=None, at=START)

    assert put.created
    stored = "SELECT array_agg(checkpoint_id ORDER BY id) FROM checkpoints"
    assert await stranger.fetchval(stored) == [each.checkpoint_id for each in checkpoints]


async def test_what_counts_may_take_longer_than_other_statements(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """So may a search for a text, which reads everything in between."""
    await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
    which = EventFilter(instance_id="i")
    searched = EventFilter(instance_id="i", text="x")

    async with stranger.transaction():
        await stranger.execute("LOCK TABLE instance_events IN ACCESS EXCLUSIVE MODE")
        counting = asyncio.create_task(persistence.events.count(which))
        searching = asyncio.create_task(persistence.events.page(searched))
        with pytest.raises(DatabaseError, match="another transaction holds a lock"):
            await persistence.events.page(which)

    assert await counting == 1
    assert await searching == []


async def test_a_migration_and_its_commit_may_take_longer_than_a_step(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Migration(999, "999_dawdle", SLOW_TO_COMMIT)
    monkeypatch.setattr(migrations, "packaged", lambda kind: (*packaged(kind), slow))

    async with PostgresPersistence(url, migrates=True, step_timeout=STEP_TIMEOUT):
        pass
    # The database lacks no migration.
    async with PostgresPersistence(url, migrates=False, step_timeout=STEP_TIMEOUT):
        pass
