"""Several hosts: the one that can write is used, whatever becomes of the others."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest
from tests.support.clock import START
from tests.support.postgres import PostgresServer
from tests.support.postgres_pair import Pair, primary_and_standby

from runtara_domain.error import DatabaseError
from runtara_domain.model import Caller, CheckpointWrite, Registration
from runtara_domain.status import OPEN, WORKING
from runtara_migrations.ledger import MigrationError
from runtara_migrations.migrate import migrate
from runtara_persistence.postgres.persistence import PostgresPersistence

ME = Caller("i")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with primary_and_standby() as pair:
        yield pair


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def save(persistence: PostgresPersistence, checkpoint_id: str) -> bool:
    write = CheckpointWrite(checkpoint_id, b"1")
    saved = await persistence.checkpoints.save(ME, write, when=WORKING, at=START)
    return saved.kept is None


async def test_a_primary_that_freezes_is_left_for_its_standby(pair: Pair) -> None:
    """Callers of the primary get an error in time; the standby serves all others, in time too."""
    patience, step_timeout = 3.0, 1.0
    most = patience + step_timeout + 10.0  # and what a busy machine takes
    async with PostgresPersistence(
        pair.url, migrates=True, pool_size=4, patience=patience, step_timeout=step_timeout
    ) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        await asyncio.gather(*(persistence.instances.get("i") for _ in range(4)))
        assert await save(persistence, "before")
        with pair.primary.frozen():
            await asyncio.to_thread(pair.standby.promote)
            began = time.monotonic()
            asked = [persistence.checkpoints.get("i", "before") for _ in range(8)]
            ends = await asyncio.gather(*asked, return_exceptions=True)
            took = time.monotonic() - began
            kept = await persistence.checkpoints.get("i", "before")
            assert await save(persistence, "after")

    assert {type(end) for end in ends if isinstance(end, BaseException)} <= {DatabaseError}
    assert took < most
    assert kept is not None


async def test_while_the_standby_is_away_nothing_is_acknowledged(pair: Pair) -> None:
    """Neither limit of time makes a commit that waits for it a success."""
    async with PostgresPersistence(pair.url, migrates=True, step_timeout=1.0) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        await asyncio.to_thread(pair.standby.stop)
        with pytest.raises(DatabaseError, match="no answer in time"):
            await save(persistence, "refused")
        await asyncio.to_thread(pair.standby.start)

        assert await save(persistence, "afterwards")


async def test_a_host_that_never_answers_keeps_no_caller_from_the_next(
    server: PostgresServer,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://postgres@/postgres?host=127.0.0.1,{server.folder}&port={port},5432"
        async with PostgresPersistence(url, migrates=True, patience=2.5) as persistence:
            await persistence.check()


async def test_a_standby_alone_is_refused_in_one_line(pair: Pair) -> None:
    with pytest.raises(DatabaseError, match="it takes no writes") as refusal:
        async with PostgresPersistence(pair.standby.url("postgres"), patience=0.5):
            pass

    assert "name it, or all hosts, in the URL" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    with pytest.raises(MigrationError, match="this server accepts no writes; name the primary"):
        await migrate(pair.standby.url("postgres"))


async def test_the_primary_is_migrated_wherever_it_is_named(pair: Pair) -> None:
    hosts = f"{pair.standby.folder},{pair.primary.folder}"

    assert await migrate(f"postgresql://postgres@/postgres?host={hosts}")
    assert not await migrate(pair.primary.url("postgres"))


async def test_a_database_that_takes_no_writes_for_a_while_is_used_again(
    server: PostgresServer,
) -> None:
    """An example is a full disk: the error says so, and later calls succeed by themselves."""
    async with PostgresPersistence(
        server.url("postgres"), migrates=True, patience=0.5
    ) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        await asyncio.to_thread(take_writes, server, False)
        with pytest.raises(DatabaseError, match="takes no writes"):
            await save(persistence, "c")
        await asyncio.to_thread(take_writes, server, True)

        assert await save(persistence, "c")


def take_writes(server: PostgresServer, whether: bool) -> None:
    wanted = "off" if whether else "on"
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {wanted}")
    server.execute("SELECT pg_reload_conf()")
    while server.execute("SHOW default_transaction_read_only").strip() != wanted:
        pass
