"""The back door to PostgreSQL: rows as plain SQL would put and see them."""

import asyncpg
from tests.contract.database import Database, Row
from tests.support.postgres import EMPTY

from runtara_domain.ports.persistence import Persistence
from runtara_persistence.postgres.persistence import PostgresPersistence

_ENUMS = {
    ("instances", "status"): "instance_status",
    ("instance_events", "event_type"): "instance_event_type",
    ("pending_signals", "signal_type"): "signal_type",
}
_ORDERED = {
    "launches": "created_at, instance_id, number",
    "images": "created_at, image_id",
    "instance_images": "created_at, instance_id",
    "image_chunks": "upload_id, position",
}
_UNNUMBERED = frozenset({"instances", "pending_signals"})
# These rows have no number, and an update moves them: what was put in by this door comes first,
# then whatever registered first, then whatever was left alone longest.
_ORDER = """
    array_position($1::text[], instance_id),
    (SELECT min(id) FROM instance_events AS e WHERE e.instance_id = t.instance_id),
    age(xmin) DESC
"""


class PostgresDatabase(Database):
    is_row_by_row = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._put: list[str] = []
        self._back_door: asyncpg.Connection[asyncpg.Record] | None = None

    async def close(self) -> None:
        if self._back_door is not None:
            await self._back_door.close()

    def connect(self) -> Persistence:
        return PostgresPersistence(self._url)

    async def empty(self) -> None:
        """Delete all rows, for the next test."""
        self._put.clear()
        await (await self._door()).execute(EMPTY)

    async def put(self, table: str, row: Row) -> None:
        self._put.append(row.get("instance_id", ""))
        marks = ", ".join(_mark(table, name, place) for place, name in enumerate(row, start=1))
        await self._run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())

    async def delete(self, table: str, column: str, value: str) -> None:
        await self._run(f"DELETE FROM {table} WHERE {column} = $1", value)

    async def rows(self, table: str) -> list[Row]:
        if table in _ORDERED:
            return await self._run(f"SELECT * FROM {table} ORDER BY {_ORDERED[table]}")
        if table not in _UNNUMBERED:
            return await self._run(f"SELECT * FROM {table} ORDER BY id")
        return await self._run(f"SELECT * FROM {table} AS t ORDER BY {_ORDER}", self._put)

    async def _run(self, statement: str, *values: object) -> list[Row]:
        return [dict(row) for row in await (await self._door()).fetch(statement, *values)]

    async def _door(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._back_door is None:
            self._back_door = await asyncpg.connect(self._url)
        return self._back_door


def _mark(table: str, name: str, place: int) -> str:
    enum = _ENUMS.get((table, name))
    return f"${place}" if enum is None else f"${place}::text::{enum}"
