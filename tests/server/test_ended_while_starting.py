"""A signal before the server listens: the server may have minutes to wait for a migration."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import PostgresServer, empty_database
from tests.support.server_process import ServerProcess

LOCK = int.from_bytes(b"runtara")
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@asynccontextmanager
async def waiting(folder: Path, url: str) -> AsyncIterator[ServerProcess]:
    """A server that waits while another process migrates its database, for the block's length."""
    migrating = await asyncpg.connect(url)
    await migrating.execute("SELECT pg_advisory_lock($1)", LOCK)
    server = ServerProcess(folder, {"RUNTARA_DATABASE_URL": url})
    try:
        await server.launch()
        while not await migrating.fetchval(WAITING):
            pass
        yield server
    finally:
        await server.close()
        migrating.terminate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_waits_no_longer_and_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with empty_database() as url:
        async with waiting(tmp_path, url) as server:
            server.process.send_signal(number)
            code = await server.ended()

        assert code == 0
        assert [line["level"] for line in server.log] == ["warning", "info"]
        assert server.log[-1]["event"] == "server ended by a signal before it listened"


@pytest.mark.long
async def test_it_waits_for_no_database_that_is_frozen(tmp_path: Path) -> None:
    """It doesn't wait to take back what it had begun either."""
    database = PostgresServer()
    try:
        database.start()
        async with waiting(tmp_path, database.url("postgres")) as server:
            with database.frozen():
                server.process.send_signal(signal.SIGTERM)
                code = await server.ended()
    finally:
        database.remove()

    assert code == 0
    assert server.log[-1]["event"] == "server ended by a signal before it listened"
