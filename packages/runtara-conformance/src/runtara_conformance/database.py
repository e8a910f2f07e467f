"""
Access by plain SQL to the tables that core.md names: for data that only the database shows, and for
signals, which no instance can send. Each database has a class.
"""

import asyncio
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

Row = Mapping[str, object]
BUSY_TIMEOUT = 10.0
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

_TAKES = "sqlite:PATH, sqlite://PATH or postgresql://…"
_TO_INSTALL = "asyncpg is missing, pip install 'runtara-conformance[postgres]'"


class DatabaseUrlError(ValueError):
    """The URL names no database that the kit can open."""


class Database(Protocol):
    """The tables, as rows by column name; times are aware datetimes."""

    async def instance(self, instance_id: str) -> Row:
        """Read its row; an empty one if there is none."""
        ...

    async def checkpoints(self, instance_id: str) -> Sequence[Row]:
        """Read its checkpoints and retry attempts, in order of id."""
        ...

    async def events(self, instance_id: str, event_type: str | None = None) -> Sequence[Row]:
        """Read its events, of one type if named, in order of id."""
        ...

    async def signal(self, instance_id: str) -> Row:
        """Read its row in pending_signals; an empty one if there is none."""
        ...

    async def put_signal(self, instance_id: str, signal_type: str, payload: bytes = b"") -> None:
        """Store a signal in place of the pending one."""
        ...

    async def put_custom_signal(self, instance_id: str, checkpoint_id: str, payload: bytes) -> None:
        """Send a custom signal."""
        ...

    async def put_instance(self, instance_id: str, tenant_id: str, given: bytes) -> None:
        """Create an instance as the environment does: PENDING, with this input."""
        ...

    async def remove(self, prefix: str) -> int:
        """Delete the instances whose ids have this prefix, with their data; return their number."""
        ...


