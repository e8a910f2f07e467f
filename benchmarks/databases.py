"""
Databases to measure on: on a disk, as durable as a core's must be; and what they do by themselves.

As a program: bare writes to a PostgreSQL, as many a second as a line of input says, for others to
be measured beside.
"""

import asyncio
import itertools
import os
import sqlite3
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import asyncpg
from tests.support.postgres import PostgresServer

NAMES = ("sqlite", "postgres")
STATE = os.urandom(200)


class Bare(ABC):
    """Writes of rows alone."""

    @abstractmethod
    async def write(self, rows: int) -> None:
        """Write so many rows with one commit."""

    async def rate(self, seconds: float, group: int) -> float:
        """Commit for so long, so many rows at a time; the result is in rows a second."""
        count = 0
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            await self.write(group)
            count += group
        return count / (time.perf_counter() - start)


class BareSqlite(Bare):
    """In a file of its own, by this process."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, state BLOB)"
        )

    async def write(self, rows: int) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for _ in range(rows):
            self._connection.execute("INSERT INTO bare (state) VALUES (?)", (STATE,))
        self._connection.execute("COMMIT")


class BarePostgres(Bare):
    """In a table of its own, with one statement a commit."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def write(self, rows: int) -> None:
        await self._connection.execute(
            "INSERT INTO bare (state) SELECT unnest($1::bytea[])", [STATE] * rows
        )


@contextmanager
def database(name: str) -> Iterator[str]:
    """Give the URL of an empty database on the disk that temporary files are on."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "sqlite":
            yield f"sqlite:{folder}/core.db"
            return
        # PostgreSQL runs as another user where this process is root's.
        Path(folder).chmod(0o755)
        server = PostgresServer("max_connections=200", kept_in=Path(folder, "postgres"))
        try:
            server.start()
            yield server.url("postgres")
        finally:
            server.remove()


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[Bare]:
    """Write beside what is kept in a database, once that is seen to be durable."""
    if url.startswith("sqlite:"):
        with closing(_open_bare(Path(url.removeprefix("sqlite:")))) as beside:
            yield BareSqlite(beside)
        return
    connection = await asyncpg.connect(url)
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await connection.fetchval(f"SHOW {setting}") == "on", setting
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS bare (id BIGSERIAL PRIMARY KEY, state BYTEA)"
    )
    yield BarePostgres(connection)
    await connection.close()


def _open_bare(path: Path) -> sqlite3.Connection:
    # The server refuses to start if `synchronous` is not FULL.
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    return sqlite3.connect(path.with_name("bare.db"), isolation_level=None)


_SIX = (
    "SELECT status FROM instances WHERE instance_id = $1",
    "SELECT state FROM checkpoints WHERE instance_id = $1 AND checkpoint_id = $2",
    "INSERT INTO checkpoints (instance_id, checkpoint_id, state) VALUES ($1, $2, $3)",
    "UPDATE instances SET checkpoint_id = $2 WHERE instance_id = $1",
    "SELECT signal_type FROM pending_signals WHERE instance_id = $1",
    "SELECT payload FROM pending_checkpoint_signals WHERE instance_id = $1 AND checkpoint_id = $2",
)


async def six_statements(url: str, instances: list[str], seconds: float) -> float:
    """
    Save checkpoints without a server, each in a transaction of six statements.

    As a core without groups may do it. For so long, one at a time for each instance; the result is
    in checkpoints a second.
    """
    async with asyncpg.create_pool(url, min_size=10, max_size=10) as pool:
        start = time.perf_counter()

        async def save(instance: str) -> int:
            count = 0
            while time.perf_counter() < start + seconds:
                given = instance, f"six/{time.time_ns()}/{count}", STATE
                async with pool.acquire() as connection, connection.transaction():
                    for statement in _SIX:
                        await connection.fetch(statement, *given[: statement.count("$")])
                count += 1
            return count

        counts = await asyncio.gather(*map(save, instances))
        return sum(counts) / (time.perf_counter() - start)


class Writer:
    """Another process that writes bare rows to a PostgreSQL."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @asynccontextmanager
    async def writing(self, rows_a_second: float, group: int) -> AsyncIterator[None]:
        """Let it write for the block's length, so many rows with one commit."""
        await self._tell(f"{rows_a_second} {group}")
        yield
        await self._tell("0 0")

    async def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        assert await self._process.stdout.readline() == b"told\n", "it has ended"


@asynccontextmanager
async def writing_to(url: str) -> AsyncIterator[Writer]:
    """Start one."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "benchmarks.databases", url)
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    try:
        yield Writer(process)
    finally:
        process.stdin.close()
        await process.wait()


async def _write_as_told(url: str) -> None:
    async with bare(url) as database:
        writing: asyncio.Task[None] | None = None
        while line := await asyncio.to_thread(sys.stdin.readline):
            rows_a_second, group = map(float, line.split())
            if writing is not None:
                writing.cancel()
                await asyncio.wait([writing])
                # What was measured without the writer is not to be reported.
                if not writing.cancelled():
                    writing.result()
            if group:
                writing = asyncio.create_task(_write(database, rows_a_second, int(group)))
            print("told", flush=True)


async def _write(database: Bare, rows_a_second: float, group: int) -> None:
    start = time.perf_counter()
    for number in itertools.count(1):
        await database.write(group)
        due = start + number * group / rows_a_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


if __name__ == "__main__":
    asyncio.run(_write_as_told(sys.argv[1]))
