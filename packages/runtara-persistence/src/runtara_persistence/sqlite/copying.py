"""Taking a copy of an instance, and putting one in, within one transaction."""

import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from runtara_domain.model import EventType
from runtara_domain.model.instance_copies import (
    IMPORTED,
    Copied,
    CopiedCheckpoint,
    CopiedEvent,
    CopiedInstance,
    CopiedSignal,
    InstanceCopy,
    PutCopy,
    check_copied,
)
from runtara_domain.status import InstanceStatus, SignalType, State
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.rows import from_text, to_text

T = TypeVar("T")

_SQL = queries.load("runtara_persistence.sqlite", "copying.sql")
_MOMENTS = {"created_at", "started_at", "finished_at", "last_activity_at", "wake_at"}


def take(connection: sqlite3.Connection, instance_id: str) -> Copied | None:
    """Carry out the port's step `launches.copy`."""
    found = _read(connection, _SQL["take"], instance_id)
    if not found:
        return None
    [row] = found
    [sizes] = _read(connection, _SQL["take.size"], instance_id)
    check_copied(sizes["size"])
    state = rows.state(row["status"], row["sleep_until"])
    row["status"] = InstanceStatus(row["status"])
    pending = row["pending_signal"]
    return Copied(
        copy=InstanceCopy(
            instance=_record(CopiedInstance, row),
            checkpoints=[
                _record(CopiedCheckpoint, one | {"is_retry_attempt": bool(one["is_retry_attempt"])})
                for one in _read(connection, _SQL["take.checkpoints"], instance_id)
            ],
            events=[
                _record(CopiedEvent, one)
                for one in _read(connection, _SQL["take.events"], instance_id)
            ],
            signals=[
                _record(CopiedSignal, one)
                for one in _read(connection, _SQL["take.signals"], instance_id)
            ],
        ),
        state=state,
        open_launch_id=row["launch_id"],
        open_parent_id=row["open_parent_id"],
        open_child_id=row["open_child_id"],
        pending_signal=None if pending is None else SignalType(pending),
    )


def put(
    connection: sqlite3.Connection,
    copy: InstanceCopy,
    source: str,
    image_id: str | None,
    at: datetime,
) -> PutCopy:
    """Carry out the port's step `launches.put_copy`."""
    one = copy.instance
    row = _columns(one) | {"image_id": image_id, "at": to_text(at)}
    if State.of(one.status, None).is_final is False:
        row["status"] = State.PAUSED.status.value
    has_image = image_id is None or connection.execute(_SQL["put.image"], row).fetchone()
    if has_image and connection.execute(_SQL["put"], row).rowcount == 0:
        key = {"instance_id": one.instance_id, "subtype": IMPORTED, "source": source.encode()}
        return PutCopy(is_same=connection.execute(_SQL["put.is_same"], key).fetchone() is not None)
    if not has_image:
        return PutCopy(image_is_found=False)
    if image_id is not None:
        connection.execute(_SQL["put.associate"], row)
    imported = CopiedEvent(
        event_type=EventType.CUSTOM.value, created_at=at, subtype=IMPORTED, payload=source.encode()
    )
    _put_all(connection, _SQL["put.checkpoint"], one.instance_id, copy.checkpoints)
    _put_all(connection, _SQL["put.event"], one.instance_id, [*copy.events, imported])
    _put_all(connection, _SQL["put.signal"], one.instance_id, copy.signals)
    return PutCopy(created=True)


def _put_all(
    connection: sqlite3.Connection, statement: str, instance_id: str, copied: Sequence[object]
) -> None:
    key = {"instance_id": instance_id}
    connection.executemany(statement, (_columns(one) | key for one in copied))


def _read(connection: sqlite3.Connection, statement: str, instance_id: str) -> list[dict[str, Any]]:
    cursor = connection.execute(statement, {"instance_id": instance_id})
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _record(kind: type[T], row: dict[str, Any]) -> T:
    named = {each.name: row[each.name] for each in fields(kind)}  # type: ignore[arg-type]  # A dataclass.
    for name in _MOMENTS & named.keys():
        named[name] = None if named[name] is None else from_text(named[name])
    return kind(**named)


def _columns(copied: Any) -> dict[str, Any]:
    columns = {each.name: getattr(copied, each.name) for each in fields(copied)}
    for name in _MOMENTS & columns.keys():
        columns[name] = None if columns[name] is None else to_text(columns[name])
    return columns
