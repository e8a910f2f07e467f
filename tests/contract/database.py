"""
The databases the suite runs on, each with a back door: rows as plain SQL would put and see them.
"""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from tests.support.clock import START

from runtara_domain.model import EventType
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import InstanceStatus, SignalType
from runtara_persistence.memory import MemoryPersistence
from runtara_persistence.memory.rows import (
    AssociationRow,
    CheckpointRow,
    CustomSignalRow,
    EventRow,
    ImageRow,
    InstanceRow,
    SignalRow,
)
from runtara_persistence.sqlite.persistence import SqlitePersistence

# Any: a column holds text, bytes, numbers, times or null, and each test knows which.
Row: TypeAlias = dict[str, Any]

TABLES = (
    "instances",
    "checkpoints",
    "instance_events",
    "pending_signals",
    "pending_checkpoint_signals",
)


class Database(ABC):
    """
    One database, empty at first.

    is_row_by_row: whether steps go on at the same time, each locking the rows it needs.
    """

    is_row_by_row = False

    async def close(self) -> None:  # noqa: B027 -- most have no door that stays open
        """Shut the back door, if it was opened and stays open."""

    @abstractmethod
    def connect(self) -> Persistence:
        """Give an adapter to it, unopened; all that were given share what is stored."""

    @abstractmethod
    async def put(self, table: str, row: Row) -> None:
        """Insert a row that names only some of its columns."""

    @abstractmethod
    async def delete(self, table: str, column: str, value: str) -> None:
        """Delete the rows that have this value in this column."""

    @abstractmethod
    async def rows(self, table: str) -> list[Row]:
        """Read a table in order of insertion."""

    async def row(self, instance_id: str) -> Row:
        """Read the one row of an instance."""
        rows = await self.rows("instances")
        (row,) = [row for row in rows if row["instance_id"] == instance_id]
        return row

    async def events(self, instance_id: str) -> list[str]:
        """Tell the types of an instance's events, in order."""
        rows = await self.rows("instance_events")
        return [str(row["event_type"]) for row in rows if row["instance_id"] == instance_id]

    async def snapshot(self) -> dict[str, list[Row]]:
        """Read all there is."""
        return {table: await self.rows(table) for table in TABLES}

    async def put_signal(
        self,
        instance_id: str,
        type: SignalType,
        payload: bytes | None = None,
        acknowledged_at: datetime | None = None,
        created_at: datetime = START,
    ) -> None:
        row: Row = {"instance_id": instance_id, "signal_type": type, "payload": payload}
        times: Row = {"acknowledged_at": acknowledged_at, "created_at": created_at}
        await self.put("pending_signals", row | times)

    async def put_custom_signal(
        self, instance_id: str, checkpoint_id: str, payload: bytes | None
    ) -> None:
        row: Row = {"instance_id": instance_id, "checkpoint_id": checkpoint_id, "payload": payload}
        await self.put("pending_checkpoint_signals", row)

    async def put_attempt(self, instance_id: str, checkpoint_id: str, number: int) -> None:
        """Insert the audit row of a retry attempt."""
        row: Row = {
            "instance_id": instance_id,
            "checkpoint_id": f"{checkpoint_id}::retry::{number}",
            "state": b"",
            "is_retry_attempt": True,
            "attempt_number": number,
            "error_message": "it failed",
        }
        await self.put("checkpoints", row)


class MemoryDatabase(Database):
    def __init__(self) -> None:
        self._persistence = MemoryPersistence()

    def connect(self) -> Persistence:
        return self._persistence

    async def put(self, table: str, row: Row) -> None:
        store = self._persistence.store
        row = {"created_at": START, **row}
        if table == "instances":
            row["status"] = InstanceStatus(row["status"])
            store.put_instance(InstanceRow(**row))
        elif table == "checkpoints":
            key = row["instance_id"], row["checkpoint_id"]
            store.checkpoints[key] = CheckpointRow(id=store.next_id(), **row)
        elif table == "instance_events":
            row["event_type"] = EventType(row["event_type"])
            store.instance_events.append(EventRow(id=store.next_id(), **row))
        elif table == "images":
            store.images[row["image_id"]] = ImageRow(**row)
        elif table == "instance_images":
            store.instance_images[row["instance_id"]] = AssociationRow(**row)
        elif table == "pending_signals":
            store.put_signal(SignalRow(**row))
        else:
            store.put_custom_signal(CustomSignalRow(id=store.next_id(), **row))

    async def delete(self, table: str, column: str, value: str) -> None:
        held = getattr(self._persistence.store, table)
        if isinstance(held, list):
            held[:] = [row for row in held if getattr(row, column) != value]
            return
        for key in [key for key, row in held.items() if getattr(row, column) == value]:
            del held[key]

    async def rows(self, table: str) -> list[Row]:
        held = getattr(self._persistence.store, table)
        return [asdict(row) for row in (held.values() if isinstance(held, dict) else held)]


class SqliteDatabase(Database):
    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._back_door: sqlite3.Connection | None = None

    async def close(self) -> None:
        if self._back_door is not None:
            self._back_door.close()

    def connect(self) -> Persistence:
        return SqlitePersistence(self._path)

    async def put(self, table: str, row: Row) -> None:
        columns = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        values = [_stored(value) for value in row.values()]
        await asyncio.to_thread(
            self._run, f"INSERT INTO {table} ({columns}) VALUES ({marks})", values
        )

    async def delete(self, table: str, column: str, value: str) -> None:
        statement = f"DELETE FROM {table} WHERE {column} = ?"
        await asyncio.to_thread(self._run, statement, [value])

    async def rows(self, table: str) -> list[Row]:
        # In the loop's thread: a read waits for no lock.
        return self._run(f"SELECT * FROM {table} ORDER BY rowid", [])

    def _run(self, statement: str, values: list[object]) -> list[Row]:
        if self._back_door is None:
            self._back_door = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
            self._back_door.row_factory = sqlite3.Row
        with self._back_door as connection:
            found = connection.execute(statement, values).fetchall()
        return [{name: _read(name, row[name]) for name in row.keys()} for row in found]  # noqa: SIM118 -- a sqlite3.Row iterates over its values


def _stored(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value:%f}"[:3] + "Z"
    return value


def _read(name: str, value: Any) -> Any:
    if value is not None and name.endswith(("_at", "_until")):
        assert len(value) == len("YYYY-MM-DDTHH:MM:SS.mmmZ")
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if name == "is_retry_attempt":
        return bool(value)
    return value
