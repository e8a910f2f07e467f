"""Being told of signals, also after the connection that listens was lost."""

import asyncio
from collections.abc import Collection, Iterator

import asyncpg
import pytest
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import CustomSignal, NewInstance
from runtara_domain.status import OPEN
from runtara_persistence.postgres.persistence import PostgresPersistence


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


async def test_a_listener_that_is_lost_is_replaced_and_says_so(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was put in meanwhile may be meant: None; then each is told again."""
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
            assert await asyncio.wait_for(told.get(), 10) is None
            await persistence.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=START)
            assert await asyncio.wait_for(told.get(), 10) == ["i"]
    await stranger.close()

    assert "the connection was lost" in caplog.text


async def test_nobody_listens_when_nobody_watches(url: str) -> None:
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