class SqliteDatabase:
    """An SQLite file, opened for each statement."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def instance(self, instance_id: str) -> Row:
        """Read its row; an empty one if there is none."""
        return _only(await self._run("SELECT * FROM instances WHERE instance_id = ?", instance_id))

    async def checkpoints(self, instance_id: str) -> Sequence[Row]:
        """Read its checkpoints and retry attempts, in order of id."""
        sql = "SELECT * FROM checkpoints WHERE instance_id = ? ORDER BY id"
        return await self._run(sql, instance_id)

    async def events(self, instance_id: str, event_type: str | None = None) -> Sequence[Row]:
        """Read its events, of one type if named, in order of id."""
        sql = "SELECT * FROM instance_events WHERE instance_id = ? ORDER BY id"
        rows = await self._run(sql, instance_id)
        return [row for row in rows if event_type in (None, row["event_type"])]

    async def signal(self, instance_id: str) -> Row:
        """Read its row in pending_signals; an empty one if there is none."""
        sql = "SELECT * FROM pending_signals WHERE instance_id = ?"
        return _only(await self._run(sql, instance_id))

    async def put_signal(self, instance_id: str, signal_type: str, payload: bytes = b"") -> None:
        """Store a signal in place of the pending one."""
        await self._run("DELETE FROM pending_signals WHERE instance_id = ?", instance_id)
        sql = "INSERT INTO pending_signals (instance_id, signal_type, payload) VALUES (?, ?, ?)"
        await self._run(sql, instance_id, signal_type, payload)

    async def put_custom_signal(self, instance_id: str, checkpoint_id: str, payload: bytes) -> None:
        """Send a custom signal."""
        columns = "(instance_id, checkpoint_id, payload)"
        sql = f"INSERT INTO pending_checkpoint_signals {columns} VALUES (?, ?, ?)"
        await self._run(sql, instance_id, checkpoint_id, payload)

    async def put_instance(self, instance_id: str, tenant_id: str, given: bytes) -> None:
        """Create an instance as the environment does: PENDING, with this input."""
        sql = "INSERT INTO instances (instance_id, tenant_id, input) VALUES (?, ?, ?)"
        await self._run(sql, instance_id, tenant_id, given)

    async def remove(self, prefix: str) -> int:
        """Delete the instances whose ids have this prefix, with their data; return their number."""
        sql = "DELETE FROM instances WHERE substr(instance_id, 1, ?) = ? RETURNING instance_id"
        return len(await self._run(sql, len(prefix), prefix))

    async def _run(self, sql: str, *values: object) -> Sequence[Row]:
        return await asyncio.to_thread(self._run_here, sql, values)

    def _run_here(self, sql: str, values: tuple[object, ...]) -> Sequence[Row]:
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, timeout=BUSY_TIMEOUT, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            with connection:
                rows = connection.execute(sql, values).fetchall()
        return [{key: _value(key, row[key]) for key in row.keys()} for row in rows]  # noqa: SIM118 - a Row iterates over its values


class PostgresDatabase:
    """A PostgreSQL database, opened for each statement; needs asyncpg."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def instance(self, instance_id: str) -> Row:
        """Read its row; an empty one if there is none."""
        return _only(await self._run("SELECT * FROM instances WHERE instance_id = $1", instance_id))

    async def checkpoints(self, instance_id: str) -> Sequence[Row]:
        """Read its checkpoints and retry attempts, in order of id."""
        sql = "SELECT * FROM checkpoints WHERE instance_id = $1 ORDER BY id"
        return await self._run(sql, instance_id)

    async def events(self, instance_id: str, event_type: str | None = None) -> Sequence[Row]:
        """Read its events, of one type if named, in order of id."""
        sql = "SELECT * FROM instance_events WHERE instance_id = $1 ORDER BY id"
        rows = await self._run(sql, instance_id)
        return [row for row in rows if event_type in (None, row["event_type"])]

    async def signal(self, instance_id: str) -> Row:
        """Read its row in pending_signals; an empty one if there is none."""
        sql = "SELECT * FROM pending_signals WHERE instance_id = $1"
        return _only(await self._run(sql, instance_id))

    async def put_signal(self, instance_id: str, signal_type: str, payload: bytes = b"") -> None:
        """Store a signal in place of the pending one."""
        await self._run("DELETE FROM pending_signals WHERE instance_id = $1", instance_id)
        columns = "(instance_id, signal_type, payload)"
        sql = f"INSERT INTO pending_signals {columns} VALUES ($1, $2::text::signal_type, $3)"
        await self._run(sql, instance_id, signal_type, payload)

    async def put_custom_signal(self, instance_id: str, checkpoint_id: str, payload: bytes) -> None:
        """Send a custom signal."""
        columns = "(instance_id, checkpoint_id, payload)"
        sql = f"INSERT INTO pending_checkpoint_signals {columns} VALUES ($1, $2, $3)"
        await self._run(sql, instance_id, checkpoint_id, payload)

    async def put_instance(self, instance_id: str, tenant_id: str, given: bytes) -> None:
        """Create an instance as the environment does: PENDING, with this input."""
        sql = "INSERT INTO instances (instance_id, tenant_id, input) VALUES ($1, $2, $3)"
        await self._run(sql, instance_id, tenant_id, given)

    async def remove(self, prefix: str) -> int:
        """Delete the instances whose ids have this prefix, with their data; return their number."""
        sql = "DELETE FROM instances WHERE starts_with(instance_id, $1) RETURNING instance_id"
        return len(await self._run(sql, prefix))

    async def _run(self, sql: str, *values: object) -> Sequence[Row]:
        import asyncpg

        connection = await asyncpg.connect(self._url)
        try:
            return [dict(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()


def open_database(url: str) -> Database:
    """Open the database of a URL; raise `DatabaseUrlError`, with one line, if that fails."""
    if url.startswith(("postgres://", "postgresql://")):
        if find_spec("asyncpg") is None:
            raise DatabaseUrlError(f"--database-url for PostgreSQL: {_TO_INSTALL}")
        return PostgresDatabase(url)
    if not url.startswith("sqlite:"):
        raise DatabaseUrlError(f"--database-url {url}: it takes {_TAKES}")
    path = Path(url.removeprefix("sqlite:").removeprefix("//").partition("?")[0])
    if not path.is_file():
        raise DatabaseUrlError(f"--database-url {url}: there is no file {path}")
    return SqliteDatabase(path)


def _only(rows: Sequence[Row]) -> Row:
    return rows[0] if rows else {}


def _value(column: str, value: object) -> object:
    if not isinstance(value, str) or not column.endswith(("_at", "_until")):
        return value
    if not TIME.fullmatch(value):
        raise ValueError(f"{column} is {value!r}, a time is YYYY-MM-DDTHH:MM:SS.mmmZ")
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
