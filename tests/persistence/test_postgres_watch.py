"""Watching signals, also after the listening connection was lost."""

import asyncio
from collections.abc import Collection, Iterator

import asyncpg
import pytest
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    CustomSignal,
    NewInstance,
    Registration,
)
from runtara_domain.status import OPEN
from runtara_persistence.postgres.persistence import PostgresPersistence


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


async def test_a_listener_that_is_lost_is_replaced_and_says_so(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It reports None, as anything may have changed; then it reports each signal again."""
    told: asyncio.Queue[Collection[str] | None] = asyncio.Queue()
    stranger = await asyncpg.connect(url)
    async with PostgresPersistence(url) as persistence:
        await persistence.instances.create(NewInstance("i", "t"), at=START)
        async with persistence.watch(told.put_nowait):
            ended = await stranger.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
            assert len(ended) == 1
            assert await asyncio.wait_for(told.get(), 60) is None
            await persistence.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=START)
            assert await asyncio.wait_for(told.get(), 60) == ["i"]
    await stranger.close()

    assert "the connection was lost" in caplog.text


async def test_without_a_watch_there_is_no_listener(url: str) -> None:
    listening = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    stranger = await asyncpg.connect(url)
    async with PostgresPersistence(url) as persistence:
        before = await stranger.fetchval(listening)
        async with persistence.watch(print):
            during = await stranger.fetchval(listening)
        # The database has noticed by the time another connection was opened.
        async with persistence.watch(print):
            again = await stranger.fetchval(listening)
    await stranger.close()

    assert (before, during) == (0, 1)
    assert again in (1, 2)


async def test_what_is_not_open_cannot_be_watched(url: str) -> None:
    with pytest.raises(DatabaseError, match="not open"):
        async with PostgresPersistence(url).watch(print):
            pass


async def test_a_transaction_notifies_once_of_all_that_is_launchable(url: str) -> None:
    """This holds for a thousand new instances and for a plain UPDATE. Checkpoints never notify."""
    told: asyncio.Queue[object] = asyncio.Queue()
    stranger = await asyncpg.connect(url)
    await stranger.add_listener("runtara_launchable", lambda *told_of: told.put_nowait(told_of[-1]))
    async with PostgresPersistence(url) as persistence:
        await stranger.execute(
            "INSERT INTO instances (instance_id, tenant_id) SELECT 'i' || n, 't'"
            " FROM generate_series(1, 1000) AS n"
        )
        await persistence.instances.register(Registration("me", "t"), when=OPEN, at=START)
        for number in range(50):
            write = CheckpointWrite(f"c-{number}", b"1")
            await persistence.checkpoints.save(Caller("me"), write, when=OPEN, at=START)
        await stranger.execute(
            "UPDATE instances SET status = 'suspended', sleep_until = now() + interval '1 hour'"
            " WHERE instance_id <> 'me'"
        )
        await stranger.execute("UPDATE instances SET error = 'x', last_activity_at = now()")
        await stranger.execute(
            "UPDATE instances SET sleep_until = now() + interval '1 second'"
            " WHERE sleep_until > now()"
        )
        # Whatever was notified before has come when the next statement is answered.
        await stranger.execute("SELECT 1")
    await stranger.close()

    assert [told.get_nowait() for _ in range(told.qsize())] == ["", ""]


async def test_a_listener_that_is_lost_says_that_something_may_be_launchable(url: str) -> None:
    """Any notification may have come while there was no listener."""
    told: asyncio.Queue[None] = asyncio.Queue()
    stranger = await asyncpg.connect(url)
    async with (
        PostgresPersistence(url) as persistence,
        persistence.watch(lambda _: None, launchable=lambda: told.put_nowait(None)),
    ):
        await stranger.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
        await asyncio.wait_for(told.get(), 60)
        await persistence.instances.create(NewInstance("i", "t"), at=START)
        await asyncio.wait_for(told.get(), 60)
    await stranger.close()
