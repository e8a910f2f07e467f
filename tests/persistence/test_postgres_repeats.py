"""Statements the database gave up without having done anything are carried out again."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from tests.support.clock import START
from tests.support.postgres import PostgresServer, cloned_database

from runtara_domain.error import DatabaseError
from runtara_domain.model import Caller, CheckpointWrite, Registration
from runtara_domain.status import OPEN, WORKING
from runtara_persistence.postgres.persistence import PostgresPersistence

ME = Caller("i")
# A sequence counts what is rolled back, too.
REFUSING = """
CREATE SEQUENCE attempts;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('attempts') <= {times} THEN
        RAISE EXCEPTION 'refused' USING ERRCODE = '{code}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION refuse();
"""
ATTEMPTS = "SELECT last_value FROM attempts"
PATIENCE = 0.5


@pytest.fixture
def url() -> Iterator[str]:
    with cloned_database() as url:
        yield url


@pytest.fixture
async def persistence(url: str) -> AsyncIterator[PostgresPersistence]:
    async with PostgresPersistence(url, patience=PATIENCE) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        yield persistence


@pytest.fixture
async def stranger(
    url: str, persistence: PostgresPersistence
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Another program on the same database."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def save(persistence: PostgresPersistence) -> bool:
    write = CheckpointWrite("c", b"1")
    saved = await persistence.checkpoints.save(ME, write, when=WORKING, at=START)
    return saved.kept is None


@pytest.mark.parametrize("code", ["serialization_failure", "deadlock_detected"])
async def test_what_lost_against_another_is_repeated(
    persistence: PostgresPersistence,
    stranger: "asyncpg.Connection[asyncpg.Record]",
    code: str,
) -> None:
    await stranger.execute(REFUSING.format(code=code, times=2))

    assert await save(persistence)
    assert await stranger.fetchval(ATTEMPTS) == 3


async def test_what_loses_every_time_is_an_error_in_time(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await stranger.execute(REFUSING.format(code="serialization_failure", times=10**9))
    began = time.monotonic()

    with pytest.raises(DatabaseError, match=r"Failed to save a checkpoint in PostgreSQL .*refused"):
        await save(persistence)

    assert time.monotonic() - began < 10 * PATIENCE
    assert await stranger.fetchval(ATTEMPTS) > 2


async def test_what_would_fail_again_is_not_repeated(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await stranger.execute(REFUSING.format(code="disk_full", times=10**9))

    with pytest.raises(DatabaseError, match="free space on its disk"):
        await save(persistence)

    assert await stranger.fetchval(ATTEMPTS) == 1


async def test_what_an_operator_ended_is_repeated(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """A statement that was ended in the middle has changed nothing."""
    async with stranger.transaction():
        await stranger.execute("LOCK TABLE checkpoints IN ACCESS EXCLUSIVE MODE")
        saving = asyncio.create_task(save(persistence))
        while not await stranger.fetch(
            "SELECT pg_terminate_backend(pid), pg_stat_clear_snapshot() FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            await stranger.execute("SELECT pg_stat_clear_snapshot()")

    assert await saving


async def test_a_server_that_does_not_flush_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is warned of as `synchronous_commit` is."""
    server = PostgresServer("fsync=off")
    try:
        server.start()
        async with PostgresPersistence(server.url("postgres"), migrates=True):
            pass
    finally:
        server.remove()

    [warning] = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert warning.startswith("fsync is off: acknowledged data may be lost")
